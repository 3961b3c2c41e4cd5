"""Runs on a real Ray cluster of several nodes on this machine, which lose nodes and processes.

One on a shared disk that loses a node is among the tests of ``bench ray``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from rich.console import Console

from benchmark.bench.faults_grid import results
from benchmark.bench.ray.cluster import Nodes, nodes_here
from benchmark.commands import Machine, run_grid
from benchmark.executors import EXECUTORS, Event, Job, Resources
from benchmark.executors.choice import make_executor
from benchmark.executors.local import LocalExecutor
from benchmark.executors.on_ray import carriers
from benchmark.executors.ray import RayExecutor
from benchmark.experiment.cell import CellPart
from benchmark.experiment.config import load_experiment
from benchmark.experiment.entries import Choice
from benchmark.options import UserError
from benchmark.runner import plan_grid
from benchmark.store import RunFolder, Store
from datasets import DatasetError

pytest.importorskip("ray", reason="Ray is not installed")

ROOT = Path(__file__).parents[3]
SPLITS = {"size": 64, "train": 10, "val": 4, "test": 4, "num_classes": 2, "objects": [1, 3]}
"""Options of the data set that the shared splits were decoded from."""


@pytest.fixture(scope="module")
def caches(tmp_path_factory) -> Path:
    """Where nodes decode data, as their machine's owner has set it before they started."""
    return tmp_path_factory.mktemp("node-cache")


@pytest.fixture(scope="module")
def nodes(caches: Path) -> Iterator[Nodes]:
    """Two nodes that train, each with a GPU that is none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSBENCH_CACHE", str(caches))
        with nodes_here(2, num_gpus=1) as started:
            yield started


@pytest.fixture
def make_job(make_cell, shapes_splits, tmp_path) -> Callable[..., Job]:
    """A job in the store ``tmp_path/STORE``, on data that a node can decode by itself."""
    folders = {name: split.folder for name, split in shapes_splits.items()}

    def make(name: str, store: str = "ray", **settings) -> Job:
        cell = make_cell(**settings)
        part = CellPart(name="shapes", label="shapes", options=SPLITS)
        cell = cell.model_copy(update={"dataset": part})
        return Job(cell, tmp_path / store / "runs" / name, folders)

    return make


def run(executor, jobs: list[Job], on_event: Callable[[Event], None] | None = None) -> list[Event]:
    events: list[Event] = []

    def collect(event: Event) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    executor.run(jobs, collect)
    return events


def kinds(events: list[Event], job: Job) -> list[str]:
    """What happened to a job, but for its progress."""
    return [e.kind for e in events if e.job is job and e.kind != "progress"]


def training() -> list[psutil.Process]:
    """Processes of runs on the nodes, all of which this process has started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name().startswith("ray::train"):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture
def bad_parcels(make_job, monkeypatch) -> tuple[Job, Job]:
    """A job whose files cannot travel, and one that never ends whose files arrive damaged."""
    unsent, unusable = make_job("unsent"), make_job("unusable", epochs=100_000)
    pack, deliver = carriers.pack, carriers.deliver

    def no_pack(folder: Path) -> bytes:
        if folder == unsent.folder:
            raise ValueError("too many bytes")
        return pack(folder)

    def no_delivery(files: bytes, folder: Path) -> None:
        if folder == unusable.folder:
            raise DatasetError("damaged")
        deliver(files, folder)

    monkeypatch.setattr(carriers, "pack", no_pack)
    monkeypatch.setattr(carriers, "deliver", no_delivery)
    return unsent, unusable


