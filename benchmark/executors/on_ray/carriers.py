"""How code, data and results get from the runner to a node and back, with a shared disk or without.

With one, a node imports the project from the clone's path and trains in the run folder. Without,
Ray copies the clone's code to it, and run folders travel as bytes.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from benchmark import environment
from benchmark.executors.base import Job
from benchmark.executors.on_ray.node import Shipped, train_shared, train_shipped
from benchmark.executors.on_ray.parcel import deliver, pack
from benchmark.store import RunFolder
from datasets.base import DATA_VARIABLE
from datasets.cache import open_cached

ROOT = Path(__file__).parents[3]


class Carrier(ABC):
    """See the module.

    Attributes:
        train: what a node does: ``train(job, inbox, ticket, cargo)``.
    """

    train: Callable[..., tuple[int, bytes]]

    @abstractmethod
    def runtime_env(self) -> dict[str, Any]:
        """How the processes on the nodes find this project, in Ray's words."""

    @abstractmethod
    def hold(self, folder: RunFolder) -> AbstractContextManager[bool]:
        """What the runner holds while a run is under way; False where another run has it."""

    @abstractmethod
    def cargo(self, job: Job) -> Any:
        """What goes along with a job.

        Raises:
            ValueError: it is too large.
        """

    @abstractmethod
    def deliver(self, folder: RunFolder, files: bytes) -> None:
        """Take the packed run folder that a node sent.

        Raises:
            DatasetError, ValueError: it is damaged or too large.
        """


class SharedDisk(Carrier):
    """The nodes see the clone, the results and the cache at the runner's paths."""

    train = staticmethod(train_shared)

    def runtime_env(self) -> dict[str, Any]:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}}

    def hold(self, folder: RunFolder) -> AbstractContextManager[bool]:
        folder.path.mkdir(parents=True, exist_ok=True)
        return nullcontext(True)  # the node locks it

    def cargo(self, job: Job) -> str:
        return os.getcwd()

    def deliver(self, folder: RunFolder, files: bytes) -> None:
        """Nothing: the files are there."""


class Shipping(Carrier):
    """The nodes see nothing of the runner's disk."""

    train = staticmethod(train_shipped)

    def __init__(self) -> None:
        described = environment.describe(torch.device("cpu"))
        self._code = {key: described[key] for key in ("commit", "changes")}

    def runtime_env(self) -> dict[str, Any]:
        others = [path.name for path in ROOT.iterdir() if path.name not in environment.CODE]
        excludes = [*(f"/{name}" for name in others), "__pycache__/"]  # as in a .gitignore
        return {"working_dir": str(ROOT), "excludes": excludes}

    def hold(self, folder: RunFolder) -> AbstractContextManager[bool]:
        return folder.lock()

    def cargo(self, job: Job) -> Shipped:
        return Shipped(
            files=pack(job.folder),
            data=os.environ.get(DATA_VARIABLE),
            fingerprints={name: open_cached(path).fingerprint for name, path in job.splits.items()},
            code=self._code,
        )

    def deliver(self, folder: RunFolder, files: bytes) -> None:
        deliver(files, folder.path)
