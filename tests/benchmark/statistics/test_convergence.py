from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.statistics import (
    RUN,
    Target,
    area_under,
    summarise_times,
    targets_of,
    time_to_target,
)

TABLE = ("detection", "d", "m")


def history_of(curves: dict[tuple[str, int], list[float]], seconds: float = 10) -> pd.DataFrame:
    """(Loss, repetition) -> the AP after epoch 0, 1, …; an epoch takes ``seconds``."""
    return pd.DataFrame(
        [
            {
                **dict(zip(RUN, (*TABLE, loss, repetition), strict=True)),
                "epoch": epoch,
                "seconds": seconds * epoch,
                "AP": value,
            }
            for (loss, repetition), values in curves.items()
            for epoch, value in enumerate(values)
        ]
    )


def runs_of(status: dict[tuple[str, int], str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {**dict(zip(RUN, (*TABLE, *key), strict=True)), "status": value}
            for key, value in status.items()
        ]
    )


def test_area_by_hand():
    history = history_of({("a", 0): [0.0, 0.2, 0.4], ("a", 1): [0.1, 0.5, 0.5]})
    areas = area_under(history, "AP")
    assert areas[["loss", "repetition"]].to_numpy().tolist() == [["a", 0], ["a", 1]]
    # (0 + 0.2) / 2 + (0.2 + 0.4) / 2 = 0.4 over 2 epochs; 0.3 + 0.5 = 0.8 over 2.
    assert areas["area"].tolist() == pytest.approx([0.2, 0.4])


def test_area_by_seconds_uses_their_spacing():
    history = history_of({("a", 0): [0.0, 0.4, 0.4]})
    history["seconds"] = [0, 30, 40]
    # 30 · 0.2 + 10 · 0.4 = 10 over 40 seconds.
    assert area_under(history, "AP", "seconds")["area"].tolist() == pytest.approx([0.25])


def test_area_skips_epochs_without_evaluation():
    history = history_of({("a", 0): [0.0, math.nan, 0.4]})
    assert area_under(history, "AP")["area"].tolist() == pytest.approx([0.2])
    assert area_under(history.iloc[::-1], "AP")["area"].tolist() == pytest.approx([0.2])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.floats(0.1, 1e4))
def test_area_is_a_mean_height(values, seconds):
    history = history_of({("a", 0): values}, seconds)
    by_epoch, by_seconds = (
        area_under(history, "AP", x)["area"].item() for x in ("epoch", "seconds")
    )
    assert min(values) - 1e-9 <= by_epoch <= max(values) + 1e-9
    assert by_seconds == pytest.approx(by_epoch)  # epochs of equal length


def test_a_curve_that_ends_early_has_no_area():
    history = history_of(
        {("a", 0): [0, 0.1, 0.2], ("a", 1): [0, 0.9], ("a", 2): [0, 0.9, math.nan]}
    )
    assert area_under(history, "AP")["area"].isna().tolist() == [False, True, True]


def test_no_area_of_one_evaluation_or_none():
    assert area_under(history_of({("a", 0): [0.5]}), "AP")["area"].isna().all()
    history = history_of({("a", 0): [0.5, 0.6]})
    assert area_under(history, "AP50")["area"].isna().tolist() == [True]
    assert area_under(history.drop(columns="seconds"), "AP", "seconds")["area"].isna().all()
    assert area_under(pd.DataFrame(), "AP").empty


def test_time_is_that_of_the_first_evaluation_that_reaches_the_target():
    history = history_of(
        {
            ("a", 0): [0.1, 0.3, 0.5, 0.2],
            ("a", 1): [0.5, 0.1, 0.1],
            ("b", 0): [0.1, math.nan, 0.4],
            ("b", 1): [0.0, 0.1, 0.29],
        }
    )
    times = time_to_target(history, "AP", 0.3)
    assert times["loss"].tolist() == ["a", "a", "b", "b"]
    assert times["epochs"].tolist()[:3] == [1, 0, 2]
    assert times["seconds"].tolist()[:3] == [10, 0, 20]
    assert times.iloc[3][["epochs", "seconds"]].isna().all()


