"""The whole report where the baseline is not what all tables have."""

from __future__ import annotations

import json

import pytest

from benchmark import report
from benchmark.report.data import ReportData


@pytest.fixture
def data(frames) -> ReportData:
    runs, history = frames
    return ReportData("n", "", runs, history, baselines={"segmentation": "dice"})


def test_a_label_changes_the_baseline_of_its_task_only(data, tmp_path):
    report.write(data, tmp_path, "giou", only=["json"])
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["baselines"] == {"detection": "giou", "segmentation": "dice"}
    with pytest.raises(ValueError, match="baseline 'huber' is not among the losses; allowed:"):
        report.write(data, tmp_path, "huber", only=["json"])


def test_every_part_is_written_while_the_baseline_has_no_run(data, tmp_path):
    runs, history = (
        frame[(frame["loss"] != "smooth_l1") & (frame["task"] == "detection")]
        for frame in (data.runs, data.history)
    )
    waiting = ReportData("n", "", runs, history, baselines={"detection": "smooth_l1"})
    report.write(waiting, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "the baseline smooth_l1 has no run here" in page
    assert set(json.loads((tmp_path / "report.json").read_text())["baselines"].values()) == {
        "smooth_l1"
    }
    for name in ("tables", "charts"):
        assert any((tmp_path / name).iterdir())
