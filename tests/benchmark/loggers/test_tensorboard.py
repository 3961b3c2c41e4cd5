"""Event files, read back as TensorBoard reads them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmark.executors import Job
from benchmark.executors.local import LocalExecutor
from benchmark.loggers import LOGGERS, check_loggers
from benchmark.loggers.tensorboard import TensorBoard
from benchmark.options import UserError
from benchmark.store import RunFolder
from benchmark.training.loop import train_cell


class Killed(Exception):
    """Stands for a kill: the run stops between two epochs."""


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) of every event that TensorBoard shows."""
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


@pytest.fixture
def train(make_cell, shapes_splits, tmp_path):
    def call(stop_after: int | None = None, **settings):
        cell = make_cell(**settings)
        folder = RunFolder(tmp_path / "run")
        folder.begin(cell, {})

        def watch(progress) -> None:
            if stop_after is not None and progress.fraction * cell.train.epochs == stop_after:
                raise Killed

        loggers = [TensorBoard(cell, folder.path)]
        device = torch.device("cpu")
        return folder, train_cell(cell, shapes_splits, folder, device, watch, loggers=loggers)

    return call


@pytest.mark.parametrize(("task", "metric"), [("detection", "AP"), ("segmentation", "mIoU_fg")])
def test_events_are_the_history_and_the_outcome(train, task, metric):
    folder, outcome = train(task=task, epochs=2)
    found = scalars(folder.path)
    history = folder.history()
    for name, kind in ((metric, "validation"), ("loss_total", "train"), ("lr", "train")):
        expected = [(row["epoch"], row[name]) for row in history if name in row]
        assert found[f"{kind}/{name}"] == [(e, pytest.approx(v, rel=1e-6)) for e, v in expected]
    assert found[f"test/{metric}"] == [(2, pytest.approx(outcome["metrics"][metric], rel=1e-6))]
    assert "train/epoch" not in found


def test_a_killed_run_has_no_epoch_twice(train):
    with pytest.raises(Killed):
        train(stop_after=2, epochs=3)
    folder, _ = train(epochs=3)
    assert len(list((folder.path / "tensorboard").iterdir())) == 2
    found = scalars(folder.path)
    assert [step for step, _ in found["train/loss_total"]] == [1, 2, 3]
    assert [step for step, _ in found["validation/AP"]] == [0, 1, 2, 3]


def test_an_epoch_told_again_takes_the_place_of_the_first(make_cell, tmp_path):
    cell = make_cell(epochs=3)
    before = TensorBoard(cell, tmp_path)
    for epoch in (0, 1, 2):
        before.row(epoch, {"epoch": epoch, "loss_total": 10.0 + epoch})
    after = TensorBoard(cell, tmp_path)
    for epoch in (2, 3):
        after.row(epoch, {"epoch": epoch, "loss_total": 20.0 + epoch})
    after.close({"status": "done", "metrics": {"AP": 0.5}})
    assert scalars(tmp_path)["train/loss_total"] == [(0, 10.0), (1, 11.0), (2, 22.0), (3, 23.0)]


def test_hparams_say_what_was_run(train):
    folder, _ = train(epochs=1, options={"power": 2.0}, loss="giou", weight=2.0)
    events = EventAccumulator(str(folder.path / "tensorboard")).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for word in (b"giou", b"weight", b"options.power", b"shapes", b"done"):
        assert word in content


def test_a_fresh_start_forgets_the_events(train):
    folder, _ = train(epochs=1)
    folder.clear()
    assert not (folder.path / "tensorboard").exists()


def test_the_executor_hands_the_loggers_on(make_cell, shapes_splits, tmp_path):
    folders = {name: split.folder for name, split in shapes_splits.items()}
    job = Job(make_cell(), tmp_path / "run", folders, logging=("tensorboard",))
    LocalExecutor(1).run([job], lambda event: None)
    assert RunFolder(job.folder).status() == "done"
    assert [step for step, _ in scalars(job.folder)["validation/AP"]] == [0, 1]


def test_loggers_are_checked_before_anything_is_trained(monkeypatch):
    assert "tensorboard" in LOGGERS
    check_loggers(["tensorboard"])
    with pytest.raises(UserError, match=r"logging\.0: unknown logger 'tensorbord' \(did you mean"):
        check_loggers(["tensorbord"])
    with pytest.raises(UserError, match=r"logging\.1: 'tensorboard' stands there twice"):
        check_loggers(["tensorboard", "tensorboard"])
    monkeypatch.setattr("benchmark.loggers.tensorboard.find_spec", lambda name: None)
    assert importlib.util.find_spec("tensorboard") is not None
    with pytest.raises(UserError, match=r"needs the package tensorboard: pip install -e"):
        check_loggers(["tensorboard"])
