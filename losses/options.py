"""Checks of a loss's options: their types, as annotated, and their ranges."""

from __future__ import annotations

import math
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check_types(loss: Any) -> None:
    """Hold every option of the dataclass ``loss`` against its annotation.

    A list, which is what a YAML file has, passes for a tuple.

    Raises:
        ValueError: names the option, what is allowed and the value it got.
    """
    hints = get_type_hints(type(loss))
    for field in fields(loss):
        if not field.init:
            continue  # state, not an option
        value = getattr(loss, field.name)
        require(_fits(value, hints[field.name]), field.name, _describe(hints[field.name]), value)


def require(condition: bool, option: str, allowed: str, value: object) -> None:
    """Raise ``ValueError("{option} must be {allowed}, got {value}")`` unless ``condition``."""
    if not condition:
        raise ValueError(f"{option} must be {allowed}, got {value!r}")


def _fits(value: object, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint))
    if origin in (Union, UnionType):
        return any(_fits(value, member) for member in get_args(hint))
    if origin is tuple:  # of any length, all of one type
        item_hint = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(item, item_hint) for item in value)
    if isinstance(value, bool):  # a bool is an int to Python, and not meant as a number here
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, origin or hint)


def _describe(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if origin in (Union, UnionType):
        return " or ".join(_describe(member) for member in get_args(hint))
    if origin is tuple:
        return f"a list, each of it {_describe(get_args(hint)[0])}"
    if origin is dict:
        return "a mapping"
    names = {
        float: "a finite number",
        int: "a whole number",
        bool: "true or false",
        str: "text",
        NoneType: "null",
    }
    return names.get(hint, str(hint))
