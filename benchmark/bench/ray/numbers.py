"""Every number that the runs of a store came to, but for times, digit by digit."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.bench.faults_grid import TIMED_COLUMNS
from benchmark.store import Store
from benchmark.store.recorded import SECONDS

NOT_RESULTS = frozenset({*SECONDS, "schema"})
"""Keys of ``metrics.json``: times, and the form of the file."""


def numbers(store: Store) -> dict[str, str]:
    """``RUN: FILE: key/key`` -> the value as it is written; texts and nulls count as well."""
    found: dict[str, str] = {}
    for run in sorted(path.parent for path in store.path.glob("runs/*/metrics.json")):
        outcome = _read(run / "metrics.json")
        outcome = {key: value for key, value in outcome.items() if key not in NOT_RESULTS}
        files = {"metrics.json": outcome, "history.csv": _history(run / "history.csv")}
        if (run / "details.json").exists():
            files["details.json"] = _read(run / "details.json")
        for name, content in files.items():
            found |= {f"{run.name}: {name}: {key}": text for key, text in _leaves(content, "")}
    return found


def differing(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Names of the numbers that are missing or others; more than was expected may be there.

    What only ``found`` has was not yet measured when ``expected`` was trained.
    """
    return [name for name, text in expected.items() if found.get(name) != text]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)


def _history(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["epoch"]: {key: text for key, text in row.items() if key not in TIMED_COLUMNS}
        for row in rows
    }


def _leaves(content: Any, place: str) -> Iterator[tuple[str, str]]:
    """(keys on the way, text) of each value that holds no others."""
    if isinstance(content, dict):
        items: list[tuple[Any, Any]] = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    else:
        yield place, str(content)
        return
    for key, value in items:
        yield from _leaves(value, f"{place}/{key}" if place else str(key))