def test_time_without_the_metric_or_seconds():
    history = history_of({("a", 0): [0.1, 0.3]})
    assert time_to_target(history, "AP50", 0.1)["epochs"].isna().tolist() == [True]
    bare = time_to_target(history.drop(columns="seconds"), "AP", 0.3)
    assert bare["epochs"].tolist() == [1]
    assert bare["seconds"].isna().all()
    assert time_to_target(pd.DataFrame(), "AP", 0.1).empty


def test_median_time_ranks_never_last():
    history = history_of(
        {
            **{("a", i): [0.0] * epochs + [0.5] for i, epochs in enumerate([1, 2, 6])},
            **{("b", i): values for i, values in enumerate([[0, 0.5], [0, 0.1], [0, 0.1]])},
            **{("c", i): values for i, values in enumerate([[0, 0.5], [0, 0, 0.5], [0, 0.1]])},
            **{("d", i): values for i, values in enumerate([[0, 0.5], [0, 0.1]])},
        }
    )
    found = summarise_times(time_to_target(history, "AP", 0.5)).set_index("loss")
    assert found["epochs"].to_dict() == {"a": 2, "b": math.inf, "c": 2, "d": 1}
    assert found["seconds"].to_dict() == {"a": 20, "b": math.inf, "c": 20, "d": 10}
    assert found["n"].tolist() == [3, 3, 3, 2]
    assert found["reached"].tolist() == [3, 1, 2, 1]


def test_median_seconds_are_unknown_where_none_were_recorded():
    history = history_of({("a", 0): [0.1, 0.3]}).drop(columns="seconds")
    row = summarise_times(time_to_target(history, "AP", 0.3)).iloc[0]
    assert row["epochs"] == 1
    assert math.isnan(row["seconds"])


HISTORY = history_of(
    {
        ("base", 0): [0.0, 0.5, 0.3],
        ("base", 1): [0.0, 0.2, 0.4],
        ("base", 2): [0.0, 0.6, math.nan],  # the last evaluation counts
        ("base", 3): [0.0, 0.9, 0.9],
        ("new", 0): [0.0, 0.1, 0.1],
    }
)
RUNS = runs_of(
    {**{("base", i): "done" for i in range(3)}, ("base", 3): "diverged", ("new", 0): "done"}
)


def test_target_is_95_percent_of_the_median_of_the_baseline():
    # The last values are 0.3, 0.4 and 0.6: median 0.4, and 0.95 · 0.4 = 0.38.
    assert targets_of(HISTORY, RUNS, {"detection": "base"}) == {
        TABLE: Target("AP", 0.38, "95 % of the median of base after its last epoch")
    }
    assert targets_of(HISTORY, RUNS, {})[TABLE].value == 0.38  # the first loss
    assert targets_of(HISTORY, RUNS, {"detection": "new"})[TABLE].value == pytest.approx(0.095)


def test_given_target_comes_first():
    given = {TABLE: {"AP50": 0.7, "AP": 0.35}}
    found = targets_of(HISTORY, RUNS, {"detection": "base"}, given)
    assert found == {TABLE: Target("AP", 0.35, "given in the experiment")}
    other = targets_of(HISTORY.assign(AP50=0.5), RUNS, {}, {TABLE: {"AP50": 0.7}})
    assert (other[TABLE].metric, other[TABLE].value) == ("AP50", 0.7)
    assert targets_of(HISTORY, RUNS, {}, {TABLE: {}})[TABLE].value == 0.38


def test_no_target_without_a_finished_baseline():
    unfinished = RUNS.assign(status="running")
    assert targets_of(HISTORY, unfinished, {}) == {}
    assert targets_of(HISTORY.drop(columns="AP"), RUNS, {}) == {}
    assert targets_of(pd.DataFrame(), RUNS, {}) == {}


def test_a_target_of_another_task_is_not_this_tables():
    history = pd.DataFrame(
        {
            "task": ["detection"],
            "dataset": ["d"],
            "model": ["m"],
            "loss": ["a"],
            "repetition": [0],
            "epoch": [1],
            "AP": [0.25],
        }
    )
    runs = history.drop(columns=["epoch", "AP"]).assign(status="done")
    table = ("detection", "d", "m")
    found = targets_of(history, runs, {}, {table: {"mIoU_fg": 0.9}})
    assert (found[table].metric, found[table].value) == ("AP", 0.95 * 0.25)
