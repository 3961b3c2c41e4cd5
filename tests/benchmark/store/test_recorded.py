"""Files of a run in a form that nothing can be read from: each is named with what helps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmark.options import UserError
from benchmark.store import RunFolder, Store

CURVE = {"x": [0.5, 0.75], "y": [0.25, None]}
DETAILS: dict[str, Any] = {
    "version": 1,
    "task": "detection",
    "by_iou": CURVE,
    "by_size": {"group": ["small", "large"], "count": [3, 0], "value": [0.5, None]},
    "by_share": None,
    "precision_recall": {"IoU 0.50": CURVE},
    "localisation": {"edges": [0.5, 0.75, 1], "count": [2, 1], "matched": 3, "objects": 4},
    "calibration": {
        "edges": [0, 0.5, 1],
        "count": [2, 0],
        "ece": None,
        "confidence": [0.25, None],
        "accuracy": [0.5, None],
    },
}
OUTCOME = {"status": "done", "metrics": {"AP": 0.5, "AP_small": None}, "seconds": None}


def written(folder: RunFolder, name: str, content: Any) -> RunFolder:
    folder.path.mkdir(parents=True)
    (folder.path / name).write_text(json.dumps(content))
    return folder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "one")


def test_what_fits_is_read_as_it_is(folder):
    assert written(folder, "details.json", DETAILS).details() == DETAILS
    (folder.path / "metrics.json").write_text(json.dumps(OUTCOME))
    assert folder.outcome() == OUTCOME


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"status": None}, "'status' must be one of done, diverged, not None"),
        ({"status": "finished"}, "'status' must be one of done, diverged, not 'finished'"),
        ({"metrics": [1]}, "'metrics' must be a mapping"),
        ({"diverged_at": 3}, "'diverged_at' must be a mapping"),
        ({"metrics": {"AP": "x"}}, "'metrics.AP' must be a number or null, not 'x'"),
        ({"trivial": {"AP": True}}, "'trivial.AP' must be a number or null, not True"),
        ({"validation": None}, "'validation' must be a mapping"),
        ({"train_seconds": "1"}, "'train_seconds' must be a number or null, not '1'"),
    ],
)
def test_an_outcome_of_another_form(folder, changes, fault):
    written(folder, "metrics.json", {**OUTCOME, **changes})
    with pytest.raises(UserError) as caught:
        folder.outcome()
    file = folder.path / "metrics.json"
    assert str(caught.value) == f"{file}: {fault}; delete the file to train the run again"


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"data": {"train": 5}}, "'data.train' must be text, not 5"),
        ({"data": {"foo": "abc"}}, "'data' knows train, val, test, not 'foo'"),
        ({"data": ["x"]}, "'data' must be a mapping, not ['x']"),
        ({"evaluator": 3}, "'evaluator' must be a name, not 3"),
    ],
)
def test_an_environment_of_another_form(folder, environment, fault):
    written(folder, "environment.json", environment)
    with pytest.raises(UserError) as caught:
        folder.environment()
    file = folder.path / "environment.json"
    assert str(caught.value) == f"{file}: {fault}; delete the file to go on without it"


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"train": "a", "val": "b"}}])
def test_an_environment_that_fits(folder, data):
    assert written(folder, "environment.json", data).environment() == data


ROW = {"epoch": 1, "batches": "a", "images": "b"}


@pytest.mark.parametrize(
    ("streams", "fault"),
    [
        ({}, "'weights' must be text"),
        ({"weights": "w"}, "'epochs' must be a list"),
        ({"weights": "w", "epochs": {}}, "'epochs' must be a list"),
        ({"weights": "w", "epochs": [ROW, 1]}, "'epochs.1' must be a mapping"),
        ({"weights": "w", "epochs": [{**ROW, "epoch": "1"}]}, "'epochs.0.epoch' must be a whole"),
        ({"weights": "w", "epochs": [{**ROW, "images": None}]}, "'epochs.0.images' must be text"),
    ],
)
def test_hashes_of_another_form(folder, streams, fault):
    written(folder, "streams.json", streams)
    with pytest.raises(UserError) as caught:
        folder.streams()
    said = str(caught.value)
    assert said.startswith(f"{folder.path / 'streams.json'}: {fault}")
    assert said.endswith("; delete the file to go on without it")


def test_hashes_that_fit(folder):
    streams = {"weights": "w", "epochs": [ROW]}
    assert written(folder, "streams.json", streams).streams() == streams


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"version": None}, "'version' must be 1, not None"),
        ({"by_iou": [1]}, "'by_iou' must be a mapping"),
        ({"by_iou": {"x": [1]}}, "'by_iou' lacks 'y'"),
        ({"by_iou": {"x": [1, 2], "y": [1]}}, "the lists of 'by_iou' (x, y) differ in length"),
        ({"by_size": {"group": ["a"], "value": 1}}, "'by_size.value' must be a list of numbers"),
        ({"by_size": {"group": [1], "value": [1]}}, "'by_size.group' must be a list of names"),
        ({"precision_recall": []}, "'precision_recall' must be a mapping"),
        ({"precision_recall": {"a": 1}}, "'precision_recall.a' must be a mapping"),
        (
            {"localisation": {**DETAILS["localisation"], "edges": [0.5, 1]}},
            "the lists of 'localisation' (edges, count) differ in length",
        ),
        (
            {"localisation": {**DETAILS["localisation"], "objects": "4"}},
            "'localisation.objects' must be a number or null",
        ),
        ({"calibration": {}}, "'calibration' lacks 'edges'"),
    ],
)
def test_breakdowns_of_another_form(folder, changes, fault):
    written(folder, "details.json", {**DETAILS, **changes})
    with pytest.raises(UserError) as caught:
        folder.details()
    file = folder.path / "details.json"
    assert str(caught.value) == f"{file}: {fault}; delete the file to leave its breakdowns out"


@pytest.mark.parametrize("content", [b"epoch,AP\n0,high\n", b"AP\n1\n", b"\xff\xfe", b""])
def test_a_damaged_history_need_not_cost_the_run(folder, content):
    folder.path.mkdir(parents=True)
    (folder.path / "history.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"history\.csv: is damaged .*delete the file to leave its"):
        folder.history()


def test_a_list_of_cells_that_is_no_text(tmp_path):
    (tmp_path / "cells.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"cells\.txt: is not UTF-8 text; .*delete it"):
        Store(tmp_path).run_folders()
