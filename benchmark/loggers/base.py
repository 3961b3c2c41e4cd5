"""What a logger is, and the register of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmark.experiment.cell import CellConfig
from benchmark.options import UserError, look_up


class RunLogger(ABC):
    """Takes the epochs of one run to somewhere; see :class:`benchmark.training.loop.EpochLog`.

    Args:
        cell: the run's configuration.
        folder: the run's folder.
    """

    def __init__(self, cell: CellConfig, folder: Path) -> None:
        self.cell = cell
        self.folder = folder

    @staticmethod
    def missing() -> str:
        """What must be installed before it can be used, or an empty text."""
        return ""

    @abstractmethod
    def row(self, epoch: int, row: dict[str, float]) -> None:
        """The history's row of an epoch, 0 for the untrained model.

        The first call of a process may be for an epoch that an earlier process told already.
        """

    @abstractmethod
    def close(self, outcome: dict[str, Any]) -> None:
        """The run has ended with this outcome, as ``metrics.json`` has it."""


LOGGERS: dict[str, type[RunLogger]] = {}
"""Name in the experiment file -> class."""


def register_logger(name: str) -> Callable[[type[RunLogger]], type[RunLogger]]:
    """Make a class known by ``name``."""

    def register(cls: type[RunLogger]) -> type[RunLogger]:
        LOGGERS[name] = cls
        return cls

    return register


def check_loggers(names: Sequence[str]) -> None:
    """Whether an experiment's ``logging`` can be had here.

    Raises:
        UserError: a name is unknown or stands there twice, or what it needs is not installed.
    """
    for place, name in enumerate(names):
        missing = look_up(LOGGERS, name, "logger", f"logging.{place}").missing()
        if missing:
            raise UserError(f"logging.{place}: '{name}' needs {missing}")
        if name in names[:place]:
            raise UserError(f"logging.{place}: '{name}' stands there twice")
