"""Fetching data sets by name, as the command line shows it."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from benchmark.options import UserError, look_up, summary
from datasets.base import DATASETS, data_folder
from datasets.download.install import Origin, install, known_sources
from datasets.sample import DatasetError


def sources_table() -> Table:
    """What can be fetched: name, size of the archives, licence, page, and what is here."""
    data = data_folder()
    names = Column("name", no_wrap=True)  # to be copied, as the address of the page
    what = Column("what it is", overflow="fold")
    table = Table(names, "size", "here", "licence", what, box=None, padding=(0, 2, 1, 0))
    for name, source in known_sources().items():
        unchecked = [a for a in source.archives if a.sha256 is None]
        note = "\n(no published checksum: size and first download)" if unchecked else ""
        table.add_row(
            f"[bold]{name}[/]",
            decimal(source.size),
            "yes" if source.is_in(data) else "no",
            escape(source.licence),
            escape(f"{summary(DATASETS[name])}\n{source.home}{note}"),
        )
    return table


def download(
    console: Console, names: list[str], place: str, *, check: bool = True, keep: bool = False
) -> None:
    """Fetch data sets into the data folder, one after another.

    Args:
        console: what is being done is printed here.
        names: of the data sets.
        place: folder or address of the archives; empty: their publishers.
        check: whether archives must be the published ones.
        keep: whether they stay after they were unpacked.

    Raises:
        UserError: a name is unknown, or a data set cannot be had.
    """
    sources = known_sources()
    wanted = [look_up(sources, name, "data set to fetch", "download") for name in names]
    try:
        origin = Origin(place, check=check, keep=keep)
    except DatasetError as error:
        raise UserError(f"--from: {error}") from None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        for source in wanted:
            try:
                install(
                    source,
                    data_folder(),
                    origin,
                    progress=_bars(progress),
                    tell=lambda text: progress.console.print(escape(text), soft_wrap=True),
                )
            except DatasetError as error:
                raise UserError(str(error)) from None


def _bars(progress: Progress) -> Callable[[str, int, int], None]:
    """One bar for each file that is fetched or unpacked."""
    bars: dict[str, TaskID] = {}

    def show(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = progress.add_task(escape(name), total=total or None)
        progress.update(bars[name], completed=done)

    return show
