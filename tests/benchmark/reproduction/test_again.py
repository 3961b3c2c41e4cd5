"""A run comes out as before: with other workers, after a kill, in a clone; and if not, why."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from benchmark.options import UserError
from benchmark.reproduction.again import (
    Comparison,
    _print_differing,
    _print_loss_version,
    reproduce,
)
from benchmark.reproduction.comparison import FIRST_LOSS, Tolerances, numbers, parting
from benchmark.store import RunFolder, Store

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
EXPERIMENT = {
    "name": "small",
    "train": {"epochs": 6, "batch_size": 4, "image_size": 32, "augment": {"scale": [0.8, 1.2]}},
    "matrix": {
        "boxes": {
            "task": "detection",
            "losses": ["giou", "smooth_l1"],
            "datasets": [{"name": "shapes", "size": 32, "train": 12, "val": 4, "test": 4}],
            "models": [{"name": "tiny_fcos", "width": 8}],
        }
    },
}


def test_a_data_set_that_is_gone_is_named(make_cell, tmp_path):
    cell = make_cell()
    part = cell.dataset.model_copy(update={"name": "shape"})
    folder = RunFolder(tmp_path / "run")
    folder.begin(cell.model_copy(update={"dataset": part}), {"device": "cpu"})
    folder.finish({"status": "done", "metrics": {"AP": 0.5}})
    with pytest.raises(UserError, match=r"unknown data set 'shape' \(did you mean 'shapes'\?"):
        reproduce(Console(quiet=True), folder.path, "auto", None)


def test_a_loss_that_is_gone_is_named(make_cell):
    with pytest.raises(UserError, match=r"unknown loss 'giuo' \(did you mean 'giou'\?"):
        _print_loss_version(Console(quiet=True), make_cell(loss="giuo"))


def test_a_run_without_environment_is_named(make_cell, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.plan(make_cell())
    with pytest.raises(UserError, match="this run has not ended"):
        reproduce(Console(quiet=True), folder.path, "auto", None)
    folder.finish({"status": "done"})
    with pytest.raises(UserError, match=r"has no environment\.json"):
        reproduce(Console(quiet=True), folder.path, "auto", None)


def verdict(comparison: Comparison, limits: dict[str, float]) -> tuple[bool, str]:
    console = Console(width=200, record=True, quiet=False, file=open(os.devnull, "w"))  # noqa: SIM115
    agrees = _print_differing(console, comparison, Tolerances(limits))
    return agrees, console.export_text()


THEN = {"status": "done", "AP": 0.5, "AP/cell": 0.25, FIRST_LOSS: 2.0}
NOW = {"status": "done", "AP": 0.53125, "AP/cell": 0.125, FIRST_LOSS: 2.0}
LIMITS = {"AP": 0.0625, "AP/<class>": 0.125}


def test_the_same_environment_admits_no_difference():
    agrees, said = verdict(Comparison(THEN, NOW, None, []), LIMITS)
    assert not agrees
    assert "not reproduced: 2 of 4 values differ, and nothing that rounding depends on" in said
    assert "+3.12e-02" in said


def test_another_environment_admits_what_was_measured():
    agrees, said = verdict(Comparison(THEN, NOW, "epoch 2, AP", ["torch", "cpu"]), LIMITS)
    assert agrees
    assert "reproduced within the tolerance: 2 of 4 values differ" in said
    assert "torch, cpu changed" in said
    assert "the histories part in epoch 2, AP" in said
    assert "1.25e-01" in said


@pytest.mark.parametrize(
    ("changes", "beyond"),
    [
        ({"AP": 0.5626}, 1),
        ({FIRST_LOSS: 2.0000001}, 1),
        ({"AP": 0.1, "AP/cell": 0.9}, 2),
        ({"status": "diverged"}, 1),
        ({"AP": None}, 1),
    ],
)
def test_another_environment_admits_no_more(changes, beyond):
    agrees, said = verdict(Comparison(THEN, {**NOW, **changes}, None, ["torch"]), LIMITS)
    assert not agrees
    assert f"{beyond} by more than the tolerance" in said


def test_a_history_alone_that_differs_is_a_difference():
    assert not verdict(Comparison(THEN, THEN, "epoch 1, lr", []), LIMITS)[0]


def test_the_measured_tolerances_are_there_and_cover_what_reports_lead_with():
    limits = Tolerances.measured().limits
    assert {"AP", "mIoU_fg", "AP/<class>", "validation AP", "untrained AP", FIRST_LOSS} <= set(
        limits
    )
    assert all(0 <= limit < 1 for limit in limits.values())
    # Before the first step nothing was carried on: only rounding is left.
    assert limits["untrained mIoU_fg"] < limits["mIoU_fg"] / 10
    assert limits[FIRST_LOSS] < 0.05


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """The real ``run``, with all of its processes in a group of their own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "run", "small.yaml", "--workers", str(workers)],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_in_mid_run(folder: Path) -> bool:
    """Kill runner and workers once a run has a checkpoint; False where the run was faster."""
    process = start(folder, 2)
    try:
        while process.poll() is None:
            if list(folder.glob("results/small/runs/*/checkpoint.pt")):
                break
            time.sleep(0.002)
        assert process.poll() in (None, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return bool(list(folder.glob("results/small/runs/*/checkpoint.pt")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A folder in which the small grid was trained by one worker, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "small.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    assert start(folder, 1).wait(300) == 0
    return folder


def runs(folder: Path) -> dict[str, RunFolder]:
    return {run.path.name: run for run in Store(folder / "results" / "small").run_folders()}


def test_other_workers_and_a_kill_change_no_bit(whole, tmp_path):
    shutil.copy(whole / "small.yaml", tmp_path)
    while not kill_in_mid_run(tmp_path):
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
    assert start(tmp_path, 3).wait(300) == 0
    expected, found = runs(whole), runs(tmp_path)
    assert len(expected) == 2
    assert set(found) == set(expected)
    for name, run in found.items():
        before = expected[name]
        assert numbers(run, run.outcome()) == numbers(before, before.outcome())
        assert parting(before.history(), run.history()) is None
        assert parting(run.history(), before.history()) is None
        assert run.streams() == before.streams()
        assert run.details() == before.details()


def copy_of_the_clone(folder: Path) -> Path:
    """The project as git knows it, in another place: nothing that lies about here goes along."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard", "--", "*.py", "*.yaml"],
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no clone")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not name.startswith(("tests/", "results/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_another_clone_reproduces_every_bit(whole, tmp_path):
    clone = copy_of_the_clone(tmp_path / "clone")
    (folder,) = whole.glob("results/small/runs/*-giou-r0-*")
    done = subprocess.run(
        [sys.executable, str(clone / "run.py"), "reproduce", str(folder)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "values and the history are bit-identical" in done.stdout


def test_what_differs_is_told_and_its_reason(whole, tmp_path, cli):
    (source,) = whole.glob("results/small/runs/*-giou-r0-*")
    folder = tmp_path / "changed"
    shutil.copytree(source, folder)
    outcome = json.loads((folder / "metrics.json").read_text())
    outcome["metrics"]["AP"] += 0.75
    (folder / "metrics.json").write_text(json.dumps(outcome))
    streams = json.loads((folder / "streams.json").read_text())
    streams["epochs"][1]["images"] = "0"
    (folder / "streams.json").write_text(json.dumps(streams))
    environment = json.loads((folder / "environment.json").read_text())
    environment |= {"capability": "SSE0", "commit": "f00"}
    (folder / "environment.json").write_text(json.dumps(environment))
    done = cli("reproduce", folder)
    assert done.returncode == 1
    for line in (
        "capability: then SSE0, now ",
        "commit: then f00, now ",
        "not trained on the same: the augmented images of epoch 2",
        "-7.50e-01",
        "1 by more than the tolerance",
    ):
        assert line in done.stdout
