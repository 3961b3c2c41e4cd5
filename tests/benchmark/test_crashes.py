"""Whatever ends a `run`, the next one completes the grid with the same numbers."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from benchmark.bench.faults_grid import differences, results
from benchmark.store import Store

ROOT = Path(__file__).parents[2]
SHAPES = {"name": "shapes", "size": 32, "train": 16, "val": 4, "test": 4, "num_classes": 2}
EXPERIMENT = {
    "name": "tiny",
    "train": {"epochs": 3, "batch_size": 4, "image_size": 32},
    "tune": {"weights": [0.5, 1.0], "epochs": 2},
    "matrix": {
        "masks": {
            "task": "segmentation",
            "losses": ["bce", "dice"],
            "datasets": [SHAPES],
            "models": [{"name": "tiny_unet", "width": 4}],
        }
    },
}
TABLES = ["--report", "tables"]  # charts take longer than these runs
SAME = {"lost": [], "extra": [], "different": []}
JUMPING_CLOCK = """
import itertools, time
true, calls = time.time, itertools.count()
def jumping():
    return true() + (-1e8, 0.0, 1e8)[next(calls) % 3]
time.time = jumping
"""
STARVED_RUNS = """
import os, resource, sys
def starve():
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 9 * 2**20, size + 9 * 2**20))
if any("forkserver" in word for word in sys.orig_argv):
    os.register_at_fork(after_in_child=starve)
"""
"""Lets each process that the fork server starts have 9 MB more than it began with."""
DROP_CAPABILITY, OVERRIDE, READ_SEARCH = 24, 1, 2
"""PR_CAPBSET_DROP, and what lets root write where the permissions say no."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """A folder with the experiment, run to its end."""
    place = tmp_path_factory.mktemp("undisturbed")
    done = wait(start(place))
    assert done.returncode == 0, done.stdout
    return place


def start(place: Path, before: Callable[[], None] = lambda: None, **environment: str):
    """The command line at work in ``place``, leader of a group as in a terminal.

    Args:
        before: called in the new process, before the program.
    """

    def prepare() -> None:
        # What was started in the background of a script ignores Ctrl-C, and so would its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        before()

    (place / "tiny.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "run", "tiny.yaml", "--workers", "2", *TABLES],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
    )


def wait(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    output, _ = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def store(place: Path) -> Store:
    return Store(place / "results/tiny")


def assert_completes(place: Path, undisturbed: Path, **environment: str) -> str:
    """`run` again, and hold what came of it against the undisturbed grid; its output."""
    done = wait(start(place, **environment))
    assert done.returncode == 0, done.stdout
    expected = results(store(undisturbed))
    assert len(expected) >= 6
    assert differences(expected, results(store(place))) == SAME
    return done.stdout


def reached(place: Path) -> dict[str, Callable[[int], bool]]:
    """Stage -> whether the process with a given id is there, or past it."""
    base = place / "results"

    def loads_torch(pid: int) -> bool:
        return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()

    return {
        "planning": loads_torch,
        "decoding": lambda pid: (base / ".cache").exists(),
        "tuning": lambda pid: any(base.glob("tiny/tuning/*/checkpoint.pt")),
        "training": lambda pid: any(base.glob("tiny/runs/*/checkpoint.pt")),
        "reporting": lambda pid: len(list(base.glob("tiny/runs/*/metrics.json"))) == 2,
    }


def test_ctrl_c_at_every_stage(tmp_path, undisturbed):
    for stage, is_there in reached(tmp_path).items():
        process = start(tmp_path)
        deadline = time.monotonic() + 200
        while not is_there(process.pid):
            assert process.poll() is None, (stage, process.stdout and process.stdout.read())
            assert time.monotonic() < deadline, stage
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes get it
        done = wait(process)
        assert done.returncode == 130, (stage, done.stdout)
        assert "stopped" in done.stdout, stage
        assert "Traceback" not in done.stdout, (stage, done.stdout)
    assert_completes(tmp_path, undisturbed)


def test_damaged_runs_are_trained_again_and_a_jumping_clock_changes_nothing(tmp_path, undisturbed):
    shutil.copytree(undisturbed / "results", tmp_path / "results")
    first, second = sorted((tmp_path / "results/tiny/runs").iterdir())
    tuned = sorted((tmp_path / "results/tiny/tuning").iterdir())
    for file, size in {
        first / "metrics.json": 200,
        second / "history.csv": 500,
        tuned[0] / "metrics.json": 100,
        tuned[1] / "config.yaml": 300,
        tuned[2] / "environment.json": 50,
        first.parents[1] / "cells.txt": 30,
        first.parents[1] / "experiment.yaml": 100,
    }.items():
        os.truncate(file, size)
    (tmp_path / "sitecustomize.py").write_text(JUMPING_CLOCK)
    output = assert_completes(tmp_path, undisturbed, PYTHONPATH=str(tmp_path))
    for folder, name in {
        first: "metrics.json",
        second: "history.csv",
        tuned[0]: "metrics.json",
        tuned[2]: "environment.json",
    }.items():
        assert f"{folder.relative_to(tmp_path)}: {name}; the run is trained again" in output
        assert (tmp_path / "results/tiny/damaged" / folder.name / name).exists()
    configs = [
        place / "results/tiny/tuning" / tuned[1].name / "config.yaml"
        for place in (tmp_path, undisturbed)
    ]
    assert configs[0].read_text() == configs[1].read_text()


def test_runs_that_exhaust_the_memory(tmp_path, undisturbed):
    shutil.copytree(undisturbed / "results/.cache", tmp_path / "results/.cache")
    (tmp_path / "sitecustomize.py").write_text(STARVED_RUNS)
    done = wait(start(tmp_path, PYTHONPATH=str(tmp_path)))
    assert done.returncode == 1, done.stdout
    assert "4 run(s) without a result" in done.stdout
    assert not list((tmp_path / "results/tiny").rglob("metrics.json"))
    assert_completes(tmp_path, undisturbed)


def small_files() -> None:
    """Let no file grow over 8 kB: a checkpoint does not fit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def without_privilege() -> None:
    """Make root heed permissions too; others do anyway."""
    for capability in (OVERRIDE, READ_SEARCH):
        ctypes.CDLL(None).prctl(DROP_CAPABILITY, capability, 0, 0, 0)


def test_files_over_a_limit(tmp_path, undisturbed):
    shutil.copytree(undisturbed / "results/.cache", tmp_path / "results/.cache")
    done = wait(start(tmp_path, small_files))
    assert done.returncode == 1, done.stdout
    assert re.search(r"OSError: .*File too large: '.*checkpoint\.pt'", done.stdout), done.stdout
    assert not list((tmp_path / "results/tiny").rglob("checkpoint.pt"))
    assert_completes(tmp_path, undisturbed)


def test_a_folder_that_cannot_be_written(tmp_path, undisturbed):
    (tmp_path / "results").mkdir(mode=0o555)
    done = wait(start(tmp_path, without_privilege))
    assert done.returncode == 2, done.stdout
    assert "error:" in done.stdout
    assert "results" in done.stdout
    assert "Permission denied" in done.stdout
    assert "Traceback" not in done.stdout
    (tmp_path / "results").chmod(0o755)
    assert_completes(tmp_path, undisturbed)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system with room for the cache and little more."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.mount
def test_a_full_disk(small_disk, undisturbed):
    done = wait(start(small_disk))
    assert done.returncode in (1, 2), done.stdout
    assert "No space left" in done.stdout or "disk filled up" in done.stdout, done.stdout
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    assert_completes(small_disk, undisturbed)
