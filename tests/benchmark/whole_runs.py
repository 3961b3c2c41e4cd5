"""For tests of whole runs: settings that learn fast, an end in the middle, histories to compare."""

from __future__ import annotations

from typing import Any

from benchmark.store import RunFolder
from benchmark.training.loop import Progress

EAGER: dict[str, dict[str, Any]] = {
    "detection": {"model_options": {"width": 8, "score_threshold": 0.0}},
    "segmentation": {"loss": "weighted_bce", "options": {"beta": 50.0}, "lr": 0.03},
}
"""Settings by task with which even a run of a few steps finds something."""
TIMES = {"seconds", "images_per_second"}
"""Columns that the clock decides."""


class Killed(Exception):
    pass


def kill_after(epoch: int):
    """A watcher that ends the run once the epoch is complete."""

    def watch(progress: Progress) -> None:
        # What a slow machine says after the last step has no metric yet.
        if progress.epoch == epoch and progress.metric is not None:
            raise Killed

    return watch


def history(folder: RunFolder) -> list[dict[str, float]]:
    """The logged rows without what the clock decides."""
    return [
        {key: value for key, value in row.items() if key not in TIMES} for row in folder.history()
    ]
