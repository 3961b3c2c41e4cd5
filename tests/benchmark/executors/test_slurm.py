"""Runs as tasks of a cluster: submitit's processes on this machine, and a Slurm of one node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from benchmark.executors import Event, Job, Resources
from benchmark.executors.slurm import SlurmExecutor
from benchmark.experiment.cell import CellConfig
from benchmark.options import UserError
from benchmark.runner import open_dataset, prepare_splits
from benchmark.store import RunFolder
from benchmark.training.loop import train_cell
from datasets.cache import CachedSplit, open_cached

ROOT = Path(__file__).parents[3]


@pytest.fixture
def make_job(make_cell, shapes_splits, tmp_path):
    folders = {name: split.folder for name, split in shapes_splits.items()}

    def make(name: str, **settings) -> Job:
        cell = make_cell("segmentation", **settings)
        return Job(cell, tmp_path / "store" / "runs" / name, folders)

    return make


def run(jobs: list[Job], on_event: Callable[[Event], None] = lambda event: None, **options) -> None:
    SlurmExecutor(cluster="local", poll=0.2, **options).run(jobs, on_event)


def tasks() -> list[psutil.Process]:
    """Processes that submitit started for tasks, the tasks themselves after what started them."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "submitit" in " ".join(one.cmdline())]


TIMED = {"seconds", "images_per_second"}


def numbers(folder: Path) -> tuple[dict, list[dict]]:
    """Metrics and history without what depends on the clock."""
    run = RunFolder(folder)
    outcome = run.outcome() or {}
    rows = [{k: v for k, v in row.items() if k not in TIMED} for row in run.history()]
    return {key: outcome[key] for key in ("status", "metrics", "validation")}, rows


def undisturbed(cell: CellConfig, splits: dict[str, CachedSplit], folder: Path) -> Path:
    """Train in this process; gives the run folder."""
    train_cell(cell, splits, RunFolder(folder), torch.device("cpu"))
    return folder


def test_a_preempted_run_continues_to_the_same_numbers(make_job, shapes_splits, tmp_path):
    job = make_job("run", epochs=25)
    rows = []

    def preempt_once(event: Event) -> None:
        if event.progress is not None and event.progress.epoch >= 2 and not rows:
            rows.extend(RunFolder(job.folder).history())
            tasks()[-1].send_signal(signal.SIGUSR2)

    run([job], preempt_once)
    assert 2 <= rows[-1]["epoch"] < 25
    log = RunFolder(job.folder).log.read_text()
    assert "Caught signal SIGUSR2" in log
    expected = undisturbed(job.cell, shapes_splits, tmp_path / "undisturbed")
    assert numbers(job.folder) == numbers(expected)


def test_failures_are_recorded_as_those_of_local_runs(make_job):
    bad, slow = make_job("bad"), make_job("slow", epochs=100_000)
    bad = Job(bad.cell, bad.folder, {**bad.splits, "train": Path("nowhere")})
    run([bad, slow], timeout=4.0)
    failure = RunFolder(bad.folder).failure() or {}
    assert "nowhere" in failure["error"]
    assert "Traceback" in failure["traceback"]
    failure = RunFolder(slow.folder).failure() or {}
    assert "ended after 4 s, the limit of --timeout" in failure["error"]


def test_an_interrupt_ends_the_tasks_and_says_how_to_keep_them(make_job):
    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        run([make_job("long", epochs=100_000)], interrupt)
    assert ["--detach" in note for note in stop.value.__notes__] == [True]
    assert tasks() == []


def test_setup_lines_come_before_the_task(make_job, tmp_path):
    job = make_job("run")
    run([job], setup=[f"touch {tmp_path}/set_up"])
    assert RunFolder(job.folder).status() == "done"
    assert (tmp_path / "set_up").exists()


def test_shares_of_gpus_are_refused():
    with pytest.raises(ValueError, match=r"resources\.gpu: must be 0 or 1 for Slurm.* got 0\.25"):
        SlurmExecutor(resources=Resources(gpu=0.25))


def test_a_lacking_package_is_named(monkeypatch):
    monkeypatch.setattr("benchmark.executors.slurm.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package submitit.*\.\[slurm\]"):
        SlurmExecutor(cluster="local").prepare()


