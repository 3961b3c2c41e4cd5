from __future__ import annotations

import io
import math
import re

import pandas as pd
import pytest
from rich.console import Console

from benchmark.report import write
from benchmark.report.data import ReportData
from benchmark.report.sheets import write_tables
from benchmark.report.tables import points, run_tables, slug, summary_tables
from benchmark.report.tables.over_datasets import pooled_tables
from benchmark.statistics import RUN_COLUMNS, SUMMARY_COLUMNS, summarise, with_bootstrap


def tiny_runs(label: str = "other") -> pd.DataFrame:
    """Three repetitions of two losses; differences of AP are 0.010, 0.012 and 0.014."""
    rows = [
        {
            "task": "detection",
            "dataset": "cells",
            "model": "fcos",
            "loss": loss,
            "repetition": repetition,
            "status": "done",
            "AP": ap,
            "AP50": ap + 0.25,
            "untrained/AP": 0.004,
            "trivial/AP": 0.031,
        }
        for loss, aps in (("base", (0.50, 0.51, 0.52)), (label, (0.510, 0.522, 0.534)))
        for repetition, ap in enumerate(aps)
    ]
    return pd.DataFrame(rows)


def only_table(runs: pd.DataFrame):
    (table,) = summary_tables(runs, summarise(runs))
    return table


def test_one_row_a_run_by_hand():
    runs = tiny_runs().assign(seconds=[1.4, 2.6, 3.0, 4.0, 5.0, math.nan])
    (table,) = run_tables(runs)
    assert table.title == "detection, cells, fcos: runs"
    assert table.cells.iloc[1].to_dict() == {
        "loss": "base",
        "repetition": "1",
        "status": "done",
        "seconds": "3",
        "AP (%)": "51.0",
        "AP50 (%)": "76.0",
    }
    assert table.cells["seconds"].tolist()[-1] == "–"
    assert len(table.cells) == 6
    assert table.markdown().count("| base") == 3
    assert table.latex().count("other &") == 3


def test_cells_by_hand():
    # Differences in points 1.0, 1.2, 1.4: mean 1.2, sd 0.2, t(0.975, 2) = 4.302653,
    # half = 4.302653 * 0.2 / sqrt(3) = 0.4968: the interval is 0.70 to 1.70.
    cells = only_table(tiny_runs()).cells.set_index("loss")
    assert cells.index.tolist() == ["other", "base", "untrained model", "trivial predictor"]
    assert cells.loc["other"].to_dict() == {
        "AP (%)": "52.2 ± 1.2",
        "n": "3",
        "difference": "+1.2 [+0.7, +1.7]",
        "verdict": "better",
        "AP50 (%)": "77.2 ± 1.2",
    }
    assert cells.loc["base", ["difference", "verdict"]].tolist() == ["–", "baseline"]
    assert cells.loc["untrained model"].tolist() == ["0.4", "", "", "", "–"]
    assert cells.loc["trivial predictor", "AP (%)"] == "3.1"


def test_runs_that_are_not_done_are_counted_and_explained():
    runs = tiny_runs()
    assert "diverged" not in only_table(runs).caption
    runs.loc[3, "status"], runs.loc[4, "status"] = "diverged", "timed out"
    table = only_table(runs)
    other = table.cells.set_index("loss").loc["other"]
    assert other["not finished"] == "1 diverged, 1 failed"
    assert other["n"] == "1"
    assert other["AP (%)"] == "53.4"  # one run has no standard deviation
    assert other["difference"] == "+1.4"  # nor an interval
    assert "Losses with diverged runs rank after those without" in table.caption
    assert "(1 to 3 a loss)" in table.caption


def test_what_rounds_to_zero_has_no_minus():
    assert points(-0.0004) == "0.0"
    assert points(-0.0006) == "−0.1"
    assert points(0.0004) == "+0.0"


def test_a_difference_in_favour_of_a_side_that_diverged_is_no_cannot_tell():
    runs = tiny_runs()
    more = tiny_runs().assign(repetition=lambda own: own["repetition"] + 3)
    runs = pd.concat([runs, more], ignore_index=True)
    runs.loc[3, ["status", "AP"]] = ["diverged", math.nan]  # of "other", which is ahead
    table = only_table(runs)
    assert table.cells.set_index("loss").loc["other", "verdict"] == "diverged"
    assert "Diverged: no verdict, because runs diverged" in table.caption
    assert "Diverged: no verdict" not in only_table(tiny_runs()).caption


