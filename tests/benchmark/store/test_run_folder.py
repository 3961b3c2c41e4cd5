"""What is written, what is read back, and what survives."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
from pathlib import Path

import pytest

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment
from benchmark.options import UserError
from benchmark.store import RunFolder, Store, write_atomically, write_json, write_text


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "one")


@pytest.fixture
def cell(make_cell) -> CellConfig:
    return make_cell()


EXPERIMENT = Experiment.model_validate(
    {
        "name": "x",
        "matrix": {
            "b": {
                "task": "detection",
                "losses": ["iou", "giou"],
                "datasets": ["shapes"],
                "models": ["tiny_fcos"],
            }
        },
    }
)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("named", [True, False])
def test_what_could_not_be_written_is_named_and_not_its_temporary_file(tmp_path, named):
    def fail(temporary):
        raise OSError(errno.EFBIG, "File too large", *[str(temporary)] * named)

    with pytest.raises(OSError, match="File too large") as refused:
        write_atomically(tmp_path / "a.txt", fail)
    assert refused.value.filename == str(tmp_path / "a.txt")


def test_json_has_null_for_what_is_not_finite(tmp_path):
    write_json(tmp_path / "a.json", {"x": math.nan, "y": [math.inf, 1.5]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "y": [None, 1.5]}


def test_history_comes_back_bit_for_bit(folder):
    rows = [{"epoch": 0, "AP": 0.1 + 0.2}, {"epoch": 1, "loss_total": 1 / 3, "lr": 1e-300}]
    folder.write_history(rows)
    assert folder.history() == rows
    assert isinstance(folder.history()[0]["epoch"], int)


def test_status_through_the_life_of_a_run(folder, cell):
    folder.begin(cell, {})
    assert folder.status() == "pending"
    with folder.lock() as mine:
        assert mine
        assert folder.status() == "running"
    folder.fail("out of luck", "trace")
    assert folder.status() == "failed"
    folder.begin(cell, {})
    assert folder.status() == "pending"
    folder.checkpoint.write_bytes(b"x")
    folder.finish({"status": "diverged"})
    assert folder.status() == "diverged"
    assert not folder.checkpoint.exists()


def test_the_configuration_comes_back(folder, cell):
    folder.begin(cell, {"cores": 2})
    assert folder.config() == cell
    assert folder.config().identity() == cell.identity()


def test_a_damaged_file_is_named(folder, cell):
    folder.begin(cell, {})
    (folder.path / "metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json: cannot be read as JSON"):
        folder.status()
    (folder.path / "config.yaml").write_text("task: detection\n")
    with pytest.raises(UserError, match=r"config\.yaml: loss: missing"):
        folder.config()


def hold(path, ready, release):
    with RunFolder(path).lock():
        ready.set()
        release.wait(30)


def test_a_cell_is_held_by_one_process_and_freed_by_its_death(folder):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(folder.path, ready, release))
    other.start()
    assert ready.wait(60)
    with folder.lock() as mine:
        assert not mine
    assert folder.is_locked()
    other.kill()
    other.join()
    with folder.lock() as mine:
        assert mine


def test_clear_removes_every_file(folder, cell):
    folder.begin(cell, {})
    folder.write_history([{"epoch": 0}])
    folder.clear()
    assert not list(folder.path.iterdir())


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def whole(folder, cell) -> RunFolder:
    """A run with all files, and a checkpoint that its end did not get to remove."""
    folder.begin(cell, {})
    folder.write_history([{"epoch": 0}])
    folder.write_streams({"weights": "w", "epochs": []})
    folder.write_details({"version": 1})
    folder.finish({"status": "done"})
    folder.checkpoint.write_bytes(b"x")
    return folder


def names(path) -> set[str]:
    return {item.name for item in path.iterdir()}


@pytest.mark.parametrize("steps", range(1, 7))
@pytest.mark.parametrize("way", ["clear", "set_aside"])
def test_a_kill_while_files_go_leaves_no_ended_run(whole, tmp_path, monkeypatch, way, steps):
    operation = "unlink" if way == "clear" else "replace"
    before, done, real = names(whole.path), [], getattr(Path, operation)

    def until_killed(path, *target):
        if len(done) == steps:
            raise Killed
        done.append(path.name)
        real(path, *target)

    monkeypatch.setattr(Path, operation, until_killed)
    place = tmp_path / "damaged" / "one"
    with pytest.raises(Killed):
        whole.clear() if way == "clear" else whole.set_aside(place)
    monkeypatch.undo()
    assert done[0] == "metrics.json"
    assert whole.status() == "pending"
    assert steps == 1 or not whole.checkpoint.exists()
    assert len(names(whole.path)) == len(before) - steps
    if way == "set_aside":
        assert names(place) | names(whole.path) == before
        rest = names(whole.path)
        assert names(whole.set_aside(place)) == rest
        assert names(place) | rest == before  # the second try took nothing from the first


def test_a_folder_without_runs_is_no_store(tmp_path):
    with pytest.raises(UserError, match="is no results folder"):
        Store.existing(tmp_path)


def test_a_run_whose_configuration_is_gone_is_named(tmp_path, make_cell):
    store = Store(tmp_path)
    here, gone = (
        make_cell(loss="giou"),
        make_cell(loss="iou").model_copy(update={"stage": "tuning"}),
    )
    store.write_experiment(EXPERIMENT, [here, gone])
    assert store.lost() == []
    (store.run_folder(gone).path / "config.yaml").unlink()
    assert store.lost() == [f"tuning/{gone.slug}"]
    assert [folder.path.name for folder in store.run_folders()] == [here.slug]


def test_what_is_not_there_is_clear(tmp_path):
    folder = RunFolder(tmp_path / "never trained")
    folder.clear()
    assert not folder.path.exists()
