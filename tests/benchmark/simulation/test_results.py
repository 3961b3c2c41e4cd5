from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.simulation.experiment import Course, Settings
from benchmark.simulation.protocol import anchor_centres
from benchmark.simulation.results import Outcome, folder_name, write

SETTINGS = Settings(points=2)


@pytest.fixture
def outcome() -> Outcome:
    """Errors that fall from 800 to 600 with every step alike, over 686 cases."""
    course = Course(
        error=np.linspace(800, 600, 201),
        iou=np.full(201, 343.0),
        solved=np.full(201, 68.6),
        final=np.array([250.0, 350.0]),
        stuck=3,
        seconds=1.5,
    )
    return Outcome(SETTINGS, {"iou": course, "giou b": course})


def test_curves_are_scaled_to_the_full_experiment(outcome):
    curves = outcome.curves()
    assert list(curves.columns) == ["loss", "step", "error", "mean_iou", "solved"]
    assert len(curves) == 2 * 201
    last = curves[curves["loss"] == "giou b"].iloc[-1]
    # 2 of 5,000 centres: 600 stands for 1.5 million.
    assert last["error"] == pytest.approx(1.5)
    assert last["mean_iou"] == pytest.approx(0.5)
    assert last["solved"] == pytest.approx(0.1)


def test_summary_by_hand(outcome):
    row = outcome.summary().iloc[0]
    assert row["final_error"] == pytest.approx(1.5)
    # The mean of the errors after steps 1 to 200 is 699.5.
    assert row["area"] == pytest.approx(200 * 699.5 * 2500 / 1e6)
    assert (row["stuck"], row["seconds"]) == (3, 1.5)
    assert row["solved"] == pytest.approx(0.1)
    # Centres with 250 and 350: standard deviation √5000, times √2 for their sum.
    assert row["standard_error"] == pytest.approx(100 * 2500 / 1e6)


def test_one_centre_has_no_standard_error(outcome):
    course = replace(outcome.courses["iou"], final=np.array([600.0]))
    (row,) = Outcome(Settings(points=1), {"iou": course}).summary().itertuples()
    assert np.isnan(row.standard_error)


def test_surface_has_a_row_a_centre(outcome):
    surface = outcome.surface()
    assert list(surface.columns) == ["anchor_x", "anchor_y", "iou", "giou b"]
    assert np.allclose(surface[["anchor_x", "anchor_y"]], anchor_centres(2, 0))
    assert surface["iou"].tolist() == [250, 350]


def test_files_hold_the_frames_and_the_settings(outcome, tmp_path):
    folder = tmp_path / folder_name(SETTINGS)
    assert folder.name == "exact-cxcywh"
    write(outcome, folder, {"workers": 2})
    for name in ("curves", "surface", "summary"):
        stored, frame = pd.read_csv(folder / f"{name}.csv"), getattr(outcome, name)()
        pd.testing.assert_frame_equal(stored, frame, rtol=1e-5, check_dtype=False)
    run = json.loads((folder / "run.json").read_text())
    assert run["points"] == 2
    assert run["workers"] == 2
