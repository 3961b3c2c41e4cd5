"""What ``run.py bench coverage`` does, once its arguments are read."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from benchmark.coverage import page
from benchmark.coverage.chart import write_charts
from benchmark.coverage.simulation import Settings, simulate, steps
from benchmark.store import write_text


def bench(console: Console, settings: Settings, out: Path, command: str) -> None:
    """Simulate, print the findings, write rates, charts and page into ``out``, which is made."""
    begun = time.perf_counter()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("drawing experiments", total=len(steps(settings)))
        rates = simulate(settings, lambda: bar.advance(task))
    out.mkdir(parents=True, exist_ok=True)
    csv = rates.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_text(out / "coverage.csv", csv)
    write_charts(rates, settings.level, out)
    write_text(out / "README.md", page.text(rates, settings, command))
    for finding in page.findings(rates, settings.level):
        console.print(escape(finding.replace("**", "")))
    console.print(f"{time.perf_counter() - begun:.0f} s; written: {escape(str(out))}")
