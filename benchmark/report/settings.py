"""How the runs of a table were set: what all of them share, and what is a loss's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

PER_RUN = frozenset({"repetition", "tuned"})
"""Keys that say which run it is, or repeat what stands in other keys."""


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with keys joined by dots; other values, lists too, stay whole."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def shown(value: Any) -> str:
    """A value of a configuration in one line: text as it is, all else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def split_settings(configs: Iterable[Mapping[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """What all configurations have alike, and the keys in which some differ.

    Args:
        configs: ``config.yaml`` of runs, as mappings. What their loss is, and :data:`PER_RUN`,
            is left out.

    Returns:
        Dotted key -> value as text, and the dotted keys of what differs; a key that some
        configurations lack is among the latter.
    """
    own = [
        {key: shown(value) for key, value in flat(_without_loss(config)).items()}
        for config in configs
    ]
    keys = list(dict.fromkeys(key for settings in own for key in settings))
    alike = {key: own[0].get(key, "") for key in keys if len({s.get(key) for s in own}) == 1}
    return alike, [key for key in keys if key not in alike]


def _without_loss(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "loss" and key not in PER_RUN}


def loss_settings(
    configs: Iterable[Mapping[str, Any]], differing: Iterable[str]
) -> dict[str, list[str]]:
    """What the runs of one loss were made with, as columns of a table.

    Args:
        configs: ``config.yaml`` of the loss's runs.
        differing: dotted keys outside the loss to show as well.

    Returns:
        Column (``name``, ``weight``, ``options``, ``version`` and the keys) -> its distinct values
        as text, in the order of the runs; more than one where runs of the loss differ.
    """
    columns: dict[str, dict[str, None]] = {}
    for config in configs:
        loss, others = config.get("loss", {}), flat(config)
        options = loss.get("options") or {}
        row = {
            "name": loss.get("name", ""),
            "weight": f"{loss.get('weight', 1.0)}".removesuffix(".0"),
            "options": " ".join(f"{key}={shown(value)}" for key, value in options.items()),
            "version": _version(loss),
            **{key: others.get(key, "") for key in differing},
        }
        for name, value in row.items():
            columns.setdefault(name, {})[shown(value)] = None
    return {name: list(values) for name, values in columns.items()}


def _version(loss: Mapping[str, Any]) -> str:
    """Version of the loss's code, and of each term where it is a sum."""
    versions = [loss.get("version", 1), *(loss.get("term_versions") or [])]
    return " + ".join(map(str, versions))
