"""YAML that would take memory, time or the whole process, and YAML that only looks like it."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datasets.yaml_text import MAX_DEPTH, parse_yaml


def tower(kind: str) -> str:
    """Twelve lines that stand for 9 to the power of 12 values."""
    lines = ["a0: &a0 {x: 1}"]
    for i in range(1, 13):
        lines.append(f"a{i}: &a{i} " + kind.format(", ".join([f"*a{i - 1}"] * 9)))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested more than 100 deep"),
        ("{a: " * 100_000, "nested more than 100 deep"),
        ("- " * 100_000, "nested more than 100 deep"),
        ("? " * 100_000, "nested more than 100 deep"),
        ("\n".join(" " * i + "a:" for i in range(300)), r"nested more than 100 deep \(line 101\)"),
        (tower("[{}]"), r"aliases stand for more than 1,000,000 values \(line 7\)"),
        (tower("{{<<: [{}]}}"), "aliases stand for more than 1,000,000 values"),
        ("a: &a [1, *a]", r"'\*a' stands inside what it stands for \(line 1\)"),
        ("a: &a {b: {c: *a}}", "stands inside what it stands for"),
        ("9" * 5000, "5000 digits"),
    ],
)
def test_explosions(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        parse_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [touch x]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object/new:os.system [touch x]",
        "!!bool x",
        "!!int ''",
        "!!float ''",
        "!!timestamp x",
        "!!mine 1",
    ],
)
def test_tags_that_make_no_plain_value(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)


def test_what_is_allowed() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: 2}") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "e": 2},
    }
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert str(parse_yaml(deep)) == deep
    with pytest.raises(yaml.YAMLError, match="deep"):
        parse_yaml(f"[{deep}]")
    shared = "a: &x [" + "1, " * 90_000 + "]\nb: [" + "*x, " * 10 + "]"
    assert len(parse_yaml(shared)["b"]) == 10
    with pytest.raises(yaml.YAMLError, match="1,000,000"):
        parse_yaml(shared + "\nc: *x\nd: *x")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii"), max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=40,
)


@given(plain, st.booleans())
def test_plain_values_come_back(value: object, flow: bool) -> None:
    """Whatever way a text takes through the checks, the value is the same."""
    assert parse_yaml(yaml.safe_dump(value, default_flow_style=flow)) == value
