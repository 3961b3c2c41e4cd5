"""What pydantic finds wrong with a value, in the words of people who write YAML."""

from __future__ import annotations

import functools
import operator
import reprlib
import typing
from types import NoneType, UnionType
from typing import Annotated, Any

from pydantic import BeforeValidator

PLAINLY = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_type": "must be a whole number",
    "invalid_key": "keys must be text",
    "list_type": "must be a list",
    "model_type": "must be a mapping",
    "string_pattern_mismatch": "must be letters, digits, '.', '_' and '-', a letter or digit first",
    "string_too_short": "must not be empty",
    "string_type": "must be text; quotes make it that",
    "too_short": "must not be empty",  # no key asks for two
}
"""Kinds of fault that pydantic would tell in terms of Python. Only names have a pattern."""

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = _shortener.maxlong = 80


def in_words(kind: str, message: str, value: Any) -> str:
    """One fault: what the value must be, and what it is.

    Args:
        kind: pydantic's name of the fault.
        message: pydantic's own, or that of a check of ours.
        value: that was given; cut where it is long.
    """
    told = PLAINLY.get(kind, message)
    told = told.removeprefix("Value error, ").removeprefix("Input ")
    # A check of a mapping, which may be the whole file, names the value inside that is at fault.
    if kind == "value_error" and isinstance(value, dict):
        return told
    return f"{told}, got {shown(value)}"


def shown(value: Any) -> str:
    """A value for a message, cut where it is long or deep."""
    return _shortener.repr(value)


def _no_switch(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


NUMBER = BeforeValidator(_no_switch)
"""For a field with a number: Python, and so pydantic, takes ``true`` for 1."""


def numbers_alone(hint: Any) -> Any:
    """A type whose numbers, at any depth, refuse ``true`` and ``false``, unless it names bool."""
    if hint in (int, float):
        return Annotated[hint, NUMBER]
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        refusing = map(numbers_alone, members)
        return hint if bool in members else functools.reduce(operator.or_, refusing)
    if origin is Annotated:
        return Annotated[(numbers_alone(members[0]), *members[1:])]
    if origin in (list, tuple, dict):
        return origin[tuple(m if m in (..., NoneType) else numbers_alone(m) for m in members)]
    return hint
