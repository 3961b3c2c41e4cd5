"""The table of the losses on the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from benchmark.report.page.context import PageContext
from benchmark.report.page.sections import comparison, convergence, over_datasets, thresholds
from benchmark.statistics import summarise, with_bootstrap

CAPTION = "AP of the losses on the test split"
BASE = [0.50, 0.51, 0.52, 0.50]
AHEAD = [0.510, 0.522, 0.534, 0.512]


def table_of(found: Any) -> dict[str, dict[str, str]]:
    table = found.table(CAPTION)
    return {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}


def test_columns_come_in_the_order_in_which_they_are_read(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE, ("d", "b"): AHEAD})
    runs = page.data.runs.assign(setting="lr=1", AP50=0.8)
    page = PageContext(replace(page.data, runs=runs), with_bootstrap(summarise(runs), runs))
    assert read(comparison.build(page)).table(CAPTION).heads == [
        *("loss", "AP (%)", "difference", "bootstrap", "verdict", "n", "setting"),
        *("p (Holm)", "exact p (Holm)", "runs won (%)", "AP50 (%)", "seconds"),
    ]


def test_the_p_value_shown_is_the_one_the_verdict_rests_on(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE, ("d", "b"): AHEAD, ("d", "c"): [0.5, 0.5, 0.5, 0.6]})
    found = read(comparison.build(page))
    row = table_of(found)["b"]
    # Two comparisons, and that of b has the smaller p-value.
    assert row["p (Holm)"] == f"{2 * stats.ttest_rel(AHEAD, BASE).pvalue:.3f}"
    assert row["exact p (Holm)"] == "0.250 *"  # 2 / 2**4 for each of two
    assert row["verdict"] == "better"
    assert (
        "* The exact test, which assumes no normal distribution, cannot reach significance with "
        "n = 4"
    ) in found.text
    assert "better and worse rest on the t-test, which assumes it." in found.text


def test_fewer_pairs_than_a_verdict_needs_carry_the_mean_alone(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE[:2], ("d", "b"): AHEAD[:2]})
    page = PageContext(page.data, with_bootstrap(page.summary, page.data.runs))
    found = read(comparison.build(page))
    row = table_of(found)["b"]
    assert row["difference"] == "+1.1"
    assert row["verdict"] == "too few repetitions"
    assert not {"p (Holm)", "exact p (Holm)", "runs won (%)", "bootstrap"} & set(row)
    assert "The exact test, which" not in found.text.split("How to read")[0]


def test_a_loss_with_too_few_pairs_beside_one_with_enough(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE, ("d", "b"): AHEAD, ("d", "c"): AHEAD[:2]})
    row = table_of(read(comparison.build(page)))["c"]
    assert [row[name] for name in ("p (Holm)", "exact p (Holm)", "runs won (%)")] == ["–"] * 3


def test_diverged_is_a_verdict_of_its_own(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE, ("d", "b"): ["diverged", *AHEAD[1:]]})
    found = read(comparison.build(page))
    assert table_of(found)["b"]["verdict"] == "diverged"
    assert "Diverged: no verdict, because runs diverged" in found.text
    page = make_page({("d", "a"): BASE, ("d", "b"): AHEAD})
    assert "Diverged: no verdict" not in read(comparison.build(page)).text


def test_a_done_run_without_a_value_is_counted(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE, ("d", "b"): [float("nan"), *AHEAD[1:]]})
    found = read(comparison.build(page))
    assert table_of(found)["b"]["not finished"] == "1 without a value"
    assert "A run without a value is done" in found.text


@pytest.mark.parametrize(("runs", "shown"), [(7, False), (8, True)])
def test_the_interquartile_mean_needs_eight_runs(
    make_page: Any, read: Any, runs: int, shown: bool
) -> None:
    page = make_page({("d", "a"): [0.5 + i / 100 for i in range(runs)]})
    found = read(comparison.build(page))
    assert ("IQM (%)" in table_of(found)["a"]) == shown
    assert "in bold" not in found.text  # there is nothing to be better than


def test_pooled_means_are_filled_only_where_the_claim_holds(make_page: Any, read: Any) -> None:
    wide = [0.502, 0.522, 0.542]  # differences of 0.2, 1.2 and 2.2 points
    losses = {f"l{i}": wide for i in range(9)}
    values = {("d", "a"): BASE[:3], **{("d", loss): own for loss, own in losses.items()}}
    values |= {("e", loss): own for (_, loss), own in list(values.items())}
    page = make_page(values)
    found = read(over_datasets.build(page))
    assert set(found.table("Differences over the data sets").column("verdict")) == {
        "better, uncorrected"
    }
    marks = [a.get("class") or "" for _, a in found.tags]
    assert len([kind for kind in marks if "dot hollow" in kind]) == 9
    text = found.text
    assert "filled where better or worse holds after Holm's correction" in text


def test_the_note_on_the_area_names_what_it_leaves_out(make_page: Any, read: Any) -> None:
    values = {("d", "a"): BASE, ("d", "b"): ["diverged", *AHEAD[1:]]}
    identity = {"task": "detection", "dataset": "d", "model": "m"}
    history = pd.DataFrame(
        [
            identity
            | {"loss": loss, "repetition": r, "epoch": epoch, "seconds": epoch}
            | {"AP": 0.1 * epoch}
            for loss in "ab"
            for r in range(4)
            for epoch in range(4)
        ]
    )
    said = "Diverged runs have no part in the area, which flatters"
    assert said in read(convergence.build(make_page(values, history=history))).text
    whole = {("d", "a"): BASE, ("d", "b"): AHEAD}
    assert said not in read(convergence.build(make_page(whole, history=history))).text


def test_the_usual_threshold_is_one_to_be_exceeded(make_page: Any, read: Any) -> None:
    page = make_page({("d", "a"): BASE, ("d", "b"): AHEAD}, task="segmentation")
    runs = page.data.runs.assign(mIoU_fg_tuned=page.data.runs["mIoU_fg"] + 0.1)
    page = PageContext(replace(page.data, runs=runs), page.summary)
    assert (
        "the likeliest class, where its probability is above 0.5"
        in read(thresholds.build(page)).text
    )
