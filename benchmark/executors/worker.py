"""What happens inside the process of one cell.

The fork server imports this module once, and with it torch and all else that training needs,
so that starting a run costs a fork and no import.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import connection, parent_process
from typing import Any

# Without it cuBLAS may add in another order each time; read when CUDA starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch

from benchmark import environment
from benchmark.executors.base import Job
from benchmark.executors.gpus import VISIBLE
from benchmark.loggers import LOGGERS
from benchmark.options import UserError
from benchmark.store import RunFolder
from benchmark.training.loop import Progress, train_cell
from datasets.cache import open_cached

FAILED = 1
BUSY = 75
"""Exit code of a process that found its cell in the hands of another one."""


def work(job: Job, channel: connection.Connection, gpu: str | None, nice: int) -> None:
    """Train the job's cell and exit; progress goes through the channel.

    Args:
        gpu: the one that this process is to see, as :data:`gpus.VISIBLE` names it; None for all.
        nice: added to this process's niceness.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's, which ends us
    os.nice(nice)
    if gpu is not None:
        os.environ[VISIBLE] = gpu
    _die_with_parent()

    def watch(progress: Progress) -> None:
        # A runner that stopped listening ends this process through `_die_with_parent`.
        with contextlib.suppress(BrokenPipeError):
            channel.send(progress)

    sys.exit(run_job(job, watch, log=True))


def run_job(job: Job, watch: Callable[[Progress], None], log: bool = False) -> int:
    """Train the job's cell in this process, unless another one is at work on it.

    Args:
        watch: called with the progress of the run.
        log: send this process's output to the run's log from then on.

    Returns:
        An exit code: 0 where the run has ended, now or before, :data:`FAILED` where its folder
        says why it failed, :data:`BUSY`.
    """
    folder = RunFolder(job.folder)
    with folder.lock() as mine:
        if not mine:
            return BUSY
        if folder.outcome() is not None:
            return 0
        if log:
            _log_to(folder)
            if job.device == "cuda" and VISIBLE in os.environ:
                print(f"sees GPU {os.environ[VISIBLE]}", flush=True)
        return _train(job, folder, watch)


def _train(job: Job, folder: RunFolder, watch: Callable[[Progress], None]) -> int:
    try:
        torch.set_num_threads(job.threads)
        device = torch.device(job.device)
        splits = {name: open_cached(path) for name, path in job.splits.items()}
        data = {name: split.fingerprint for name, split in splits.items()}
        described = {**environment.describe(device), "evaluator": job.evaluator, "data": data}
        _forget_other_environment(folder, described)
        folder.begin(job.cell, described)
        loggers = [LOGGERS[name](job.cell, job.folder) for name in job.logging]
        train_cell(
            job.cell,
            splits,
            folder,
            device,
            watch,
            job.loader_workers,
            job.trivial,
            loggers,
            job.evaluator,
        )
    except UserError as error:  # its text is all that the user needs to see
        print(error, file=sys.stderr)
        folder.fail(str(error))
        return FAILED
    except Exception as error:
        traceback.print_exc()
        folder.fail(f"{type(error).__name__}: {error}", traceback.format_exc())
        return FAILED
    return 0


def _forget_other_environment(folder: RunFolder, described: dict[str, Any]) -> None:
    """Remove a checkpoint of epochs that other rounding made, and say so.

    The results of a run are those of one environment, the one that is written down.
    """
    if not folder.checkpoint.exists():
        return
    try:
        known = folder.environment()
    except UserError:  # cut short
        known = None
    if known is None:
        reasons = ["environment.json does not tell it"]
    else:
        changed = environment.differences(known, described)
        reasons = [
            f"{key}: then {changed[key][0]}, now {changed[key][1]}"
            for key in environment.rounds_otherwise(changed)
        ]
    if reasons:
        why = "; ".join(reasons)
        print(f"{folder.checkpoint} is of another environment ({why}); starting from epoch 1")
        folder.checkpoint.unlink()


def _die_with_parent() -> None:
    """End this process when the runner is gone, so that none trains on unseen."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(FAILED)

    threading.Thread(target=wait, daemon=True).start()


def _log_to(folder: RunFolder) -> None:
    """Send this process's output, native libraries' too, to the end of the run's log."""
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
