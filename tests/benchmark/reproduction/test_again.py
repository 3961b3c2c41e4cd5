"""A run comes out as before: with other workers, after a kill, in a clone; and if not, why."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmark.executors import Event, Job
from benchmark.executors.local import LocalExecutor
from benchmark.executors.worker import run_job
from benchmark.experiment.config import Experiment
from benchmark.options import UserError
from benchmark.reproduction import again
from benchmark.reproduction.again import (
    Comparison,
    _print_differing,
    _print_loss_version,
    reproduce,
)
from benchmark.reproduction.comparison import FIRST_LOSS, Tolerances, numbers, parting
from benchmark.runner import make_jobs, plan_grid
from benchmark.store import RunFolder

ROOT = Path(__file__).parents[3]
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


def heard() -> Console:
    """A console whose file has what was said."""
    return Console(width=200, file=io.StringIO())


def verdict(
    comparison: Comparison, limits: dict[str, float], unmeasured: tuple[str, ...] = ()
) -> tuple[bool, str]:
    console = heard()
    agrees = _print_differing(console, comparison, Tolerances(limits, unmeasured))
    return agrees, console.file.getvalue()


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


@pytest.mark.parametrize("now", [NOW, THEN])
def test_a_change_that_was_not_measured_admits_no_difference(now):
    comparison = Comparison(THEN, now, "epoch 2, AP", ["torch", "cpu"])
    agrees, said = verdict(comparison, {}, ("cpu",))
    assert not agrees
    assert "not reproduced: " in said
    assert "values differ, and no tolerance was measured for cpu" in said


def test_a_history_alone_that_differs_is_a_difference():
    assert not verdict(Comparison(THEN, THEN, "epoch 1, lr", []), LIMITS)[0]


def test_the_measured_tolerances_are_there_and_cover_what_reports_lead_with():
    limits = Tolerances.measured(["torch", "torchvision", "capability"]).limits
    assert {"AP", "mIoU_fg", "AP/<class>", "validation AP", "untrained AP", FIRST_LOSS} <= set(
        limits
    )
    assert all(0 <= limit < 1 for limit in limits.values())
    # Before the first step nothing was carried on: only rounding is left.
    assert limits["untrained mIoU_fg"] < limits["mIoU_fg"] / 10
    assert limits[FIRST_LOSS] < 0.05


@dataclass(frozen=True)
class Whole:
    """The small grid, trained by this process alone, undisturbed."""

    jobs: list[Job]
    cache: Path

    @property
    def one(self) -> Path:
        """A run of it."""
        (job,) = (job for job in self.jobs if job.cell.loss.name == "giou")
        return job.folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    grid = plan_grid(Experiment.model_validate(EXPERIMENT), folder / "results")
    jobs = make_jobs(grid, grid.cells, folder / "cache", "cpu", 1, 0)
    for job in jobs:
        assert run_job(job, lambda progress: None) == 0
    return Whole(jobs, folder / "cache")


def kill_in_mid_run(jobs: list[Job]) -> bool:
    """Kill all workers once a run is past an epoch; False where all were faster."""

    def kill(event: Event) -> None:
        if event.progress is not None and event.progress.epoch >= 2:
            for process in multiprocessing.active_children():
                process.kill()

    LocalExecutor(2).run(jobs, kill)
    return any(RunFolder(job.folder).checkpoint.exists() for job in jobs)


def test_other_workers_and_a_kill_change_no_bit(whole, tmp_path):
    jobs = [replace(job, folder=tmp_path / job.folder.name) for job in whole.jobs]
    while not kill_in_mid_run(jobs):
        for job in jobs:
            RunFolder(job.folder).clear()
    LocalExecutor(3).run(jobs, lambda event: None)
    for undisturbed, job in zip(whole.jobs, jobs, strict=True):
        before, run = RunFolder(undisturbed.folder), RunFolder(job.folder)
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
    done = subprocess.run(
        [sys.executable, str(clone / "run.py"), "reproduce", str(whole.one)],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "values and the history are bit-identical\n" in done.stdout


@pytest.fixture
def stored(whole, tmp_path) -> RunFolder:
    """A copy of an ended run, to be changed."""
    return RunFolder(Path(shutil.copytree(whole.one, tmp_path / "stored")))


def edit(folder: RunFolder, name: str, **changes: Any) -> None:
    content = json.loads((folder.path / name).read_text())
    (folder.path / name).write_text(json.dumps({**content, **changes}))


def test_what_differs_is_told_and_its_reason(whole, stored):
    metrics = stored.outcome()["metrics"]
    edit(stored, "metrics.json", metrics={**metrics, "AP": metrics["AP"] + 0.75})
    first, second = stored.streams()["epochs"]
    edit(stored, "streams.json", epochs=[first, {**second, "images": "0"}])
    edit(stored, "environment.json", capability="SSE0", commit="f00")
    console = heard()
    assert not reproduce(console, stored.path, "auto", whole.cache)
    said = console.file.getvalue()
    for line in (
        "capability: then SSE0, now ",
        "commit: then f00, now ",
        "not trained on the same: the augmented images of epoch 2",
        "-7.50e-01",
        "1 by more than the tolerance",
    ):
        assert line in said


@pytest.fixture
def trained(whole, monkeypatch) -> list[Job]:
    """The jobs that `reproduce` would train: each comes out as the undisturbed run."""
    jobs: list[Job] = []

    def copy(console: Console, job: Job, name: str) -> None:
        jobs.append(job)
        shutil.copytree(whole.one, job.folder)

    monkeypatch.setattr(again, "_train", copy)
    return jobs


def judged(whole: Whole, stored: RunFolder) -> tuple[bool, str]:
    console = heard()
    agrees = reproduce(console, stored.path, "auto", whole.cache)
    return agrees, console.file.getvalue()


@pytest.mark.parametrize(
    ("changes", "where"),
    [({}, "\n"), ({"commit": "f00", "cores": 999}, "\n"), ({"cpu": "x"}, ", in another environ")],
)
def test_only_what_rounding_depends_on_is_another_environment(
    whole, stored, trained, changes, where
):
    edit(stored, "environment.json", **changes)
    agrees, said = judged(whole, stored)
    assert agrees
    assert f"the history are bit-identical{where}" in said
    assert len(trained) == 1


def test_a_processor_that_was_not_measured_is_no_excuse(whole, stored, trained):
    metrics = stored.outcome()["metrics"]
    edit(stored, "metrics.json", metrics={**metrics, "AP": metrics["AP"] + 1e-9})
    edit(stored, "environment.json", cpu="x")
    agrees, said = judged(whole, stored)
    assert not agrees
    assert "no tolerance was measured for cpu" in said


@pytest.mark.parametrize("kept", [1, 3, 6])
def test_a_stored_history_without_its_last_rows_is_not_reproduced(whole, stored, trained, kept):
    file = stored.path / "history.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[: 1 + kept]))
    agrees, said = judged(whole, stored)
    assert not agrees
    assert f"the histories part in epoch {kept}, epoch" in said


def test_a_stored_history_that_was_deleted_is_left_out(whole, stored, trained):
    (stored.path / "history.csv").unlink()
    assert judged(whole, stored)[0]


@pytest.mark.parametrize("evaluator", [None, "pycocotools", "faster"])
def test_the_program_of_then_computes_average_precision(whole, stored, trained, evaluator):
    if evaluator == "faster":
        pytest.importorskip("faster_coco_eval")
    environment = {key: v for key, v in stored.environment().items() if key != "evaluator"}
    if evaluator is not None:
        environment["evaluator"] = evaluator
    (stored.path / "environment.json").write_text(json.dumps(environment))
    judged(whole, stored)
    assert [job.evaluator for job in trained] == [evaluator or "pycocotools"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("streams.json", "{}", "streams.json: 'weights' must be text"),
        ("history.csv", "epoch,AP\n0,high\n", "history.csv: is damaged"),
        ("metrics.json", "[]", "metrics.json: must hold a JSON object"),
        ("environment.json", '{"data": {"train": 5}}', "'data.train' must be text"),
        ("environment.json", '{"data": {"foo": "abc"}}', "'data' knows train, val, test"),
        ("environment.json", '{"evaluator": "fast"}', "unknown evaluator 'fast'"),
    ],
)
def test_a_damaged_file_is_named_before_anything_is_trained(
    whole, stored, trained, name, content, said
):
    (stored.path / name).write_text(content)
    with pytest.raises(UserError, match=re.escape(said)):
        judged(whole, stored)
    assert trained == []


def test_a_pipe_is_not_waited_on_and_a_link_out_is_not_followed(stored, tmp_path):
    (stored.path / "config.yaml").rename(tmp_path / "config.yaml")
    (stored.path / "config.yaml").symlink_to(tmp_path / "config.yaml")
    with pytest.raises(UserError, match=r"config\.yaml: is a link to .*outside"):
        reproduce(Console(quiet=True), stored.path, "auto", None)
    (stored.path / "config.yaml").unlink()
    os.mkfifo(stored.path / "config.yaml")
    with pytest.raises(UserError, match=r"config\.yaml: is neither a file nor a folder"):
        reproduce(Console(quiet=True), stored.path, "auto", None)


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"file/config\.yaml: "):
        reproduce(Console(quiet=True), tmp_path / "file", "auto", None)
