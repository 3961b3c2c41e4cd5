"""Runs as tasks of a cluster: submitit's processes on this machine, and a Slurm of one node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.executors import Event, Job, Resources
from benchmark.executors.slurm import SlurmExecutor
from benchmark.experiment.cell import CellConfig
from benchmark.options import UserError
from benchmark.runner import open_dataset, prepare_splits
from benchmark.store import RunFolder
from benchmark.training.loop import train_cell
from datasets.cache import CachedSplit, open_cached


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


def holds(process: psutil.Process, job: Job) -> bool:
    """Whether it is the process that trains the job."""
    return str(job.folder / "log.txt") in os.path.realpath(f"/proc/{process.pid}/fd/1")


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


def test_a_preempted_run_continues_to_the_same_numbers_and_one_that_fails_does_not(
    make_job, shapes_splits, tmp_path
):
    job, bad = make_job("run", epochs=25), make_job("bad")
    bad = Job(bad.cell, bad.folder, {**bad.splits, "train": Path("nowhere")})
    rows = []

    def preempt_once(event: Event) -> None:
        if event.progress is not None and event.progress.epoch >= 2 and not rows:
            rows.extend(RunFolder(job.folder).history())
            (process,) = (one for one in tasks() if holds(one, job))
            process.send_signal(signal.SIGUSR2)

    run([job, bad], preempt_once, workers=2, setup=[f"touch {tmp_path}/set_up"])
    assert (tmp_path / "set_up").exists()
    assert 2 <= rows[-1]["epoch"] < 25
    log = RunFolder(job.folder).log.read_text()
    assert "Caught signal SIGUSR2" in log
    expected = undisturbed(job.cell, shapes_splits, tmp_path / "undisturbed")
    assert numbers(job.folder) == numbers(expected)
    failure = RunFolder(bad.folder).failure() or {}
    assert "nowhere" in failure["error"]
    assert "Traceback" in failure["traceback"]


def test_an_interrupt_ends_the_tasks_and_says_how_to_keep_them(make_job):
    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        run([make_job("long", epochs=100_000)], interrupt)
    assert ["--detach" in note for note in stop.value.__notes__] == [True]
    assert tasks() == []


def test_the_command_says_what_became_of_the_tasks(experiment, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        stop = KeyboardInterrupt()
        stop.add_note("the tasks are gone")
        raise stop

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SlurmExecutor, "run", interrupted)
    done = CliRunner().invoke(app, ["run", str(experiment(1)), "executor.cluster=local"])
    assert done.exit_code == 130
    assert done.stderr.splitlines()[:2] == ["the tasks are gone", "`run` continues where it was"]


def test_shares_of_gpus_are_refused():
    with pytest.raises(ValueError, match=r"resources\.gpu: must be 0 or 1 for Slurm.* got 0\.25"):
        SlurmExecutor(resources=Resources(gpu=0.25))


def test_nothing_can_be_left_for_later_by_a_command_that_leaves():
    with pytest.raises(ValueError, match=r"^detach \(--detach\): .*nothing is left for queued"):
        SlurmExecutor(detach=True, queued=10)


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


def own_tasks(folder: Path, known: list[str]) -> set[str]:
    """Tasks that this process submitted from the folder, besides the known ones."""
    return states(folder).keys() - known


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "results" / "tiny"


@pytest.mark.slurm
def test_what_was_detached_stays_through_a_requeue_and_ctrl_c_to_the_same_numbers(
    cli, experiment, store, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    detached = cli("run", experiment(60), "--detach")
    assert detached.returncode == 0, detached.stderr
    assert "2 run(s) were handed over" in detached.stdout
    kept, lost = mine = sorted(states(tmp_path))
    (record,) = store.glob("slurm/*/tasks.json")
    places = json.loads(record.read_text())["tasks"]
    kept_run, lost_run = (RunFolder(store / places[task]) for task in mine)
    wait_until(lambda: len(kept_run.history()) > 2)
    subprocess.run(["scontrol", "requeuehold", kept], check=True)
    subprocess.run(["scancel", lost], check=True)
    assert kept_run.outcome() is None
    wait_until(lambda: states(tmp_path) == {kept: "PENDING", lost: "CANCELLED"})

    # The run that lost its task is submitted again, and that task alone ends with the command.
    cell = kept_run.config()
    splits = prepare_splits(open_dataset(cell.dataset), [64, 64], tmp_path / "cache")
    jobs = [Job(one.config(), one.path, splits) for one in (kept_run, lost_run)]
    executor = SlurmExecutor(poll=0.5)

    def interrupt(event: Event) -> None:
        assert (event.kind, event.job) == ("started", jobs[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        executor.run(jobs, interrupt)
    assert stop.value.__notes__[1] == "1 run(s) that an earlier command submitted stay there"
    (own,) = own_tasks(tmp_path, mine)
    wait_until(lambda: states(tmp_path)[own] == "CANCELLED")
    assert states(tmp_path)[kept] == "PENDING"
    assert list(store.glob("slurm/*/tasks.json")) == [record]

    subprocess.run(["scontrol", "release", kept], check=True)
    # Slurm lets two minutes pass before it starts a requeued task, unless it is told otherwise.
    subprocess.run(["scontrol", "update", f"jobid={kept}", "starttime=now"], check=True)

    def cancel(event: Event) -> None:
        if (event.kind, event.job) == ("started", jobs[1]):
            subprocess.run(["scancel", *own_tasks(tmp_path, [*mine, own])], check=True)

    executor.run(jobs, cancel)
    (unlucky,) = own_tasks(tmp_path, [*mine, own])
    failure = lost_run.failure() or {}
    assert "without a result: CANCELLED (scancel); its output is in " in failure["error"]
    assert f"task {unlucky}" in failure["error"]
    assert states(tmp_path)[kept] == "COMPLETED"
    opened = {name: open_cached(path) for name, path in splits.items()}
    expected = undisturbed(cell, opened, tmp_path / "undisturbed")
    assert numbers(kept_run.path) == numbers(expected)


@pytest.mark.slurm
def test_what_slurm_refuses_is_told_in_one_line(make_job):
    executor = SlurmExecutor(partition="nowhere")
    with pytest.raises(UserError) as refused:
        executor.run([make_job("run")], lambda event: None)
    message = str(refused.value)
    assert message.startswith("executor: Slurm refuses the runs: sbatch: error: invalid partition")
    assert "\n" not in message


@pytest.mark.slurm
def test_a_slurm_that_does_not_answer_is_told(tmp_path, monkeypatch):
    settings = tmp_path / "slurm.conf"
    settings.write_text(
        "ClusterName=gone\nSlurmctldHost=localhost\nSlurmctldPort=1\nMessageTimeout=1\n"
    )
    monkeypatch.setenv("SLURM_CONF", str(settings))
    with pytest.raises(UserError, match=r"^executor: Slurm does not answer: "):
        SlurmExecutor().prepare()