def test_a_grid_without_a_shared_disk_that_loses_a_node_has_the_local_grids_numbers(
    nodes, caches, make_job, tmp_path, bad_parcels
):
    def grid(store: str) -> list[Job]:
        return [
            make_job("victim", store, epochs=60),
            make_job("masks", store, task="segmentation"),
        ]

    LocalExecutor(2).run(grid("local"), lambda event: None)
    jobs = (victim, _) = grid("ray")
    places: dict[Path, str] = {}
    killed = []

    def kill(event: Event) -> None:
        if event.kind == "started":
            places[event.job.folder] = event.detail.rpartition(" ")[2]
        reached = event.progress.epoch if event.progress is not None else 0
        if event.job is victim and reached >= 10 and not killed:
            killed.append(event.job)
            nodes.kill(places[event.job.folder])
            nodes.add()

    events = run(RayExecutor(address=nodes.address, shared=False), [*jobs, *bad_parcels], kill)
    for job, message in zip(bad_parcels, ["cannot be sent", "what the node sent"], strict=True):
        failure = RunFolder(job.folder).failure()
        assert failure is not None
        assert failure["error"].startswith(message)
        assert kinds(events, job)[-1] == "ended"
        assert not RunFolder(job.folder).is_locked()
    expected = results(Store(tmp_path / "local"))
    assert len(expected) == 2 * 4
    assert results(Store(tmp_path / "ray")) == expected
    assert kinds(events, victim) == ["started", "retried", "started", "ended"]
    for job in jobs:
        told = [e.progress.epoch for e in events if e.job is job and e.progress is not None]
        assert told == sorted(told)  # the retry went on where the first attempt was
        assert [e.kind for e in events if e.job is job][-1] == "ended"
        folder = RunFolder(job.folder)
        written = {path.name for path in job.folder.iterdir()}
        assert {"config.yaml", "environment.json", "history.csv", "log.txt"} <= written
        assert not written & {"checkpoint.pt", "failure.json"}
        assert {name for name in written if name.startswith(".")} <= {".lock"}
        assert not folder.is_locked()
        described = folder.environment()
        local = RunFolder(tmp_path / "local" / "runs" / job.folder.name).environment()
        assert described is not None
        assert local is not None
        assert described["commit"] == local["commit"]
    assert any(caches.iterdir())  # decoded by the nodes, not taken from the runner


def test_what_goes_wrong_is_recorded_and_stops_no_other(nodes, make_job):
    import ray

    crash = make_job("crash")
    crash = replace(crash, splits={**crash.splits, "train": Path("nowhere")})
    no_gpu = replace(make_job("no_gpu"), device="cuda")
    held = make_job("held")
    holding = RunFolder(held.folder).lock()
    holding.__enter__()
    left = []

    def watch(event: Event) -> None:
        if event.kind == "waiting":
            holding.__exit__(None, None, None)
        if event.kind == "started":
            left.append(ray.available_resources().get("GPU", 0.0))

    jobs = [crash, held, *([] if torch.cuda.is_available() else [no_gpu])]
    executor = RayExecutor(address=nodes.address, resources=Resources(cpu=0.5, gpu=0.25))
    events = run(executor, jobs, watch)
    assert min(left) < 2.0
    assert {count * 4 % 1 for count in left} == {0.0}  # quarters of GPUs are taken
    assert kinds(events, held) == ["started", "waiting", "started", "ended"]
    assert RunFolder(held.folder).status() == "done"
    failure = RunFolder(crash.folder).failure()
    assert failure is not None
    assert "nowhere" in failure["error"]
    assert "Traceback" in failure["traceback"]
    if no_gpu in jobs:
        failure = RunFolder(no_gpu.folder).failure()
        assert failure is not None
        assert failure["error"].endswith("torch sees no GPU there")
        assert failure["traceback"] == ""
    assert not [e for e in events if e.kind == "retried"]


def test_the_time_of_a_run_is_limited(nodes, make_job):
    slow = make_job("slow", epochs=100_000)
    executor = RayExecutor(address=nodes.address, timeout=1.0, retries=0)
    assert kinds(run(executor, [slow]), slow) == ["started", "ended"]
    failure = RunFolder(slow.folder).failure()
    assert failure is not None
    assert failure["error"].startswith("the run was ended after 1 s, the limit of --timeout")


def test_losses_are_limited_and_ctrl_c_leaves_nothing_running(nodes, make_job):
    victim, other = (make_job(name, epochs=100_000) for name in ("victim", "other"))
    log = str(RunFolder(victim.folder).log)
    seen: list[Event] = []

    def watch(event: Event) -> None:
        seen.append(event)
        if event.job is victim and event.progress is not None:
            for process in training():
                if any(file.path == log for file in process.open_files()):
                    process.kill()
        told = {one.job.folder for one in seen if one.progress is not None}
        if "ended" in kinds(seen, victim) and other.folder in told:
            assert training()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(RayExecutor(address=nodes.address, retries=0), [victim, other], watch)
    assert kinds(seen, victim) == ["started", "ended"]
    failure = RunFolder(victim.folder).failure()
    assert failure is not None
    assert failure["error"].startswith("what it ran on was lost once, more is not tried; ")
    assert psutil.wait_procs(training(), timeout=30)[1] == []
    assert RunFolder(other.folder).status() == "pending"


