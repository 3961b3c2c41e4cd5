"""The runs that came to no result: which, where they stopped, and why."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.report.data import ReportData

FAILED = ("failed", "timed out")
UNFINISHED = ("running", "pending")
STAGES = {"final": "final run", "tuning": "tuning run"}


@dataclass(frozen=True)
class Stopped:
    """A run without a result.

    Attributes:
        table: task, data set, model.
        stage: of :data:`STAGES`.
        setting: what the tuning set, or "".
        status: diverged, failed, timed out, running or pending.
        epoch, step: where the loss or its gradient was no longer finite, from 1; None where the
            run did not diverge, or did not record it.
        epochs: that the run was to train; None where unknown.
        error, traceback: of a failed run, else "".
    """

    table: tuple[str, str, str]
    stage: str
    loss: str
    setting: str
    repetition: int
    status: str
    cell: str
    epoch: int | None
    step: int | None
    epochs: int | None
    error: str
    traceback: str


def stopped_runs(data: ReportData) -> list[Stopped]:
    """Every run that is not done, tuning runs included: diverged, failed, then unfinished ones."""
    found = [
        *_stopped(data, data.runs, "final"),
        *_stopped(data, data.tuning, "tuning"),
    ]
    order = ("diverged", *FAILED, *UNFINISHED)
    return sorted(found, key=lambda run: order.index(run.status))


def _stopped(data: ReportData, runs: pd.DataFrame, stage: str) -> list[Stopped]:
    if runs.empty:
        return []
    return [
        _describe(data, {str(key): value for key, value in row.items()}, stage)
        for row in runs[runs["status"] != "done"].to_dict("records")
    ]


def _describe(data: ReportData, row: dict[str, object], stage: str) -> Stopped:
    cell = str(row["cell"])
    place = data.outcomes.get(cell, {}).get("diverged_at") or {}
    failure = data.failures.get(cell, {})
    setting = row.get("setting")
    return Stopped(
        table=(str(row["task"]), str(row["dataset"]), str(row["model"])),
        stage=stage,
        loss=str(row["loss"]),
        setting=setting if isinstance(setting, str) else "",
        repetition=int(str(row["repetition"])),
        status=str(row["status"]),
        cell=cell,
        epoch=place.get("epoch"),
        step=place.get("step"),
        epochs=(data.configs.get(cell, {}).get("train") or {}).get("epochs"),
        error=str(failure.get("error", "")),
        traceback=str(failure.get("traceback", "")),
    )
