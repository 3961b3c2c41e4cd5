"""An experiment on a Ray cluster that loses nodes, held against the same one trained elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from benchmark.bench.faults_rows import write_csv
from benchmark.bench.ray.cluster import Nodes, nodes_here
from benchmark.bench.ray.numbers import differing, numbers
from benchmark.bench.ray.page import EVENTS_CSV, KILLED, Noted, Outcome, Plan, ray_page
from benchmark.commands import Machine, run_grid
from benchmark.environment import describe
from benchmark.executors import Event, Job
from benchmark.executors.ray import RayExecutor
from benchmark.experiment.config import load_experiment
from benchmark.options import UserError
from benchmark.runner import plan_grid
from benchmark.store import Store, write_text

MIDDLE = (0.3, 0.7)
"""Where a run is when a node is killed, as fractions of it."""


@dataclass(frozen=True)
class StruckExecutor(RayExecutor):
    """A Ray executor whose nodes are killed while runs are in the middle."""

    nodes: Nodes | None = None
    kills: int = 0
    noted: list[Noted] = field(default_factory=list)

    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        begun = time.monotonic()
        epochs: dict[Path, int] = {}
        nodes: dict[Path, str] = {}
        ended = kills = 0

        def note(event: str, job: Job, detail: str = "") -> None:
            seconds = round(time.monotonic() - begun, 1)
            epoch = epochs.get(job.folder)
            self.noted.append(Noted(seconds, event, job.folder.name, epoch, detail))

        def watch(event: Event) -> None:
            nonlocal ended, kills
            on_event(event)
            if event.progress is None:
                ended += event.kind == "ended"
                nodes[event.job.folder] = event.detail.rpartition(" ")[2]
                note(event.kind, event.job, event.detail)
                return
            epochs[event.job.folder] = event.progress.epoch
            due = (kills + 1) * len(jobs) / (self.kills + 1)
            low, high = MIDDLE
            if kills < self.kills and ended + 1 >= due and low < event.progress.fraction < high:
                kills += 1
                note(KILLED, event.job, nodes[event.job.folder])
                assert self.nodes is not None
                self.nodes.kill(nodes[event.job.folder])

        super().run(jobs, watch)


def bench(
    console: Console,
    config: str,
    overrides: list[str],
    plan: Plan,
    against: Path,
    out: Path,
    command: str,
) -> bool:
    """Train the experiment on a cluster on this machine, kill nodes, and write a page.

    Args:
        config: the experiment, as ``run`` takes it.
        against: results folder of the same experiment.
        out: folder that gets the experiment's folder, with ``events.csv`` and ``README.md``.
        command: as typed, for the page.

    Returns:
        Whether every result is there and the same, digit for digit, but for the times.

    Raises:
        UserError: fewer nodes than kills would leave one, or ``against`` has no results.
    """
    if plan.kills >= plan.nodes:
        raise UserError(f"--kills: must be less than --nodes ({plan.nodes}), got {plan.kills}")
    grid = plan_grid(load_experiment(config, overrides), out)
    reference = Store.existing(against)
    expected = numbers(reference)
    begun = time.monotonic()
    with nodes_here(plan.nodes) as nodes:
        executor = StruckExecutor(
            address=nodes.address, shared=plan.shared, nodes=nodes, kills=plan.kills
        )
        run_grid(console, grid, Machine(executor, "cpu", 1, 0, out / ".cache", False))
    seconds = time.monotonic() - begun
    runs = len(reference.run_folders())
    wrong = differing(expected, numbers(grid.store))
    outcome = Outcome(
        plan, executor.noted, seconds, str(against), runs, len(expected), differing=wrong
    )
    write_csv(grid.store.path / EVENTS_CSV, outcome.noted)
    page = ray_page(outcome, describe(torch.device("cpu")), command)
    write_text(grid.store.path / "README.md", page)
    console.print(outcome.verdict)
    return not outcome.differing
