"""Rates and ratios against values by hand."""

from __future__ import annotations

import math

import pytest

from benchmark.bench.rates import BARE, HARNESS, PLAIN, Rate, median, ratio, rows


def three_rounds(busy: float = math.nan) -> list[Rate]:
    """The machine of round 2 is half as fast, and round 3 an accident of the plain loop."""
    numbers = {HARNESS: (12.0, 6.0, 12.0), PLAIN: (6.0, 3.0, 1.0), BARE: (15.0, 7.5, 16.0)}
    return [
        Rate(i + 1, side, value, 2 * value, busy)
        for side, values in numbers.items()
        for i, value in enumerate(values)
    ]


def test_medians_and_ratios_of_the_same_round():
    rates = three_rounds()
    assert median(rates, HARNESS, "images") == 12.0
    assert median(rates, PLAIN, "training") == 6.0
    # 2, 2, 12 and 0.8, 0.8, 0.75
    assert ratio(rates, HARNESS, PLAIN, "images") == 2.0
    assert ratio(rates, HARNESS, BARE, "images") == pytest.approx(0.8)


def test_the_table():
    assert rows(three_rounds()) == [
        ("harness", "12", "24", ""),
        ("plain loop", "3", "6", ""),
        ("bare steps", "15", "30", ""),
        ("harness / plain loop", "2.00", "2.00", ""),
        ("harness / bare steps", "0.80", "0.80", ""),
    ]
    assert rows(three_rounds(busy=0.25))[0] == ("harness", "12", "24", "25%")
