"""Which ``samples.json`` is drawn, and which is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmark.metrics.rle import encode
from benchmark.report.sample_form import samples_fault

MASK = encode(np.eye(4, 6, dtype=np.uint8)[None])[0]["counts"].decode()
OBJECTS = {"boxes": [[0, 1, 2.5, 3]], "labels": [1], "scores": [0.5], "masks": [MASK]}
IMAGE = {"id": "a", "file": "sample-0.jpg", "width": 6, "height": 4}
OF_TASK: dict[str, Any] = {
    "detection": {"truth": OBJECTS, "predicted": OBJECTS},
    "instance": {"truth": OBJECTS, "predicted": OBJECTS},
    "segmentation": {"truth": "t.png", "predicted": "p.png"},
}


def content(task: str) -> dict[str, Any]:
    image = json.loads(json.dumps({**IMAGE, **OF_TASK[task]}))
    return {"classes": ["cat", "dog"], "images": [image]}


@pytest.mark.parametrize("task", OF_TASK)
def test_what_runs_write(task: str) -> None:
    assert samples_fault(content(task), task) == ""


@pytest.mark.parametrize("task", OF_TASK)
@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "b/a.jpg", "b\\a.jpg", "C:a.jpg", "..", ".", "", "a\0", 1]
)
def test_files_elsewhere(task: str, name: object) -> None:
    for key in ("file", "truth", "predicted") if task == "segmentation" else ("file",):
        wrong = content(task)
        wrong["images"][0][key] = name
        assert samples_fault(wrong, task).startswith(f"'images.0.{key}' must be ")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("boxes", [[0, 1, 2]], "four finite numbers a box"),
        ("boxes", [[0, 1, 2, float("nan")]], "four finite numbers a box"),
        ("boxes", [[0, 1, 2, "3"]], "four finite numbers a box"),
        ("labels", [2], "the numbers of the classes, from 0"),
        ("labels", [-1], "the numbers of the classes, from 0"),
        ("labels", [True], "the numbers of the classes, from 0"),
        ("scores", ["high"], "finite numbers"),
        ("scores", [float("inf")], "finite numbers"),
        # 23 and 25 pixels of 24, a number cut short, what is no run length, a negative run
        ("masks", ["g0"], "run lengths of the image's pixels as text"),
        ("masks", ["i0"], "run lengths of the image's pixels as text"),
        ("masks", ["h"], "run lengths of the image's pixels as text"),
        ("masks", ["\x7f"], "run lengths of the image's pixels as text"),
        ("masks", ["N:0"], "run lengths of the image's pixels as text"),
        ("masks", ["o" * 10_000], "run lengths of the image's pixels as text"),
        ("masks", [7], "run lengths of the image's pixels as text"),
    ],
)
def test_entries(key: str, value: object, told: str) -> None:
    wrong = content("instance")
    wrong["images"][0]["predicted"][key] = value
    assert samples_fault(wrong, "instance") == f"'images.0.predicted.{key}' must hold {told}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"width": 10**6, "height": 10**6}, "' must have from 1 to 200,000,000 pixels"),
        ({"width": 0}, "' must have from 1 to 200,000,000 pixels"),
        ({"height": 4.0}, ".height' must be of type int"),
        ({"id": None}, ".id' must be of type str"),
        ({"truth": "t.png"}, ".truth' must hold equally long lists boxes, labels"),
        ({"truth": {"boxes": []}}, ".truth' must hold equally long lists boxes, labels"),
        (
            {"predicted": {**OBJECTS, "scores": []}},
            ".predicted' must hold equally long lists boxes, labels, scores",
        ),
    ],
)
def test_images(change: dict[str, Any], told: str) -> None:
    wrong = content("detection")
    wrong["images"][0].update(change)
    assert samples_fault(wrong, "detection") == f"'images.0{told}"


def test_whole_lists() -> None:
    assert samples_fault({"images": []}, "detection") == "'classes' must be a list of names"
    assert samples_fault({"classes": [1], "images": []}, "detection").startswith("'classes'")
    assert samples_fault({"classes": []}, "detection") == "'images' must be a list"
    two = {**content("detection"), "images": [*content("detection")["images"], 3]}
    assert samples_fault(two, "detection") == "'images.1' must be a mapping"
