"""YAML as plain values, with a key once in each mapping."""

from __future__ import annotations

import datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datasets.yaml_loader import PlainLoader
from datasets.yaml_text import parse_yaml


@pytest.mark.parametrize(
    ("text", "line", "first"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1),
        ("x:\n  a: 1\n  a: 1\n", 3, 2),
        ("x: {a: 1, a: 2}\n", 1, 1),
        ("- {a: 1}\n- {b: 1,\n   b: 2}\n", 3, 2),
        ("1: a\n1: b\n", 2, 1),
    ],
)
def test_a_key_twice_is_refused_with_both_lines(text, line, first):
    with pytest.raises(yaml.YAMLError, match=rf"line {line}, .* stands in line {first} already"):
        parse_yaml(text)


def test_equal_keys_of_different_mappings_are_fine():
    assert parse_yaml("a: {x: 1}\nb: {x: 2}\n1: c\n'1': d\n") == {
        "a": {"x": 1},
        "b": {"x": 2},
        1: "c",
        "1": "d",
    }


def test_what_is_merged_may_be_said_again():
    text = "base: &base {lr: 1, epochs: 2}\nblock: {<<: *base, epochs: 3}\n"
    assert parse_yaml(text)["block"] == {"lr": 1, "epochs": 3}


@pytest.mark.parametrize("date", ["2024-01-31", "2024-99-99", "2001-12-14t21:59:43.10-05:00"])
def test_a_date_is_text(date):
    assert parse_yaml(f"a: {date}") == {"a": date}


def test_a_date_that_was_asked_for_is_one():
    assert yaml.load("!!timestamp 2024-01-31", PlainLoader) == datetime.date(2024, 1, 31)


# PyYAML folds lines at the rarer line breaks without saying so.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_dumped_is_read_as_it_was(value):
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True)) == value
