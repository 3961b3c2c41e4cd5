"""The engines beside each other: what is drawn, measured and written down."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmark.bench.evaluator import Content, _difference, bench, fabricate
from benchmark.metrics.engines import ENGINES
from benchmark.options import UserError

FEW = Content("a few", images=6, classes=3, objects=3, detections=10)


def test_fabricated_boxes_lie_in_the_picture_and_hit_some_objects() -> None:
    boxes, labels, found = fabricate(FEW)
    assert len(boxes) == len(labels) == 6
    assert [len(some) for some in found[0]] == [10] * 6
    for box, label in zip(boxes, labels, strict=True):
        assert len(box) == len(label)
        assert (box >= 0).all()
        assert (box <= [640, 480, 640, 480]).all()
        assert (box[:, 2:] - box[:, :2] > 9).all()
    scores = np.concatenate(found[1])
    assert len(np.unique(scores)) < len(scores)  # some are equal
    again = fabricate(FEW)
    assert all(np.array_equal(one, two) for one, two in zip(boxes, again[0], strict=True))
    other = fabricate(FEW, seed=1)
    assert not all(np.array_equal(one, two) for one, two in zip(boxes, other[0], strict=True))


def test_every_engine_is_measured_and_written_down(tmp_path: Path) -> None:
    console = Console(record=True, width=120)
    bench(console, [FEW], tmp_path, "python3 run.py bench evaluator --quick")
    found = pd.read_csv(tmp_path / "evaluator.csv")
    assert found["engine"].tolist() == list(ENGINES)
    assert set(found["detections"]) == {60}
    assert (found["seconds"] > 0).all()
    assert found["ratio"].iloc[0] == 1
    assert (found["difference"] < 1e-9).all()
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "python3 run.py bench evaluator --quick" in page
    assert re.search(r"pycocotools [\d.]+, faster-coco-eval [\d.]+\.", page)
    assert page.count("| a few | 6 | 3 | 60 |") == len(ENGINES)
    assert console.export_text().count("a few") == len(ENGINES)


def test_a_lacking_engine_is_told_before_anything_is_measured(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(UserError, match="faster-coco-eval"):
        bench(Console(), [FEW], tmp_path, "")
    assert not any(tmp_path.iterdir())


def test_the_difference_is_the_largest_and_infinite_where_one_lacks_a_value() -> None:
    nan = float("nan")
    assert _difference({"a": 1.0, "b": nan}, {"a": 0.75, "b": nan}) == 0.25
    assert _difference({"a": nan}, {"a": nan}) == 0.0
    assert _difference({"a": nan}, {"a": 0.5}) == float("inf")
