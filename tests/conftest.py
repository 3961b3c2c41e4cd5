"""Fixtures that many tests share."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Nothing is timed in tests: on a busy machine any example may take longer than a deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

ROOT = Path(__file__).parents[1]


def _has_slurm() -> bool:
    """Whether there is a Slurm here, of this machine alone: no test troubles a real cluster."""
    if shutil.which("sinfo") is None:
        return False
    asked = subprocess.run(["sinfo", "-h", "-N", "-o", "%n"], capture_output=True, text=True)
    return asked.stdout.split() == [socket.gethostname().partition(".")[0]]


def _may_mount() -> bool:
    """Whether this process may mount a file system, as root in most containers may not."""
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            return False
        subprocess.run(["umount", place], check=True)
        return True


NEEDS: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "slurm": _has_slurm,
    "mount": _may_mount,
}
"""Marker -> whether this machine has what its tests need."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of what this machine lacks are left out."""
    for marker, is_there in NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not is_there():
            config.hook.pytest_deselected(items=marked)
            items[:] = [item for item in items if item not in marked]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """What runs use by default; results with several threads may differ in the last bit."""
    torch.set_num_threads(1)


@pytest.fixture
def data_folder() -> Path:
    """Folder with real public data sets, from the environment variable LOSSBENCH_DATA."""
    folder = os.environ.get("LOSSBENCH_DATA")
    if not folder:
        pytest.skip("LOSSBENCH_DATA names no folder with real data sets")
    return Path(folder)


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command line in a subprocess, in a folder of its own."""

    def call(*words: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        )

    return call
