"""Options are read from dataclasses, checked, and explained where they are wrong."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, get_args

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from benchmark.models import MODELS
from benchmark.options import (
    UserError,
    build,
    explain,
    look_up,
    option_fields,
    resolve_options,
    suggest,
    summary,
    type_name,
)
from datasets import DATASETS
from losses import BOX, CLASSIFICATION, MASK


@dataclass
class Thing:
    """First line.

    More lines.
    """

    kind: ClassVar[str] = "no option"
    root: str
    beta: float = 1.5
    count: int = 2
    form: Literal["linear", "log"] = "linear"
    pair: tuple[float, float] = (1.0, 2.0)
    names: list[str] = field(default_factory=lambda: ["a"])
    share: float | None = None
    derived: int = field(init=False, default=7)
    newer: dict[int, str] = field(default_factory=dict, metadata={"added": True})

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must be >= 0, got {self.beta}")


REGISTERS: dict[str, dict[str, type]] = {
    "box": {**BOX},
    "mask": {**MASK},
    "classification": {**CLASSIFICATION},
    "data": {**DATASETS},
    "model": {**MODELS},
}
REGISTERED = [
    pytest.param(cls, id=f"{kind}-{name}")
    for kind, register in REGISTERS.items()
    for name, cls in register.items()
]


def test_the_options_of_a_class_are_its_fields():
    fields = option_fields(Thing)
    assert list(fields) == ["root", "beta", "count", "form", "pair", "names", "share", "newer"]
    assert fields["root"] == (str, ...)
    assert fields["beta"] == (float, 1.5)
    assert fields["names"] == (list[str], ["a"])


def test_summary_is_the_first_line():
    assert summary(Thing) == "First line."


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (float, "float"),
        (Literal["linear", "log"], "linear | log"),
        (list[int], "list[int]"),
        (float | None, "float | None"),
        (Literal[4, 8] | None, "4 | 8 | None"),
        (list[int] | None, "list[int] | None"),
    ],
)
def test_type_name(annotation, expected):
    assert type_name(annotation) == expected


def test_suggest_names_only_what_is_close():
    assert suggest("gio", ["giou", "l1"]) == " (did you mean 'giou'?)"
    assert suggest("banana", ["giou", "l1"]) == ""


@pytest.mark.parametrize("name", ["gio", None, 3, ["giou"]])
def test_an_unknown_name_is_refused_with_what_is_allowed(name):
    with pytest.raises(UserError, match=r"^matrix\.a\.losses\.0: unknown loss .*allowed: giou, l1"):
        look_up({"l1": 1, "giou": 2}, name, "loss", "matrix.a.losses.0")


def test_a_known_name_is_looked_up():
    assert look_up({"l1": 1, "giou": 2}, "giou", "loss", "losses.0") == 2


def test_options_left_out_take_their_defaults_and_the_result_builds_the_object():
    resolved = resolve_options(Thing, {"root": "x", "beta": 3}, "here")
    assert resolved == {
        "root": "x",
        "beta": 3.0,
        "count": 2,
        "form": "linear",
        "pair": [1.0, 2.0],
        "names": ["a"],
        "share": None,
    }
    assert build(Thing, resolved, "here").beta == 3.0


def test_an_added_option_is_left_out_at_its_default():
    assert "newer" not in resolve_options(Thing, {"root": "x", "newer": {}}, "here")
    resolved = resolve_options(Thing, {"root": "x", "newer": {"3": "a"}}, "here")
    assert resolved["newer"] == {"3": "a"}  # as a stored configuration has it


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "here.root: missing; it has no default"),
        ({"root": "x", "bet": 1}, "here.bet: unknown key (did you mean 'beta'?); allowed: root, "),
        ({"root": "x", "my-beta": 1}, "here.my-beta: unknown key"),
        ({"root": "x", "beta[0]": 1}, "here.beta[0]: unknown key"),
        ({"root": "x", "derived": 1}, "here.derived: unknown key"),
        ({"root": "x", "beta": "much"}, "here.beta: must be a number"),
        ({"root": "x", "count": 2.5}, "got 2.5"),
        ({"root": "x", "count": None}, "here.count: must be a whole number, got None"),
        ({"root": "x", "form": "cube"}, "here.form: should be 'linear' or 'log', got 'cube'"),
        ({"root": "x", "pair": [1, "b"]}, "here.pair.1: must be a number"),
        ({"root": "x", "beta": float("nan")}, "here.beta: must be a finite number, got nan"),
        ({"root": "x", "pair": (0, float("inf"))}, "must be a finite number, got inf"),
        ({"root": "x", "names": "abc"}, "here.names: must be a list, got 'abc'"),
    ],
)
def test_a_wrong_option_is_named_with_value_and_what_is_allowed(given, message):
    with pytest.raises(UserError) as caught:
        resolve_options(Thing, given, "here")
    assert message in str(caught.value)


def test_every_fault_gets_a_line():
    with pytest.raises(UserError) as caught:
        resolve_options(Thing, {"beta": "x", "count": "y"}, "here")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["here.root", "here.beta", "here.count"]


def test_a_value_out_of_range_is_a_user_error_with_the_path():
    with pytest.raises(UserError, match=r"^here: beta must be >= 0, got -1"):
        build(Thing, {"root": "x", "beta": -1}, "here")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = 1.0


def _not_odd(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    blocks: dict[str, Inner] = {}
    inner: Inner | None = None
    either: Annotated[int, AfterValidator(_not_odd)] | list[int] = 0


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"blocks": {"my-block": {"rat": 1}}},
            "blocks.my-block.rat: unknown key (did you mean 'rate'?); allowed: rate",
        ),
        ({"inner": {"top-k": 1}}, "inner.top-k: unknown key; allowed: rate"),
        ({"block": {}}, "block: unknown key (did you mean 'blocks'?); allowed: blocks, inner"),
        ({"blocks": {"a b": {"rate": "x"}}}, "blocks.a b.rate: must be a number"),
        ({"either": 3}, "either: must be even, got 3"),
    ],
)
def test_paths_go_through_keys_that_the_user_chose(content, line):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(content)
    assert explain(caught.value, Outer)[0].startswith(line)


@pytest.mark.parametrize("cls", REGISTERED)
def test_everything_registered_describes_itself(cls):
    assert summary(cls), f"{cls} has no docstring"
    fields = option_fields(cls)
    required = {
        name: (get_args(hint) or ["x"])[0]
        for name, (hint, default) in fields.items()
        if default is ...
    }
    added = {one.name for one in dataclasses.fields(cls) if one.metadata.get("added")}
    assert set(resolve_options(cls, required, "here")) == set(fields) - added
