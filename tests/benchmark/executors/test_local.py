"""The pool of processes: what a run leaves when it ends well, badly, or not by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from benchmark.executors import Event, Job, Resources, local, memory
from benchmark.executors.local import LocalExecutor, _cause
from benchmark.executors.server import ROOT
from benchmark.options import UserError
from benchmark.store import RunFolder


@pytest.fixture
def make_job(make_cell, shapes_splits, tmp_path):
    folders = {name: split.folder for name, split in shapes_splits.items()}

    def make(name: str, **settings) -> Job:
        return Job(make_cell(**settings), tmp_path / name, folders)

    return make


def workers() -> list[psutil.Process]:
    """Processes that train: children of the fork server, which is a child of this one."""
    return [
        grandchild
        for child in psutil.Process().children()
        for grandchild in child.children()
        if grandchild.is_running()
    ]


def run(jobs: list[Job], number: int = 2, on_event=None) -> list[Event]:
    events: list[Event] = []

    def collect(event: Event) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    LocalExecutor(number).run(jobs, collect)
    return events


def test_every_job_ends_with_a_result_and_its_files(make_job):
    jobs = [make_job(f"r{i}", repetition=i) for i in range(3)]
    events = run(jobs)
    assert sorted(e.job.folder.name for e in events if e.kind == "ended") == ["r0", "r1", "r2"]
    assert all(e.progress.epochs == 1 for e in events if e.progress is not None)
    for job in jobs:
        folder = RunFolder(job.folder)
        assert folder.status() == "done"
        assert folder.config() == job.cell
        written = {path.name for path in job.folder.iterdir()}
        assert {"config.yaml", "environment.json", "history.csv", "log.txt"} <= written


def test_a_crash_is_recorded_with_its_traceback_and_stops_no_other(make_job):
    bad = make_job("bad")
    bad = Job(bad.cell, bad.folder, {**bad.splits, "train": Path("nowhere")})
    good = make_job("good")
    run([bad, good], number=1)
    assert RunFolder(good.folder).status() == "done"
    failed = RunFolder(bad.folder)
    assert failed.status() == "failed"
    failure = failed.failure()
    assert failure is not None
    assert "nowhere" in failure["error"]
    assert "Traceback" in failure["traceback"]
    assert "Traceback" in failed.log.read_text()


def test_a_mistake_of_the_users_is_recorded_without_a_traceback(make_job):
    job = make_job("mistake", model="nowhere.py:Net", model_options={})
    run([job])
    folder = RunFolder(job.folder)
    failure = folder.failure()
    assert failure == {
        "error": "model: model 'nowhere.py:Net': there is no file nowhere.py",
        "traceback": "",
    }
    assert "Traceback" not in folder.log.read_text()
    assert "there is no file nowhere.py" in folder.log.read_text()


def test_a_killed_run_loses_only_itself_and_continues_later(make_job):
    victim = make_job("victim", epochs=200)
    other = make_job("other", repetition=1)
    killed = []

    def kill(event: Event) -> None:
        # With a metric: it is told after the checkpoint of an epoch.
        measured = event.progress is not None and event.progress.metric is not None
        if event.job is victim and measured and not killed:
            (process,) = workers()
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    run([victim, other], number=1, on_event=kill)
    assert killed
    assert RunFolder(other.folder).status() == "done"
    folder = RunFolder(victim.folder)
    failure = folder.failure()
    assert failure is not None
    assert "SIGKILL" in failure["error"]
    assert folder.checkpoint.exists()


@pytest.mark.parametrize("earlier", ['{"error": "ValueError: no", "traceback": ""}', '{"err'])
def test_a_run_that_is_killed_before_it_begins_tells_of_this_death(make_job, earlier, monkeypatch):
    job = make_job("victim")
    job.folder.mkdir()
    (job.folder / "failure.json").write_text(earlier)

    def kill(event: Event) -> None:
        if event.kind == "started":
            workers()[0].kill()

    # The run does not get so far as to begin: it waits for the lock.
    with RunFolder(job.folder).lock():
        run([job], number=1, on_event=kill)
    assert "SIGKILL" in (RunFolder(job.folder).failure() or {})["error"]


def test_a_cell_held_elsewhere_is_waited_for(make_job):
    job = make_job("shared")
    folder = RunFolder(job.folder)
    held = folder.lock()
    held.__enter__()
    seen = []

    def finish_elsewhere(event: Event) -> None:
        seen.append(event.kind)
        if event.kind == "waiting" and seen.count("waiting") == 2:
            folder.finish({"status": "done", "metrics": {"AP": 0.123}})
            held.__exit__(None, None, None)

    run([job], on_event=finish_elsewhere)
    assert seen.count("waiting") == 2
    assert seen[-1] == "ended"
    outcome = folder.outcome()
    assert outcome is not None
    assert outcome["metrics"] == {"AP": 0.123}  # not trained a second time


def test_an_interrupt_ends_the_workers(make_job):
    def interrupt(event: Event) -> None:
        if event.progress is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([make_job("long", epochs=500)], on_event=interrupt)
    assert workers() == []


@pytest.mark.parametrize(
    ("exitcode", "part"),
    [
        (3, "exit code 3"),
        (-9, "SIGKILL (the system does this when memory runs out)"),
        (-11, "SEGV"),
    ],
)
def test_the_cause_of_an_end_is_said(exitcode, part):
    assert part in _cause(exitcode)


def test_the_server_has_loaded_what_runs_need_whatever_the_current_folder(tmp_path):
    decoy = tmp_path / "benchmark"
    decoy.mkdir()
    (decoy / "__init__.py").write_text("raise SystemExit('the wrong package was imported')")
    script = """
