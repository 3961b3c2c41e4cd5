"""The tables beside the summary: their frames by hand, and when they are written."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmark.report.data import ReportData
from benchmark.report.sheets import SHEETS, write_tables
from benchmark.statistics import summarise

TABLE = {"task": "detection", "dataset": "d", "model": "m"}


def two_losses(dataset: str = "d", shift: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three repetitions of two losses; validation AP rises 0, x, 2x over the epochs 0, 1, 2."""
    runs, history = [], []
    for loss, aps in (("base", (0.20, 0.22, 0.24)), ("other", (0.30, 0.33, 0.36))):
        for repetition, ap in enumerate(aps):
            run = {**TABLE, "dataset": dataset, "loss": loss, "repetition": repetition}
            cell = f"{dataset}-{loss}-{repetition}"
            value = ap + (shift if loss == "other" else 0)
            runs.append({**run, "status": "done", "seconds": 10.0, "cell": cell, "AP": value})
            history += [
                {**run, "epoch": epoch, "seconds": 5.0 * epoch, "AP": ap * epoch}
                for epoch in range(3)
            ]
    return pd.DataFrame(runs), pd.DataFrame(history)


def sheet(name: str, data: ReportData):
    return SHEETS[name](data, summarise(data.runs))


@pytest.fixture
def data() -> ReportData:
    return ReportData("test", "", *two_losses())


def test_convergence_by_hand(data):
    made = sheet("convergence", data)
    frame = made.frame.set_index("loss")
    # The curve 0, x, 2x has the mean height x; the target is 95 % of the baseline's
    # median, 0.95 * 2 * 0.22.
    assert frame.loc["base", "area_mean"] == pytest.approx(0.22)
    assert frame.loc["other", "area_diff"] == pytest.approx(0.11)
    assert frame.loc["base", "target"] == pytest.approx(0.418)
    assert frame.loc["other", ["reached", "epochs", "seconds"]].tolist() == [3, 2, 10]
    (table,) = made.tables
    cells = table.cells.set_index("loss")
    assert cells.loc["base", "area under AP (%)"] == "22.0 ± 2.0"
    assert cells.loc["base", ["reached", "epochs", "seconds"]].tolist() == ["2 of 3", "2", "10"]
    assert "AP of 41.8 % (95 % of the median of base after its last epoch)" in table.caption
    assert "flatters" not in table.caption


def test_a_diverged_run_has_no_part_in_the_area(data):
    runs = data.runs.copy()
    runs.loc[0, ["status", "AP"]] = ["diverged", math.nan]
    made = sheet("convergence", ReportData("test", "", runs, data.history))
    frame = made.frame.set_index("loss")
    assert frame.loc["base", ["diverged", "n"]].tolist() == [1, 2]
    assert frame.loc["base", "area_mean"] == pytest.approx(0.23)
    assert "no part in the area, which flatters a loss that has any" in made.tables[0].caption


def test_a_target_that_was_never_reached(data):
    targets = {("detection", "d", "m"): {"AP": 0.65}}
    made = sheet("convergence", ReportData("test", "", data.runs, data.history, targets=targets))
    cells = made.tables[0].cells.set_index("loss")
    assert cells.loc["base", ["reached", "epochs"]].tolist() == ["0 of 3", "never"]
    assert cells.loc["other", ["reached", "epochs"]].tolist() == ["2 of 3", "2"]
    assert made.frame["epochs"].tolist() == [2, math.inf]


def test_cost_by_hand(data):
    cells = sheet("cost", data).tables[0].cells
    assert cells["seconds of a run"].tolist() == ["10.0", "10.0"]
    assert cells["total"].tolist() == ["30 s", "30 s"]
    assert cells["images a second"].tolist() == ["–", "–"]
    assert "tuning runs" not in cells


def tuning_runs(chosen: str = "weight=1") -> pd.DataFrame:
    values = {("weight=1", 1.0): (0.1, 0.2), ("weight=2", 2.0): (0.3, None)}
    return pd.DataFrame(
        [
            {**TABLE, "loss": "base", "repetition": r, "setting": setting, "weight": weight}
            | {"lr": 0.1, "options": "{}", "metric": "AP", "seconds": 2.0, "epochs": 3}
            | {
                "status": "diverged" if value is None else "done",
                "value": value,
                "chosen": chosen == setting,
            }
            for (setting, weight), some in values.items()
            for r, value in enumerate(some)
        ]
    )


