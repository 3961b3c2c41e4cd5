"""The form of what a run leaves: whether its JSON files can be read on.

The checks look at names, types and lengths, so that whoever reads a run later need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from benchmark.experiment.plain_words import shown
from datasets.base import SPLITS
from datasets.classes import CONTROL

STATUSES = ("done", "diverged")
"""How a run can end."""
METRICS = ("metrics", "validation", "untrained", "trivial")
SECONDS = ("seconds", "train_seconds")
VERSION = 1
"""Of ``details.json``."""
NUMBER = (int, float, NoneType)
"""A number in JSON, or null for NaN."""
LARGEST = 2**53
"""A whole number beyond is none that was measured, and no float holds all its digits."""


@dataclass(frozen=True)
class Form:
    """What a breakdown consists of.

    Attributes:
        lists: key -> how many more entries it has than the other lists.
        numbers: keys with a number.
        optional: those of them that may be absent.
    """

    lists: dict[str, int]
    numbers: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


CURVE = Form({"x": 0, "y": 0})
GROUPED = Form({"group": 0, "value": 0, "count": 0}, optional=("count",))
FORMS = {
    "by_iou": CURVE,
    "by_threshold": CURVE,
    "by_size": GROUPED,
    "by_aspect": GROUPED,
    "by_share": GROUPED,
    "by_class": GROUPED,
    "thresholds": GROUPED,
    "localisation": Form(
        {"edges": 1, "count": 0}, numbers=("matched", "objects", "mean"), optional=("mean",)
    ),
    "calibration": Form(
        {"edges": 1, "count": 0, "confidence": 0, "accuracy": 0},
        numbers=("ece",),
        optional=("ece",),
    ),
}


def outcome_fault(outcome: Mapping[str, Any]) -> str:
    """What is wrong with the content of ``metrics.json``; "" where nothing is."""
    if outcome.get("status") not in STATUSES:
        return f"'status' must be one of {', '.join(STATUSES)}, not {shown(outcome.get('status'))}"
    for key in (*METRICS, "diverged_at"):
        if not isinstance(outcome.get(key, {}), dict):
            return f"'{key}' must be a mapping"
    for key in METRICS:
        for name, value in outcome.get(key, {}).items():
            if not _is_number(value):
                return f"'{key}.{name}' must be a number or null, not {shown(value)}"
    for key in SECONDS:
        if not _is_number(outcome.get(key)):
            return f"'{key}' must be a number or null, not {shown(outcome[key])}"
    for name in ("epoch", "step") if "diverged_at" in outcome else ():
        if type(outcome["diverged_at"].get(name)) is not int:
            return f"'diverged_at.{name}' must be a whole number"
    return ""


def failure_fault(failure: Mapping[str, Any]) -> str:
    """What is wrong with the content of ``failure.json``; "" where nothing is."""
    for key in ("error", "traceback"):
        if not isinstance(failure.get(key), str):
            return f"'{key}' must be text"
    return ""


def environment_fault(environment: Mapping[str, Any]) -> str:
    """What is wrong with the content of ``environment.json``; "" where nothing is."""
    if not isinstance(environment.get("packages", {}), dict):
        return "'packages' must be a mapping"
    threads = environment.get("threads", 1)
    if type(threads) is not int or threads < 1:
        return f"'threads' must be a whole number from 1, not {shown(threads)}"
    evaluator = environment.get("evaluator", "")
    if not isinstance(evaluator, str):
        return f"'evaluator' must be a name, not {shown(evaluator)}"
    return _data_fault(environment.get("data"))


def _data_fault(data: Any) -> str:
    """Of the fingerprints by split; null and absent mean that there were none yet."""
    if data is None:
        return ""
    if not isinstance(data, dict):
        return f"'data' must be a mapping, not {shown(data)}"
    for split, seen in data.items():
        if split not in SPLITS:
            return f"'data' knows {', '.join(SPLITS)}, not {shown(split)}"
        if not isinstance(seen, str):
            return f"'data.{split}' must be text, not {shown(seen)}"
    return ""


def streams_fault(streams: Mapping[str, Any]) -> str:
    """What is wrong with the content of ``streams.json``; "" where nothing is."""
    if not isinstance(streams.get("weights"), str):
        return "'weights' must be text"
    rows = streams.get("epochs")
    if not isinstance(rows, list):
        return "'epochs' must be a list"
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            return f"'epochs.{place}' must be a mapping"
        if type(row.get("epoch")) is not int:
            return f"'epochs.{place}.epoch' must be a whole number"
        for key in ("batches", "images"):
            if not isinstance(row.get(key), str):
                return f"'epochs.{place}.{key}' must be text"
    return ""


def _is_number(value: Any) -> bool:
    """Whether it is null or a number that a float can be made of."""
    return type(value) in NUMBER and (type(value) is not int or abs(value) < LARGEST)


def details_fault(details: Mapping[str, Any]) -> str:
    """What is wrong with the content of ``details.json``; "" where nothing is.

    Breakdowns may be absent or null.
    """
    if details.get("version") != VERSION:
        return f"'version' must be {VERSION}, not {shown(details.get('version'))}"
    curves = details.get("precision_recall")
    if not isinstance(curves, dict | NoneType):
        return "'precision_recall' must be a mapping"
    named = [(name, details.get(name), form) for name, form in FORMS.items()]
    named += [(f"precision_recall.{name}", curve, CURVE) for name, curve in (curves or {}).items()]
    faults = (_fault(name, part, form) for name, part, form in named if part is not None)
    return next(filter(None, faults), "")


def _fault(name: str, breakdown: Any, form: Form) -> str:
    if not isinstance(breakdown, dict):
        return f"'{name}' must be a mapping"
    for key in (*form.lists, *form.numbers):
        if key not in breakdown and key not in form.optional:
            return f"'{name}' lacks '{key}'"
    for key in form.numbers:
        if type(breakdown.get(key)) not in NUMBER:
            return f"'{name}.{key}' must be a number or null"
    lengths = {}
    for key, more in form.lists.items():
        if key not in breakdown:
            continue
        entries, allowed = breakdown[key], (str,) if key == "group" else NUMBER
        kind = "names" if key == "group" else "numbers"
        if not isinstance(entries, list) or not set(map(type, entries)) <= set(allowed):
            return f"'{name}.{key}' must be a list of {kind}"
        if key == "group" and any(map(CONTROL.search, entries)):
            return f"'{name}.{key}' must be a list of names without control characters"
        lengths[key] = len(entries) - more
    if len(set(lengths.values())) > 1:
        return f"the lists of '{name}' ({', '.join(lengths)}) differ in length"
    return ""