@pytest.fixture
def experiment(tmp_path) -> Callable[[int], Path]:
    """Writes an experiment of two runs with so many epochs."""

    def write(epochs: int) -> Path:
        content = {
            "name": "tiny",
            "repetitions": 2,
            "train": {"epochs": epochs, "batch_size": 4, "image_size": [64, 64]},
            "executor": {"name": "slurm", "poll": 0.5},
            "matrix": {
                "block": {
                    "task": "segmentation",
                    "losses": ["bce"],
                    "datasets": [{"name": "shapes", "size": 64, "train": 10, "val": 4, "test": 4}],
                    "models": [{"name": "tiny_unet", "width": 4}],
                }
            },
        }
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def states(folder: Path) -> dict[str, str]:
    """Task -> state of all that were submitted from a folder."""
    command = ["squeue", "--me", "-h", "-r", "-t", "all", "-o", "%i %T %Z"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tasks = (line.split(maxsplit=2) for line in listing.splitlines())
    return {task: state for task, state, place in tasks if place == str(folder)}


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "results" / "tiny"


@pytest.mark.slurm
def test_detached_runs_that_are_requeued_end_with_the_same_numbers(
    cli, experiment, store, tmp_path
):
    first = cli("run", experiment(60), "--detach")
    assert first.returncode == 0, first.stderr
    assert "2 run(s) were handed over" in first.stdout
    mine = sorted(states(tmp_path))
    assert len(mine) == 2

    (record,) = store.glob("slurm/*/tasks.json")
    first_run = RunFolder(store / json.loads(record.read_text())["tasks"][mine[0]])
    wait_until(lambda: len(first_run.history()) > 2)
    subprocess.run(["scontrol", "requeue", mine[0]], check=True)
    assert first_run.outcome() is None
    # Slurm lets two minutes pass before it starts a requeued task, unless it is told otherwise.
    wait_until(lambda: states(tmp_path)[mine[0]] == "PENDING")
    subprocess.run(["scontrol", "update", f"jobid={mine[0]}", "starttime=now"], check=True)

    second = cli("run", experiment(60))
    assert second.returncode == 0, second.stdout + second.stderr
    assert sorted(states(tmp_path)) == mine  # followed, not submitted again
    assert not (store / "slurm").exists()
    for folder in (store / "runs").iterdir():
        cell = RunFolder(folder).config()
        splits = prepare_splits(open_dataset(cell.dataset), [64, 64], tmp_path / "cache")
        opened = {name: open_cached(path) for name, path in splits.items()}
        expected = undisturbed(cell, opened, tmp_path / "undisturbed" / folder.name)
        assert numbers(folder) == numbers(expected)


@pytest.mark.slurm
def test_a_cancelled_task_is_a_failure_and_ctrl_c_cancels_the_others(experiment, store, tmp_path):
    command = [sys.executable, str(ROOT / "run.py"), "run", str(experiment(100_000))]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: len(list(store.glob("runs/*/history.csv"))) == 2)
    mine = sorted(states(tmp_path))
    subprocess.run(["scancel", mine[0]], check=True)
    wait_until(lambda: any(store.glob("runs/*/failure.json")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "with --detach they would stay there" in errors
    wait_until(lambda: set(states(tmp_path).values()) == {"CANCELLED"})
    failures = [RunFolder(file.parent).failure() for file in store.glob("runs/*/failure.json")]
    (failure,) = failures
    assert failure is not None
    assert f"CANCELLED (scancel); its output is in {store}" in failure["error"].replace(
        "results/tiny", str(store), 1
    )
    assert f"task {mine[0]}" in failure["error"]


@pytest.mark.slurm
def test_what_slurm_refuses_is_told_in_one_line(cli, experiment):
    refused = cli("run", experiment(1), "executor.partition=nowhere")
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if "error" in line]
    assert line.startswith(
        "error: executor: Slurm refuses the runs: sbatch: error: invalid partition"
    )


@pytest.mark.slurm
def test_a_slurm_that_does_not_answer_is_told(experiment, tmp_path):
    settings = tmp_path / "slurm.conf"
    settings.write_text("ClusterName=gone\nSlurmctldHost=localhost\nSlurmctldPort=1\n")
    refused = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "run", str(experiment(1))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "SLURM_CONF": str(settings)},
    )
    assert refused.returncode == 2
    assert "error: executor: Slurm does not answer: " in refused.stderr
