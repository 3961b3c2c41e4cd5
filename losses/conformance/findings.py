"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..adapters import AdaptedBoxLoss, AdaptedMaskLoss
from ..base import BoxLoss, MaskLoss

Level = Literal["hard", "soft", "information"]
Status = Literal["ok", "violated", "declared"]
AnyLoss = BoxLoss | MaskLoss
Run = Callable[[AnyLoss], str]


@dataclass(frozen=True)
class Finding:
    """Outcome of one check.

    Attributes:
        check: name of the check.
        level: ``"hard"``: no loss may violate it; ``"soft"``: a weakness to know of;
            ``"information"``: a property, neither good nor bad.
        status: ``"ok"``, ``"violated"``, or ``"declared"`` where the loss says of itself that it
            does not promise this.
        detail: what was measured and on what input.
    """

    check: str
    level: Level
    status: Status
    detail: str

    @property
    def violated(self) -> bool:
        return self.status == "violated"


class Violation(Exception):
    """A check does not hold; the message says what was measured on which input.

    Attributes:
        level: a level of its own in this case; None for that of the check.
    """

    def __init__(self, detail: str, level: Level | None = None) -> None:
        super().__init__(detail)
        self.level = level


class Declared(Exception):
    """The loss declares that it does not promise this; the message says what was measured."""


@dataclass(frozen=True)
class Check:
    """One property that losses are held against.

    Attributes:
        name: how findings refer to it.
        meaning: what holds where it is fulfilled, one line.
        level: its level for losses with this project's interface.
        level_adapted: its level for losses of other projects, which promise less.
        run: returns what was measured, or raises :class:`Violation` or :class:`Declared`.
        applies: whether the check has a meaning for a loss.
    """

    name: str
    meaning: str
    level: Level
    level_adapted: Level
    run: Run
    applies: Callable[[AnyLoss], bool]

    def __call__(self, loss: AnyLoss) -> Finding:
        """Run it; an exception that the loss raises is a finding, not an error."""
        level = self.level_adapted if is_adapted(loss) else self.level
        try:
            return Finding(self.name, level, "ok", self.run(loss))
        except Declared as reason:
            return Finding(self.name, level, "declared", str(reason))
        except Violation as violation:
            return Finding(self.name, violation.level or level, "violated", str(violation))
        except Exception as error:  # a stranger's loss may raise anything
            return Finding(self.name, level, "violated", raised(error))


CHECKS: dict[str, Check] = {}
"""Every check by its name, in the order in which they are run."""


def _always(loss: AnyLoss) -> bool:
    return True


def register(
    name: str,
    level: Level,
    *,
    adapted: Level | None = None,
    applies: Callable[[AnyLoss], bool] = _always,
) -> Callable[[Run], Run]:
    """Function decorator: add a check; its docstring's first line is the check's meaning.

    Args:
        name: name of the check.
        level: its level.
        adapted: its level for losses of other projects; the same by default.
        applies: whether it has a meaning for a loss.
    """

    def add(run: Run) -> Run:
        meaning = (run.__doc__ or "").partition("\n")[0]
        CHECKS[name] = Check(name, meaning, level, adapted or level, run, applies)
        return run

    return add


def is_adapted(loss: AnyLoss) -> bool:
    """Whether the loss is another project's, called through an adapter."""
    return isinstance(loss, AdaptedBoxLoss | AdaptedMaskLoss)


def raised(error: Exception) -> str:
    """``raised ValueError: ...``, the first line of the message only."""
    first = str(error).strip().partition("\n")[0]
    return f"raised {type(error).__name__}: {first[:160]}"


def joined(parts: list[str], shown: int = 4) -> str:
    """The parts as text, the first few of them if they are many."""
    more = len(parts) - shown
    return "; ".join(parts[:shown]) + (f"; and {more} more" if more > 0 else "")
