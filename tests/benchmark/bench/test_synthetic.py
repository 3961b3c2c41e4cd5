from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.bench.synthetic import WEIGHTS, Content, build_store
from benchmark.collecting import report_data
from benchmark.report.data import ReportData
from benchmark.report.page import render_page
from benchmark.report.tables.breakdowns import breakdown_frame
from benchmark.statistics import PRIMARY, summarise

CONTENT = Content(("a", "b", "<c>"), repetitions=3, datasets=("one", "two"), epochs=6, tuning=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return report_data(build_store(tmp_path_factory.mktemp("store") / "x", CONTENT))


def test_every_run_of_the_grid_is_there(data: ReportData) -> None:
    assert CONTENT.runs == len(data.runs) == 36
    per_loss = data.runs.groupby(["task", "dataset", "loss"]).size()
    assert (per_loss == 3).all()
    assert len(per_loss) == 12
    assert data.baselines == {"detection": "a", "segmentation": "a"}


def test_some_runs_diverged_failed_or_did_not_begin(data: ReportData) -> None:
    counts = data.runs["status"].value_counts().to_dict()
    assert counts == {"done": 28, "diverged": 4, "failed": 2, "pending": 2}
    assert {failure["error"] for failure in data.failures.values()} == {CONTENT.failure}
    diverged = data.runs[data.runs["status"] == "diverged"]
    assert set(diverged["loss"]) == {"<c>"}
    assert data.outcomes[diverged["cell"].iloc[0]]["diverged_at"] == {"epoch": 2, "step": 7}


def test_a_store_of_instances_has_a_page_that_tells_masks_from_boxes(tmp_path: Path) -> None:
    content = Content(("a", "b"), repetitions=3, epochs=4, tasks=("instance",), broken=False)
    data = report_data(build_store(tmp_path / "x", content))
    assert set(data.runs["task"]) == {"instance"}
    page = render_page(data, summarise(data.runs))
    for said in (
        "mask_AP (%)",
        "AP is the same of the boxes.",
        "mask AP by object size",
        "Fit of the matched masks, and how many objects they find",
        "Fit of the matched boxes, and how many objects they find",
        "A detection is right where its mask matches",
        "Test image test-00000",
    ):
        assert said in page
    rows = breakdown_frame(data, summarise(data.runs))
    masks, boxes = (
        set(rows.loc[rows["breakdown"].str.startswith("boxes/") == own, "breakdown"])
        for own in (False, True)
    )
    assert boxes == {f"boxes/{name}" for name in masks}


def test_sound_stores_hold_done_runs_alone(tmp_path: Path) -> None:
    store = build_store(tmp_path / "x", replace(CONTENT, broken=False, tuning=False))
    assert set(report_data(store).runs["status"]) == {"done"}


def test_final_runs_have_the_weight_that_tuning_chose(data: ReportData) -> None:
    assert len(data.tuning) == 12 * len(WEIGHTS)
    best = data.tuning.loc[
        data.tuning.groupby(["task", "dataset", "loss"])["value"].idxmax()
    ].set_index(["task", "dataset", "loss"])["weight"]
    used = data.runs.groupby(["task", "dataset", "loss"])["weight"].agg(["min", "max"])
    assert (used["min"] == used["max"]).all()
    pd.testing.assert_series_equal(used["min"], best, check_names=False)


def test_numbers_are_those_that_training_records(data: ReportData) -> None:
    recorded = {"grad_norm", "grad_norm_max", "zero_gradient", "nonfinite_steps", "lr"}
    assert recorded <= set(data.history)
    for task, rows in data.runs[data.runs["status"] == "done"].groupby("task"):
        values = rows[PRIMARY[str(task)]]
        assert values.between(0, 1).all()
        assert values.nunique() == len(values)
        for cell in rows["cell"]:
            assert data.details[cell]["task"] == task
    assert set(data.details) == set(data.runs.loc[data.runs["status"] == "done", "cell"])


def test_repetitions_are_paired(tmp_path: Path) -> None:
    many = Content(("a", "b"), repetitions=40, epochs=3, tasks=("detection",), broken=False)
    runs = report_data(build_store(tmp_path / "x", many)).runs
    table = runs.pivot(index="repetition", columns="loss", values="AP")
    assert np.corrcoef(table["a"], table["b"])[0, 1] > 0.3


def test_first_repetitions_have_the_same_pictures(data: ReportData) -> None:
    first = data.runs[(data.runs["repetition"] == 0) & (data.runs["status"] == "done")]
    for _, rows in first.groupby(["task", "dataset"]):
        found = [
            json.loads((data.folders[cell] / "samples.json").read_text()) for cell in rows["cell"]
        ]
        ids = [[image["id"] for image in content["images"]] for content in found]
        assert len(ids[0]) == 4
        assert all(one == ids[0] for one in ids)


def test_the_same_seed_gives_the_same_numbers(data: ReportData, tmp_path: Path) -> None:
    again = report_data(build_store(tmp_path / "x", CONTENT))
    pd.testing.assert_frame_equal(again.runs, data.runs)
    pd.testing.assert_frame_equal(again.history, data.history)
    assert again.details == data.details
    other = report_data(build_store(tmp_path / "y", replace(CONTENT, seed=1)))
    assert not other.runs["AP"].equals(data.runs["AP"])


def test_more_losses_than_there_are_are_refused(tmp_path: Path) -> None:
    labels = tuple(map(str, range(500)))
    with pytest.raises(ValueError, match=r"detection has \d+ losses, not 500"):
        build_store(tmp_path / "x", Content(labels, repetitions=1))
