"""Sections on the tuning, and on the losses over several data sets."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from benchmark.report.page import render_page
from benchmark.report.page.context import PageContext
from benchmark.report.page.sections import cost, failures, headline, over_datasets, tuning
from benchmark.statistics import pooled_differences

HOSTILE = '"><script>alert(1)</script>'


def tuned(
    loss: str, weight: float, value: float, chosen: bool = False, lr: float = 0.001
) -> dict[str, Any]:
    """A tuning run; without a value it has diverged."""
    return {
        "task": "detection",
        "dataset": "d",
        "model": "m",
        "loss": loss,
        "repetition": 0,
        "status": "diverged" if math.isnan(value) else "done",
        "seconds": 6.0,
        "cell": f"{loss}-{weight}",
        "weight": weight,
        "lr": lr,
        "options": "{}",
        "setting": f"weight={weight:g} lr={lr:g}",
        "metric": "AP",
        "value": value,
        "epochs": 4,
        "chosen": chosen,
    }


NO_RUNS = pd.DataFrame(columns=["task", "dataset", "model", "loss", "repetition", "status"])
RUNS = {("d", "a"): [0.4, 0.5], ("d", "b"): [0.5, 0.6]}
TUNING = [
    tuned("a", 0.5, 0.30),
    tuned("a", 1, 0.35),
    tuned("a", 2, 0.42, chosen=True),
    tuned("a", 4, 0.41),
    tuned("b", 0.5, 0.45, chosen=True),
    tuned("b", 1, 0.40),
    tuned("b", 2, 0.38),
    tuned("b", 4, math.nan),
]


def test_the_chosen_settings(make_page: Any, read: Any) -> None:
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(TUNING))))
    table = found.table("Chosen settings")
    assert table.column("loss") == ["b", "a"]
    assert table.column("chosen setting") == ["weight=0.5 lr=0.001", "weight=2 lr=0.001"]
    assert table.column("AP (%)") == ["45.0", "42.0"]
    assert table.column("over weight 1") == ["+5.0", "+7.0"]
    assert table.column("over the worst") == ["+7.0", "+12.0"]
    assert table.column("settings") == ["4", "4"]
    assert table.column("with diverged runs") == ["1", "0"]


def test_the_protocol_and_its_cost(make_page: Any, read: Any) -> None:
    text = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(TUNING)))).text
    assert (
        "Each loss was tried at 4 settings, 1 run each, 4 epochs a run; the best AP on the "
        "validation split after the last epoch was chosen. The 8 tuning runs took 48 s in sum."
    ) in text


def test_a_choice_at_the_edge_is_warned_of(make_page: Any, read: Any) -> None:
    text = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(TUNING)))).text
    assert "the best may lie outside: weight 0.5, the smallest tried (b)." in text


def test_unequal_budgets_are_warned_of(make_page: Any, read: Any) -> None:
    page = make_page(RUNS, tuning=pd.DataFrame(TUNING[1:]))
    text = read(tuning.build(page)).text
    assert "Not every loss was tried at as many settings (b 4, a 3)." in text
    assert "Each loss was tried at 3 to 4 settings" in text


def test_a_loss_whose_tuning_is_not_over_is_there(make_page: Any, read: Any) -> None:
    rows = [*TUNING, tuned("late", 1, 0.4), tuned("late", 2, math.nan) | {"status": "pending"}]
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(rows))))
    table = found.table("Chosen settings")
    assert table.column("loss") == ["b", "a", "late"]
    assert table.rows[2][1] == "not chosen yet"
    assert "Not in the comparison yet, for want of final runs: late." in found.text


def test_only_tuning_runs_so_far(make_page: Any, read: Any) -> None:
    rows = [*TUNING, tuned("late", 1, 0.4), tuned("late", 2, math.nan) | {"status": "pending"}]
    page = make_page(RUNS, tuning=pd.DataFrame(rows))
    page = PageContext(replace(page.data, runs=NO_RUNS), page.summary.iloc[:0])
    found = read(tuning.build(page))
    assert found.table("Chosen settings").column("loss") == ["a", "b", "late"]
    assert "detection, d, m" in found.text
    said = read(headline.build(page)).text
    assert "no final run yet: 9 of 10 tuning runs have ended" in said
    assert read(cost.build(page)).text.startswith(
        "No final run yet; 10 tuning runs took 1 min 0 s. Runs side by side"
    )
    done = PageContext(replace(page.data, tuning=pd.DataFrame(TUNING[:3])), page.summary)
    said = read(failures.build(done)).text
    assert said == "None so far: all 3 tuning runs are done; no final run yet."
    assert 'id="tuning"' in render_page(page.data, page.summary)


def test_another_table_that_is_only_tuned_so_far(make_page: Any, read: Any) -> None:
    rows = [*TUNING, tuned("a", 1, 0.4) | {"dataset": "e"}]
    text = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(rows)))).text
    assert "detection, e, m Each loss was tried at 1 setting" in text


def test_a_loss_all_of_whose_settings_diverged(make_page: Any, read: Any) -> None:
    rows = [tuned("a", w, 0.3, chosen=w == 1) for w in (0.5, 1, 2)]
    rows += [tuned("b", w, math.nan, chosen=w == 0.5) for w in (0.5, 1, 2)]
    text = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(rows)))).text
    assert "b: every setting has a diverged run; the final runs use the one with the fewest" in text
    assert "Chosen at an end" not in text
    assert "where there is none, the setting with the fewest runs lacking" in text


def test_the_gain_over_weight_1_is_shown_where_the_weight_was_tuned(
    make_page: Any, read: Any
) -> None:
    rows = [tuned("a", 1, 0.3, chosen=lr == 0.1, lr=lr) for lr in (0.01, 0.1, 1)]
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(rows))))
    assert "over weight 1" not in found.table("Chosen settings").heads


def test_all_settings_with_what_they_lack(make_page: Any, read: Any) -> None:
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(TUNING))))
    table = found.table("All settings")
    assert len(table.rows) == 8
    assert table.rows[3] == ["b", "weight=4 lr=0.001", "–", "0", "1 diverged", ""]
    assert table.column("chosen").count("yes") == 2


def test_the_chart_of_each_loss(make_page: Any, read: Any) -> None:
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(TUNING))))
    titles = [
        attributes["aria-label"]
        for tag, attributes in found.tags
        if tag == "svg" and attributes.get("role") == "img"
    ]
    assert titles == [
        "AP on validation (%) of b by weight of the loss",
        "AP on validation (%) of a by weight of the loss",
    ]
    tips = [a["data-tip"] for _, a in found.tags if "data-tip" in a]
    assert "b, weight=0.5 lr=0.001: 45.0 %, chosen" in tips
    assert "b, weight=4 lr=0.001: 1 of 1 diverged" in tips
    assert "a, weight=1 lr=0.001: 35.0 %" in tips


def test_what_is_no_number_is_drawn_side_by_side(make_page: Any, read: Any) -> None:
    rows = [
        tuned("a", 1, 0.3) | {"options": f'{{"gamma": {g}}}', "setting": f"gamma={g}"}
        for g in (1, 2)
    ]
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(rows))))
    titles = [a.get("aria-label") for tag, a in found.tags if tag == "svg"]
    assert "AP on validation (%) of a by setting" in titles


def test_a_tuning_in_which_nothing_ended_has_no_chart(make_page: Any, read: Any) -> None:
    rows = [tuned("a", w, math.nan) | {"status": "pending"} for w in (1, 2)]
    found = read(tuning.build(make_page(RUNS, tuning=pd.DataFrame(rows))))
    assert not [a for tag, a in found.tags if tag == "figure"]
    assert found.table("Chosen settings").rows[0][1:3] == ["not chosen yet", "–"]


def test_a_table_that_was_not_tuned_says_so(make_page: Any, read: Any) -> None:
    page = make_page({**RUNS, ("e", "a"): [0.4]}, tuning=pd.DataFrame(TUNING))
    assert "The losses of this table were not tuned." in read(tuning.build(page)).text


def test_without_tuning_one_sentence(make_page: Any, read: Any) -> None:
    assert read(tuning.build(make_page(RUNS))).text == (
        "Every loss ran at weight 1, and none was tuned: this compares the losses at these "
        "weights, not each at its best."
    )


def test_labels_are_escaped(make_page: Any, read: Any) -> None:
    runs = {("d", "a"): [0.4, 0.5, 0.45], ("d", HOSTILE): [0.5, 0.6, 0.52]}
    runs |= {("e", "a"): [0.4, 0.5, 0.45], ("e", HOSTILE): [0.5, 0.6, 0.52]}
    rows = [tuned(HOSTILE, w, 0.4, chosen=w == 1) for w in (1, 2)]
    page = make_page(runs, tuning=pd.DataFrame(rows))
    for build in (tuning.build, over_datasets.build):
        found = read(build(page))
        assert HOSTILE in found.text
        assert not [tag for tag, _ in found.tags if tag == "script"]


DATASETS = {
    ("d", "a"): [0.40, 0.42, 0.41],
    ("d", "b"): [0.43, 0.46, 0.44],
    ("e", "a"): [0.60, 0.63, 0.62],
    ("e", "b"): [0.61, 0.65, 0.63],
}


def test_differences_over_data_sets(make_page: Any, read: Any) -> None:
    page = make_page(DATASETS)
    found = read(over_datasets.build(page))
    table = found.table("Differences over the data sets")
    pooled = pooled_differences(page.data.runs).iloc[0]
    # d: 3, 4, 3 points; e: 1, 2, 1 points: (10 / 3 + 4 / 3) / 2.
    low, high = (f"{100 * pooled[name]:+.1f}" for name in ("diff_low", "diff_high"))
    assert table.rows == [["b", "6", f"+2.3 [{low}, {high}]", "better"]]
    assert "It says nothing of other data sets, of which there are too few" in found.text
    tips = [a.get("data-tip") for _, a in found.tags]
    assert "b on d: +3.3" in tips
    assert "b on e: +1.3" in tips


def test_losses_pooled_over_other_data_sets_say_over_which(make_page: Any, read: Any) -> None:
    values = {**DATASETS, ("f", "a"): [0.4, 0.5], ("f", "b"): [0.5, 0.7]}
    values |= {("d", "c"): [0.4, 0.5], ("f", "c"): [0.4, 0.6]}
    table = read(over_datasets.build(make_page(values))).table("Differences over the data sets")
    named = dict(zip(table.column("loss"), table.column("data sets"), strict=True))
    assert named == {"b": "d, e, f", "c": "d, f"}


def test_ranks_and_why_they_are_not_tested(make_page: Any, read: Any) -> None:
    found = read(over_datasets.build(make_page(DATASETS)))
    assert found.table("Ranks over 2 data sets").rows == [
        ["b", "1", "1", "1"],
        ["a", "2", "2", "2"],
    ]
    assert "No test of the ranks: a critical difference needs at least 3 losses" in found.text


def many(gains: dict[str, float]) -> dict[tuple[str, str], list[float]]:
    return {
        (f"d{d}", loss): [0.4 + gain + 0.05 * d + 0.01 * r for r in range(3)]
        for d in range(6)
        for loss, gain in gains.items()
    }


def test_a_second_interval_over_the_data_sets(make_page: Any, read: Any) -> None:
    values = many({"a": 0.0, "b": 0.02})
    # Differences of 2 points on five data sets and of 8 on one: mean 3, sd sqrt(6).
    values["d5", "b"] = [v + 0.06 for v in values["d5", "b"]]
    found = read(over_datasets.build(make_page(values)))
    table = found.table("Differences over the data sets")
    # 3 ± t(0.975, 5) · sqrt(6) / sqrt(6), t = 2.5706.
    assert table.column("interval over data sets") == ["[+0.4, +5.6]"]
    assert "for that there is a second interval" in found.text


def test_the_critical_difference_diagram(make_page: Any, read: Any) -> None:
    found = read(over_datasets.build(make_page(many({"a": 0.0, "b": 0.02, "c": 0.04}))))
    titles = [a.get("aria-label") for tag, a in found.tags if tag == "svg"]
    assert "Critical differences of the mean ranks, detection, m" in titles
    # q(3) = 2.343 (Demšar 2006, table 5): 2.343 · sqrt(3 · 4 / (6 · 6)) = 1.353.
    assert "critical difference 1.35" in found.text
    assert "Not told apart: c, b; b, a." in found.text


def test_ranks_that_do_not_differ_have_no_diagram(make_page: Any, read: Any) -> None:
    values = many({"a": 0.0, "b": 0.0, "c": 0.0})
    found = read(over_datasets.build(make_page(values)))
    assert "The ranks do not differ: Friedman test, p = 1." in found.text


@pytest.mark.parametrize(
    "values", [RUNS, {("d", "a"): [0.4, 0.5], ("e", "b"): [0.4, 0.5]}], ids=["one", "no shared"]
)
def test_without_shared_data_sets_there_is_no_section(make_page: Any, values: Any) -> None:
    assert over_datasets.build(make_page(values)) is None
