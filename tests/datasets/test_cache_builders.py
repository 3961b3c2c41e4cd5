"""Processes that build a cache: two at once, and one that is killed."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.cache import prepare
from datasets.shapes import Shapes

BUILD = """
    import os, signal, sys, time
    from pathlib import Path
    from datasets.cache import prepare
    from datasets.shapes import Shapes

    cache, go, die_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    steps = []
    def progress(done, total):
        steps.append(done)
        if done == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
    go.with_name(f"ready-{os.getpid()}").touch()
    while not go.exists():
        time.sleep(0.001)
    cached = prepare(Shapes(train=60, size=32), "train", (32, 32), cache, progress)
    print(len(steps), cached.image(59).sum())
"""


def start_builder(cache: Path, go: Path, die_at: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-c", textwrap.dedent(BUILD), str(cache), str(go), str(die_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_build_once(tmp_path):
    cache, go = tmp_path / "cache", tmp_path / "go"
    builders = [start_builder(cache, go) for _ in range(2)]
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert all(builder.poll() is None for builder in builders)
        time.sleep(0.01)
    go.touch()
    results = sorted(builder.communicate(timeout=60)[0].split() for builder in builders)
    assert [int(steps) for steps, _ in results] == [0, 60]
    assert results[0][1] == results[1][1]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_what_a_killed_builder_left_is_not_taken_for_whole(tmp_path):
    cache, go = tmp_path / "cache", tmp_path / "go"
    go.touch()
    builder = start_builder(cache, go, die_at=30)
    assert builder.wait(timeout=60) == -signal.SIGKILL
    left = [path.name for path in cache.iterdir() if path.is_dir()]
    assert len(left) == 1
    assert left[0].endswith(".building")
    steps = []
    dataset = Shapes(train=60, size=32)
    cached = prepare(dataset, "train", (32, 32), cache, lambda done, total: steps.append(done))
    assert len(steps) == 60
    np.testing.assert_array_equal(cached.image(59), dataset.load("train-00059").image)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [cached.folder.name]