def test_tuning_by_hand(data):
    made = sheet("tuning", ReportData("test", "", data.runs, data.history, tuning_runs()))
    assert len(made.frame) == 4
    assert made.tables[0].cells.to_dict("list") == {
        "loss": ["base", "base"],
        "setting": ["weight=1", "weight=2"],
        "AP (%)": ["15.0", "–"],  # a mean of the runs that survived would flatter
        "lowest (%)": ["10.0", "30.0"],
        "highest (%)": ["20.0", "30.0"],
        "done": ["2 of 2", "1 of 2"],
        "chosen": ["yes", ""],
    }
    assert "where there is none, the one with the fewest runs lacking" in made.tables[0].caption


def test_nothing_is_chosen_while_a_tuning_goes_on(data):
    tuning = tuning_runs(chosen="")
    made = sheet("tuning", ReportData("test", "", data.runs, data.history, tuning))
    assert made.tables[0].cells["chosen"].tolist() == ["", ""]


def test_cost_of_a_loss_whose_tuning_is_not_over(data):
    tuning = tuning_runs().assign(loss="late")
    made = sheet("cost", ReportData("test", "", data.runs, data.history, tuning))
    cells = made.tables[0].cells.set_index("loss")
    assert cells.loc["late", ["runs", "total", "tuning runs", "tuning total"]].tolist() == [
        "0",
        "0.0 s",
        "4",
        "8.0 s",
    ]


def test_over_data_sets_by_hand():
    pairs = [two_losses("d"), two_losses("e", shift=0.1)]
    runs, history = (pd.concat(frames, ignore_index=True) for frames in zip(*pairs, strict=True))
    data = ReportData("test", "", runs, history)
    # Differences 0.10, 0.11, 0.12 on d and 0.20, 0.21, 0.22 on e: each with variance 0.01^2 / 3.
    # The mean's standard error is sqrt(2 / 3) 0.01 / 2 = 0.00408 with 4 degrees of freedom,
    # t = 2.776: half = 0.01133.
    (table,) = sheet("over_datasets", data).tables
    assert table.cells.to_dict("records") == [
        {
            "loss": "other",
            "data sets": "d, e",
            "pairs": "6",
            "difference": "+16.0 [+14.9, +17.1]",
            "verdict": "better",
        }
    ]
    assert "says nothing of other data sets" in table.caption
    (ranks,) = sheet("ranks", data).tables
    assert ranks.cells["mean rank"].tolist() == ["1.00", "2.00"]
    assert "No claim is made: a critical difference needs at least 3 losses" in ranks.caption


def test_breakdowns_are_one_long_frame(data):
    details = {
        "d-base-0": {"by_iou": {"x": [0.5], "y": [0.4]}},
        "d-base-1": {"by_iou": {"x": [0.5], "y": [0.6]}},
        "d-other-0": {"by_size": {"group": ["small"], "count": [7], "value": [0.9]}},
    }
    frame = sheet(
        "breakdowns", ReportData("test", "", data.runs, data.history, details=details)
    ).frame
    rows = (
        frame[["loss", "breakdown", "group", "x", "count", "mean", "n"]].astype(object).fillna("")
    )
    assert rows.to_numpy().tolist() == [
        ["base", "by_iou", "", 0.5, "", 0.5, 2],
        ["other", "by_size", "small", "", 7, 0.9, 1],
        ["base", "by_iou/points", "0.50", "", "", 0.5, 2],
    ]
    assert set(frame["dataset"]) == {"d"}


def test_only_what_the_data_hold_is_written(data, tmp_path):
    paths = write_tables(data, summarise(data.runs), tmp_path)
    assert {path.stem for path in paths} == {"summary", "runs", "cost", "convergence"}


def test_the_summary_page_starts_with_the_headlines(data, tmp_path):
    write_tables(data, summarise(data.runs), tmp_path)
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# Summary\n\n- ")
    assert text.index("other") < text.index("## detection, d, m")


@pytest.mark.parametrize("name", list(SHEETS))
def test_every_latex_table_is_whole(name):
    pairs = [two_losses("d"), two_losses("e")]
    runs, history = (pd.concat(frames, ignore_index=True) for frames in zip(*pairs, strict=True))
    details = {"d-base-0": {"by_iou": {"x": [0.5], "y": [0.4]}}}
    made = sheet(name, ReportData("test", "", runs, history, tuning_runs(), details))
    for table in made.tables or []:
        text = table.latex()
        body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
        columns = {line.count("&") + 1 for line in body.splitlines() if line.endswith(r"\\")}
        assert columns == {len(table.cells.columns)}
        assert text.isascii()
        assert text.count("{") == text.count("}")


def test_a_table_that_cannot_be_written_leaves_the_old_one(data, tmp_path, monkeypatch):
    (tmp_path / "summary.csv").write_text("old")

    def full(*paths: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_tables(data, summarise(data.runs), tmp_path)
    assert (tmp_path / "summary.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["summary.csv"]
