"""What can be said of the differences between a baseline and the other losses of a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from benchmark.report.phrases import MOST_NAMED, counted, differing, differs, joined, named, pairs
from benchmark.report.tables import difference
from benchmark.statistics import MIN_PAIRS

SAYS = {
    "better": ("is better", "are better"),
    "worse": ("is worse", "are worse"),
    "same": ("cannot be told apart from it",) * 2,
    "uncorrected": (
        "differs by its own interval, but not after correction",
        "differ by their own intervals, but not after correction",
    ),
}
"""What a loss that stands so does, for one of them and for several."""
ALONE = {
    "better": "is better than",
    "worse": "is worse than",
    "same": "cannot be told apart from",
}


def finding(rows: pd.DataFrame, planned: Mapping[str, int]) -> str:
    """The differences of one table in a sentence, to follow "On ... with ...,".

    Args:
        rows: of the summary of one (task, data set, model).
        planned: loss -> number of its runs.
    """
    first = rows.iloc[0]
    baseline, metric = first["baseline"], first["metric"]
    others = with_baseline(rows)
    if not rows["n"].any():
        return "no run is finished yet." if rows["unfinished"].any() else "no run has a result."
    if baseline not in rows["loss"].tolist():
        return f"the baseline {baseline} has no run here."
    if others.empty:
        return f"{baseline} has no other loss to be compared with."
    if not others["n_pairs"].any():
        return f"no repetition has a value of both the baseline {baseline} and another loss."
    most = int(others["n_pairs"].max())
    if most < MIN_PAIRS:
        return (
            f"nothing can be said about differences in {metric} to the baseline {baseline}: there "
            f"{'is' if most == 1 else 'are'} {counted(most, 'paired run')}, and a verdict needs "
            f"at least {MIN_PAIRS}."
        )
    return compared(others, comparisons(rows), planned)


def planned_of(runs: pd.DataFrame) -> dict[str, int]:
    """Loss -> number of its runs, whatever their status."""
    return {str(loss): int(count) for loss, count in runs["loss"].value_counts().items()}


def with_baseline(rows: pd.DataFrame) -> pd.DataFrame:
    """The other losses of a table, with the baseline's runs that lack a value beside them."""
    own = rows[rows["loss"] == rows["baseline"]]
    lost = {f"baseline_{name}": int(own[name].sum()) for name in ("diverged", "no_value")}
    return rows[rows["loss"] != rows["baseline"]].assign(**lost)


def comparisons(rows: pd.DataFrame) -> int:
    """How many of one table Holm's correction counts."""
    return int((rows["n_pairs"] >= 2).sum())


def compared(others: pd.DataFrame, number: int, planned: Mapping[str, int]) -> str:
    """How each loss stands to the baseline, after "On ... with ...,".

    Args:
        others: rows of the other losses as :func:`with_baseline` or
            :func:`benchmark.statistics.pooled_differences` give them, not all without pairs.
        number: of comparisons that the claims are corrected for.
        planned: loss -> number of its runs; may lack losses.
    """
    first = others.iloc[0]
    baseline = f"the baseline {first['baseline']} in {first['metric']}"
    kinds = others.apply(stands, axis=1)
    unit = _unit(others, number if kinds.isin(["better", "worse", "uncorrected"]).any() else 0)
    if len(others) == 1 and kinds.iloc[0] in ALONE:
        found = difference(first["diff"], first["diff_low"], first["diff_high"])
        return f"{first['loss']} {ALONE[kinds.iloc[0]]} {baseline} ({unit}): {found}."
    if kinds.eq("same").all():
        low, high = others.iloc[others["diff"].argmin()], others.iloc[others["diff"].argmax()]
        return (
            f"none of the {len(others)} other losses can be told apart from {baseline} ({unit}): "
            f"the differences reach from {differs(low)} to {differs(high)}."
        )
    return f"compared with {baseline} ({unit}): {joined(clauses(others, planned))}."


def stands(row: pd.Series) -> str:
    """How a loss stands to the baseline.

    "better" or "worse" (claimed), "uncorrected" (the verdict does not survive the correction),
    "same" (its interval holds 0), "few" (too few pairs for a verdict), or "lost": the verdict
    would favour a side of which runs diverged or have no value, or runs that diverged leave too
    few pairs.
    """
    if row["verdict"] in ("better", "worse"):
        return str(row["claim"] or "uncorrected")
    if row["verdict"] == "too few repetitions":
        return "few"
    excludes = row["diff_low"] > 0 or row["diff_high"] < 0
    return "lost" if row["verdict"] == "diverged" or excludes else "same"


def clauses(others: pd.DataFrame, planned: Mapping[str, int]) -> list[str]:
    """A clause for the losses that stand alike, best first; arguments as :func:`compared`."""
    kinds = others.apply(stands, axis=1)
    found = []
    for kind, (one, several) in SAYS.items():
        rows = others[kinds == kind]
        if len(rows):
            found.append(f"{differing(rows)} {one if len(rows) == 1 else several}")
    lost = [row for _, row in others[kinds == "lost"].iterrows()]
    shown = lost if len(lost) <= MOST_NAMED else lost[: MOST_NAMED - 1]
    found += [f"no verdict on {differs(row)}: {_lost(row, planned)}" for row in shown]
    if len(lost) > len(shown):
        found.append(f"no verdict on {len(lost) - len(shown)} more that lost runs")
    few = others[kinds == "few"]
    if len(few):
        found.append(f"of {named(few['loss'])} there are too few paired runs")
    return found


def _lost(row: pd.Series, planned: Mapping[str, int]) -> str:
    """Why there is no verdict: the runs without a value of the side that it would favour.

    Those of both sides, where they leave too few pairs.
    """
    own = _without_value(row, "", str(row["loss"]), "its", planned)
    base = _without_value(row, "baseline_", str(row["baseline"]), "the baseline's", planned)
    if row["n_pairs"] >= MIN_PAIRS and own and row["diff_low"] > 0:
        return own
    if row["n_pairs"] >= MIN_PAIRS and base and row["diff_high"] < 0:
        return base
    return " and ".join(filter(None, [own, base]))


def _without_value(
    row: pd.Series, prefix: str, loss: str, whose: str, planned: Mapping[str, int]
) -> str:
    total = f"{planned[loss]} " if loss in planned else ""
    counts = {
        ("diverged", "diverged"): int(row[f"{prefix}diverged"]),
        ("has no value", "have no value"): int(row[f"{prefix}no_value"]),
    }
    return " and ".join(
        f"{count} of {whose} {total}runs {one if count == 1 else several}"
        for (one, several), count in counts.items()
        if count
    )


def _unit(rows: pd.DataFrame, number: int) -> str:
    """What the numbers of the differences are; ``number`` as in :func:`compared`."""
    level = 100 * rows["level"].iloc[0]
    known = rows[rows["n_pairs"] > 0]
    unit = f"difference in percentage points [{level:g} % interval], {pairs(known)}"
    if number < 2:
        return unit
    return f"{unit}; better and worse hold after Holm's correction for {number} comparisons"
