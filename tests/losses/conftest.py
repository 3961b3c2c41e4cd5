"""Every registered loss, in combinations of its choices, as fixtures."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import losses


def choices(hint: Any) -> list[Any] | None:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [False, True] if hint is bool else None


MOST_COMBINATIONS = 8


def combinations(options: dict[str, list[Any]], defaults: dict[str, Any]) -> list[dict[str, Any]]:
    """All combinations; of many, the defaults with one changed at a time, and with all changed."""
    found = [dict(zip(options, values, strict=True)) for values in product(*options.values())]
    if len(found) <= MOST_COMBINATIONS:
        return found
    others = {name: [v for v in values if v != defaults[name]] for name, values in options.items()}
    changed = [{name: value} for name, values in others.items() for value in values]
    return [{}, *changed, {name: values[-1] for name, values in others.items() if values}]


def variants(register: dict[str, Any]) -> list[Any]:
    """A parameter for combinations of the Literal and bool options of each loss."""
    found = []
    for name, cls in register.items():
        hints = get_type_hints(cls)
        options = {f.name: values for f in fields(cls) if (values := choices(hints[f.name]))}
        defaults = {field.name: field.default for field in fields(cls)}
        for chosen in combinations(options, defaults):
            # Smoothing of the denominator alone makes even a perfect match cost smooth / total.
            extra = {"smooth": 1e-9} if chosen.get("smooth_in") == "denominator" else {}
            label = "-".join([name, *(f"{key}={value}" for key, value in chosen.items())])
            found.append(pytest.param(cls(**chosen, **extra), id=label))
    return found


@pytest.fixture(params=variants(losses.BOX))
def box_loss(request):
    return request.param


@pytest.fixture(params=variants({k: v for k, v in losses.BOX.items() if v.space == "boxes"}))
def iou_loss(request):
    return request.param


@pytest.fixture(params=variants(losses.MASK))
def mask_loss(request):
    return request.param
