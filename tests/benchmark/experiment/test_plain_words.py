"""What pydantic finds wrong, told to people who write YAML."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from benchmark.experiment.plain_words import NUMBER, in_words, numbers_alone, shown


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, True),
        (float, False),
        (int | None, True),
        (list[int], [1, True]),
        (dict[str, float], {"a": True}),
        (tuple[float, ...], [0.5, True]),
        (list[int | float] | None, [True]),
        (Annotated[int, Field(gt=0)], True),
    ],
)
def test_true_and_false_are_no_numbers_at_any_depth(hint, value):
    with pytest.raises(ValidationError, match="must be a number, not true or false"):
        TypeAdapter(numbers_alone(hint)).validate_python(value)


@pytest.mark.parametrize(
    ("hint", "value", "read"),
    [
        (int, 3, 3),
        (int, "3", 3),
        (float, "1e-3", 0.001),
        (bool, True, True),
        (bool | float, True, True),
        (int | None, None, None),
        (dict[int, str], {0: "a"}, {0: "a"}),
        (Literal["a", True], True, True),
        (str, "true", "true"),
        (tuple[int, int], [1, 2], (1, 2)),
    ],
)
def test_all_else_is_read_as_before(hint, value, read):
    found = TypeAdapter(numbers_alone(hint)).validate_python(value)
    assert found == read
    assert type(found) is type(read)


def test_a_range_still_holds_beside_the_check():
    with pytest.raises(ValidationError, match="greater than 0"):
        TypeAdapter(Annotated[int, NUMBER, Field(gt=0)]).validate_python(0)


def test_a_fault_is_told_with_its_value():
    assert in_words("int_parsing", "Input should be...", "x") == "must be a whole number, got 'x'"
    assert in_words("greater_than", "Input should be greater than 0", 0) == (
        "should be greater than 0, got 0"
    )


def test_a_check_of_a_mapping_is_told_without_it():
    assert in_words("value_error", "Value error, a differs from b", {"a": 1}) == "a differs from b"


@pytest.mark.parametrize(
    "value", ["x" * 10**6, [[[[[[[[1]]]]]]]] * 100, 10**4000, {"a": "b" * 999}]
)
def test_long_and_deep_values_are_cut(value):
    assert len(shown(value)) < 200
