from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.report.page.clip import clamped, clipped

place = st.floats(-3, 4)
points = st.lists(st.tuples(place, place), min_size=2, max_size=8)


def test_a_curve_inside_is_left_alone():
    curve = [(0.0, 0.2), (0.5, 0.9), (1.0, 0.4)]
    assert clipped(curve) == [curve]


def test_a_curve_is_cut_where_it_leaves_and_comes_back():
    # Up through the top edge at x = 0.25, back through it at x = 0.75.
    curve = [(0.0, 0.5), (0.5, 1.5), (1.0, 0.5)]
    assert clipped(curve) == [
        [(0.0, 0.5), (0.25, 1.0)],
        [(0.75, 1.0), (1.0, 0.5)],
    ]


def test_a_segment_that_crosses_the_square_is_cut_at_both_ends():
    (part,) = clipped([(-1.0, 0.5), (2.0, 0.5)])
    assert part == [(pytest.approx(0), 0.5), (pytest.approx(1), 0.5)]


def test_a_segment_past_a_corner_is_not_drawn():
    assert clipped([(-1.0, 0.5), (0.5, 2.1)]) == []
    assert clipped([(2.0, 0.0), (2.0, 1.0)]) == []


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
def test_a_curve_breaks_where_it_has_no_value(gap):
    curve = [(0.0, 0.1), (0.2, 0.2), (0.4, gap), (0.6, 0.3), (0.8, 0.4)]
    assert clipped(curve) == [curve[:2], curve[3:]]


def test_a_lone_point_is_kept_only_inside():
    assert clipped([(0.5, 0.5)]) == [[(0.5, 0.5)]]
    assert clipped([(0.5, 1.5)]) == []
    assert clipped([]) == []


@settings(deadline=None)
@given(points)
def test_what_is_drawn_lies_inside_and_on_the_curve(curve):
    for part in clipped(curve):
        for x, y in part:
            assert -1e-9 <= x <= 1 + 1e-9
            assert -1e-9 <= y <= 1 + 1e-9
            assert min(_distance((x, y), a, b) for a, b in pairwise(curve)) < 1e-6


def _distance(point, start, end):
    (x, y), (x0, y0), (x1, y1) = point, start, end
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = 0 if length == 0 else ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
    along = min(max(along, 0), 1)
    return math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))


def test_the_edge_of_a_band_follows_the_frame_from_where_it_crosses():
    assert clamped([(0.0, 0.5), (0.5, 1.5), (1.0, 0.5)]) == [
        (0.0, 0.5),
        (0.25, 1.0),
        (0.5, 1.0),
        (0.75, 1.0),
        (1.0, 0.5),
    ]


@settings(deadline=None)
@given(points)
def test_clamped_points_lie_inside(curve):
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in clamped(curve))
