"""Commands on data sets: fetch those that are known by name."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmark.cli.common import Data, app, console, reports_user_errors, use_data


@app.command()
@reports_user_errors
def download(
    names: Annotated[
        list[str] | None, typer.Argument(help="Data sets, such as voc2007; see --list.")
    ] = None,
    data: Data = None,
    show: Annotated[
        bool, typer.Option("--list", help="Show what can be fetched, how large it is, the licence.")
    ] = False,
    place: Annotated[
        str | None,
        typer.Option(
            "--from",
            envvar="LOSSBENCH_MIRROR",
            help="Folder or address that holds the archives; default: each from its publisher.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the archives after they were unpacked.")
    ] = False,
    unverified: Annotated[
        bool,
        typer.Option("--unverified", help="Take archives that are not the published ones."),
    ] = False,
) -> None:
    """Fetch data sets by name into the data folder; what is there stays as it is."""
    from benchmark.options import UserError

    if show == bool(names):
        raise UserError("download: give names of data sets, or --list, and not both")
    use_data(data)
    from benchmark import downloading

    if show:
        console.print(downloading.sources_table())
        return
    downloading.download(console, names or [], place or "", check=not unverified, keep=keep)
