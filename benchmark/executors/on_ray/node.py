"""What Ray runs: a cell on a node, and beside the runner the box that takes its news.

Nothing here is Ray's; :mod:`benchmark.executors.on_ray.runs` makes tasks and an actor of it.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from benchmark.executors.base import Job
from benchmark.executors.on_ray.parcel import deliver, pack
from benchmark.executors.worker import run_job
from benchmark.options import UserError
from benchmark.store import RunFolder, write_json
from benchmark.training.loop import Progress
from datasets.base import DATA_VARIABLE
from datasets.cache import open_cached

CACHE_VARIABLE = "LOSSBENCH_CACHE"


@dataclass(frozen=True)
class Ticket:
    """One attempt at one job, so that what a lost one still says is not taken for another's.

    Attributes:
        job: its place in the list of jobs.
        attempt: 0 for the first.
    """

    job: int
    attempt: int


@dataclass
class News:
    """What runs said since the runner last asked.

    Attributes:
        started: attempts that have begun, and the names of the machines they are on.
        progress: in the order of arrival.
        folders: of each attempt the latest packed run folder.
    """

    started: dict[Ticket, str] = field(default_factory=dict)
    progress: list[tuple[Ticket, Progress]] = field(default_factory=list)
    folders: dict[Ticket, bytes] = field(default_factory=dict)


class Inbox:
    """An actor on the runner's machine, there for as long as the runner is."""

    def __init__(self) -> None:
        self._news = News()

    def begin(self, ticket: Ticket, machine: str) -> None:
        self._news.started[ticket] = machine

    def tell(self, ticket: Ticket, progress: Progress) -> None:
        self._news.progress.append((ticket, progress))

    def keep(self, ticket: Ticket, folder: bytes) -> None:
        self._news.folders[ticket] = folder

    def take(self) -> News:
        """What has come in; from then on it is the caller's."""
        news, self._news = self._news, News()
        return news


@dataclass(frozen=True)
class Shipped:
    """What goes along with a job to a node that does not see the runner's disk.

    Attributes:
        files: the run folder so far, packed; empty for a run that has not begun.
        data: the runner's folder of data sets, for nodes that have not set their own.
        fingerprints: split -> that of its decoded samples.
        code: ``commit`` and ``changes`` of the runner's clone, of which nodes get a copy.
    """

    files: bytes
    data: str | None
    fingerprints: dict[str, str]
    code: dict[str, Any]


def train_shared(job: Job, inbox: Any, ticket: Ticket, cwd: str) -> tuple[int, bytes]:
    """Train in the run folder itself, as a process on the runner's machine would.

    Args:
        inbox: handle of the actor.
        cwd: the runner's working folder: relative paths in the configuration start there.

    Returns:
        The exit code of :func:`benchmark.executors.worker.run_job`, and nothing to deliver.

    Raises:
        UserError: this machine lacks the folder, or the device.
    """
    inbox.begin.remote(ticket, _machine())
    if not job.folder.is_dir() or not os.path.isdir(cwd):
        raise UserError(
            f"{platform.node()} does not see {job.folder} of the machine where `run` was called; "
            "share the folder among all nodes, or set executor.shared=false"
        )
    os.chdir(cwd)
    _check_device(job.device)

    def watch(progress: Progress) -> None:
        inbox.tell.remote(ticket, progress)

    return run_job(job, watch, log=True), b""


def train_shipped(job: Job, inbox: Any, ticket: Ticket, shipped: Shipped) -> tuple[int, bytes]:
    """Train in a temporary folder on data decoded here.

    Returns:
        The exit code, and the run folder, packed.

    Raises:
        UserError: this machine lacks the device or the data, or its data are others.
    """
    inbox.begin.remote(ticket, _machine())
    if shipped.data is not None:
        os.environ.setdefault(DATA_VARIABLE, shipped.data)
    _check_device(job.device)
    splits = _decode(job, shipped.fingerprints)
    with own_folder() as temporary:
        folder = RunFolder(temporary / "run")
        if shipped.files:
            deliver(shipped.files, folder.path)
        here = replace(job, folder=folder.path, splits=splits)
        code = run_job(here, _keeping_checkpoints(folder, inbox, ticket), log=True)
        described = folder.environment()
        if described is not None:  # the copy of the code has no history of commits
            write_json(folder.path / "environment.json", {**described, **shipped.code})
        return code, pack(folder.path)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A temporary folder for as long as the block lasts.

    Those of processes on this machine that were killed, as happens to a run that is called off,
    are removed first: nobody holds their locks any more.
    """
    place = _temporary("runs")
    place.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        with FileLock(place / ".lock"):  # a new folder is not taken for one that was left
            for left in [path for path in place.iterdir() if path.is_dir()]:
                with RunFolder(left).lock() as nobodys:
                    if nobodys:
                        shutil.rmtree(left)
            folder = Path(tempfile.mkdtemp(dir=place))
            held.enter_context(RunFolder(folder).lock())
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _temporary(what: str) -> Path:
    """This user's folder of that kind among the temporary files of the machine."""
    return Path(tempfile.gettempdir()) / f"lossbench-{what}-{os.getuid()}"


def _keeping_checkpoints(
    folder: RunFolder, inbox: Any, ticket: Ticket
) -> Callable[[Progress], None]:
    """Send the progress, and after each epoch the run folder, from which another node goes on."""
    sent = _written(folder.checkpoint)

    def watch(progress: Progress) -> None:
        nonlocal sent
        inbox.tell.remote(ticket, progress)
        written = _written(folder.checkpoint)
        if written != sent:
            sent = written
            _wait(inbox.keep.remote(ticket, pack(folder.path)))

    return watch


def _machine() -> str:
    """Where this process is: the machine's name, and the first digits of Ray's id of the node."""
    import ray

    return f"{platform.node()}, node {ray.get_runtime_context().get_node_id()[:8]}"


def _wait(message: Any) -> None:
    """So that no two folders of a run are on their way at a time."""
    import ray

    ray.get(message)


def _written(path: Path) -> tuple[int, int] | None:
    """What changes whenever a file is replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _decode(job: Job, fingerprints: dict[str, str]) -> dict[str, Path]:
    """Decode the job's data on this machine, once for all runs here.

    Raises:
        UserError: the data cannot be read, or are not those that the runner has.
    """
    from benchmark.runner import open_dataset, prepare_splits  # it imports the executors

    part = job.cell.dataset
    cache = Path(os.environ.get(CACHE_VARIABLE, _temporary("cache")))
    try:
        found = prepare_splits(open_dataset(part), job.cell.train.image_size, cache)
    except UserError as error:
        raise UserError(f"{error} (on {platform.node()})") from None
    for split, expected in fingerprints.items():
        if open_cached(found[split]).fingerprint != expected:
            raise UserError(
                f"data set '{part.label}': the {split} split on {platform.node()} is not that of "
                "the machine where `run` was called; copy the data set there again"
            )
    return {split: found[split] for split in job.splits}


def _check_device(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{platform.node()}: torch sees no GPU there")
