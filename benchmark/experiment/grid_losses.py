"""The losses of an experiment's cells: what may stand at which place of the models."""

from __future__ import annotations

from typing import Any

from benchmark.experiment.cell import CellLoss
from benchmark.experiment.config import Block
from benchmark.experiment.entries import LossEntry, Term
from benchmark.models import ACTIVATIONS, Kind, find_model, losses_for
from benchmark.options import UserError, build, look_up, resolve_options, suggest
from benchmark.tasks import TASKS
from losses import CLASSIFICATION
from losses.schedule import Schedule
from losses.sums import SumOfLosses

BESIDE_PARTS = ("weight", "label")
"""Keys of a loss that is several, besides its parts."""


def common_places(block: Block, path: str) -> dict[str, Kind]:
    """The places at which every model of the block takes a loss, ``box`` for all of boxes."""
    each = [find_model(model.name, path).places for model in block.models]
    common = {
        place: kind
        for place, kind in each[0].items()
        if all(places.get(place) == kind for places in each)
    }
    if all("box" in places.values() for places in each):
        common = {"box": "box", **common}
    return common


def plan_loss(task: str, entry: LossEntry, places: dict[str, Kind], path: str) -> CellLoss:
    """The loss of a cell: one of the task's, or several at places of the block's models.

    Args:
        task: of the block.
        entry: the loss as the experiment file has it.
        places: see :func:`common_places`.
        path: of the loss's key in the experiment file, for messages.

    Raises:
        UserError: there is no such loss or place, or the one does not go with the other.
    """
    if entry.parts is None:
        return _plain(task, entry, places, path)
    if not places:
        plain = ", ".join(part.shown for part in entry.parts.values())
        raise UserError(
            f"{path}: the {task} models of the block have no places in common at which a loss "
            f"could stand; use a plain list, such as losses: [{plain}]"
        )
    for key in entry.options:
        raise UserError(
            f"{path}.{key}: unknown key{suggest(key, BESIDE_PARTS)}; allowed beside `parts`: "
            f"{', '.join(BESIDE_PARTS)}"
        )
    parts = {}
    for place, part in entry.parts.items():
        here = f"{path}.parts.{place}"
        if place not in places:
            raise UserError(
                f"{here}: no such place{suggest(place, places)}; every model of the block takes a "
                f"loss at: {', '.join(places) or 'none'}"
            )
        _check_activation(places[place], part.name, here)
        parts[place] = _single(losses_for(places[place]), f"{places[place]} loss", part, here)
    return CellLoss(name="parts", label=entry.shown, weight=entry.weight, parts=parts)


def _check_activation(kind: Kind, name: str, path: str) -> None:
    """A loss of classes that cannot stand here is known all the same."""
    if kind in ACTIVATIONS and name in CLASSIFICATION and name not in losses_for(kind):
        own = " and ".join(sorted(CLASSIFICATION[name].activations))
        raise UserError(
            f"{path}: '{name}' works with {own} scores, but here the model's are {kind}; allowed: "
            f"{', '.join(sorted(losses_for(kind)))}"
        )


def _plain(task: str, entry: LossEntry, places: dict[str, Kind], path: str) -> CellLoss:
    """A loss named without a place; where the task has several kinds, its own kind decides."""
    name = entry.sum[0].name if entry.sum else entry.name
    _check_needs_no_place(name, places, path)
    for place, kind in TASKS[task].plain_places.items():
        register = losses_for(kind)
        if name in register:
            loss = _single(register, f"{kind} loss", entry, path)
            part = loss.model_copy(update={"weight": 1.0})
            return CellLoss(name="parts", label=loss.label, weight=loss.weight, parts={place: part})
    return _single(TASKS[task].losses(), f"{task} loss", entry, path)


def _check_needs_no_place(name: str, places: dict[str, Kind], path: str) -> None:
    """A loss of classes stands at a place that must be said."""
    if name not in CLASSIFICATION:
        return
    of_classes = [place for place, kind in places.items() if kind in ACTIVATIONS]
    if of_classes:
        place = "classification" if "classification" in of_classes else of_classes[0]
        raise UserError(
            f"{path}: '{name}' is a loss of classes; say where it stands: "
            f"{{parts: {{{place}: {name}}}}}"
        )
    raise UserError(
        f"{path}: '{name}' is a loss of classes, for which the block's models have no place in "
        "common"
    )


def _single(register: dict[str, Any], kind: str, entry: LossEntry, path: str) -> CellLoss:
    name, given, versions = entry.name, entry.options, []
    if entry.sum is None:
        cls = look_up(register, name, kind, path)
        if issubclass(cls, SumOfLosses):
            raise UserError(f"{path}: write a sum as {{sum: [...]}}, a list of losses")
    else:
        found = _sum_in(register)
        if found is None:
            raise UserError(f"{path}: a {kind} cannot be a sum")
        name, cls = found
        terms = [_term(register, t, kind, f"{path}.sum.{i}") for i, t in enumerate(entry.sum)]
        given = {**given, "terms": terms}
        versions = [register[term["name"]].version for term in terms]
    options = resolve_options(cls, given, path, beside=("weight", "label"))
    build(cls, options, path)
    return CellLoss(
        name=name,
        label=entry.shown,
        options=options,
        weight=entry.weight,
        version=cls.version,
        term_versions=versions,
    )


def _sum_in(register: dict[str, Any]) -> tuple[str, type[SumOfLosses]] | None:
    """Name and class of the sum among some losses."""
    return next(((n, cls) for n, cls in register.items() if issubclass(cls, SumOfLosses)), None)


def _term(register: dict[str, Any], term: Term, kind: str, path: str) -> dict[str, Any]:
    """One term of a sum, its loss's options resolved."""
    cls = look_up(register, term.name, kind, path)
    if issubclass(cls, SumOfLosses):
        raise UserError(f"{path}: a sum cannot be part of a sum; list its terms here")
    options = resolve_options(cls, term.options, path, beside=["weight"])
    build(cls, options, path)
    try:
        weight = Schedule.of(term.weight).resolved()
    except ValueError as error:
        raise UserError(f"{path}.weight: {error}") from None
    return {"name": term.name, "weight": weight, **options}
