"""The contract of a sample, and the filter for degenerate boxes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasets.objects import AnnotatedObject, build_sample, mask_box, semantic_mask
from datasets.sample import IGNORE, DatasetError, Sample, drop_degenerate

CLASSES = ["cat", "dog"]


@pytest.fixture
def sample() -> Sample:
    return Sample(
        id="a",
        path="folder/a.png",
        image=np.zeros((4, 6, 3), np.uint8),
        boxes=np.array([[0, 0, 2, 3]], np.float32),
        labels=np.array([1], np.int64),
        instance_masks=np.ones((1, 4, 6), np.bool_),
        semantic=np.full((4, 6), 2, np.uint8),
    )


def test_a_sample_that_keeps_the_contract_is_returned(sample):
    assert sample.validate(CLASSES) is sample


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": np.zeros((4, 6), np.uint8)}, "image must be uint8"),
        ({"image": np.zeros((4, 6, 3), np.float32)}, "image must be uint8"),
        ({"boxes": np.array([[0, 0, 2, 3]], np.float64)}, "boxes must be float32"),
        ({"boxes": np.zeros((0, 4), np.float32)}, "boxes must be float32"),
        ({"boxes": np.array([[0, 0, np.inf, 3]], np.float32)}, "not finite"),
        ({"boxes": np.array([[2, 0, 2, 3]], np.float32)}, "no width or no height"),
        ({"boxes": np.array([[0, 3, 2, 1]], np.float32)}, "no width or no height"),
        ({"labels": np.array([1], np.int32)}, "labels must be int64"),
        ({"labels": np.array([2], np.int64)}, "outside 0..1"),
        ({"labels": np.array([-1], np.int64)}, "outside 0..1"),
        ({"instance_masks": np.ones((2, 4, 6), np.bool_)}, "instance masks have shape"),
        ({"instance_masks": np.ones((1, 4, 6), np.uint8)}, "instance masks must be bool"),
        ({"semantic": np.zeros((6, 4), np.uint8)}, "but the image is"),
        ({"semantic": np.full((4, 6), 3, np.uint8)}, "class index 3"),
    ],
)
def test_a_broken_contract_is_named_with_the_file(sample, change, reason):
    with pytest.raises(DatasetError, match=rf"^folder/a\.png: .*{reason}"):
        replace(sample, **change).validate(CLASSES)


def test_ignored_pixels_are_allowed(sample):
    ignored = replace(sample, semantic=np.full((4, 6), IGNORE, np.uint8))
    assert ignored.validate(CLASSES) is ignored


def test_degenerate_boxes_after_clipping():
    boxes = np.array(
        [
            [-3, -2, 5, 4],  # reaches out on two sides
            [8, 1, 12, 9],  # reaches out to the right and below
            [10, 0, 15, 5],  # wholly outside: touches the edge
            [3, 3, 3, 5],  # no width
            [5, 5, 2, 6],  # inverted
        ],
        np.float32,
    )
    clipped, keep = drop_degenerate(boxes, width=10, height=6)
    assert keep.tolist() == [True, True, False, False, False]
    assert clipped[:2].tolist() == [[0, 0, 5, 4], [8, 1, 10, 6]]


@given(
    hnp.arrays(np.float32, (5, 4), elements=st.floats(-1e4, 1e4, width=32)),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_kept_boxes_lie_within_the_image_and_have_an_area(boxes, width, height):
    before = boxes.copy()
    clipped, keep = drop_degenerate(boxes, width, height)
    kept = clipped[keep]
    assert (kept >= 0).all()
    assert (kept[:, 0::2] <= width).all()
    assert (kept[:, 1::2] <= height).all()
    assert (kept[:, 2:] > kept[:, :2]).all()
    assert np.array_equal(boxes, before)


def rectangle(x1: int, y1: int, x2: int, y2: int, height: int = 6, width: int = 8):
    mask = np.zeros((height, width), np.bool_)
    mask[y1:y2, x1:x2] = True
    return mask


def test_smallest_object_lies_on_top_whatever_the_order():
    large = AnnotatedObject(0, (0, 0, 6, 4), rectangle(0, 0, 6, 4))
    small = AnnotatedObject(1, (2, 1, 4, 3), rectangle(2, 1, 4, 3))
    expected = np.zeros((6, 8), np.uint8)
    expected[0:4, 0:6] = 1
    expected[1:3, 2:4] = 2
    assert np.array_equal(semantic_mask(6, 8, [large, small]), expected)
    assert np.array_equal(semantic_mask(6, 8, [small, large]), expected)


def test_unknown_regions_are_ignored_below_the_masks_that_are_known():
    crowd = AnnotatedObject(0, (0, 0, 3, 6), rectangle(0, 0, 3, 6), crowd=True)
    box_only = AnnotatedObject(0, (5.5, -2, 9, 1.5))
    known = AnnotatedObject(1, (2, 0, 6, 1), rectangle(2, 0, 6, 1))
    expected = np.zeros((6, 8), np.uint8)
    expected[:, 0:3] = IGNORE
    expected[0:2, 5:8] = IGNORE
    expected[0, 2:6] = 2
    assert np.array_equal(semantic_mask(6, 8, [known, crowd, box_only]), expected)


def test_building_drops_counts_and_keeps_masks_beside_their_boxes(tmp_path):
    objects = [
        AnnotatedObject(0, (1, 1, 1, 3), rectangle(1, 1, 2, 3)),  # no width: dropped
        AnnotatedObject(1, (2, 1, 4, 3), rectangle(2, 1, 4, 3)),
        AnnotatedObject(0, (0, 0, 8, 1), rectangle(0, 0, 8, 1), crowd=True),
    ]
    image = np.zeros((6, 8, 3), np.uint8)
    sample = build_sample("a", tmp_path / "a.png", image, objects, CLASSES, with_masks=True)
    assert sample.boxes.tolist() == [[2, 1, 4, 3]]
    assert sample.labels.tolist() == [1]
    assert sample.dropped == 1
    assert np.array_equal(sample.instance_masks, rectangle(2, 1, 4, 3)[None])
    assert sample.semantic[2, 1] == 0
    assert (sample.semantic[0] == IGNORE).all()


def test_one_object_without_a_mask_leaves_no_instance_masks(tmp_path):
    objects = [AnnotatedObject(0, (2, 1, 4, 3), rectangle(2, 1, 4, 3))]
    image = np.zeros((6, 8, 3), np.uint8)
    both = build_sample("a", tmp_path, image, objects, CLASSES, with_masks=True)
    assert both.instance_masks is not None
    objects.append(AnnotatedObject(1, (5, 4, 8, 6)))
    partly = build_sample("a", tmp_path, image, objects, CLASSES, with_masks=True)
    assert partly.instance_masks is None
    assert (partly.semantic == IGNORE).sum() == 3 * 2
    assert partly.labels.tolist() == [0, 1]


def test_no_objects_is_a_valid_sample(tmp_path):
    empty = build_sample("a", tmp_path, np.zeros((6, 8, 3), np.uint8), [], CLASSES, True)
    assert empty.boxes.shape == (0, 4)
    assert empty.instance_masks.shape == (0, 6, 8)
    assert not empty.semantic.any()


@given(st.integers(0, 6), st.integers(0, 4), st.integers(1, 3), st.integers(1, 3))
def test_box_of_a_rectangle_is_the_rectangle(x, y, width, height):
    mask = rectangle(x, y, x + width, y + height, height=8, width=10)
    assert mask_box(mask) == (x, y, x + width, y + height)


def test_box_of_an_empty_mask_has_no_area():
    assert mask_box(rectangle(0, 0, 0, 0)) == (0, 0, 0, 0)