import sys
sys.path[0] = ROOT
from benchmark.executors.local import LocalExecutor
from benchmark.executors.server import CONTEXT

if __name__ == "__main__":
    LocalExecutor(1).prepare()
    needed = {"torch", "torchvision.transforms.v2.functional", "benchmark.models.detection.ssd"}
    code = f"import sys; sys.exit(0 if {needed} <= set(sys.modules) else 3)"
    process = CONTEXT.Process(target=exec, args=(code,))
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
    path = tmp_path / "script.py"
    path.write_text(script.replace("ROOT", repr(str(ROOT)), 1))
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_server_that_dies_while_a_run_trains(make_job):
    """The run goes on without it, so it has not failed, and no other may start on its cell."""
    killed = []

    def kill_server(event: Event) -> None:
        if event.kind == "progress" and not killed:
            killed.append(forkserver._forkserver._forkserver_pid)
            os.kill(killed[0], signal.SIGKILL)

    job = make_job("one", epochs=8)
    events = run([job], 1, kill_server)
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert len(killed) == 1
    assert "waiting" in kinds
    assert kinds[-1] == "ended"
    folder = RunFolder(job.folder)
    assert folder.failure() is None
    assert [row["epoch"] for row in folder.history()] == list(range(9))


# In this order a server is left for the tests that follow.
@pytest.mark.parametrize("deaths", [2, 1])
def test_a_server_that_dies_while_it_starts_a_run(make_job, monkeypatch, deaths):
    start, died = ForkServerProcess.start, []

    def fail_first(process: ForkServerProcess) -> None:
        if len(died) < deaths:
            server = forkserver._forkserver._forkserver_pid
            os.kill(server, signal.SIGKILL)
            died.append(server)
            raise EOFError
        start(process)

    job = make_job("one")
    executor = LocalExecutor(1)
    monkeypatch.setattr(ForkServerProcess, "start", fail_first)
    if deaths == 1:
        executor.run([job], lambda event: None)
        assert RunFolder(job.folder).status() == "done"
    else:
        with pytest.raises(UserError, match=r"killed twice .* `run` again continues"):
            executor.run([job], lambda event: None)


STUBBORN = '''
import signal, time
from dataclasses import dataclass
from typing import ClassVar

from benchmark.models import ModelSpec

@dataclass(frozen=True)
class Net(ModelSpec):
    """A model that never gets ready, and does not heed a request to end."""

    task: ClassVar[str] = "segmentation"

    def build(self, num_classes):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("building", flush=True)
        time.sleep(600)
'''


@pytest.fixture
def hour_passes(monkeypatch):
    """Let an hour pass for the executor as soon as something is the case."""

    def when(happened: Callable[[], bool]) -> None:
        def monotonic() -> float:
            return time.monotonic() + (3600 if happened() else 0)

        clock = SimpleNamespace(monotonic=monotonic, sleep=time.sleep)
        monkeypatch.setattr(local, "time", clock)

    return when


def limited(jobs: list[Job], **options) -> list[Event]:
    events: list[Event] = []
    LocalExecutor(**options).run(jobs, events.append)
    return events


