"""Weights that change while a model trains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losses.schedule import SHAPES, Schedule


def test_a_number_is_a_constant_weight():
    schedule = Schedule.of(0.5)
    assert [schedule.at(t) for t in (0, 0.3, 1)] == [0.5] * 3
    assert schedule.resolved() == 0.5


def test_linear_between_start_and_end():
    schedule = Schedule.of({"from": 1, "to": 3, "start": 0.2, "end": 0.6})
    times = (0, 0.2, 0.3, 0.4, 0.6, 1)
    assert [schedule.at(t) for t in times] == pytest.approx([1, 1, 1.5, 2, 3, 3])


def test_cosine_is_slow_at_both_ends():
    schedule = Schedule.of({"from": 0, "to": 1, "kind": "cosine"})
    found = [schedule.at(t) for t in (0, 1 / 3, 0.5, 2 / 3, 1)]
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_equal_start_and_end_is_a_jump():
    schedule = Schedule.of({"from": 1, "to": 0, "start": 0.5, "end": 0.5})
    assert [schedule.at(t) for t in (0, 0.49, 0.5, 1)] == [1, 1, 0, 0]


@given(
    st.floats(0, 10), st.floats(0.1, 10), st.sampled_from(list(SHAPES)), st.floats(0, 1), st.data()
)
def test_it_stays_between_its_ends_and_can_be_written_out(first, last, kind, start, data):
    end = data.draw(st.floats(start, 1))
    schedule = Schedule(first=first, last=last, kind=kind, start=start, end=end)
    slack = 1e-9
    for t in (0.0, start, (start + end) / 2, end, 1.0):
        assert min(first, last) - slack <= schedule.at(t) <= max(first, last) + slack
        assert Schedule.of(schedule.resolved()).at(t) == schedule.at(t)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (0, "weight must be a number > 0 or a mapping .*, got 0"),
        (-1, "weight must be a number > 0"),
        (True, "weight must be a number > 0"),
        ("1", "weight must be a number > 0"),
        (float("inf"), "weight must be a number > 0"),
        (None, "weight must be a number > 0"),
        ([1, 2], "weight must be a number > 0"),
        ({"form": 1, "to": 2}, r"no key 'form' \(did you mean 'from'\?\); its keys are: from, to"),
        ({"from": 1}, "lacks the key 'to'"),
        ({}, "lacks the key 'from'"),
        ({"from": -1, "to": 2}, "from must be a finite number >= 0, got -1"),
        ({"from": 1, "to": "x"}, "to must be a finite number >= 0, got 'x'"),
        ({"from": 0, "to": 0}, "from must be > 0 where to is 0"),
        ({"from": 1, "to": 2, "kind": "step"}, "kind must be one of linear, cosine, got 'step'"),
        ({"from": 1, "to": 2, "kind": ["a"]}, "kind must be one of"),
        ({"from": 1, "to": 2, "start": 2}, "start must be between 0 and 1, got 2"),
        ({"from": 1, "to": 2, "end": -1}, "end must be between 0 and 1, got -1"),
        ({"from": 1, "to": 2, "start": 0.5, "end": 0.2}, "start must be <= end, which is 0.2"),
    ],
)
def test_what_is_no_weight_is_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        Schedule.of(weight)
