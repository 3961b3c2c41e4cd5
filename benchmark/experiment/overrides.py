"""Dotted overrides of an experiment file: ``train.epochs=4``, ``matrix.boxes.losses.0=giou``."""

from __future__ import annotations

from typing import Any

import yaml

from benchmark.options import UserError
from datasets.yaml_text import parse_yaml


def apply_override(content: dict[str, Any], word: str) -> None:
    """Set ``a.b.0.c=value`` in place.

    ``train.*``, ``tune.*`` and ``repetitions`` are the defaults of every block, so an override of
    one of them also takes the place of what single blocks say.
    """
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise UserError(f"override '{word}': must read key.path=value")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"override '{word}': the value is not YAML: {one_line(error)}") from None
    steps = key.split(".")
    _set(content, steps, value, word)
    if steps[0] in ("train", "tune", "repetitions") and isinstance(content.get("matrix"), dict):
        for block in content["matrix"].values():
            _forget(block, steps)


def _set(node: Any, steps: list[str], value: Any, word: str) -> None:
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(node, list):
            position: Any = _position(step, len(node), ".".join(steps[:depth]), word)
        elif isinstance(node, dict):
            position = step
            if not last and node.get(step) is None:
                node[step] = {}
        else:
            where = ".".join(steps[:depth])
            raise UserError(f"override '{word}': {where} is the value {node!r} and has no keys")
        if last:
            node[position] = value
        else:
            node = node[position]


def _position(step: str, length: int, where: str, word: str) -> int:
    """A step into a list; of more digits than any list is long, no number is made at all."""
    if length == 0:
        raise UserError(f"override '{word}': {where} is an empty list; give it whole")
    if not step.isdecimal() or len(step) > 9 or int(step) >= length:
        raise UserError(
            f"override '{word}': {where} is a list of {length}; "
            f"'{step}' must be a number from 0 to {length - 1}"
        )
    return int(step)


def _forget(node: Any, steps: list[str]) -> None:
    for step in steps[:-1]:
        node = node.get(step) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(steps[-1], None)


def one_line(error: Exception) -> str:
    """The message of an error without its line breaks."""
    return " ".join(str(error).split())
