"""What is written down of a grid that is killed: one row a kill, one a round."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.store import write_text

KILLS_CSV, ROUNDS_CSV = "kills.csv", "rounds.csv"


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        kills: SIGKILLs in all, those of several processes at once counted once.
        seed: of victims and moments.
        epochs, repetitions: of the grid, which has four losses.
        workers: runs at a time.
    """

    kills: int
    seed: int = 0
    epochs: int = 6
    repetitions: int = 4
    workers: int = 2


@dataclass(frozen=True)
class Kill:
    """One kill, and the store as it was found right after it.

    Attributes:
        invocation: which `run` of the round it hit, from 1.
        processes: how many were killed.
        seconds: from the start of that `run`.
        stage: ``start`` (no run trains yet), ``training`` or ``report``.
        run, epoch: what the killed worker was training, and how far its history had come.
        ended, checkpoints: runs with a result, and runs that can continue.
        temporaries: files that were being written, which nothing reads.
        damaged: files that have their name and cannot be read.
    """

    round: int
    invocation: int
    victim: str
    processes: int
    seconds: float
    stage: str
    run: str
    epoch: int | None
    ended: int
    checkpoints: int
    temporaries: int
    damaged: int


@dataclass(frozen=True)
class Round:
    """What the grid of a round came to in the end.

    Attributes:
        invocations: how often `run` was called, the last time undisturbed.
        exit_code: of the last time.
        lost, extra, different: files of results, beside those of the undisturbed grid.
        temporaries: files left in the folders of runs.
        survivors: processes that were still there after the last `run`.
    """

    round: int
    kills: int
    invocations: int
    exit_code: int
    runs: int
    lost: int
    extra: int
    different: int
    temporaries: int
    survivors: int

    @property
    def sound(self) -> bool:
        """Whether the grid came to the undisturbed one's results, and nothing is left over."""
        wrong = self.lost + self.extra + self.different + self.temporaries + self.survivors
        return not (self.exit_code or wrong)


@dataclass(frozen=True)
class Spans:
    """Within how many seconds of a stage's beginning its kills fall."""

    start: float
    training: float
    report: float


def write_csv(path: Path, rows: list[Any]) -> None:
    """Write dataclasses of one kind, a line each."""
    frame = pd.DataFrame([asdict(row) for row in rows])
    write_text(path, frame.convert_dtypes().to_csv(index=False))  # whole numbers beside gaps
