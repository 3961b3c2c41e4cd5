"""A loss as a user writes it: a registered name, or any callable as ``module:attribute``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import yaml

from benchmark.attributes import find_attribute
from benchmark.experiment.entries import Entry, Term
from benchmark.options import UserError, build, look_up, resolve_options, suggest
from datasets.yaml_text import parse_yaml
from losses import BOX, CLASSIFICATION, MASK, BoxLoss, MaskLoss
from losses.adapters import LAYOUTS, AdapterError, Inputs, Kind, adapt
from losses.base import Space
from losses.sums import SumOfLosses

CALLING: dict[str, tuple[str, ...]] = {
    "space": get_args(Space),
    "inputs": get_args(Inputs),
    "layout": tuple(LAYOUTS),
}
"""Keys of a ``module:attribute`` that say how it is called, with what each may be."""

IMPLIED: dict[str, Kind] = {"space": "box", "inputs": "mask", "layout": "mask"}
"""The kind of loss that a key of :data:`CALLING` is for."""


@dataclass(frozen=True)
class NamedLoss:
    """A loss and what it is called in tables.

    Attributes:
        label: the ``label`` that was given, or the name and its options: ``focal gamma=5``.
        kind: ``"box"`` or ``"mask"``.
        registered: whether it is one of this project's.
    """

    label: str
    loss: BoxLoss | MaskLoss
    kind: Kind
    registered: bool


def load_loss(text: str, kind: Kind | None = None) -> NamedLoss:
    """Read a loss from YAML, as experiment files have it, but for the ``weight`` of an entry.

    Args:
        text: a registered name (``ciou``), a mapping (``{name: focal, gamma: 5}``),
            a weighted sum (``{sum: [bce, {name: dice, weight: 2}]}``),
            ``module:attribute`` (``torchvision.ops:complete_box_iou_loss``,
            ``my_loss.py:MyLoss``), or a mapping whose ``name`` is that. Besides the loss's own
            options a mapping may hold ``label``, ``kind`` and, with ``module:attribute``, the
            keys of :data:`CALLING` (see :func:`losses.adapters.adapt`).
        kind: ``"box"`` or ``"mask"`` where the loss's kind cannot be seen from the loss.

    Raises:
        UserError: names what is wrong in ``text`` and what is allowed.
    """
    entry = _parse(text)
    options = entry.options
    kind = _choice(text, options, "kind", get_args(Kind)) or kind
    if ":" not in entry.name:
        loss = _registered(entry.name, options, text)
        _require_kind(text, loss, kind)
    else:
        calling = {key: _choice(text, options, key, allowed) for key, allowed in CALLING.items()}
        chosen = {key: value for key, value in calling.items() if value is not None}
        kind = kind or next((IMPLIED[key] for key in chosen), None)
        try:
            loss = adapt(find_attribute(entry.name, "loss"), options, kind=kind, **chosen)
        except AdapterError as error:
            raise UserError(f"loss '{text}': {error}") from None
    shown = Entry(name=entry.name, label=entry.label, **options).shown
    return NamedLoss(
        label=shown,
        loss=loss,
        kind="box" if isinstance(loss, BoxLoss) else "mask",
        registered=":" not in entry.name,
    )


def _parse(text: str) -> Entry:
    try:
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"loss '{text}': is not valid YAML: {reason}") from None
    content = {"name": content} if isinstance(content, str) else content
    if isinstance(content, dict) and "sum" in content:
        content = _sum(content, text)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(
            f"loss '{text}': must be a name, module:attribute, or a mapping such as "
            "{name: focal, gamma: 5}"
        )
    for key in ("name", "label"):
        value = content.get(key)
        if not (isinstance(value, str) and value) and not (key == "label" and value is None):
            raise UserError(f"loss '{text}': {key} must be text, got {value!r}")
    return Entry(**content)


def _sum(content: dict[Any, Any], text: str) -> dict[Any, Any]:
    """``{sum: [bce, {name: dice, weight: 2}]}`` as the sum of box or of mask losses that it is."""
    rest = {key: value for key, value in content.items() if key != "sum"}
    if "name" in rest:
        raise UserError(f"loss '{text}': must have a name or a sum, not both")
    terms = content["sum"]
    if not isinstance(terms, list) or not terms:
        raise UserError(f"loss '{text}': sum must be a list of losses, got {terms!r}")
    terms = [{"name": term} if isinstance(term, str) else term for term in terms]
    for i, term in enumerate(terms):
        named = isinstance(term, dict) and isinstance(term.get("name"), str)
        if not named or not all(isinstance(key, str) for key in term):
            raise UserError(
                f"loss '{text}': sum.{i} must be a name or a mapping such as "
                f"{{name: dice, weight: 2}}, got {term!r}"
            )
    of_boxes = terms[0]["name"] in BOX
    known: dict[str, type[BoxLoss] | type[MaskLoss]] = {**BOX} if of_boxes else {**MASK}
    name = next(name for name, cls in known.items() if issubclass(cls, SumOfLosses))
    label = rest.pop("label", None) or " + ".join(Term(**term).shown for term in terms)
    return {"name": name, "label": label, **rest, "terms": terms}


def _choice(text: str, options: dict[str, Any], key: str, allowed: tuple[str, ...]) -> Any:
    """Take ``key`` out of the options; None where it is not given."""
    if key not in options:
        return None
    value = options.pop(key)
    if value not in allowed:
        raise UserError(
            f"loss '{text}': {key} must be one of {', '.join(allowed)}, got {value!r}"
            f"{suggest(value, allowed)}"
        )
    return value


def _registered(name: str, options: dict[str, Any], text: str) -> BoxLoss | MaskLoss:
    path = f"loss '{text}'"
    check_measured(name, path)
    known: dict[str, type[BoxLoss] | type[MaskLoss]] = {**BOX, **MASK}
    cls = look_up(known, name, "loss", path)
    return build(cls, resolve_options(cls, options, path), path)


def check_measured(name: str, path: str) -> None:
    """Losses of classes stand in experiments; no command calls them alone.

    Raises:
        UserError: ``name`` is one.
    """
    if name in CLASSIFICATION:
        raise UserError(
            f"{path}: '{name}' is a loss of classes; only losses of boxes and of masks are "
            "measured alone"
        )


def _require_kind(text: str, loss: BoxLoss | MaskLoss, kind: Kind | None) -> None:
    own = "box" if isinstance(loss, BoxLoss) else "mask"
    if kind not in (None, own):
        raise UserError(f"loss '{text}': is a {own} loss, not a {kind} loss")
