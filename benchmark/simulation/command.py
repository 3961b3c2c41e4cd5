"""What ``run.py simulate`` does, once its arguments are read."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from benchmark import environment
from benchmark.experiment.loss_spec import load_loss
from benchmark.options import UserError
from benchmark.simulation import results
from benchmark.simulation.charts import Paths, write_charts
from benchmark.simulation.descent import Boxes
from benchmark.simulation.experiment import Course, Settings, one_thread, simulate, slope_of, trace
from benchmark.simulation.page import write_page
from benchmark.simulation.protocol import CENTRE
from benchmark.simulation.published import PUBLISHED
from benchmark.simulation.speed import ROUNDS, SETTINGS, compare_plain
from benchmark.simulation.workers import MemoryWatch, processes

SHOWN_CASE = np.array(
    [
        [CENTRE + 1.4, CENTRE + 1.2, 2**0.5, 0.5**0.5],  # area 1, twice as wide as high
        [CENTRE, CENTRE, 0.5**0.5, 2**0.5],
    ]
)
"""Start and target of the case that is drawn step by step: apart, and of different shape."""


def run(
    console: Console,
    texts: list[str],
    settings: Settings,
    *,
    workers: int,
    out: Path,
    film: bool = False,
    compare: bool = False,
) -> None:
    """Simulate each loss, print and write what came of it.

    Args:
        texts: losses, as for :func:`~benchmark.experiment.loss_spec.load_loss`.
        workers: processes, where the device is the CPU.
        out: gets a folder for this run (see :func:`~benchmark.simulation.results.folder_name`)
            and a page on all runs that lie in it.
        film: draw the film too.
        compare: time the loop beside a plain one.

    Raises:
        UserError: a loss cannot be simulated as asked.
    """
    losses = check(texts, settings)
    begun = time.perf_counter()
    count = min(workers, settings.blocks) if settings.device == "cpu" else 1
    with processes(count) as pool:
        courses, memory = _simulate_all(console, losses, settings, pool)
    seconds = time.perf_counter() - begun
    if compare:
        out.mkdir(parents=True, exist_ok=True)
        speed = _compare(console, losses)
        speed.to_csv(out / "speed.csv", index=False, float_format=results.DIGITS)
    outcome = results.Outcome(settings, courses)
    folder = out / results.folder_name(settings)
    facts = {
        "losses": losses,
        "workers": count,
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(memory / 1e6),
        "film": film,
        "compare_plain": compare,
        "environment": environment.describe(torch.device(settings.device)),
    }
    with console.status("drawing"):
        results.write(outcome, folder, facts)
        paths = shown_paths(losses, settings)
        write_charts(outcome.curves(), outcome.surface(), paths, SHOWN_CASE[1], folder, film)
        write_page(out)
    console.print(_table(outcome.summary()))
    console.print(
        f"{settings.cases:,} cases a loss, {seconds:.0f} s; errors in millions, scaled to 1,715,000"
    )
    console.print(f"written: {folder} and {out / 'README.md'}")


def check(texts: list[str], settings: Settings) -> dict[str, str]:
    """The losses by their labels.

    Raises:
        UserError: a loss is no box loss, two have one label, or they have no published gradient.
    """
    if settings.gradient == "published" and settings.steps != "cxcywh":
        raise UserError(
            "--gradient published: those gradients are of (cx, cy, w, h); leave --steps at cxcywh"
        )
    losses: dict[str, str] = {}
    for text in texts:
        label = load_loss(text, "box").label
        if label in losses:
            raise UserError(
                f"loss '{label}' is given twice; to tell two apart, give them labels: "
                "{name: ciou, gate: true, label: gated}"
            )
        if settings.gradient == "published" and text not in PUBLISHED:
            raise UserError(
                f"--gradient published: the authors have no gradient of '{text}', only of "
                f"{', '.join(PUBLISHED)} (without options)"
            )
        _try(label, text, settings)
        losses[label] = text
    return losses


def _try(label: str, text: str, settings: Settings) -> None:
    """Ask for a gradient once, so that a loss that has none ends here and not in a worker."""
    start, target = torch.from_numpy(SHOWN_CASE).float().unsqueeze(2).expand(2, 4, 3)
    boxes = Boxes(start, target)
    boxes.measure()
    try:
        slope_of(text, settings)(boxes)
    except Exception as error:  # a stranger's loss may raise anything
        raise UserError(
            f"loss '{label}': gives no gradient of three boxes: {type(error).__name__}: {error}"
        ) from None


def shown_paths(losses: dict[str, str], settings: Settings) -> Paths:
    """The way of :data:`SHOWN_CASE` under each loss."""
    with one_thread():
        return {label: _path(text, settings) for label, text in losses.items()}


def _path(text: str, settings: Settings) -> NDArray[np.float64]:
    start, target = torch.from_numpy(SHOWN_CASE).to(torch.float32).unsqueeze(2)
    return trace(Boxes(start, target), slope_of(text, settings))[..., 0]


def _simulate_all(
    console: Console, losses: dict[str, str], settings: Settings, pool: Executor | None
) -> tuple[dict[str, Course], int]:
    """The courses by label, and the most memory that all processes together were seen to hold."""
    memory = MemoryWatch()
    courses = {}
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("", total=len(losses) * settings.blocks)

        def advance() -> None:
            bar.advance(task)
            memory.look()

        for label, text in losses.items():
            bar.update(task, description=escape(label))
            courses[label] = simulate(text, settings, pool, advance)
    return courses, memory.peak


def _compare(console: Console, losses: dict[str, str]) -> pd.DataFrame:
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("timing both loops", total=ROUNDS * len(losses))
        frame = compare_plain(losses, SETTINGS, lambda: bar.advance(task))
    console.print(_table(frame))
    return frame


def _table(frame: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in frame.columns:
        table.add_column(name, justify="left" if name == "loss" else "right")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    return table
