"""The fork server: has torch and all else that training needs loaded, and forks each run."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRELOAD = ["benchmark.cli", "benchmark.executors.worker", "benchmark.training.preload"]
CONTEXT = multiprocessing.get_context("forkserver")


def start_server() -> None:
    """Start the fork server where none runs yet, so that it finds what it is to preload.

    The server is a new interpreter that looks for modules in the current folder, which may be any
    (with packages named like ours), and passes over silently what it does not find.
    """
    changed = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONSAFEPATH": "1",
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    resource_tracker.ensure_running()  # here, as it would let the signal through again
    # A terminal sends Ctrl-C to the server too: while it loads, it would print a traceback.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
