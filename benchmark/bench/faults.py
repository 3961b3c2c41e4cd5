"""A grid that is killed at random moments, again and again, beside one that is left alone.

Every kill is a SIGKILL of real processes of the real command line. After the kills of a round the
grid is run to its end, and its results are held against those of the undisturbed grid.
"""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import psutil
import torch
import yaml
from rich.console import Console

from benchmark.bench import faults_grid as grid
from benchmark.bench.faults_kill import VICTIMS, kill, run_of, still_there
from benchmark.bench.faults_page import faults_page
from benchmark.bench.faults_rows import KILLS_CSV, ROUNDS_CSV, Kill, Plan, Round, Spans, write_csv
from benchmark.bench.faults_run import POLL, Invocation
from benchmark.environment import describe
from benchmark.options import UserError
from benchmark.store import Store, write_text

NAME = "faults"
MOST_PAUSE = 1.2
"""Seconds; a machine busy at first may have more time later."""
KILLS_A_ROUND = (20, 40)
FAULTS = (
    (40, "worker", "training"),
    (4, "fork server", "training"),
    (2, "runner", "training"),
    (2, "runner and worker", "training"),
    (2, "all", "training"),
    (1, "all", "start"),
    (1, "runner", "report"),
)
"""How often, who, and the stage from whose beginning the moment is counted."""


def bench(console: Console, plan: Plan, out: Path, command: str) -> bool:
    """Disturb the grid and write ``kills.csv``, ``rounds.csv`` and a page.

    Args:
        out: folder for the results; ``work`` in it holds the grids of rounds that went wrong.
        command: the command as typed, for the page.

    Returns:
        Whether every round came to the undisturbed grid's results.

    Raises:
        UserError: the undisturbed grid does not end well.
    """
    content = grid.experiment(NAME, plan.epochs, plan.repetitions)
    write_text(out / "experiment.yaml", yaml.safe_dump(content, sort_keys=False))
    expected, spans = _undisturbed(plan, out)
    console.print(f"undisturbed: {len(expected)} files of results")
    rng = random.Random(plan.seed)
    kills: list[Kill] = []
    rounds: list[Round] = []
    while len(kills) < plan.kills:
        asked = min(rng.randint(*KILLS_A_ROUND), plan.kills - len(kills))
        disturbed = Disturbed(plan, out, len(rounds) + 1, spans, rng)
        kills += disturbed.kill(asked)
        rounds.append(disturbed.finish(expected))
        write_csv(out / KILLS_CSV, kills)
        write_csv(out / ROUNDS_CSV, rounds)
        machine = describe(torch.device("cpu"))
        write_text(out / "README.md", faults_page(plan, kills, rounds, machine, command))
        last = rounds[-1]
        verdict = "[green]identical[/]" if last.sound else "[red]NOT identical[/]"
        console.print(
            f"round {last.round}: {last.kills} kills in {last.invocations - 1} runs, then "
            f"{verdict}; {len(kills)} of {plan.kills} kills"
        )
    sound = all(one.sound for one in rounds) and not any(one.damaged for one in kills)
    if sound:
        _remove(out / "work")
    return sound


def _undisturbed(plan: Plan, out: Path) -> tuple[dict[str, str], Spans]:
    """The results that every round must come to, and how long the stages take."""
    results = out / "work" / "undisturbed"
    _remove(results)
    invocation = Invocation(plan, out, results)
    invocation.wait_for("training", 0.0)
    start = invocation.seconds
    while invocation.look():
        time.sleep(POLL)
    if invocation.process.returncode:
        raise UserError(f"the undisturbed grid failed; see {results / 'output.txt'}")
    assert invocation.trained is not None
    trained = invocation.trained - invocation.begun
    report = invocation.seconds - trained
    # On average half the time of a run passes between two kills, so that many fall into one `run`.
    pause = (trained - start) * plan.workers / (4 * plan.repetitions)
    spans = Spans(start, min(pause, MOST_PAUSE), report)
    return grid.results(Store(results / NAME)), spans


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


class Disturbed:
    """A grid of its own that is killed until its round is over."""

    def __init__(
        self, plan: Plan, out: Path, number: int, spans: Spans, rng: random.Random
    ) -> None:
        self.plan, self.out, self.number, self.spans, self.rng = plan, out, number, spans, rng
        self.results = out / "work" / f"round-{number}"
        _remove(self.results)
        self.store = Store(self.results / NAME)
        self.cells = 4 * plan.repetitions
        self.invocations = 0
        self.kills: list[Kill] = []
        self.seen: set[psutil.Process] = set()

    def kill(self, asked: int) -> list[Kill]:
        """Kill so many times, or until most runs have ended: a `run` of few offers few moments."""
        while len(self.kills) < asked:
            invocation = self._invoke()
            while len(self.kills) < asked and self._disturb(invocation):
                pass
            invocation.process.wait()
            if 4 * grid.ended(self.store) > 3 * self.cells:
                break
        return self.kills

    def finish(self, expected: dict[str, str]) -> Round:
        """Run the grid to its end and compare."""
        last = self._invoke()
        while last.look():
            time.sleep(POLL)
        self.seen |= last.seen
        survivors = still_there(self.seen, timeout=10)
        found = grid.differences(expected, grid.results(self.store))
        finished = Round(
            round=self.number,
            kills=len(self.kills),
            invocations=self.invocations,
            exit_code=last.process.returncode,
            runs=grid.ended(self.store),
            lost=len(found["lost"]),
            extra=len(found["extra"]),
            different=len(found["different"]),
            temporaries=grid.temporaries(self.store),
            survivors=len(survivors),
        )
        if finished.sound:
            _remove(self.results)
        return finished

    def _invoke(self) -> Invocation:
        self.invocations += 1
        return Invocation(self.plan, self.out, self.results)

    def _disturb(self, invocation: Invocation) -> bool:
        """Kill once; False where the `run` has ended, before it or by it."""
        weights = [weight for weight, _, _ in FAULTS]
        _, victim, stage = self.rng.choices(FAULTS, weights)[0]
        delay = self.rng.uniform(0, getattr(self.spans, stage))
        alive = invocation.wait_for(stage, delay)
        self.seen |= invocation.seen
        if not alive:
            return False
        victims = VICTIMS[victim](invocation.now, self.rng)
        runs = [run for run in map(run_of, victims) if run is not None]
        killed, seconds, stage = kill(victims), invocation.seconds, invocation.stage
        if killed:
            self._note(invocation, victim, killed, seconds, stage, runs)
        if invocation.runner in victims:
            invocation.process.wait()
            return False
        return True

    def _note(
        self,
        invocation: Invocation,
        victim: str,
        killed: int,
        seconds: float,
        stage: str,
        runs: list[Path],
    ) -> None:
        damaged = grid.damaged(self.store)
        self.kills.append(
            Kill(
                self.number,
                self.invocations,
                victim,
                killed,
                round(seconds, 2),
                stage,
                " ".join(run.name for run in runs),
                grid.epoch_of(runs[0]) if runs else None,
                grid.ended(self.store),
                grid.checkpoints(self.store),
                grid.temporaries(self.store),
                len(damaged),
            )
        )
