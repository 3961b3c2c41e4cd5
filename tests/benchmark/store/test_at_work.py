"""Whether a command is at work on a results folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmark.store.at_work import at_work, is_at_work

ROOT = Path(__file__).parents[3]


def test_several_can_be_at_work_and_each_counts(tmp_path):
    store = tmp_path / "new"
    assert not is_at_work(store)
    assert not store.exists()
    with at_work(store):
        with at_work(store):
            assert is_at_work(store)
        assert is_at_work(store)
    assert not is_at_work(store)


def test_a_command_that_was_killed_is_no_longer_at_work(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from benchmark.store.at_work import at_work\n"
        "with at_work(Path(sys.argv[1])): print('in', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    assert is_at_work(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not is_at_work(tmp_path)
