from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.report.page.axis import (
    MAX_CHARACTERS,
    MAX_LINES,
    Axis,
    log_ticks,
    nice_ticks,
    number,
    wrapped,
)

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("low", "high", "ticks", "decimals"),
    [
        (0, 20, [0, 5, 10, 15, 20], 0),
        (30, 52, [30, 35, 40, 45, 50], 0),
        (-3.2, 1.4, [-3, -2, -1, 0, 1], 0),
        (0.0, 0.04, [0.0, 0.01, 0.02, 0.03, 0.04], 2),
        (-0.6, 0.3, [-0.6, -0.4, -0.2, 0.0, 0.2], 1),
        (0, 1234, [0, 500, 1000], 0),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks, decimals):
    found, places = nice_ticks(low, high)
    assert found == pytest.approx(ticks)
    assert places == decimals


def test_ticks_of_whole_numbers_have_no_fractions():
    assert nice_ticks(0, 2, integer=True) == ([0, 1, 2], 0)
    assert nice_ticks(0, 2)[0] == [0, 0.5, 1, 1.5, 2]


@settings(deadline=None)
@given(low=finite, width=st.floats(1e-3, 1e6))
def test_ticks_lie_on_the_axis_evenly_and_are_written_apart(low, width):
    ticks, decimals = nice_ticks(low, low + width)
    slack = 1e-6 * width
    assert 2 <= len(ticks) <= 6
    assert low - slack <= ticks[0]
    assert ticks[-1] <= low + width + slack
    steps = [b - a for a, b in pairwise(ticks)]
    assert max(steps) - min(steps) <= 1e-6 * max(abs(t) for t in (*ticks, 1))
    assert len({number(tick, decimals) for tick in ticks}) == len(ticks)


def test_log_ticks_are_powers_of_ten_and_more_where_these_are_few():
    assert log_ticks(0.01, 100) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert log_ticks(0.5, 10) == pytest.approx([0.5, 1, 2, 5, 10])


def test_negative_numbers_have_a_minus_sign():
    assert number(-0.5, 1) == "−0.5"
    assert number(2.0) == "2"
    assert number(0.001) == "0.001"


def test_an_axis_places_its_ends_at_0_and_1():
    axis = Axis("x", 10, 20)
    assert [axis.place(value) for value in (10, 12.5, 20)] == [0, 0.25, 1]


def test_a_log_axis_places_equal_ratios_equally():
    axis = Axis("x", 0.1, 10, log=True)
    assert axis.place(1) == pytest.approx(0.5)
    assert math.isnan(axis.place(0))
    assert math.isnan(axis.place(-1))


def test_an_axis_around_values_leaves_room_and_ignores_what_is_not_finite():
    axis = Axis.around("x", [0, 10, math.nan, math.inf], margin=0.1)
    assert (axis.low, axis.high) == (-1, 11)


def test_an_axis_around_nothing_or_one_value_is_still_an_axis():
    assert (Axis.around("x", []).low, Axis.around("x", []).high) == (0, 1)
    one = Axis.around("x", [5.0])
    assert one.low < 5 < one.high
    zero = Axis.around("x", [0.0, 0.0])
    assert zero.low < 0 < zero.high


def test_a_log_axis_around_values_ignores_those_without_a_place():
    axis = Axis.around("x", [0.0, -1.0, 1.0, 100.0], log=True)
    assert 0.5 < axis.low < 1
    assert 100 < axis.high < 200


def test_categories_are_one_apart_and_keep_their_losses():
    axis = Axis.categories(["a", "b"], losses=["a", "b"])
    assert axis.marks() == [(0, "a"), (1, "b")]
    assert [axis.place(value) for value in (0, 1)] == [0.25, 0.75]
    assert axis.losses == ("a", "b")
    assert Axis.categories([]).marks() == []


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, math.nan), (-math.inf, 0)])
def test_an_axis_without_an_extent_is_refused(low, high):
    with pytest.raises(ValueError, match="axis 'x' runs from"):
        Axis("x", low, high)


def test_a_log_axis_must_start_above_zero():
    with pytest.raises(ValueError, match="logarithmic but starts at 0"):
        Axis("x", 0, 1, log=True)


def test_ticks_and_labels_must_go_together():
    with pytest.raises(ValueError, match="one label a tick"):
        Axis("x", 0, 1, ticks=(0, 1), labels=("a",))


def test_labels_break_at_spaces():
    assert wrapped("focal gamma=2 alpha=0.25 weight=3") == ["focal gamma=2", "alpha=0.25 weight=3"]
    assert wrapped("giou") == ["giou"]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), max_size=200))
def test_labels_fit_their_lines_and_lose_nothing_silently(text):
    lines = wrapped(text)
    assert len(lines) <= MAX_LINES
    assert all(len(line) <= MAX_CHARACTERS for line in lines)
    if len(text) <= MAX_LINES * MAX_CHARACTERS:
        assert "".join(lines) == text
    else:
        assert lines[-1].endswith("…")
