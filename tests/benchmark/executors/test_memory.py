"""The memory guard: what is free, what runs hold, and whether one more fits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmark.executors import Job
from benchmark.executors import memory as module
from benchmark.executors.memory import AT_FIRST, MemoryGuard, available_memory, private_memory

GB = 10**9


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 8 GB available and control groups as a test writes them."""
    available = type("Memory", (), {"available": 8 * GB})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)

    def write(own: str, files: dict[str, object]) -> int:
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            file = tmp_path / "groups" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")
        return available_memory(tmp_path / "own", tmp_path / "groups")

    return write


def test_without_control_groups_the_system_decides(machine, tmp_path):
    assert machine("", {}) == 8 * GB
    assert available_memory(tmp_path / "no file", tmp_path) == 8 * GB


def test_a_control_group_limits(machine):
    # 4 GB may be held, 3 are, of which 1.5 are pages of files that can be dropped.
    files = {
        "job/memory.max": 4 * GB,
        "job/memory.current": 3 * GB,
        "job/memory.stat": f"anon {GB}\nactive_file {GB}\ninactive_file {GB // 2}\nshmem 5",
    }
    assert machine("0::/job\n", files) == 2.5 * GB


def test_the_tightest_of_the_groups_above_limits(machine):
    groups = {"": ("max", 0), "job": (2 * GB, 0), "job/step": (6 * GB, 0)}
    files: dict[str, object] = {}
    for name, (limit, used) in groups.items():
        files[f"{name or '.'}/memory.max"] = limit
        files[f"{name or '.'}/memory.current"] = used
    assert machine("0::/job/step\n", files) == 2 * GB


def test_a_group_over_its_limit_leaves_nothing(machine):
    files = {"memory.max": GB, "memory.current": 2 * GB, "memory.stat": ""}
    assert machine("0::/\n", files) == 0


def test_groups_of_version_one_where_the_container_sees_its_own_as_the_root(machine):
    files = {
        "memory/memory.limit_in_bytes": 3 * GB,
        "memory/memory.usage_in_bytes": 2 * GB,
        "memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {GB}\ntotal_active_file 0",
    }
    own = "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/docker/1\n"
    assert machine(own, files) == 2 * GB


def test_of_a_real_process_its_own_pages_are_counted_and_its_children_s():
    child = (
        "import sys; block = bytearray(60_000_000); print('ready', flush=True); sys.stdin.read()"
    )
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', "
        f"{child!r}]); child.wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert 60_000_000 < private_memory(process.pid) < 120_000_000
    process.communicate()
    assert private_memory(process.pid) == 0


@pytest.fixture
def jobs(make_cell):
    """Three of one kind, and one on larger images."""
    cells = [make_cell(repetition=i) for i in range(3)] + [make_cell(image_size=[128, 128])]
    return [Job(cell, Path(f"run{i}"), {}) for i, cell in enumerate(cells)]


def guard(free: int, held: dict[int, int], given: int | None = None) -> MemoryGuard:
    return MemoryGuard(given, lambda: free, held.__getitem__)


def test_a_given_amount_is_waited_for(jobs):
    roomy, narrow = guard(2 * GB, {}, 2 * GB), guard(2 * GB - 1, {}, 2 * GB)
    assert roomy.lacking(jobs[0], []) == ""
    assert narrow.lacking(jobs[0], []) == "a run takes about 2.0 GB of memory, and less is free"


def test_what_runs_at_work_have_yet_to_take_is_kept_for_them(jobs):
    found = guard(3 * GB, {11: GB // 2}, 2 * GB)
    found.look({jobs[0].folder: 11})
    # 3 GB are free; the one at work holds 0.5 of its 2 GB, so 1.5 of them are its.
    assert found.lacking(jobs[1], [jobs[0]])
    found.available = lambda: 3 * GB + GB // 2
    assert found.lacking(jobs[1], [jobs[0]]) == ""


def test_a_run_that_takes_more_than_was_thought_frees_nothing(jobs):
    found = guard(2 * GB, {11: 5 * GB}, 2 * GB)
    found.look({jobs[0].folder: 11})
    assert found.lacking(jobs[1], [jobs[0]]) == ""


def test_the_peak_of_runs_before_is_what_the_next_are_taken_to_need(jobs, monkeypatch):
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    held = {11: 3 * GB}
    found = guard(0, held)
    assert found.estimate(jobs[0]) == AT_FIRST
    found.look({jobs[0].folder: 11})
    held[11] = GB
    found.look({jobs[0].folder: 11})
    assert found.estimate(jobs[1]) == AT_FIRST  # the run may not have come to its peak
    found.settle(jobs[0])
    found.forget(jobs[0])
    assert [found.estimate(job) for job in jobs] == [3 * GB] * 4  # of no other kind is more known
    found.look({jobs[3].folder: 11})
    found.settle(jobs[3])
    assert [found.estimate(job) for job in jobs] == [3 * GB] * 3 + [GB]


def test_a_run_too_short_to_be_measured_tells_nothing(jobs):
    found = guard(0, {})
    found.settle(jobs[0])
    assert found.estimate(jobs[1]) == AT_FIRST
