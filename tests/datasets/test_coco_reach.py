"""Boxes given by their corners are told from boxes with a width and a height."""

from __future__ import annotations

import json

import numpy as np
import pytest

from datasets.coco_index import index_coco
from datasets.coco_reach import box_or_unknown, reach_fault, size_or_unknown
from datasets.sample import DatasetError

# Of an image of 100x50: two of ten boxes reach beyond it by half, as nobody would mistake.
INSIDE = [[10, 10, 20, 20]] * 8
FAR = [[75, 10, 75, 20]]


def fault(boxes: list[list[float]]) -> str:
    return reach_fault(
        np.array(boxes, float).reshape(-1, 4), np.tile([100.0, 50.0], (len(boxes), 1))
    )


@pytest.mark.parametrize(
    "boxes",
    [
        INSIDE + FAR * 2,
        [[50, 10, 60, 40]] * 10,  # to 110 of 100: a hand that slips
        FAR * 9,
        [[float("nan")] * 4, *FAR * 9],
        [],
    ],
)
def test_a_few_boxes_may_reach_beyond_or_all_by_little(boxes):
    assert fault(boxes) == ""


def test_many_boxes_far_beyond_are_a_fault():
    said = fault(INSIDE + FAR * 3)
    assert said.startswith("3 of 11 boxes reach far beyond their image, such as [75, 10, 75, 20] ")
    assert "in one of 100x50: bbox must be [x, y, width, height] in pixels" in said
    assert "corners" not in said
    assert "x2" not in said


def test_corners_are_called_so():
    assert fault([[60, 5, 90, 45]] * 10).endswith("these look like [x1, y1, x2, y2]")


def test_below_the_image_is_beyond_too():
    assert fault([[5, 30, 20, 40]] * 10) != ""


@pytest.mark.parametrize(
    "value",
    [None, 5, "1234", [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, True], [1, 2, 3, 10**400]],
)
def test_what_is_no_box_is_passed_over(value):
    assert np.isnan(box_or_unknown(value)).all()


def test_sizes_that_are_none_are_passed_over():
    assert size_or_unknown({"width": 4, "height": 3}) == [4, 3]
    assert np.isnan(size_or_unknown({"width": "4", "height": 0})).all()
    assert np.isnan(size_or_unknown({"width": float("nan")})).all()


def test_a_real_file_is_accepted_and_its_corners_are_not(data_folder, tmp_path):
    source = data_folder / "coco128/annotations/instances_train2017.json"
    content = json.loads(source.read_text())
    assert len(index_coco(source).file_names) == len(content["images"])
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["bbox"] = [x, y, x + width, y + height]
    corners = tmp_path / "corners.json"
    corners.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"corners\.json: .*these look like \[x1, y1, x2, y2\]"):
        index_coco(corners)
