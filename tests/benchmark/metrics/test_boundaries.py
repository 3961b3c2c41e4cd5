"""Boundary IoU and F-score: by hand, and against distances counted one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from benchmark.metrics.boundaries import BAND, TOLERANCE, BoundaryQuality

SIDE = 60
"""Of pictures whose diagonal is 84.85: bands are 2 pixels wide, contours may lie 1 off."""


def quality(*pairs, classes=("a",)):
    found = BoundaryQuality(list(classes))
    for predicted, truth in pairs:
        found.update(np.asarray(predicted, np.uint8), np.asarray(truth, np.uint8))
    return found.metrics()


def square(top, left, side=20, value=1, shape=(SIDE, SIDE)):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


def test_the_sizes_that_these_tests_count_on():
    diagonal = math.hypot(SIDE, SIDE)
    assert (round(BAND * diagonal), round(TOLERANCE * diagonal)) == (2, 1)


def test_a_perfect_mask():
    found = quality((square(10, 10), square(10, 10)))
    assert found == dict.fromkeys(
        ("boundary_IoU", "boundary_F", "boundary_IoU/a", "boundary_F/a"), 1.0
    )


def test_a_hole_far_from_the_contour_does_no_harm_to_it_but_has_its_own():
    # The band of a square of 20 has 20² - 16² = 144 pixels. A hole of one pixel has in its band
    # what lies at most 2 away from it: 12 pixels; its contour is the 4 beside it.
    holed = square(10, 10)
    holed[20, 20] = 0
    found = quality((holed, square(10, 10)))
    assert found["boundary_IoU"] == pytest.approx(144 / 156)
    # Contour of the square: 76 pixels, all met. 4 more were found that are none.
    assert found["boundary_F"] == pytest.approx(2 * (76 / 80) / (76 / 80 + 1))


def test_a_shift_by_one_pixel():
    found = quality((square(10, 11), square(10, 10)))
    # Both bands are 20 x 20 frames 2 wide, one column apart. Common: in each of the 4 rows at the
    # top and bottom 19 pixels; in the 16 others, of columns 0, 1, 18, 19 and 1, 2, 19, 20, two.
    common = 4 * 19 + 16 * 2
    assert found["boundary_IoU"] == pytest.approx(common / (2 * 144 - common))
    assert found["boundary_F"] == 1.0


def test_a_shift_by_more_than_the_tolerance():
    found = quality((square(10, 13), square(10, 10)))
    # Met are, of the top and the bottom edge, 17 common pixels and the one beside them, and of the
    # sides the two pixels of that inside the other square which are next to these edges.
    assert found["boundary_F"] == pytest.approx((2 * 18 + 2) / 76)
    far = quality((square(10, 40, 10), square(40, 10, 10)))
    assert far == dict.fromkeys(far, 0.0)


def test_the_border_of_the_picture_makes_no_contour():
    # The lower half against the lower half: one straight edge.
    half = np.zeros((SIDE, SIDE), np.uint8)
    half[30:] = 1
    shallow = np.zeros((SIDE, SIDE), np.uint8)
    shallow[31:] = 1
    found = quality((shallow, half))
    assert found["boundary_IoU"] == pytest.approx(1 / 3)
    assert found["boundary_F"] == 1.0
    full = np.ones((SIDE, SIDE), np.uint8)
    assert all(math.isnan(value) for value in quality((full, full)).values())
    wrong = quality((full, half))
    assert wrong["boundary_IoU"] == wrong["boundary_F"] == 0.0


def test_ignored_pixels_make_no_contour_and_hide_it():
    # The left edge of the square lies on ignored pixels; nothing is left of it.
    truth = square(10, 10)
    truth[:, 8:14] = 255
    truth[:, :8] = 0
    predicted = square(10, 12)
    found = quality((predicted, truth))
    # Top, bottom and right edge remain, and there both are the same but for the right edge.
    same = quality((square(10, 10), truth))
    assert same["boundary_IoU"] == same["boundary_F"] == 1.0
    assert found["boundary_IoU"] < 1
    filled = np.full((SIDE, SIDE), 255, np.uint8)
    filled[20:40, 20:40] = 1
    # Known to be of the class wherever it is known at all.
    assert all(math.isnan(v) for v in quality((square(20, 20), filled)).values())


def test_pixels_are_counted_over_images_and_f_is_the_mean_of_images():
    exact = (square(10, 10), square(10, 10))
    missed = (np.zeros((SIDE, SIDE)), square(10, 10, 10))
    found = quality(exact, missed, (np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))))
    # The band of a square of 10 has 100 - 36 pixels.
    assert found["boundary_IoU"] == pytest.approx(144 / (144 + 64))
    assert found["boundary_F"] == pytest.approx(0.5)


def test_means_are_of_the_classes_that_have_contours():
    truth = square(5, 5) + square(35, 35, value=2)
    predicted = square(5, 5)
    found = quality((predicted, truth), classes=("a", "b", "c"))
    assert found["boundary_IoU/a"] == found["boundary_F/a"] == 1.0
    assert found["boundary_IoU/b"] == found["boundary_F/b"] == 0.0
    assert math.isnan(found["boundary_IoU/c"])
    assert math.isnan(found["boundary_F/c"])
    assert found["boundary_IoU"] == found["boundary_F"] == 0.5


def test_where_one_class_meets_another_is_a_contour_of_both():
    truth = np.where(np.arange(SIDE) < 30, 1, 2) * np.ones((SIDE, 1), int)
    found = quality((truth, truth), classes=("a", "b"))
    assert found["boundary_IoU/a"] == found["boundary_IoU/b"] == 1.0


def nearest(points, others):
    """Distance of each point to the nearest of the others, all by all."""
    if not len(others):
        return np.full(len(points), np.inf)
    return cdist(points, others).min(1) if len(points) else np.zeros(0)


def slowly(predicted, truth, index, band, tolerance):
    """Common and joint pixels of the bands and the F-score (or None), distance by distance."""
    bands, contours = [], []
    for class_map in (predicted, truth):
        inside = np.argwhere((truth != 255) & (class_map == index))
        outside = np.argwhere((truth != 255) & (class_map != index))
        distance = nearest(inside, outside)
        bands.append({tuple(p) for p in inside[distance <= band]})
        contours.append(inside[distance <= 1])
    f_score = None
    if any(map(len, contours)):
        shares = [
            (nearest(one, two) <= tolerance).mean() if len(one) else 0.0
            for one, two in (contours, contours[::-1])
        ]
        f_score = 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0
    return len(bands[0] & bands[1]), len(bands[0] | bands[1]), f_score


maps = arrays(np.uint8, (9, 12), elements=st.sampled_from([0, 0, 1, 1, 2]))
truths = arrays(np.uint8, (9, 12), elements=st.sampled_from([0, 0, 1, 1, 1, 2, 255]))


@settings(max_examples=40)
@given(maps, truths)
def test_it_agrees_with_distances_counted_one_by_one(predicted, truth):
    # The diagonal is 15: shares of it round to 0, and one pixel is the least.
    found = quality((predicted, truth), classes=("a", "b"))
    for index, name in ((1, "a"), (2, "b")):
        common, either, f_score = slowly(predicted, truth, index, 1, 1)
        expected = common / either if either else math.nan
        assert found[f"boundary_IoU/{name}"] == pytest.approx(expected, nan_ok=True)
        known = math.nan if f_score is None else f_score
        assert found[f"boundary_F/{name}"] == pytest.approx(known, nan_ok=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_agrees_where_bands_are_wide(seed):
    draws = np.random.default_rng(seed)
    shape = (20, 200)
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth, predicted = (
        (
            (y - 10 + draws.normal(0, 1)) ** 2 + ((x - 100) / draws.uniform(6, 9)) ** 2
            < draws.uniform(40, 80)
        ).astype(np.uint8)
        for _ in range(2)
    )
    truth[:3, 90:95] = 255
    diagonal = math.hypot(*shape)
    band, tolerance = round(BAND * diagonal), round(TOLERANCE * diagonal)
    assert (band, tolerance) == (4, 2)
    common, either, f_score = slowly(predicted, truth, 1, band, tolerance)
    found = quality((predicted, truth))
    assert found["boundary_IoU"] == pytest.approx(common / either)
    assert found["boundary_F"] == pytest.approx(f_score)
    assert 0.05 < f_score < 0.99


@settings(max_examples=40)
@given(maps, maps)
def test_both_are_symmetric_and_lie_between_0_and_1(one, two):
    found, turned = quality((one, two), classes=("a", "b")), quality((two, one), classes=("a", "b"))
    for name, value in found.items():
        assert math.isnan(value) or 0 <= value <= 1
        assert turned[name] == pytest.approx(value, nan_ok=True)