def test_a_run_over_its_time_is_ended_and_goes_on_later(make_job, hour_passes):
    long = make_job("long", epochs=400)
    folder = RunFolder(long.folder)
    hour_passes(lambda: len(folder.history()) > 2)
    events = limited([long], timeout=3600)
    assert [e.kind for e in events if e.kind != "progress"] == ["started", "ended"]
    assert folder.status() == "failed"
    failure = folder.failure()
    assert failure is not None
    assert failure["error"].startswith("the run was ended after 1 h, the limit of --timeout")
    done = folder.history()[-1]["epoch"]
    seen = []

    def stop(event: Event) -> None:
        if event.progress is not None:
            seen.append(event.progress.epoch)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([long], on_event=stop)
    assert 1 < done <= seen[0] < 400


def test_a_run_that_does_not_heed_the_end_of_its_time_is_killed(
    make_job, tmp_path, hour_passes, monkeypatch
):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    model = {"task": "segmentation", "model": f"{tmp_path}/stubborn.py:Net", "model_options": {}}
    stubborn, other = make_job("stubborn", **model), make_job("other")
    folder = RunFolder(stubborn.folder)
    hour_passes(lambda: folder.log.exists() and "building" in folder.log.read_text())
    monkeypatch.setattr(local, "GRACE", 0.5)
    limited([stubborn], timeout=3600)
    failure = folder.failure()
    assert failure is not None
    assert "--timeout" in failure["error"]
    assert workers() == []
    limited([other], timeout=3600)
    assert RunFolder(other.folder).status() == "done"


def test_runs_are_as_nice_as_asked(make_job):
    found = []

    def look(event: Event) -> None:
        if event.progress is not None and not found:
            found.extend(process.nice() for process in workers())

    LocalExecutor(1, nice=7).run([make_job("nice", epochs=3)], look)
    assert found == [psutil.Process().nice() + 7]


def test_each_run_sees_its_gpu_alone_and_no_gpu_is_overfull(make_job, monkeypatch):
    monkeypatch.setattr(local, "visible_gpus", lambda: ["7", "9"])
    jobs = [replace(make_job(f"gpu{i}", repetition=i), device="cuda") for i in range(6)]
    events = limited(jobs, workers=6, resources=Resources(gpu=0.5))
    seen = [RunFolder(job.folder).log.read_text().splitlines()[0] for job in jobs]
    assert seen[:4] == [f"sees GPU {name}" for name in ("7", "9", "7", "9")]
    assert set(seen) == {"sees GPU 7", "sees GPU 9"}
    at_work = most = 0
    for event in events:
        at_work += {"started": 1, "ended": -1}.get(event.kind, 0)
        most = max(most, at_work)
    assert most == 4


def test_a_run_waits_for_memory_and_one_always_runs(make_job, monkeypatch):
    monkeypatch.setattr(memory.MemoryGuard, "lacking", lambda *_: "no room")
    jobs = [make_job(f"m{i}", repetition=i) for i in range(3)]
    events = limited(jobs, workers=3)
    kinds = [(e.kind, e.job.folder.name) for e in events if e.kind != "progress"]
    assert kinds == [
        ("started", "m0"),
        ("waiting", "m1"),
        ("ended", "m0"),
        ("started", "m1"),
        ("waiting", "m2"),
        ("ended", "m1"),
        ("started", "m2"),
        ("ended", "m2"),
    ]
    assert {e.detail for e in events if e.kind == "waiting"} == {"no room"}
    assert [RunFolder(job.folder).status() for job in jobs] == ["done"] * 3


def test_more_memory_than_there_is_lets_runs_go_one_by_one(make_job):
    jobs = [make_job(f"m{i}", repetition=i) for i in range(2)]
    events = limited(jobs, workers=2, resources=Resources(memory=10**15))
    kinds = [e.kind for e in events if e.kind != "progress"]
    assert kinds == ["started", "waiting", "ended", "started", "ended"]


def test_what_runs_took_is_measured(make_job, monkeypatch):
    found: list[int] = []
    settle = memory.MemoryGuard.settle

    def keep(guard: memory.MemoryGuard, job: Job) -> None:
        settle(guard, job)
        found.append(guard.estimate(job))

    monkeypatch.setattr(memory.MemoryGuard, "settle", keep)
    monkeypatch.setattr(memory, "LOOK_EVERY", 0.0)
    run([make_job(f"m{i}", epochs=3, repetition=i) for i in range(2)], number=1)
    assert len(found) >= 2  # once a run at least
    # Between the pages that a tiny run writes and all that a process with torch holds. The first
    # look may have come before there was anything to measure.
    assert 5_000_000 < found[-1] < 1_500_000_000
    assert found[-1] != memory.AT_FIRST
