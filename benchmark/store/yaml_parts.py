"""YAML of many files that differ in few places: what several hold alike is parsed once.

The configurations of a grid's runs are the same text but for a few lines; parsing them whole took
most of the time of looking at a large grid.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

from datasets.yaml_text import parse_yaml

PART = re.compile(r"^(?=\w+:(?:[ \n]|\Z))", re.MULTILINE | re.ASCII)
"""Where a key of the outermost mapping begins."""
LINKS = ("&", "*", "\n...", "\n---")
"""What reaches beyond its part: anchors, aliases, ends of documents."""
KEPT = 4096
"""Parts remembered."""


def parse_in_parts(text: str) -> Any:
    """As :func:`datasets.yaml_text.parse_yaml`, faster where keys and values were met before.

    Raises:
        yaml.YAMLError: as there.
    """
    first, *parts = PART.split(text)
    if first or not parts or any(link in text for link in LINKS):
        return parse_yaml(text)
    found: dict[Any, Any] = {}
    try:
        for part in parts:
            key, value = _parse(part)
            if key in found:
                return parse_yaml(text)
            found[key] = _copy(value)
    except (yaml.YAMLError, ValueError):
        return parse_yaml(text)  # whose message names the right line
    return found


@lru_cache(maxsize=KEPT)
def _parse(part: str) -> tuple[Any, Any]:
    """The one key and the value of a part; ``ValueError`` where it holds more."""
    ((key, value),) = parse_yaml(part).items()
    return key, value


def _copy(value: Any) -> Any:
    """The value in new lists and mappings, so that changing one result changes no other."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
