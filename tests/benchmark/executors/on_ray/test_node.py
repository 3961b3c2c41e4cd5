"""What a node does before and around the training of a run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch

from benchmark.executors import Job
from benchmark.executors.on_ray import node
from benchmark.experiment.cell import CellPart
from benchmark.options import UserError
from benchmark.store import RunFolder

SPLITS = {"size": 64, "train": 10, "val": 4, "test": 4, "num_classes": 2, "objects": [1, 3]}


def test_what_killed_runs_left_goes_and_what_others_use_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with node.own_folder() as first:
        (first / "run").mkdir()
        left = first.with_name("left")
        (left / "run").mkdir(parents=True)
        (left / ".lock").touch()
        with node.own_folder() as second:
            assert {path for path in first.parent.iterdir() if path.is_dir()} == {first, second}
            assert (first / "run").is_dir()
        assert not second.exists()
    assert [path.name for path in first.parent.iterdir()] == [".lock"]


def test_data_that_are_not_the_runners_are_refused(make_cell, shapes_splits, tmp_path, monkeypatch):
    monkeypatch.setenv(node.CACHE_VARIABLE, str(tmp_path / "cache"))
    fingerprints = {name: split.fingerprint for name, split in shapes_splits.items()}
    folders = {name: split.folder for name, split in shapes_splits.items()}

    def job(**changes) -> Job:
        part = CellPart(name="shapes", label="shapes", options={**SPLITS, **changes})
        return Job(make_cell().model_copy(update={"dataset": part}), Path("run"), folders)

    found = node._decode(job(), fingerprints)
    assert set(found) == {"train", "val", "test"}
    assert all(path.is_relative_to(tmp_path / "cache") for path in found.values())
    with pytest.raises(UserError, match=r"data set 'shapes': the train split on .* is not that of"):
        node._decode(job(train=11), fingerprints)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_machine_without_a_gpu_says_so():
    with pytest.raises(UserError, match="torch sees no GPU there"):
        node._check_device("cuda")


def test_a_run_takes_away_what_a_delivery_left_when_its_runner_was_killed(make_cell, tmp_path):
    left = tmp_path / ".arriving-x1"
    (left / "files").mkdir(parents=True)
    RunFolder(tmp_path).begin(make_cell(), {})
    assert not left.exists()
