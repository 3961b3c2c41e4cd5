from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.store.yaml_parts import parse_in_parts
from datasets.yaml_text import parse_yaml

REFERENCE = Path(__file__).parents[3] / "results" / "reference"
KEY = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)


def outcome(parse: Any, text: str) -> Any:
    """What a parser makes of a text: its value, or that it refuses it."""
    try:
        return repr(parse(text))
    except yaml.YAMLError as error:
        return f"refused: {error}"


@given(st.dictionaries(KEY, VALUE, max_size=5), st.booleans())
def test_what_yaml_writes_is_read_as_by_the_plain_parser(content: Any, flow: bool) -> None:
    text = yaml.safe_dump(content, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    assert outcome(parse_in_parts, text) == outcome(parse_yaml, text)


PIECES = (
    st.sampled_from(
        ["a: 1\n", "b:\n- 1\n", "b: [1,\n", "c: 'x\n", "y: 2'\n", "---\n", "...\n", "%YAML 1.1\n"]
    )
    | st.sampled_from(
        [
            "  k: v\n",
            "- 3\n",
            "d: &x 1\n",
            "e: *x\n",
            "f: |\n",
            " text\n",
            "# no\n",
            "\n",
            "}\n",
            "l:",
        ]
    )
    | st.sampled_from(
        ['"g": 1\n', "? h\n", ": 4\n", "<<: {m: 1}\n", "i: {n: 1}\n", "j: !!set {p}\n", "k:v\n"]
    )
)


@given(st.lists(PIECES, max_size=6).map("".join))
def test_any_other_text_is_read_or_refused_as_by_the_plain_parser(text: str) -> None:
    assert outcome(parse_in_parts, text) == outcome(parse_yaml, text)


def test_the_configurations_of_published_runs_are_read_alike() -> None:
    files = sorted(REFERENCE.glob("*/runs/*/config.yaml"))[::5]
    assert len(files) > 10
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert parse_in_parts(text) == parse_yaml(text)


def test_changing_one_result_changes_no_other() -> None:
    text = "train:\n  sizes: [1, 2]\n"
    parse_in_parts(text)["train"]["sizes"].append(3)
    assert parse_in_parts(text) == {"train": {"sizes": [1, 2]}}


def test_a_mistake_is_told_with_its_line_in_the_whole_text() -> None:
    with pytest.raises(yaml.YAMLError, match="line 4"):
        parse_in_parts("a: 1\nb: 2\nc: [1\n")


def test_values_keep_their_kinds() -> None:
    found = parse_in_parts("a: 1\nb: 1.0\nc: .nan\nd: null\ne: on\n")
    assert (found["a"], type(found["a"]), type(found["b"])) == (1, int, float)
    assert math.isnan(found["c"])
    assert found["d"] is None
    assert found["e"] is True
