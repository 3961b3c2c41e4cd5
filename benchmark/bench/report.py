"""How long a report takes and how much memory, of invented runs, each in a fresh process."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmark.bench.processes import Usage, measure
from benchmark.bench.synthetic import Content, build_store
from benchmark.environment import describe, in_a_line
from benchmark.store import write_text

RUN = Path(__file__).parents[2] / "run.py"
LABELS = tuple(f"loss {letter}" for letter in "ABCDEFGHIJ")
SETS = ("one", "two", "three", "four", "five")
SIZES = (
    Content(LABELS[:5], repetitions=5, datasets=SETS[:2], epochs=50, tuning=True),
    Content(LABELS, repetitions=10, datasets=SETS, epochs=50, tuning=True),
)
PARTS: dict[str, tuple[str, ...]] = {
    "tables": ("tables",),
    "page": ("page",),
    "everything": ("tables", "page", "json", "charts"),
}
"""What is timed: name -> parts of the report."""
MB = 1e6


@dataclass(frozen=True)
class Measurement:
    """One report.

    Attributes:
        runs: final runs in the store.
        tuning: tuning runs beside them.
        part: what was written, of :data:`PARTS`.
        seconds: from the start of the process to its end.
        peak_mb: most resident memory of the process and those it started, summed, in 10^6 bytes;
            what they share is counted for each.
        page_mb: size of ``report.html``, in 10^6 bytes; NaN where it was not written.
    """

    runs: int
    tuning: int
    part: str
    seconds: float
    peak_mb: float
    page_mb: float


def bench(console: Console, sizes: Sequence[Content], out: Path, command: str) -> None:
    """Build each store, measure its reports, print a table, write README.md and a CSV to ``out``.

    Args:
        command: the command line that asked for it, as the page shows it.

    Raises:
        UserError: a report could not be written.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="lossbench-") as folder, console.status("") as status:
        for content in sizes:
            status.update(f"building {content.runs} runs")
            store = build_store(Path(folder) / f"runs{content.runs}", content)
            tuning = len(store.run_folders("tuning"))
            for name, parts in PARTS.items():
                status.update(f"{content.runs} runs: {name}")
                used = _measure(store.path, parts)
                page = store.path / "report.html"
                size = page.stat().st_size / MB if "page" in parts else float("nan")
                cost = used.seconds, used.peak_bytes / MB
                found.append(Measurement(content.runs, tuning, name, *cost, size))
    console.print(_table(found))
    frame = pd.DataFrame([asdict(measurement) for measurement in found])
    write_text(out / "report.csv", frame.to_csv(index=False, float_format="%.3g"))
    write_text(out / "README.md", _page(found, sizes, describe(torch.device("cpu")), command))
    console.print(f"written to {out}")


def _measure(folder: Path, parts: Sequence[str]) -> Usage:
    """The cost of a report in a fresh process."""
    words = [word for part in parts for word in ("--only", part)]
    return measure([sys.executable, str(RUN), "report", str(folder), *words], "the report")


def _table(found: Sequence[Measurement]) -> Table:
    table = Table("runs", "tuning runs", "what", "seconds", "peak MB", "page MB", box=SIMPLE_HEAD)
    for cells in _cells(found):
        table.add_row(*cells)
    return table


def _cells(found: Sequence[Measurement]) -> list[list[str]]:
    return [
        [
            f"{one.runs:,}",
            f"{one.tuning:,}",
            one.part,
            f"{one.seconds:.1f}",
            f"{one.peak_mb:,.0f}",
            "" if math.isnan(one.page_mb) else f"{one.page_mb:.1f}",
        ]
        for one in found
    ]


def _page(
    found: Sequence[Measurement],
    sizes: Sequence[Content],
    environment: dict[str, Any],
    command: str,
) -> str:
    stores = [
        f"- {c.runs:,} runs: {len(c.losses)} losses × {c.repetitions} repetitions × "
        f"{len(c.datasets)} data sets × {len(c.tasks)} tasks, {c.epochs} epochs each"
        for c in sizes
    ]
    rows = [f"| {' | '.join(cells)} |" for cells in _cells(found)]
    lines = [
        "# Speed of the report",
        "",
        "Time and memory of `run.py report` on results folders whose numbers are invented, each in "
        "a fresh process: seconds from its start to its end, most resident memory of it and the "
        "processes it started (in 10^6 bytes; shared pages count for each). Everything is tables, "
        "page, `report.json` and charts.",
        "",
        *stores,
        "",
        "Three weights of each loss were tried before; these tuning runs are in the reports as "
        "well.",
        "",
        "| runs | tuning runs | what | seconds | peak MB | report.html, MB |",
        "|--:|--:|---|--:|--:|--:|",
        *rows,
        "",
        f"Measured once on {in_a_line(environment, ['pandas'])}. Again with",
        "",
        "```console",
        command,
        "```",
    ]
    return "\n".join(lines) + "\n"