def test_done_runs_without_a_value_are_not_dropped_in_silence():
    runs = tiny_runs()
    runs.loc[[3, 4], "AP"] = math.nan
    table = only_table(runs)
    assert table.cells.set_index("loss").loc["other", "not finished"] == "2 without a value"
    assert "A run without a value is done" in table.caption


def test_two_pairs_have_no_interval():
    runs = tiny_runs().query("repetition < 2")
    summary = with_bootstrap(summarise(runs), runs)
    (table,) = summary_tables(runs, summary)
    cells = table.cells.set_index("loss")
    assert cells.loc["other", ["difference", "verdict", "bootstrap"]].tolist() == [
        "+1.1",
        "too few repetitions",
        "",
    ]


def pooled(verdicts, claims):
    rows = [
        {"task": "detection", "model": "m", "loss": f"l{i}", "baseline": "base", "metric": "AP"}
        | {"level": 0.95, "names": "d, e", "datasets": 2, "n_pairs": 6, "claim": claim}
        | {"diff": 0.02, "diff_low": 0.01, "diff_high": 0.03, "verdict": verdict}
        | {"between_low": math.nan, "between_high": math.nan}
        for i, (verdict, claim) in enumerate(zip(verdicts, claims, strict=True))
    ]
    (table,) = pooled_tables(pd.DataFrame(rows))
    return table


def test_pooled_verdicts_that_fall_to_the_correction_are_marked():
    table = pooled(["better", "worse", "diverged"], ["better", "", ""])
    assert table.cells["verdict"].tolist() == ["better", "worse*", "diverged"]
    assert "*: does not survive Holm's correction" in table.caption
    assert "Diverged: no verdict" in table.caption
    plain = pooled(["better", "cannot tell"], ["better", ""])
    assert "Holm" not in plain.caption
    assert "Diverged" not in plain.caption


def test_caption_says_what_the_cells_mean():
    runs = tiny_runs()
    (table,) = summary_tables(runs, summarise(runs, baseline="other", level=0.9))
    for part in (
        "± standard deviation over n finished repetitions (3 a loss)",
        "paired difference of AP to the baseline other",
        "90 % t-interval",
        "not corrected for the number of comparisons",
        "does not mean that the losses are equal",
        "boxes drawn from the training annotation",
    ):
        assert part in table.caption


def test_segmentation_shows_its_own_metrics(frames):
    runs, _ = frames
    table = summary_tables(runs, summarise(runs))[1]
    assert table.title == "segmentation, nuclei, tiny_unet"
    assert [c for c in map(str, table.cells) if "%" in c] == [
        "mIoU_fg (%)",
        "mIoU (%)",
        "Dice_fg (%)",
    ]
    assert "commonest foreground class" in table.caption


def test_markdown_is_a_table_with_all_rows():
    lines = only_table(tiny_runs()).markdown().splitlines()
    assert lines[0] == "## detection, cells, fcos"
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert {line.count("|") for line in rows} == {7}
    assert re.search(r"\| other +\| 52\.2 ± 1\.2 \| +3 \| \+1\.2 \[\+0\.7, \+1\.7\] \|", rows[2])


def test_markdown_escapes_what_would_break_a_row():
    text = only_table(tiny_runs("a|b*c")).markdown()
    assert r"| a\|b\*c " in text


SPECIAL = r"50%_a&b #1 $x$ {c}~d^e\f<g>"


