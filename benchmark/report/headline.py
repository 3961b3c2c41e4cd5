"""The conclusions as sentences that a person can quote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from benchmark.report.best import supported_best
from benchmark.report.data import ReportData
from benchmark.report.tables import difference, points, spread
from benchmark.statistics import MIN_PAIRS, groups, pooled_differences

MOST_NAMED = 4  # losses in a list; a sentence with more is not quoted by anybody


@dataclass(frozen=True)
class Headline:
    """What the runs of one (task, data set, model) say, or those of several data sets.

    Attributes:
        task, dataset, model: what it is about; ``dataset`` names all, joined by ", ", where it
            pools several.
        text: a few sentences of plain text.
        lead: its beginning, to be quoted alone.
        kind: "claim" (some loss is better or worse than the baseline), "no claim", "incomplete"
            (runs are still to come) or "pooled".
    """

    task: str
    dataset: str
    model: str
    text: str
    lead: str
    kind: str


def headlines(data: ReportData, summary: pd.DataFrame) -> list[Headline]:
    """One for each (task, data set, model) of the summary, in its order; then those pooled.

    A (task, model) is pooled where at least two data sets have pairs of runs of the same losses.
    """
    if summary.empty:
        return []
    own_runs = dict(groups(data.runs))
    singles = [_headline(key, own_runs[key], rows) for key, rows in groups(summary)]
    baselines = {str(task): str(own["baseline"].iloc[0]) for task, own in summary.groupby("task")}
    pooled = pooled_differences(data.runs, baselines, float(summary["level"].iloc[0]))
    by_model = pooled.groupby(["task", "model"], sort=False)
    return singles + [
        _over_datasets(str(task), str(model), rows, list(data.runs["dataset"].unique()))
        for (task, model), rows in by_model
    ]


def _over_datasets(task: str, model: str, rows: pd.DataFrame, datasets: list[str]) -> Headline:
    judged = rows[rows["verdict"] != "too few repetitions"]
    if judged.empty:
        found = f"nothing can be said: a data set has fewer than {MIN_PAIRS} paired runs."
    elif judged["claim"].eq("").all():
        found = _cannot_tell(judged, len(rows))
    else:
        found = _claims(judged, rows, len(rows))
    pooled = [name for name in datasets if any(_is_in(name, text) for text in rows["names"])]
    fewer = rows["names"].nunique() > 1
    lead = f"Over {_joined_names(pooled)} with {model}, {found}"
    text = (
        f"{lead} This is the mean over these data "
        f"sets, each counted the same{', or those of them that a loss was run on' if fewer else ''}"
        "; it is no statement about other data sets."
    )
    return Headline(task, ", ".join(pooled), model, text, lead, "pooled")


def _is_in(name: str, names: str) -> bool:
    """Whether ``name``, which may hold commas itself, is among ``names`` joined by ", "."""
    return f", {name}, " in f", {names}, "


def _headline(key: tuple[str, str, str], runs: pd.DataFrame, rows: pd.DataFrame) -> Headline:
    task, dataset, model = key
    lead = f"On {dataset} with {model}, {_finding(rows)}"
    sentences = [
        lead,
        _best(runs, rows),
        _not_corrected(rows),
        _highest_mean(rows),
        _diverged(runs, rows),
        _failed(runs, rows),
        _unfinished(runs, rows),
    ]
    claims = rows["claim"].isin(["better", "worse"]).any()
    kind = "incomplete" if rows["unfinished"].any() else "claim" if claims else "no claim"
    return Headline(task, dataset, model, " ".join(s for s in sentences if s), lead, kind)


def _finding(rows: pd.DataFrame) -> str:
    """What can be said of the differences to the baseline, after "On ... with ...,"."""
    first = rows.iloc[0]
    baseline, metric = first["baseline"], first["metric"]
    others = rows[rows["loss"] != baseline]
    if not rows["n"].any():
        return "no run is finished yet." if rows["unfinished"].any() else "no run has a result."
    if others.empty:
        return f"{baseline} has no other loss to be compared with."
    if not others["n_pairs"].any():
        return f"no repetition is done by both the baseline {baseline} and another loss."
    judged = others[others["n_pairs"] >= MIN_PAIRS]
    if judged.empty:
        n = int(others["n_pairs"].max())
        return (
            f"nothing can be said about differences in {metric} to the baseline {baseline}: "
            f"there are {n} paired runs, and a verdict needs at least {MIN_PAIRS}."
        )
    if judged["claim"].eq("").all():
        return _cannot_tell(judged, len(others))
    return _claims(judged, others, int((others["n_pairs"] >= 2).sum()))


def _claims(judged: pd.DataFrame, others: pd.DataFrame, comparisons: int) -> str:
    first = judged.iloc[0]
    parts = []
    about = f"the baseline {first['baseline']} in {first['metric']}"
    for verdict in ("better", "worse"):
        rows = judged[judged["claim"] == verdict]
        if len(rows):
            is_are = "is" if len(rows) == 1 else "are"
            parts.append(f"{_differing(rows)} {is_are} {verdict} than {about}")
            about = "it"
    same = judged[~judged["claim"].isin(["better", "worse"])]
    if len(same):
        parts.append(f"{_differing(same)} cannot be told apart from it")
    few = others[~others["loss"].isin(judged["loss"])]
    if len(few):
        parts.append(f"of {_named(few['loss'])} there are too few paired runs")
    unit = f"percentage points with {100 * first['level']:g} % intervals, {_pairs(judged)}"
    return f"{_joined(parts)} ({unit}{_correction(comparisons)})."


def _cannot_tell(judged: pd.DataFrame, others: int) -> str:
    first = judged.iloc[0]
    ends = judged.loc[[judged["diff"].idxmin(), judged["diff"].idxmax()]]
    shown = [_differs(row) for _, row in ends.iterrows()]
    unit = f"percentage points with {100 * first['level']:g} % intervals, {_pairs(judged)}"
    apart = f"be told apart from the baseline {first['baseline']} in {first['metric']}"
    if others == 1:
        text = f"{first['loss']} cannot {apart}: {shown[0]} ({unit})."
    elif len(judged) == 1:
        text = f"none of the {others} other losses can {apart}: {shown[0]} ({unit})."
    else:
        text = (
            f"none of the {others} other losses can {apart}: the differences reach from "
            f"{shown[0]} to {shown[1]} ({unit})."
        )
    known = judged["detectable"].dropna() if "detectable" in judged else judged["diff"].iloc[:0]
    if known.empty:
        return text
    low, high = (points(value).lstrip("+") for value in (known.min(), known.max()))
    size = low if low == high else f"{low} to {high}"
    return (
        f"{text} With so many runs, a true difference is found with a probability of 80 % only "
        f"if it is about {size} points or more."
    )


def _differs(row: pd.Series) -> str:
    return f"{row['loss']} ({difference(row['diff'], row['diff_low'], row['diff_high'])})"


def _differing(rows: pd.DataFrame) -> str:
    return _named(_differs(row) for _, row in rows.iterrows())


def _correction(comparisons: int) -> str:
    if comparisons < 2:
        return ""
    return f"; claims hold after Holm's correction for {comparisons} comparisons"


def _pairs(rows: pd.DataFrame) -> str:
    low, high = int(rows["n_pairs"].min()), int(rows["n_pairs"].max())
    return f"{low} paired runs" if low == high else f"{low} to {high} paired runs"


def _best(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    best = supported_best(runs, rows)
    measured = int((rows["n"] > 0).sum())
    if best is None or measured < 3:  # of two losses, the comparison has said it
        return ""
    return f"{best} is the best of the {measured}: its interval against each of the others says so."


def _not_corrected(rows: pd.DataFrame) -> str:
    alone = rows[rows["verdict"].isin(["better", "worse"]) & (rows["claim"] == "")]
    if alone.empty:
        return ""
    named = _differing(alone)
    what = "the interval" if len(alone) == 1 else "the intervals"
    exclude = "excludes" if len(alone) == 1 else "exclude"
    return (
        f"Taken alone, {what} of {named} {exclude} 0, but not after Holm's correction for the "
        "number of comparisons."
    )


def _highest_mean(rows: pd.DataFrame) -> str:
    measured = rows[rows["n"] > 0]
    if measured.empty:
        return ""
    top = measured.sort_values("mean", kind="stable").iloc[-1]
    shown = f"{spread(top['mean'], top['std'])} %"
    sd = "mean ± standard deviation, " if top["n"] > 1 else ""
    is_baseline = " (the baseline)" if top["loss"] == top["baseline"] and len(rows) > 1 else ""
    return f"The highest mean is that of {top['loss']}{is_baseline}: {shown} ({sd}n = {top['n']})."


def _diverged(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    named = _counts(runs, rows, "diverged")
    if not named:
        return ""
    return (
        f"Diverged: {named}. Means and differences cover only the runs that survived, so such a "
        "loss ranks last and no claim is made in its favour."
    )


def _failed(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    named = _counts(runs, rows, "failed")
    return f"Failed with an error and missing from the means: {named}." if named else ""


def _unfinished(runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    count = int(rows["unfinished"].sum())
    return f"Not final: {count} of {len(runs)} runs are still to come." if count else ""


def _counts(runs: pd.DataFrame, rows: pd.DataFrame, column: str) -> str:
    planned = runs["loss"].value_counts()
    return _named(
        f"{row['loss']} in {row[column]} of {planned[row['loss']]} runs"
        for _, row in rows[rows[column] > 0].iterrows()
    )


def _named(items: Iterable[str]) -> str:
    """Up to :data:`MOST_NAMED` names in a sentence, the rest as a number; "" for none."""
    names = list(items)
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} more"]
    return _joined_names(names)


def _joined_names(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _joined(clauses: list[str]) -> str:
    """Clauses, which hold commas themselves, as one sentence."""
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{'; '.join(clauses[:-1])}; and {clauses[-1]}"
