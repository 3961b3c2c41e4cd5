"""A run that is taken up again goes on only where its epochs were made."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark import environment
from benchmark.executors import Job
from benchmark.executors.worker import FAILED, run_job
from benchmark.reproduction.comparison import numbers, parting
from benchmark.store import RunFolder
from benchmark.training.loop import Progress

EPOCHS = 3


@pytest.fixture
def make_job(make_cell, shapes_splits, tmp_path):
    splits = {name: split.folder for name, split in shapes_splits.items()}

    def make(name: str) -> Job:
        cell = make_cell("segmentation", epochs=EPOCHS)
        return Job(cell, tmp_path / name, splits, evaluator="pycocotools")

    return make


@pytest.fixture
def elsewhere(monkeypatch):
    """Have this process look as if it were in another environment."""
    real = environment.describe

    def pretend(**changes: Any) -> None:
        monkeypatch.setattr(environment, "describe", lambda device: {**real(device), **changes})

    return pretend


def cut(job: Job) -> None:
    """Train until the second epoch is over."""

    def stop(progress: Progress) -> None:
        # With a metric: it is told after the checkpoint of an epoch.
        if progress.epoch == 2 and progress.metric is not None:
            raise RuntimeError("the machine is gone")

    assert run_job(job, stop) == FAILED
    assert RunFolder(job.folder).checkpoint.exists()


def go_on(job: Job) -> list[int]:
    """Train to the end; the epochs that were trained for it."""
    told: list[int] = []
    assert run_job(job, lambda progress: told.append(progress.epoch)) == 0
    return sorted(set(told))


@pytest.mark.parametrize(
    ("changes", "epochs"),
    [
        ({}, [3]),
        ({"commit": "f00", "python": "3.0", "cores": 999}, [3]),
        ({"cpu": "another"}, [1, 2, 3]),
        ({"threads": 7}, [1, 2, 3]),
        ({"packages": {"torch": "0.1"}}, [1, 2, 3]),
    ],
)
def test_epochs_of_another_environment_are_trained_again(
    make_job, elsewhere, monkeypatch, capsys, changes, epochs
):
    job, whole = make_job("cut"), make_job("whole")
    go_on(whole)
    elsewhere(**changes)
    cut(job)
    monkeypatch.undo()
    assert go_on(job) == epochs
    assert ("is of another environment" in capsys.readouterr().out) == (len(epochs) == EPOCHS)
    before, run = RunFolder(whole.folder), RunFolder(job.folder)
    assert run.environment() == before.environment()
    assert numbers(run, run.outcome()) == numbers(before, before.outcome())
    assert parting(before.history(), run.history()) is None
    assert run.streams() == before.streams()


def test_the_log_names_what_changed(make_job, elsewhere, monkeypatch, capsys):
    job = make_job("cut")
    elsewhere(cpu="another")
    cut(job)
    monkeypatch.undo()
    go_on(job)
    said = capsys.readouterr().out
    assert "checkpoint.pt is of another environment (cpu: then another, now " in said
    assert "starting from epoch 1" in said


@pytest.mark.parametrize("content", [None, b"{", b"[]"])
def test_epochs_of_an_unknown_environment_are_trained_again(make_job, capsys, content):
    job = make_job("cut")
    cut(job)
    file = job.folder / "environment.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert go_on(job) == [1, 2, 3]
    assert "environment.json does not tell it" in capsys.readouterr().out


def test_the_program_that_measures_is_noted(make_job):
    job = make_job("one")
    go_on(job)
    described = RunFolder(job.folder).environment()
    assert described["evaluator"] == "pycocotools"
    assert "pycocotools" in described["packages"]
