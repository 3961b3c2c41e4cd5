"""What can be said of a table's losses over several data sets, in sentences."""

from __future__ import annotations

import pandas as pd

from benchmark.report.findings import compared, stands
from benchmark.report.phrases import joined_names
from benchmark.statistics import MIN_PAIRS


def over_datasets(model: str, rows: pd.DataFrame, runs: pd.DataFrame) -> tuple[list[str], str, str]:
    """The data sets pooled, a sentence to be quoted alone, and what is to be said with it.

    Args:
        rows: of :func:`benchmark.statistics.pooled_differences`, of one (task, model).
        runs: of the same task and model, on all data sets.
    """
    datasets = [str(name) for name in dict.fromkeys(runs["dataset"])]
    pooled = [name for name in datasets if any(_is_in(name, text) for text in rows["names"])]
    if rows.apply(stands, axis=1).eq("few").all():
        found = f"nothing can be said: a data set has fewer than {MIN_PAIRS} paired runs."
    else:
        found = compared(rows, len(rows), {})
    missing = _missing(rows, runs)
    each = ", for a loss over those on which it has pairs" if missing else ""
    rest = (
        f"This is the mean over these data sets, each counted the same{each}; it is no statement "
        "about other data sets."
    )
    absent = [
        str(loss)
        for loss in dict.fromkeys(runs["loss"])
        if loss not in {*rows["loss"], *rows["baseline"]}
    ]
    if absent:
        missing.append(f"Not pooled, for lack of pairs on 2 data sets: {joined_names(absent)}.")
    return pooled, f"Over {joined_names(pooled)} with {model}, {found}", " ".join([rest, *missing])


def _is_in(name: str, names: str) -> bool:
    """Whether ``name``, which may hold commas itself, is among ``names`` joined by ", "."""
    return f", {name}, " in f", {names}, "


def _missing(rows: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """A sentence for each data set that some loss is pooled without, and why."""
    datasets = [str(name) for name in dict.fromkeys(runs["dataset"])]
    losses: dict[tuple[str, str], list[str]] = {}
    for _, row in rows.iterrows():
        for dataset in datasets:
            if _is_in(dataset, str(row["names"])):
                continue
            own = runs[runs["dataset"] == dataset]
            why = _why(str(row["loss"]), str(row["baseline"]), own)
            losses.setdefault((dataset, why), []).append(str(row["loss"]))
    return [
        f"{joined_names(own)}: without {dataset}, {why}." for (dataset, why), own in losses.items()
    ]


def _why(loss: str, baseline: str, runs: pd.DataFrame) -> str:
    """Why a data set has too few pairs of a loss; ``runs`` are those of the data set."""
    if loss not in set(runs["loss"]):
        return "where it has no run"
    if baseline not in set(runs["loss"]):
        return f"where the baseline {baseline} has no run"
    gone = runs.loc[runs["status"] == "diverged", "loss"].value_counts()
    whose = {"its runs": int(gone.get(loss, 0)), "the baseline's": int(gone.get(baseline, 0))}
    parts = [f"{count} of {side} diverged" for side, count in whose.items() if count]
    return f"for lack of pairs ({' and '.join(parts)})" if parts else "for lack of pairs"