def test_it_is_said_when_no_node_has_what_a_run_takes(nodes, make_job):
    def interrupt(event: Event) -> None:
        if event.kind == "waiting":
            raise KeyboardInterrupt(event.detail)

    executor = RayExecutor(address=nodes.address, resources=Resources(cpu=64, gpu=1))
    with pytest.raises(KeyboardInterrupt, match="no node of the cluster has CPU 64, GPU 1"):
        run(executor, [make_job("job")], interrupt)


@pytest.fixture
def small(tmp_path) -> Path:
    """An experiment of one run that takes long, in a file; its run folder is not there yet."""
    experiment = {
        "name": "small",
        "train": {"epochs": 100_000, "batch_size": 4, "image_size": 64},
        "executor": {"name": "ray", "address": "127.0.0.1:1", "workers": 1},
        "matrix": {
            "boxes": {
                "task": "detection",
                "losses": ["giou"],
                "datasets": [{"name": "shapes", **SPLITS}],
                "models": [{"name": "tiny_fcos", "width": 8}],
            }
        },
    }
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(experiment))
    return file


def test_a_head_that_dies_ends_the_command_with_one_sentence(small, tmp_path):
    command = [sys.executable, str(ROOT / "run.py"), "run", "small.yaml"]
    runner = subprocess.Popen(
        [*command, "executor.address=local"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    runs = tmp_path / "results" / "small" / "runs"
    while not list(runs.glob("*/checkpoint.pt")):
        assert runner.poll() is None, runner.communicate()
        time.sleep(0.1)
    (head,) = (
        process
        for process in psutil.Process(runner.pid).children(recursive=True)
        if process.name() == "gcs_server"
    )
    head.kill()
    out, err = runner.communicate(timeout=120)
    assert runner.returncode == 2, out + err
    assert "on the Ray cluster 'local', 1 worker(s)" in " ".join(out.split())
    assert "does not answer any more; `run` again, once there is a cluster, continues" in err
    (folder,) = runs.iterdir()
    assert not RunFolder(folder).is_locked()
    assert RunFolder(folder).checkpoint.exists()


def test_results_are_not_cleared_for_a_cluster_that_is_not_there(small, tmp_path):
    grid = plan_grid(load_experiment(str(small), []), tmp_path / "results")
    (planned,) = grid.cells
    planned.folder.plan(planned.cell)
    planned.folder.checkpoint.write_bytes(b"weights")
    machine = Machine(RayExecutor(address="127.0.0.1:1"), "cpu", 1, 0, tmp_path / "cache", True)
    with pytest.raises(UserError, match=r"no Ray cluster can be used at '127\.0\.0\.1:1'"):
        run_grid(Console(quiet=True), grid, machine)
    assert planned.folder.checkpoint.read_bytes() == b"weights"


def test_options_are_those_of_a_file_and_are_checked():
    assert EXECUTORS["ray"] is RayExecutor
    asked = Choice(name="ray", address="local", resources={"gpu": 0.25, "memory": "2GB"})
    executor = make_executor(asked, {"workers": 3, "timeout": "2h"})
    assert executor == RayExecutor(
        workers=3,
        resources=Resources(gpu=0.25, memory=2_000_000_000),
        timeout=7200.0,
        address="local",
    )
    with pytest.raises(UserError, match=r"executor\.retries: .*greater than or equal to 0"):
        make_executor(Choice(name="ray", retries=-1))
    with pytest.raises(UserError, match=r"address: must be auto, local or HOST:PORT, got 'here'"):
        make_executor(Choice(name="ray", address="here"))
    with pytest.raises(UserError, match=r"executor\.adress: unknown key \(did you mean 'address'"):
        make_executor(Choice(name="ray", adress="auto"))


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("benchmark.executors.ray.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package ray.*\.\[ray\]"):
        RayExecutor()
