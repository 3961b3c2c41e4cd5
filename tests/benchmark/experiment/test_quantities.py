"""Times and amounts of memory as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.experiment.quantities import (
    parse_bytes,
    parse_seconds,
    shown_bytes,
    shown_duration,
    shown_seconds,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("45m", 2700),
        ("45 min", 2700),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1h 30m 5s", 5405),
        ("2d", 172800),
        (12, 12),
        (0.5, 0.5),
    ],
)
def test_times(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512B", 512),
        ("500MB", 500_000_000),
        ("2GB", 2_000_000_000),
        ("2 gb", 2_000_000_000),
        ("1.5GiB", 1_610_612_736),
        ("3 MiB", 3_145_728),
        (7, 7),
    ],
)
def test_amounts(text, count):
    found = parse_bytes(text)
    assert found == count
    assert isinstance(found, int)


@pytest.mark.parametrize(
    "text", ["", "2", "h", "2x", "1h,30m", "-1h", "1h 30", "two hours", "1e3s"]
)
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="must be a time such as 90s, 45m, 2h or 1h 30m"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["", "2", "GB", "2G B", "1GB 5MB", "-1GB", "2 apples"])
def test_what_is_no_amount(text):
    with pytest.raises(ValueError, match="must be an amount such as 500MB, 2GB or"):
        parse_bytes(text)


@pytest.mark.parametrize(("parse", "unit"), [(parse_seconds, "h"), (parse_bytes, "GB")])
def test_a_number_of_too_many_digits_is_refused(parse, unit):
    with pytest.raises(ValueError, match="must be a"):
        parse("9" * 400 + unit)


@given(st.text(alphabet="0123456789. hmsdGMBi", max_size=12))
def test_any_other_text_is_refused_with_what_is_allowed(text):
    for parse in (parse_seconds, parse_bytes):
        refused = ""
        try:
            found = parse(text)
        except ValueError as error:
            refused = str(error)
        assert refused.startswith("must be a") or found >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5, "1.5 s"), (90, "90 s"), (2700, "45 min"), (7200, "2 h"), (5400, "1 h 30 min")],
)
def test_limits_as_shown(seconds, text):
    assert shown_seconds(seconds) == text


@given(st.integers(2, 5000))
def test_a_limit_of_whole_minutes_is_read_as_it_is_shown(minutes):
    shown = shown_seconds(60 * minutes).replace(" min", "m").replace(" h", "h")
    assert parse_seconds(shown) == 60 * minutes


@pytest.mark.parametrize(("count", "text"), [(2e9, "2.0 GB"), (1.26e9, "1.3 GB"), (5e8, "500 MB")])
def test_amounts_as_shown(count, text):
    assert shown_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "0 min 05 s"), (61.6, "1 min 02 s"), (7260, "2 h 1 min")]
)
def test_durations(seconds, text):
    assert shown_duration(seconds) == text
