"""Run-length code of masks: there and back, and sums over any number of masks."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from benchmark.metrics.rle import areas, encode, rectangles


@pytest.mark.parametrize("number", [0, 1, 5])
@pytest.mark.parametrize("kind", [np.bool_, np.uint8])
def test_decoding_gives_the_masks_again(number, kind):
    masks = np.random.default_rng(number).integers(0, 2, (number, 7, 9)).astype(kind)
    found = encode(masks)
    assert [one["size"] for one in found] == [[7, 9]] * number
    decoded = [coco_mask.decode(one) for one in found]
    assert np.array_equal(np.array(decoded).reshape(masks.shape), masks)


def test_padding_may_be_cut_off_before():
    masks = np.zeros((1, 6, 8), bool)
    masks[0, 2:, 5:] = True
    assert coco_mask.decode(encode(masks[:, :4, :6])[0]).tolist() == masks[0, :4, :6].tolist()


def test_rectangles_hold_the_pixels_whose_middle_they_cover():
    (one,) = rectangles(np.array([[1.0, 2, 4, 3]]), 5, 6)
    expected = np.zeros((5, 6), np.uint8)
    expected[2, 1:4] = 1
    assert np.array_equal(coco_mask.decode(one), expected)
    assert rectangles(np.zeros((0, 4)), 5, 6) == []


@pytest.mark.parametrize("number", [0, 3, 255, 256, 700])
def test_areas_of_any_number_of_masks(number):
    masks = np.zeros((number, 4, 8), np.uint8)
    for i, mask in enumerate(masks):
        mask.reshape(-1)[: i % 33] = 1
    assert areas(encode(masks)).tolist() == [i % 33 for i in range(number)]
