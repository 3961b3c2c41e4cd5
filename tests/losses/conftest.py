"""Every registered loss, in every combination of its choices, as fixtures."""

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


def variants(register: dict[str, Any]) -> list[Any]:
    """A parameter for each combination of the Literal and bool options of each loss."""
    found = []
    for name, cls in register.items():
        hints = get_type_hints(cls)
        options = {f.name: values for f in fields(cls) if (values := choices(hints[f.name]))}
        for combination in product(*options.values()):
            chosen = dict(zip(options, combination, strict=True))
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
