"""Runs on a real Ray cluster of several nodes on this machine, which lose nodes and processes.

One on a shared disk that loses a node is among the tests of ``bench ray``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from benchmark.bench.faults_grid import results
from benchmark.bench.ray_cluster import Nodes, nodes_here
from benchmark.executors import EXECUTORS, Event, Job, Resources
from benchmark.executors.choice import make_executor
from benchmark.executors.local import LocalExecutor
from benchmark.executors.ray import RayExecutor
from benchmark.experiment.cell import CellPart
from benchmark.experiment.entries import Choice
from benchmark.options import UserError
from benchmark.store import RunFolder, Store

pytest.importorskip("ray", reason="Ray is not installed")

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


def test_a_grid_without_a_shared_disk_that_loses_a_node_has_the_local_grids_numbers(
    nodes, caches, make_job, tmp_path
):
    def grid(store: str) -> list[Job]:
        return [
            make_job("long", store, epochs=30),
            make_job("other", store, epochs=30, repetition=1),
            make_job("masks", store, task="segmentation"),
        ]

    LocalExecutor(2).run(grid("local"), lambda event: None)
    places: dict[Path, str] = {}
    killed = []

    def kill(event: Event) -> None:
        if event.kind == "started":
            places[event.job.folder] = event.detail.rpartition(" ")[2]
        if event.progress is not None and event.progress.epoch == 10 and not killed:
            killed.append(event.job)
            nodes.kill(places[event.job.folder])
            nodes.add()

    jobs = grid("ray")
    events = run(RayExecutor(address=nodes.address, shared=False), jobs, kill)
    (victim,) = killed
    expected = results(Store(tmp_path / "local"))
    assert len(expected) == 3 * 4
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
    mistake = make_job("mistake", model="nowhere.py:Net", model_options={})
    crash = make_job("crash")
    crash = replace(crash, splits={**crash.splits, "train": Path("nowhere")})
    held = make_job("held")
    good = make_job("good")
    holding = RunFolder(held.folder).lock()
    holding.__enter__()

    def release(event: Event) -> None:
        if event.kind == "waiting":
            holding.__exit__(None, None, None)

    events = run(RayExecutor(address=nodes.address), [mistake, crash, held, good], release)
    assert kinds(events, held) == ["started", "waiting", "started", "ended"]
    assert RunFolder(held.folder).status() == "done"
    assert RunFolder(good.folder).status() == "done"
    assert RunFolder(mistake.folder).failure() == {
        "error": "model: model 'nowhere.py:Net': there is no file nowhere.py",
        "traceback": "",
    }
    failure = RunFolder(crash.folder).failure()
    assert failure is not None
    assert "nowhere" in failure["error"]
    assert "Traceback" in failure["traceback"]
    assert not [e for e in events if e.kind == "retried"]


def test_a_node_with_other_data_or_without_the_device_says_so(nodes, make_job):
    other = make_job("other")
    part = other.cell.dataset.model_copy(update={"options": {**SPLITS, "train": 11}})
    other = replace(other, cell=other.cell.model_copy(update={"dataset": part}))
    no_gpu = replace(make_job("gpu"), device="cuda")
    run(RayExecutor(address=nodes.address, shared=False), [other, no_gpu])
    failure = RunFolder(other.folder).failure()
    assert failure is not None
    assert "data set 'shapes': the train split on" in failure["error"]
    assert failure["traceback"] == ""
    if not psutil.LINUX or not Path("/dev/nvidia0").exists():
        failure = RunFolder(no_gpu.folder).failure()
        assert failure is not None
        assert failure["error"].endswith("torch sees no GPU there")


def test_the_time_of_a_run_and_its_losses_are_limited(nodes, make_job):
    slow = make_job("slow", epochs=100_000)
    executor = RayExecutor(address=nodes.address, timeout=1.0, retries=0)
    events = run(executor, [slow])
    assert kinds(events, slow) == ["started", "ended"]
    failure = RunFolder(slow.folder).failure()
    assert failure is not None
    assert failure["error"].startswith("the run was ended after 1 s, the limit of --timeout")

    victim = make_job("victim", epochs=100_000)

    def kill(event: Event) -> None:
        if event.progress is not None:
            for process in training():
                process.kill()

    events = run(RayExecutor(address=nodes.address, retries=1), [victim], kill)
    assert kinds(events, victim) == ["started", "retried", "started", "ended"]
    failure = RunFolder(victim.folder).failure()
    assert failure is not None
    assert failure["error"].startswith("what it ran on was lost 2 times, more is not tried; ")
    assert RunFolder(victim.folder).checkpoint.exists()


def test_ctrl_c_leaves_nothing_running(nodes, make_job):
    job = make_job("job", epochs=100_000)

    def interrupt(event: Event) -> None:
        if event.progress is not None:
            assert len(training()) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(RayExecutor(address=nodes.address), [job], interrupt)
    assert psutil.wait_procs(training(), timeout=30)[1] == []
    assert RunFolder(job.folder).status() == "pending"


def test_runs_share_a_gpu_and_say_when_no_node_has_what_they_take(nodes, make_job):
    import ray

    jobs = [make_job(f"r{n}", repetition=n) for n in range(2)]
    left = []

    def look(event: Event) -> None:
        if event.kind == "started":
            left.append(ray.available_resources().get("GPU", 0.0))

    executor = RayExecutor(address=nodes.address, resources=Resources(cpu=0.5, gpu=0.25))
    run(executor, jobs, look)
    assert [RunFolder(job.folder).status() for job in jobs] == ["done", "done"]
    assert set(left) <= {1.5, 1.75, 2.0}
    assert min(left) < 2.0

    def interrupt(event: Event) -> None:
        if event.kind == "waiting":
            raise KeyboardInterrupt(event.detail)

    executor = RayExecutor(address=nodes.address, resources=Resources(cpu=64, gpu=1))
    with pytest.raises(KeyboardInterrupt, match="no node of the cluster has CPU 64, GPU 1"):
        run(executor, jobs[:1], interrupt)


def test_the_command_line_runs_a_grid_on_a_cluster(nodes, cli, tmp_path):
    experiment = {
        "name": "small",
        "train": {"epochs": 1, "batch_size": 4, "image_size": 64},
        "executor": {"name": "ray", "address": "somewhere:1", "workers": 1},
        "matrix": {
            "boxes": {
                "task": "detection",
                "losses": ["giou"],
                "datasets": [{"name": "shapes", **SPLITS}],
                "models": [{"name": "tiny_fcos", "width": 8}],
            }
        },
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(experiment))
    done = cli("run", "small.yaml", f"executor.address={nodes.address}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"on the Ray cluster '{nodes.address}', 1 worker(s)" in " ".join(done.stdout.split())
    (run_folder,) = (tmp_path / "results" / "small" / "runs").iterdir()
    assert json.loads((run_folder / "metrics.json").read_text())["status"] == "done"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:70000", "auto"])
def test_a_cluster_that_is_not_there_is_named(make_job, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match=f"no Ray cluster can be used at '{address}'"):
        RayExecutor(address=address).run([make_job("job")], lambda event: None)


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
