"""What a tuning tried and chose, on a grid worked out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest

from benchmark.report.data import ReportData
from benchmark.report.tuned import (
    Setting,
    at_edge,
    choice,
    level_axis,
    lines_of,
    settings_of,
    unsupported,
    untuned,
)


def row(weight: float, value: float, status: str = "done", **more: Any) -> dict[str, Any]:
    setting = f"weight={weight:g} lr={more.get('lr', 0.001):g}"
    return {
        "loss": "iou",
        "repetition": 0,
        "status": status,
        "weight": weight,
        "lr": 0.001,
        "options": "{}",
        "setting": setting,
        "value": value,
        "chosen": False,
    } | more


def setting(weight: float, mean: float, **more: Any) -> Setting:
    values = () if math.isnan(mean) else (mean,)
    given = {"lr": 0.001, "options": "", "diverged": 0, "failed": 0, "unfinished": 0}
    given |= {"chosen": False} | more
    return Setting(text=f"weight={weight:g}", weight=weight, values=values, **given)


def test_a_setting_has_the_mean_of_its_repetitions() -> None:
    frame = pd.DataFrame([row(1, 0.4), row(1, 0.5, repetition=1), row(2, 0.3, chosen=True)])
    first, second = settings_of(frame)["iou"]
    assert first.values == (0.4, 0.5)
    assert first.mean == pytest.approx(0.45)
    assert (first.text, first.weight, first.lr, first.chosen) == (
        "weight=1 lr=0.001",
        1,
        0.001,
        False,
    )
    assert second.chosen


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("diverged", "diverged"),
        ("failed", "failed"),
        ("timed out", "failed"),
        ("running", "unfinished"),
        ("pending", "unfinished"),
    ],
)
def test_a_setting_with_a_run_lacking_has_no_mean(status: str, name: str) -> None:
    frame = pd.DataFrame([row(1, 0.4), row(1, math.nan, status, repetition=1)])
    (found,) = settings_of(frame)["iou"]
    assert math.isnan(found.mean)
    assert found.values == (0.4,)
    counts = {n: getattr(found, n) for n in ("diverged", "failed", "unfinished")}
    assert counts == {"diverged": 0, "failed": 0, "unfinished": 0} | {name: 1}


def test_options_are_read_from_json() -> None:
    options = json.dumps({"gamma": 2, "scope": "image"})
    (found,) = settings_of(pd.DataFrame([row(1, 0.4, options=options)]))["iou"]
    assert found.options == "gamma=2 scope=image"


def test_the_axis_is_the_first_number_with_several_values() -> None:
    assert level_axis([setting(1, 0.4), setting(2, 0.4)]) == "weight"
    assert level_axis([setting(1, 0.4), setting(1, 0.4, lr=0.01)]) == "lr"
    assert level_axis([setting(1, 0.4), setting(1, 0.4, options="gamma=2")]) is None
    assert level_axis([]) is None


def test_curves_are_what_else_the_settings_differ_in() -> None:
    settings = [setting(2, 0.4), setting(1, 0.3), setting(1, 0.2, lr=0.01)]
    curves = lines_of(settings, "weight")
    assert [[s.weight for s in own] for own in curves.values()] == [[1, 2], [1]]
    assert list(curves) == ["lr=0.001", "lr=0.01"]


def test_one_curve_needs_no_name() -> None:
    assert list(lines_of([setting(1, 0.3), setting(2, 0.4)], "weight")) == [""]


def test_curves_by_option() -> None:
    settings = [setting(1, 0.3, options="gamma=2"), setting(1, 0.4, options="gamma=1")]
    assert list(lines_of(settings, "weight")) == ["gamma=1", "gamma=2"]


@pytest.mark.parametrize(
    ("chosen", "texts"),
    [
        (1.0, ["weight 1, the smallest tried"]),
        (2.0, []),
        (4.0, ["weight 4, the largest tried"]),
    ],
)
def test_a_choice_at_the_edge(chosen: float, texts: list[str]) -> None:
    settings = [setting(w, 0.4, chosen=w == chosen) for w in (2.0, 1.0, 4.0)]
    assert at_edge(settings) == texts


def test_one_value_has_no_edge() -> None:
    assert at_edge([setting(1, 0.4, chosen=True)]) == []


def test_a_choice_for_want_of_a_better_one_is_not_called_an_edge() -> None:
    settings = [
        setting(1, math.nan, diverged=1, chosen=True),
        setting(2, math.nan, diverged=2),
    ]
    assert at_edge(settings) == []
    assert unsupported(settings) == (
        "every setting has a diverged run; the final runs use the one with the fewest (the first "
        "of equals)"
    )
    settings[1] = setting(2, math.nan, failed=1)
    assert unsupported(settings).startswith("every setting has a run without a value;")


@pytest.mark.parametrize("chosen", [True, False])
def test_a_choice_that_the_tuning_supports_needs_no_reason(chosen: bool) -> None:
    assert unsupported([setting(1, 0.4, chosen=chosen), setting(2, math.nan, diverged=1)]) == ""


def test_what_the_choice_gained() -> None:
    found = choice(
        [
            setting(1, 0.40),
            setting(1, 0.20, lr=0.01),
            setting(2, 0.50, lr=0.01, chosen=True),
            setting(8, math.nan, diverged=1),
        ]
    )
    assert found.over_worst == pytest.approx(0.30)
    assert found.over_unit == pytest.approx(0.30)  # weight 1 with the chosen learning rate
    assert (found.tried, found.diverged) == (4, 1)
    assert found.chosen is not None
    assert found.chosen.weight == 2


def test_without_weight_one_among_them_that_gain_is_unknown() -> None:
    found = choice([setting(2, 0.4, chosen=True), setting(4, 0.3)])
    assert math.isnan(found.over_unit)


def test_before_a_setting_is_chosen_there_is_no_gain() -> None:
    found = choice([setting(1, 0.4), setting(2, math.nan, unfinished=1)])
    assert found.chosen is None
    assert math.isnan(found.over_worst)
    assert math.isnan(found.over_unit)


def data(weights: dict[str, list[float]], in_configs: bool = False) -> ReportData:
    rows, configs = [], {}
    for loss, own in weights.items():
        for i, weight in enumerate(own):
            cell = f"{loss}-{i}"
            rows.append({"loss": loss, "cell": cell, **({} if in_configs else {"weight": weight})})
            configs[cell] = {"loss": {"weight": weight}}
    return ReportData("x", "", pd.DataFrame(rows), pd.DataFrame(), configs=configs)


@pytest.mark.parametrize("in_configs", [False, True], ids=["runs", "configurations"])
def test_all_at_weight_one(in_configs: bool) -> None:
    text = untuned(data({"a": [1.0, 1.0], "b": [1.0]}, in_configs))
    assert text.startswith("Every loss ran at weight 1, and none was tuned: ")


@pytest.mark.parametrize("in_configs", [False, True], ids=["runs", "configurations"])
def test_some_at_weights_of_their_own(in_configs: bool) -> None:
    text = untuned(data({"a": [1.0], "b": [2.0, 0.5]}, in_configs))
    assert text.startswith("The losses ran at weight 1, except b at 0.5 and 2, and none was tuned")


def test_every_loss_at_a_weight_of_its_own() -> None:
    text = untuned(data({"a": [3.0], "b": [2.0]}))
    assert "at the weights of the experiment (a at 3, b at 2), and none was tuned" in text
