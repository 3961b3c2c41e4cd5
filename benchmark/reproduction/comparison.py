"""Two trainings of one cell side by side: what they have alike, and how far apart they may be.

In one environment every value must be the same, bit for bit. In another one (other processor,
other version of torch) sums are rounded otherwise, and training carries that on: how far has been
measured, see :class:`Tolerances`.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.options import UserError
from benchmark.store import RunFolder

MEASURED = Path(__file__).parents[2] / "results" / "reference" / "reproduction" / "tolerances.csv"
"""Written by ``run.py bench reproduction``."""
TIMES = frozenset({"seconds", "images_per_second"})
"""Columns of a history that are other ones every time."""
FIRST_LOSS = "loss of epoch 1"
MARGIN = 2.0
"""A limit is so many times the largest difference measured: of a few runs, the next one may well
lie further apart than any of them."""
FLOOR = 1e-6
"""The smallest limit of a value that was measured, whether or not any run showed a difference."""


def numbers(folder: RunFolder, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What must agree of a run: its status, every metric, and the loss of its first epoch.

    Args:
        outcome: that of the folder.
    """
    found = {
        "status": outcome["status"],
        **outcome.get("metrics", {}),
        **{f"validation {k}": v for k, v in outcome.get("validation", {}).items()},
        **{f"untrained {k}": v for k, v in outcome.get("untrained", {}).items()},
        **{f"trivial {k}": v for k, v in outcome.get("trivial", {}).items()},
        **{f"diverged at {k}": v for k, v in outcome.get("diverged_at", {}).items()},
    }
    losses = {row["epoch"]: row.get("loss_total") for row in folder.history()}
    return found | ({FIRST_LOSS: losses[1]} if 1 in losses else {})


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the values that are not the same, bit for bit.

    What only ``now`` has was not yet measured when the old run was trained.
    """
    return [name for name in then if not _same(then[name], now.get(name))]


def parting(then: list[dict[str, float]], now: list[dict[str, float]]) -> str | None:
    """Where two histories part, as ``epoch 3, grad_norm``; None where they never do.

    Times are passed over, and columns that only ``now`` has; without a row in ``then``, whose
    file may have been deleted, there is nothing to hold against.
    """
    later = {int(row["epoch"]): row for row in now}
    for row in then:
        epoch = int(row["epoch"])
        for name, value in row.items():
            if name not in TIMES and not _same(value, later.get(epoch, {}).get(name)):
                return f"epoch {epoch}, {name}"
    added = sorted(later.keys() - {int(row["epoch"]) for row in then})
    return f"epoch {added[0]}, epoch" if then and added else None


def _same(then: Any, now: Any) -> bool:
    """Equal, or both NaN, as the loss of a run that diverged."""
    return bool(then == now or (then != then and now != now))


def gap(name: str, then: Any, now: Any) -> float | None:
    """How far two values are apart; None where that cannot be said in numbers.

    Metrics lie in 0..1 and are subtracted; of a loss, which has a scale of its own, it is the
    share of the old value.
    """
    if not all(isinstance(value, int | float) for value in (then, now)):
        return None
    if name != FIRST_LOSS:
        return abs(now - then)
    return abs(now - then) / abs(then) if then else None


def _measurements(file: Path) -> list[tuple[frozenset[str], str, float]]:
    """What was changed, the kind of value and its largest difference, of each row."""
    if not file.exists():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as handle:
            return [
                (frozenset(row["changed"].split()), row["value"], float(row["largest"]))
                for row in csv.DictReader(handle)
            ]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(
            f"{file}: is damaged ({error!r}); measure it again with `run.py bench reproduction`, "
            "or delete it: then all values must be equal"
        ) from None


def family(name: str) -> str:
    """The name with ``<class>`` for the class that a metric is of: one limit holds for all."""
    metric, of_class, _ = name.partition("/")
    return f"{metric}/<class>" if of_class else name


@dataclass(frozen=True)
class Tolerances:
    """How far values may lie apart between environments, by what was measured.

    Attributes:
        limits: :func:`family` of a value -> the largest :func:`gap` allowed: :data:`MARGIN` times
            the largest that was measured, and no less than :data:`FLOOR`.
        unmeasured: what changed and was changed in no measurement; then there are no limits.
    """

    limits: Mapping[str, float]
    unmeasured: tuple[str, ...] = ()

    @classmethod
    def measured(cls, changed: Collection[str], file: Path = MEASURED) -> Tolerances:
        """Those of a ``tolerances.csv`` for environments that differ in the properties ``changed``.

        Where one of these was changed in no measurement, or without the file, there are none: all
        must be equal.

        Raises:
            UserError: the file is damaged.
        """
        limits: dict[str, float] = {}
        kinds: set[str] = set()
        for row_kinds, value, largest in _measurements(file):
            if not row_kinds.isdisjoint(changed):
                kinds |= row_kinds
                limits[value] = max(limits.get(value, FLOOR), MARGIN * largest)
        unmeasured = tuple(name for name in changed if name not in kinds)
        return cls({} if unmeasured else limits, unmeasured)

    def allow(self, name: str, then: Any, now: Any) -> bool:
        """Whether two values are no further apart than environments explain."""
        apart, limit = gap(name, then, now), self.limits.get(family(name))
        return apart is not None and limit is not None and apart <= limit
