"""Runs without a result."""

from __future__ import annotations

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.report.failing import stopped_runs

TABLE = {"task": "detection", "dataset": "d", "model": "m"}


def row(cell: str, status: str, **more: object) -> dict[str, object]:
    return TABLE | {"loss": "a", "repetition": 1, "cell": cell, "status": status} | more


DATA = ReportData(
    name="x",
    description="",
    runs=pd.DataFrame(
        [
            row("pending-1", "pending"),
            row("failed-1", "failed"),
            row("done-1", "done"),
            row("diverged-1", "diverged"),
        ]
    ),
    history=pd.DataFrame(),
    tuning=pd.DataFrame([row("tuning-1", "diverged", setting="weight=8")]),
    outcomes={"diverged-1": {"status": "diverged", "diverged_at": {"epoch": 3, "step": 7}}},
    failures={"failed-1": {"error": "out of memory", "traceback": "Traceback: …"}},
    configs={"diverged-1": {"train": {"epochs": 20}}},
)


def test_diverged_runs_come_first_and_done_ones_not_at_all() -> None:
    cells = [run.cell for run in stopped_runs(DATA)]
    assert cells == ["diverged-1", "tuning-1", "failed-1", "pending-1"]


def test_where_a_run_diverged() -> None:
    run = stopped_runs(DATA)[0]
    assert (run.epoch, run.step, run.epochs, run.stage) == (3, 7, 20, "final")
    assert run.table == ("detection", "d", "m")
    assert (run.loss, run.setting, run.repetition) == ("a", "", 1)


def test_a_tuning_run_has_its_setting_and_may_lack_the_place() -> None:
    run = stopped_runs(DATA)[1]
    assert (run.stage, run.setting) == ("tuning", "weight=8")
    assert (run.epoch, run.step, run.epochs) == (None, None, None)


def test_why_a_run_failed() -> None:
    run = stopped_runs(DATA)[2]
    assert (run.error, run.traceback) == ("out of memory", "Traceback: …")


def test_of_no_runs_none_has_stopped() -> None:
    assert stopped_runs(ReportData("x", "", pd.DataFrame(), pd.DataFrame())) == []
