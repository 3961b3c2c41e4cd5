"""report.json: its keys, types and order, and that it holds what the frames hold."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from benchmark.report.data import ReportData
from benchmark.report.report_json import SCHEMA_VERSION, write_json
from benchmark.statistics import RUN_COLUMNS, summarise

NUMBER = (int, float, type(None))
SCHEMA = {
    "schema_version": int,
    "name": str,
    "description": str,
    "headlines": [
        {"task": str, "dataset": str, "model": str, "lead": str, "text": str, "kind": str}
    ],
    "baselines": {"detection": str},
    "summary": [{"task": str, "rank": int, "loss": str, "mean": NUMBER, "verdict": str}],
    "runs": [{"task": str, "loss": str, "repetition": int, "status": str, "AP": NUMBER}],
    "tuning": [{"setting": str, "value": NUMBER, "chosen": bool}],
    "targets": [{"task": str, "dataset": str, "model": str, "metric": str, "value": float}],
    "breakdowns": [{"task": str, "breakdown": str, "columns": {"loss": list, "mean": list}}],
    "environments": [{"environment": dict, "cells": list}],
}


def check(content, schema, where="report") -> None:
    """Whether a value has the types of the schema; more keys are allowed below the top."""
    if isinstance(schema, dict):
        assert isinstance(content, dict), where
        for key, inner in schema.items():
            check(content[key], inner, f"{where}.{key}")
    elif isinstance(schema, list):
        assert content, where
        for item in content:
            check(item, schema[0], f"{where}[]")
    else:
        assert isinstance(content, schema), where


@pytest.fixture
def data(make) -> ReportData:
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0, "giou": 0.1}})
    runs.loc[0, ["status", "AP"]] = ["diverged", math.nan]
    tuning = runs[["task", "dataset", "model", "loss", "repetition", "status", "cell"]].assign(
        setting="weight=1", weight=1.0, lr=0.1, options="{}", metric="AP", value=0.5, chosen=True
    )
    details = {
        cell: {"by_size": {"group": ["small", "large"], "count": [3, 4], "value": [0.5, None]}}
        for cell in runs["cell"][1:]
    }
    machine = {"cpu": "one", "packages": {"torch": "2"}}
    return ReportData(
        name="µ",
        description="<b>",
        runs=runs,
        history=history,
        tuning=tuning,
        details=details,
        environments={cell: machine | {"gpu": i > 3} for i, cell in enumerate(runs["cell"])},
        targets={("detection", "bccd", "tiny_fcos"): {"AP": 0.4}},
    )


@pytest.fixture
def written(data, tmp_path):
    path = write_json(data, summarise(data.runs), tmp_path / "new" / "report.json")
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_keys_types_and_order(written):
    assert list(written) == list(SCHEMA)
    check(written, SCHEMA)
    assert written["schema_version"] == SCHEMA_VERSION
    assert (written["name"], written["description"]) == ("µ", "<b>")


def test_rows_are_those_of_the_frames(written, data):
    runs = pd.DataFrame(written["runs"])
    assert runs.columns.tolist() == data.runs.columns.tolist()
    assert written["runs"][0]["AP"] is None
    assert runs["AP"].tolist()[1:] == data.runs["AP"].tolist()[1:]
    summary = summarise(data.runs)
    assert [row["mean"] for row in written["summary"]] == summary["mean"].tolist()
    assert written["baselines"] == {"detection": "iou"}
    assert written["targets"][0]["value"] == 0.4


def test_a_breakdown_holds_only_its_own_columns(written):
    (found,) = written["breakdowns"]
    assert found["breakdown"] == "by_size"
    assert "x" not in found["columns"]
    assert found["columns"]["group"] == ["small", "large"] * 2
    assert found["columns"]["mean"] == [0.5, None] * 2


def test_environments_are_listed_once(written, data):
    assert [e["environment"]["gpu"] for e in written["environments"]] == [False, True]
    assert [cell for e in written["environments"] for cell in e["cells"]] == list(data.environments)


def test_the_same_data_give_the_same_bytes(data, tmp_path):
    one, other = (
        write_json(data, summarise(data.runs), tmp_path / name).read_bytes() for name in "ab"
    )
    assert one == other


def test_nothing_is_a_report_too(tmp_path):
    data = ReportData("n", "", pd.DataFrame(columns=RUN_COLUMNS), pd.DataFrame())
    content = json.loads(write_json(data, summarise(data.runs), tmp_path / "r.json").read_text())
    assert content["runs"] == content["summary"] == content["breakdowns"] == []
