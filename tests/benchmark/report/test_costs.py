"""Costs on a grid small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.report.costs import COST_COLUMNS, costs, duration, relative_times

IDENTITY = {"task": "detection", "dataset": "d", "model": "m"}


def run(loss: str, repetition: int, status: str = "done", **values: float) -> dict[str, object]:
    return IDENTITY | {"loss": loss, "repetition": repetition, "status": status} | values


RUNS = pd.DataFrame(
    [
        run("a", 0, seconds=10.0, train_seconds=8.0),
        run("a", 1, seconds=14.0, train_seconds=12.0),
        run("b", 0, seconds=20.0, train_seconds=16.0),
        run("b", 1, seconds=28.0, train_seconds=6.0),
        run("b", 2, status="diverged", seconds=3.0, train_seconds=math.nan),
        run("c", 0, status="pending", seconds=math.nan, train_seconds=math.nan),
    ]
)
NONE = pd.DataFrame()


def test_time_of_done_runs_and_of_all_that_ended() -> None:
    frame = costs(RUNS, NONE, NONE).set_index("loss")
    assert frame.loc["b", ["n", "runs"]].tolist() == [2, 3]
    assert frame.loc["b", "seconds_mean"] == 24  # without the diverged run, which was cut short
    assert frame.loc["b", "seconds"] == 51  # with it
    assert frame.loc["b", "seconds_sd"] == pytest.approx(math.sqrt(32))
    assert frame.loc["c", ["n", "runs", "seconds"]].tolist() == [0, 0, 0]
    assert math.isnan(frame.loc["c", "seconds_mean"])
    assert list(frame.index) == ["a", "b", "c"]


def test_tuning_runs_count_with_their_own_loss() -> None:
    tuning = pd.DataFrame([run("a", 0, seconds=2.0), run("a", 0, status="diverged", seconds=1.5)])
    frame = costs(RUNS, NONE, tuning).set_index("loss")
    assert frame.loc["a", ["tuning_runs", "tuning_seconds"]].tolist() == [2, 3.5]
    assert frame.loc["b", ["tuning_runs", "tuning_seconds"]].tolist() == [0, 0]


def test_a_loss_that_is_still_tuned_has_its_cost_too() -> None:
    tuning = pd.DataFrame([run("late", 0, seconds=2.0), run("late", 0, seconds=math.nan)])
    frame = costs(RUNS, NONE, tuning).set_index("loss")
    assert list(frame.index) == ["a", "b", "c", "late"]
    assert frame.loc["late", ["runs", "seconds", "tuning_runs", "tuning_seconds"]].tolist() == [
        *(0, 0),
        *(1, 2.0),
    ]
    alone = costs(NONE, NONE, tuning)
    assert alone[["loss", "runs", "tuning_runs"]].to_numpy().tolist() == [["late", 0, 1]]


def test_throughput_is_images_over_seconds() -> None:
    # 100 images an epoch: 1 s, then 4 s: 200 images in 5 s.
    history = pd.DataFrame(
        [
            run("a", 0) | {"epoch": 0, "images_per_second": math.nan},
            run("a", 0) | {"epoch": 1, "images_per_second": 100.0},
            run("a", 0) | {"epoch": 2, "images_per_second": 25.0},
        ]
    )
    frame = costs(RUNS, history, NONE).set_index("loss")
    assert frame.loc["a", "images_per_second"] == pytest.approx(40)
    assert math.isnan(frame.loc["b", "images_per_second"])


def test_of_no_runs_there_are_no_costs() -> None:
    assert list(costs(RUNS.iloc[:0], NONE, NONE).columns) == COST_COLUMNS
    assert costs(RUNS.iloc[:0], NONE, NONE).empty


def test_relative_time_is_the_geometric_mean_of_the_pairs() -> None:
    frame = relative_times(RUNS, {"detection": "a"})
    # 16 / 8 = 2 and 6 / 12 = 1/2: as often twice as long as half as long.
    assert frame[["loss", "n_pairs"]].to_numpy().tolist() == [["b", 2]]
    assert frame["ratio"].iloc[0] == pytest.approx(1)
    half = stats.t.ppf(0.975, 1) * np.std(np.log([2, 0.5]), ddof=1) / math.sqrt(2)
    assert frame["ratio_high"].iloc[0] == pytest.approx(math.exp(half))
    assert frame["ratio_low"].iloc[0] == pytest.approx(math.exp(-half))


def test_one_pair_has_a_ratio_and_no_interval() -> None:
    frame = relative_times(RUNS[RUNS["repetition"] == 0], {"detection": "a"})
    assert frame["ratio"].iloc[0] == pytest.approx(2)
    assert frame[["ratio_low", "ratio_high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "runs",
    [RUNS.drop(columns="train_seconds"), RUNS[RUNS["status"] != "done"], RUNS.iloc[:0]],
    ids=["not recorded", "none done", "no runs"],
)
def test_without_training_times_there_is_no_ratio(runs: pd.DataFrame) -> None:
    assert relative_times(runs, {"detection": "a"}).empty


def test_without_a_baseline_there_is_no_ratio() -> None:
    assert relative_times(RUNS, {"segmentation": "a"}).empty


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (math.nan, "–"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
