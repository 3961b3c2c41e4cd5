"""Which of our losses a picture shows: named ones, or each that is registered."""

from __future__ import annotations

from typing import Any

import losses
from benchmark.experiment.loss_spec import NamedLoss
from losses.adapters import Kind
from losses.sums import SumOfLosses

REGISTERS: dict[Kind, dict[str, Any]] = {"box": losses.BOX, "mask": losses.MASK}

Entry = tuple[str, str, dict[str, Any]]
"""Label, registered name and options of a loss."""


def pick(kind: Kind, *entries: Entry) -> list[NamedLoss]:
    """Losses of ours, in the order given."""
    return [
        NamedLoss(label=label, loss=losses.get(name, **options), kind=kind, registered=True)
        for label, name, options in entries
    ]


def each(kind: Kind) -> list[NamedLoss]:
    """Every registered loss of the kind at its default options, by name.

    Left out are weighted sums, which look like whatever their terms are.
    """
    names = (
        name for name, cls in sorted(REGISTERS[kind].items()) if not issubclass(cls, SumOfLosses)
    )
    return pick(kind, *((name, name, {}) for name in names))
