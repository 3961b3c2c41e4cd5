"""A run as a process of the cluster: what is left of its time when it is queued again."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from benchmark.executors import Job
from benchmark.executors.on_slurm import task
from benchmark.executors.on_slurm.task import Task
from benchmark.executors.worker import FAILED
from benchmark.store import RunFolder


@pytest.fixture
def clock(monkeypatch):
    """A time that passes only when it is told to, and the limits of the timers that started."""
    clock = SimpleNamespace(now=1000.0, limits=[])

    def timer(limit: float, *_: object) -> SimpleNamespace:
        clock.limits.append(limit)
        return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr(task, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(task, "threading", SimpleNamespace(Timer=timer))
    monkeypatch.setattr(task, "run_job", lambda *_, **__: 0)
    monkeypatch.setattr(task, "signal", SimpleNamespace(signal=lambda *_: None, SIGTERM=15))
    return clock


def test_the_timeout_goes_on_where_a_requeued_task_left_it(make_cell, tmp_path, clock):
    one = Task(Job(make_cell(), tmp_path, {}), timeout=100.0)
    for seconds in (40.0, 45.0, 30.0):
        one()
        clock.now += seconds
        one = one.checkpoint().function
        clock.now += 5000.0  # in the queue
    one()
    assert clock.limits == [100.0, 60.0, 15.0, 0.0]
    assert one.timeout == 100.0


def test_a_task_without_a_timeout_starts_no_timer(make_cell, tmp_path, clock):
    one = Task(Job(make_cell(), tmp_path, {}))
    assert one() == 0
    assert clock.limits == []


def test_a_run_over_its_time_is_a_failure_that_names_the_whole_limit(
    make_cell, tmp_path, monkeypatch
):
    ended = threading.Event()
    ends: list[int] = []

    def end(code: int) -> None:
        ends.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(task, "run_job", lambda *_, **__: ended.wait(60) - 1)
    before = signal.getsignal(signal.SIGTERM)
    try:
        Task(Job(make_cell(), tmp_path, {}), timeout=7200.0, used=7199.99)()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "ended after 2 h, the limit" in (RunFolder(tmp_path).failure() or {})["error"]
    assert ends == [FAILED]
