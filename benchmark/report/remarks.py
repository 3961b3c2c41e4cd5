"""Sentences that go with a table's finding: what it rests on, and what it leaves out."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.report.best import supported_best
from benchmark.report.findings import clauses, comparisons, planned_of, stands, with_baseline
from benchmark.report.phrases import counted, joined, joined_names, named
from benchmark.report.tables import points, spread
from benchmark.report.tuned import at_edge, settings_of
from benchmark.statistics import (
    paired_difference,
    repetitions_needed,
    scores,
    strictest_level,
    summarise,
)

TUNED_THRESHOLDS = "mIoU_fg_tuned"
POINT = 0.01  # the difference that people ask for, one percentage point


def best(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The loss that beats each of the others; "" where two losses are all there is."""
    top = supported_best(runs, rows)
    measured = int((rows["n"] > 0).sum())
    if top is None or measured < 3:
        return ""
    return f"{top} is the best of the {measured}: its interval against each of the others says so."


def exact_test(rows: pd.DataFrame) -> str:
    """What claims assume, where a test without that assumption could not support them."""
    noted = rows[rows["claim"].isin(["better", "worse"]) & (rows["p_note"] != "")]
    if noted.empty:
        return ""
    numbers = " or ".join(map(str, sorted(set(noted["n_pairs"].astype(int)))))
    return (
        "Better and worse rest on the paired t-test, which assumes normally distributed "
        "differences; the exact test, which does not, cannot reach significance with "
        f"n = {numbers}."
    )


def power(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Which true difference the losses that cannot be told apart could have shown."""
    others = with_baseline(rows)
    if others.empty:
        return ""
    same = others[others.apply(stands, axis=1).eq("same") & (others["detectable"] > 0)]
    if same.empty:
        return ""
    low, high = (points(value).lstrip("+") for value in _ends(same["detectable"]))
    size = low if low == high else f"{low} to {high}"
    number = comparisons(rows)
    what = "a true difference"
    if len(same) < len(others):
        what += " of those that cannot be told apart"
    step = (
        f", at the strictest step of Holm's correction for {number} comparisons"
        if number > 1
        else ""
    )
    return (
        f"With so many runs, {what} is found with a probability of 80 % only if it is "
        f"about {size} points or more{step}.{_needed(runs, same, number)}"
    )


def _ends(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _needed(runs: pd.DataFrame, rows: pd.DataFrame, number: int) -> str:
    """The repetitions that would find 1 point, for the loss that varies most; "" if they do."""
    first = rows.iloc[0]
    table, level = scores(runs, str(first["metric"])), float(first["level"])
    against = table[first["baseline"]]
    sd = max(paired_difference(table[loss], against, level).sd for loss in rows["loss"])
    needed = repetitions_needed(sd, POINT, level=strictest_level(level, number))
    if needed <= rows["n_pairs"].min():
        return ""
    count = f"{needed:.0f}" if math.isfinite(needed) else "more than a million"
    return f" To find 1 point would take {count} repetitions."


def highest_mean(rows: pd.DataFrame) -> str:
    """The highest mean of the table, with its spread; of equal ones the first-ranked."""
    measured = rows[rows["n"] > 0]
    if measured.empty:
        return ""
    top = measured.sort_values("mean", ascending=False, kind="stable").iloc[0]
    sd = "mean ± standard deviation, " if top["n"] > 1 else ""
    shown = f"{spread(top['mean'], top['std'])} %"
    if len(rows) == 1:
        return f"{top['loss']} reaches {shown} ({sd}n = {top['n']})."
    is_baseline = " (the baseline)" if top["loss"] == top["baseline"] else ""
    return f"The highest mean is that of {top['loss']}{is_baseline}: {shown} ({sd}n = {top['n']})."


def thresholds(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The losses of which something else holds at thresholds chosen on the validation split."""
    first = rows.iloc[0]
    if TUNED_THRESHOLDS not in runs or runs[TUNED_THRESHOLDS].isna().all():
        return ""
    if first["metric"] == TUNED_THRESHOLDS or first["baseline"] not in rows["loss"].tolist():
        return ""
    level, baselines = float(first["level"]), {str(first["task"]): str(first["baseline"])}
    tuned = with_baseline(summarise(runs, baselines, TUNED_THRESHOLDS, level))
    fixed = with_baseline(rows).set_index("loss")[["claim", "n_pairs"]]
    before = fixed.reindex(tuned["loss"]).set_axis(tuned.index)
    # Where only some runs have recorded it, a change of the claim may be one of the runs.
    same_runs = tuned["n_pairs"] == before["n_pairs"]
    changed = tuned[same_runs & (tuned["claim"] != before["claim"])]
    if changed.empty:
        return ""
    against = f"compared with {first['baseline']}"
    found = joined(clauses(changed, planned_of(runs)))
    return f"With thresholds chosen on the validation split, {against}, {found}."


def edges(tuning: pd.DataFrame) -> str:
    """The chosen settings that lie at an end of what was tried."""
    if tuning.empty:
        return ""
    losses: dict[str, list[str]] = {}
    for loss, settings in settings_of(tuning).items():
        for text in at_edge(settings):
            losses.setdefault(text, []).append(loss)
    if not losses:
        return ""
    found = joined([f"{text}, for {named(own)}" for text, own in losses.items()])
    return f"Chosen at an end of what was tried, so that the best may lie outside: {found}."


def without_runs(runs: pd.DataFrame, tuning: pd.DataFrame) -> str:
    """The losses that were tuned here but have no final run yet."""
    if tuning.empty:
        return ""
    absent = tuning[~tuning["loss"].isin(runs["loss"])]
    names: dict[str, list[str]] = {}
    for loss, chosen in absent.groupby("loss", sort=False)["chosen"].any().items():
        why = "whose final runs are still to come" if chosen else "whose tuning is not over"
        names.setdefault(why, []).append(str(loss))
    found = [f"{joined_names(own)}, {why}" for why, own in names.items()]
    return f"Not in the comparison: {joined(found)}." if found else ""


def diverged(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Which losses diverged how often, and what that does to their means."""
    names = _counts(runs, rows, "diverged")
    if not names:
        return ""
    if not ((rows["diverged"] > 0) & (rows["n"] > 0)).any():
        return f"Diverged: {names}."
    return (
        f"Diverged: {names}. Means and differences cover only the runs that survived, so such a "
        "loss ranks last and no claim is made in its favour."
    )


def no_value(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Which losses have done runs that the metric has no value for."""
    names = _counts(runs, rows, "no_value")
    if not names:
        return ""
    return (
        f"Done but without a value of {rows['metric'].iloc[0]}, and missing from the means: "
        f"{names}. No claim is made in favour of such a loss."
    )


def failed(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Which losses have runs that failed."""
    names = _counts(runs, rows, "failed")
    return f"Failed with an error and missing from the means: {names}." if names else ""


def unfinished(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    """How many final runs are still to come."""
    count = int(rows["unfinished"].sum())
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f"Not final: {count} of {counted(len(runs), 'run')} {verb} still to come."


def _counts(runs: pd.DataFrame, rows: pd.DataFrame, column: str) -> str:
    planned = runs["loss"].value_counts()
    return named(
        f"{row['loss']} in {row[column]} of {counted(planned[row['loss']], 'run')}"
        for _, row in rows[rows[column] > 0].iterrows()
    )
