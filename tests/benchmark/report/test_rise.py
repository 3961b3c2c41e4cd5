from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmark.report.panels import Panel, panels
from benchmark.report.rise import areas, evaluated, late_range, mean_curves, times
from benchmark.statistics import Target, summarise


def make_panel(curves: dict[tuple[str, int], list[float]], **statuses: str) -> Panel:
    """A panel of runs (loss, repetition) by their AP at epochs 0, 1, ...; 10 s an epoch."""
    identity = {"task": "detection", "dataset": "cells", "model": "net"}
    runs = pd.DataFrame(
        {
            **identity,
            "loss": loss,
            "repetition": repetition,
            "status": statuses.get(f"{loss}{repetition}", "done"),
            "AP": curve[-1],
        }
        for (loss, repetition), curve in curves.items()
    )
    history = pd.DataFrame(
        {
            **identity,
            "loss": loss,
            "repetition": repetition,
            "epoch": epoch,
            "seconds": 10.0 * epoch + repetition,
            "AP": value,
        }
        for (loss, repetition), curve in curves.items()
        for epoch, value in enumerate(curve)
    )
    (panel,) = panels(runs, history, summarise(runs))
    return panel


CURVES = {
    ("iou", 0): [0.0, 0.2, 0.4],
    ("iou", 1): [0.0, 0.4, 0.6],
    ("giou", 0): [0.0, 0.4, 0.4],
    ("giou", 1): [0.0, 0.6, 0.6],
}


def test_a_mean_curve_is_the_mean_of_the_runs_at_each_epoch():
    panel = make_panel(CURVES)
    curves = mean_curves(evaluated(panel, "seconds"), "AP", "seconds")
    iou = curves[curves["loss"] == "iou"]
    assert iou["mean"].tolist() == pytest.approx([0.0, 0.3, 0.5])
    assert iou["sd"].tolist() == pytest.approx([0.0, 0.02**0.5, 0.02**0.5])
    assert iou["x"].tolist() == pytest.approx([0.5, 10.5, 20.5])  # the mean of the runs' times
    assert iou["n"].tolist() == [2, 2, 2]


def test_epochs_without_evaluation_are_left_out():
    panel = make_panel({("iou", 0): [0.0, math.nan, 0.4]})
    assert evaluated(panel, "epoch")["epoch"].tolist() == [0, 2]


def test_what_was_never_recorded_has_no_epochs():
    panel = make_panel(CURVES)
    without = Panel(
        panel.name,
        panel.stem,
        panel.runs,
        panel.history.drop(columns=["seconds"]),
        panel.summary,
        panel.styles,
    )
    assert evaluated(without, "seconds").empty
    assert len(evaluated(without, "epoch")) == 12


def test_the_steep_quarter_is_left_out_of_the_range():
    panel = make_panel({("iou", 0): [0.0, 0.1, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8]})
    shown = late_range(mean_curves(evaluated(panel, "epoch"), "AP", "epoch"))
    assert (min(shown), max(shown)) == (0.5, 0.8)


def test_a_short_curve_is_shown_whole():
    panel = make_panel({("iou", 0): [0.0, 0.5]})
    shown = late_range(mean_curves(evaluated(panel, "epoch"), "AP", "epoch"))
    assert (min(shown), max(shown)) == (0.0, 0.5)


def test_areas_are_mean_heights_and_paired():
    # iou: (0/2 + .2 + .4/2) / 2 = .2 and (.4 + .6/2) / 2 = .35; giou: .3 and .45.
    found = areas(make_panel(CURVES), 0.95)
    assert found.loc["iou", "mean"] == pytest.approx(0.275)
    assert found.loc["giou", "mean"] == pytest.approx(0.375)
    assert found.loc["giou", "diff"] == pytest.approx(0.1)
    assert math.isnan(found.loc["iou", "diff"])
    assert found["n"].tolist() == [2, 2]


def test_a_diverged_run_has_no_area_but_counts_as_late():
    curves = CURVES | {("giou", 1): [0.0, 0.6]}
    panel = make_panel(curves, giou1="diverged")
    assert areas(panel, 0.95).loc["giou", "n"] == 1
    found = times(panel, Target("AP", 0.5, "given"))
    assert found.loc["giou", ["n", "reached"]].tolist() == [2, 1]  # it got there before
    assert found.loc["giou", "epochs"] == 1  # by then half of the two had


def test_a_run_under_way_has_no_area_though_all_are_as_far():
    # All curves end at epoch 2, so nothing but the status tells that giou's runs go on.
    found = areas(make_panel(CURVES, giou0="running", giou1="running"), 0.95)
    assert found.loc["giou", "n"] == 0
    assert math.isnan(found.loc["giou", "mean"])
    assert math.isnan(found.loc["giou", "diff"])
    assert found.loc["iou", "mean"] == pytest.approx(0.275)


def test_runs_still_under_way_are_not_timed():
    panel = make_panel(CURVES, iou1="running")
    found = times(panel, Target("AP", 0.4, "given"))
    assert found.loc["iou", ["n", "reached"]].tolist() == [1, 1]
    assert found.loc["iou", "epochs"] == 2
    assert found.loc["giou", "epochs"] == 1
    assert found.loc["giou", "seconds"] == pytest.approx(10.0)  # the earlier of the two