def test_latex_escapes_every_special_character():
    text = only_table(tiny_runs(SPECIAL)).latex()
    escaped = (
        r"50\%\_a\&b \#1 \$x\$ \{c\}\textasciitilde{}d\textasciicircum{}e\textbackslash{}f"
        r"\textless{}g\textgreater{}"
    )
    assert f"{escaped} & 52.2 $\\pm$ 1.2 & 3 & " in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{", r"\label{tab:detection-"):
        assert rule in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {5}
    assert text.isascii()


def test_latex_minus_is_a_minus():
    runs = tiny_runs()
    (table,) = summary_tables(runs, summarise(runs, baseline="other"))
    assert "$-$1.2 [$-$1.7, $-$0.7] & worse" in table.latex()


def printed(table, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(table.rich())
    return stream.getvalue()


def test_terminal_shows_the_same_cells_within_80_columns(frames):
    runs, _ = frames
    for table in summary_tables(runs, summarise(runs)):
        text = printed(table, 80)
        for name in ("difference", "verdict"):
            assert all(cell in text for cell in table.cells[name])
        assert "…" not in text
        assert "AP75" not in text


def test_terminal_does_not_read_markup_in_a_label():
    assert "[red]x" in printed(only_table(tiny_runs("[red]x")), 120)


def test_csv_round_trip_keeps_every_digit(tmp_path, frames):
    runs, history = frames
    summary = summarise(runs)
    folder = tmp_path / "new" / "tables"
    paths = write_tables(ReportData("test", "", runs, history), summary, folder)
    assert sorted(p.name for p in paths) == [
        f"{table}.{kind}"
        for table in ("convergence", "cost", "runs", "summary")
        for kind in ("csv", "md", "tex")
    ]
    for name, frame in (("runs", runs), ("summary", summary)):
        read = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""])
        text = frame.select_dtypes(exclude="number").columns
        pd.testing.assert_frame_equal(
            read.fillna(dict.fromkeys(text, "")), frame, rtol=1e-14, check_dtype=False
        )
        markdown = (folder / f"{name}.md").read_text(encoding="utf-8")
        assert markdown.count("\n## ") == 2
        latex = (folder / f"{name}.tex").read_text(encoding="utf-8")
        assert latex.count(r"\begin{table}") == 2
    assert repr(float(runs["AP"].iloc[0])) in (folder / "runs.csv").read_text(encoding="utf-8")


def data_of(runs: pd.DataFrame, **parts) -> ReportData:
    return ReportData("test", "", runs, pd.DataFrame(), **parts)


def test_report_of_nothing(tmp_path):
    report = write(data_of(pd.DataFrame(columns=RUN_COLUMNS)), tmp_path)
    assert report.notes == ["there are no runs yet"]
    assert report.tables == []
    tables = tmp_path / "tables"
    assert pd.read_csv(tables / "summary.csv").columns.tolist() == SUMMARY_COLUMNS
    assert pd.read_csv(tables / "runs.csv").empty
    assert "No runs yet." in (tables / "summary.md").read_text()
    assert {p.name for p in tmp_path.iterdir()} == {
        "tables",
        "report.html",
        "report.json",
        "charts",
    }


def test_report_notes_what_is_not_done_and_replaces_old_files(tmp_path):
    runs = tiny_runs()
    write(data_of(runs), tmp_path, only=["tables"])
    runs.loc[0, "status"], runs.loc[0, "AP"] = "failed", math.nan
    report = write(data_of(runs), tmp_path, only=["tables"])
    assert report.notes == ["1 of 6 runs: failed"]
    assert all(path.is_file() for path in report.paths)
    assert [p.name for p in tmp_path.iterdir()] == ["tables"]
    assert pd.read_csv(tmp_path / "tables" / "runs.csv")["status"].tolist()[0] == "failed"


def test_report_takes_the_experiments_baseline_unless_told(tmp_path):
    data = data_of(tiny_runs(), baselines={"detection": "other"})
    assert write(data, tmp_path, only=["tables"]).tables[0].cells["verdict"].iloc[0] == "baseline"
    table = write(data, tmp_path, "base", only=["tables"]).tables[0]
    assert table.cells["verdict"].iloc[0] == "better"


def test_report_refuses_an_unknown_baseline_or_part(tmp_path):
    with pytest.raises(ValueError, match="baseline 'x' is not among the losses"):
        write(data_of(tiny_runs()), tmp_path, baseline="x")
    with pytest.raises(ValueError, match="'pdf' is no part of a report; allowed: tables, page"):
        write(data_of(tiny_runs()), tmp_path, only=["pdf"])


def test_the_setting_is_shown_where_losses_were_tuned():
    runs = tiny_runs()
    assert "setting" not in only_table(runs).cells
    runs["setting"] = ["weight=1"] * 3 + ["weight=2"] * 3
    cells = only_table(runs).cells.set_index("loss")
    assert cells["setting"].tolist() == ["weight=2", "weight=1", "", ""]


def test_a_verdict_that_falls_to_the_correction_is_marked():
    runs = pd.concat(
        [tiny_runs(), *(tiny_runs(f"l{i}").query("loss != 'base'") for i in range(8))],
        ignore_index=True,
    )
    summary = summarise(runs)
    assert set(summary.loc[summary["verdict"] == "better", "claim"]) == {""}  # p 0.0092 x 9
    (table,) = summary_tables(runs, summary)
    assert table.cells["verdict"].tolist().count("better*") == 9
    assert "does not survive Holm's correction" in table.caption
    assert "Holm" not in only_table(tiny_runs()).caption
    assert "better*" in printed(table, 120)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a, b, c", "a-b-c"), ("../x y=0.5", "..-x-y=0.5"), ("k/é_1", "k-é_1")],
)
def test_slug(text, expected):
    assert slug(text) == expected
