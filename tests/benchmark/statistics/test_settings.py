from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmark.statistics import SETTING_COLUMNS, choose_settings, sensitivity


def tuning_of(losses: dict[str, dict[str, list[float | str]]]) -> pd.DataFrame:
    """Loss -> setting -> one entry a run: its value, or another status than done."""
    return pd.DataFrame(
        [
            {
                "task": "detection",
                "dataset": "d",
                "model": "m",
                "loss": loss,
                "repetition": repetition,
                "status": value if isinstance(value, str) else "done",
                "setting": setting,
                "weight": float(setting.removeprefix("weight=")),
                "metric": "AP",
                "value": math.nan if isinstance(value, str) else value,
            }
            for loss, settings in losses.items()
            for setting, values in settings.items()
            for repetition, value in enumerate(values)
        ]
    )


def test_choice_by_hand():
    tuning = tuning_of(
        {
            "a": {"weight=1": [0.1, 0.3], "weight=2": [0.3, 0.5], "weight=4": [0.2, 0.2]},
            "b": {"weight=1": [0.6, 0.4], "weight=2": [0.5, 0.1], "weight=4": [0.1, 0.2]},
        }
    )
    chosen = choose_settings(tuning)
    assert list(chosen.columns) == SETTING_COLUMNS
    assert chosen["loss"].tolist() == ["a", "b"]
    assert chosen["setting"].tolist() == ["weight=2", "weight=1"]
    assert chosen["weight"].tolist() == [2, 1]
    assert chosen["mean"].tolist() == pytest.approx([0.4, 0.5])


def test_sensitivity_by_hand():
    found = sensitivity(tuning_of({"a": {"weight=1": [0.1, 0.3], "weight=2": [0.3, 0.5]}}))
    assert found["setting"].tolist() == ["weight=1", "weight=2"]
    assert found["rank"].tolist() == [2, 1]
    assert found["chosen"].tolist() == [False, True]
    assert found[["mean", "min", "max", "drop"]].to_numpy().tolist() == [
        pytest.approx([0.2, 0.1, 0.3, 0.2]),
        pytest.approx([0.4, 0.3, 0.5, 0.0]),
    ]
    assert found[["runs", "done", "diverged"]].to_numpy().tolist() == [[2, 2, 0]] * 2


@pytest.mark.parametrize("status", ["diverged", "failed", "timed out", "pending"])
def test_a_run_that_lacks_puts_its_setting_last(status):
    tuning = tuning_of({"a": {"weight=1": [0.9, status], "weight=2": [0.1, 0.1]}})
    assert choose_settings(tuning)["setting"].tolist() == ["weight=2"]
    found = sensitivity(tuning)
    assert found["drop"].tolist() == pytest.approx([-0.8, 0])
    assert found["diverged"].tolist() == [int(status == "diverged"), 0]
    assert found["mean"].tolist() == pytest.approx([0.9, 0.1])


def test_fewest_lacking_first_among_those_with_some():
    tuning = tuning_of(
        {
            "a": {
                "weight=1": ["diverged", "diverged", "diverged"],
                "weight=2": [0.9, "diverged", "diverged"],
                "weight=4": [0.1, 0.1, "diverged"],
                "weight=8": [0.2, 0.2, "diverged"],
            }
        }
    )
    assert sensitivity(tuning)["rank"].tolist() == [4, 3, 2, 1]


def test_ties_keep_their_order():
    tuning = tuning_of({"a": {"weight=4": [0.1], "weight=1": [0.5], "weight=2": [0.5]}})
    assert choose_settings(tuning)["setting"].tolist() == ["weight=1"]


def test_all_diverged_leaves_the_first():
    chosen = choose_settings(tuning_of({"a": {"weight=2": ["diverged"], "weight=1": ["failed"]}}))
    assert chosen["setting"].tolist() == ["weight=2"]
    assert chosen["mean"].isna().all()


def test_value_of_a_run_that_is_not_done_does_not_count():
    tuning = tuning_of({"a": {"weight=1": [0.9], "weight=2": [0.1]}})
    tuning.loc[0, "status"] = "diverged"
    assert choose_settings(tuning)["setting"].tolist() == ["weight=2"]


def test_each_table_is_tuned_by_itself():
    first = tuning_of({"a": {"weight=1": [0.1], "weight=2": [0.2]}})
    second = tuning_of({"a": {"weight=1": [0.4], "weight=2": [0.3]}}).assign(dataset="other")
    chosen = choose_settings(pd.concat([first, second], ignore_index=True))
    assert chosen[["dataset", "setting"]].to_numpy().tolist() == [
        ["d", "weight=2"],
        ["other", "weight=1"],
    ]


def test_nothing_tuned():
    assert choose_settings(pd.DataFrame()).empty
    assert list(sensitivity(pd.DataFrame()).columns) == SETTING_COLUMNS
