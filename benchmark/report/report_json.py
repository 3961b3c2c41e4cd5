"""The report for programs: one JSON file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.report.headline import headlines
from benchmark.report.tables.breakdowns import breakdown_frame
from benchmark.statistics import GROUP
from benchmark.store import write_text

SCHEMA_VERSION = 1
"""Grows when a key is renamed, removed or changes its meaning; new keys leave it."""


def write_json(data: ReportData, summary: pd.DataFrame, path: Path) -> Path:
    """Write :func:`report_mapping` to ``path``; the same data give the same bytes."""
    content = json.dumps(
        report_mapping(data, summary),
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    write_text(path, f"{content}\n")
    return path


def report_mapping(data: ReportData, summary: pd.DataFrame) -> dict[str, Any]:
    """What ``report.json`` holds; the keys come in this order.

    Metrics and differences are fractions from 0 to 1, times are seconds; what has no value is
    null. A row is a mapping of column -> value.

    - ``schema_version``: :data:`SCHEMA_VERSION`.
    - ``name``, ``description``: of the experiment.
    - ``headlines``: ``task, dataset, model, lead, text, kind``; ``lead`` is the part of the text
      to quote.
    - ``baselines``: task -> label of the loss that the others are compared with.
    - ``summary``: a row a loss of every (task, data set, model), best first; see
      :func:`benchmark.statistics.summarise`.
    - ``runs``: a row a run; see :class:`benchmark.report.data.ReportData`.
    - ``tuning``: a row a tuning run.
    - ``targets``: ``task, dataset, model, metric, value`` of those the experiment fixed.
    - ``breakdowns``: ``task, dataset, model, breakdown`` and ``columns``, column -> list of
      values, of each; see :func:`benchmark.report.tables.breakdowns.breakdown_frame`. Columns
      that a breakdown does not have are absent.
    - ``environments``: ``environment`` as the runs recorded it; ``cells``, their folders' names.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "name": data.name,
        "description": data.description,
        "headlines": [
            {
                "task": line.task,
                "dataset": line.dataset,
                "model": line.model,
                "lead": line.lead,
                "text": line.text,
                "kind": line.kind,
            }
            for line in headlines(data, summary)
        ],
        "baselines": dict(zip(summary["task"], summary["baseline"], strict=True)),
        "summary": _rows(summary),
        "runs": _rows(data.runs),
        "tuning": _rows(data.tuning),
        "targets": [
            {"task": task, "dataset": dataset, "model": model, "metric": metric, "value": value}
            for (task, dataset, model), wanted in data.targets.items()
            for metric, value in wanted.items()
        ],
        "breakdowns": _breakdowns(data, summary),
        "environments": _environments(data),
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = _columns(frame)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Column -> its values in Python's own types, None for what has none."""
    return {
        str(name): [None if _is_missing(value) else value for value in frame[name].tolist()]
        for name in frame
    }


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _breakdowns(data: ReportData, summary: pd.DataFrame) -> list[dict[str, Any]]:
    keys = [*GROUP, "breakdown"]
    return [
        {
            **dict(zip(keys, key, strict=True)),
            "columns": _columns(rows.drop(columns=keys).dropna(axis="columns", how="all")),
        }
        for key, rows in breakdown_frame(data, summary).groupby(keys, sort=False)
    ]


def _environments(data: ReportData) -> list[dict[str, Any]]:
    """Each distinct environment once, with the runs that were made in it."""
    found: list[dict[str, Any]] = []
    for cell, environment in data.environments.items():
        same = next((one for one in found if one["environment"] == environment), None)
        if same is None:
            same = {"environment": environment, "cells": []}
            found.append(same)
        same["cells"].append(cell)
    return found
