"""The comparison of the losses, a row a loss."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.report.tables.formats import difference, percent, points, spread
from benchmark.report.tables.formatted import TextTable
from benchmark.report.tables.runs import used_settings
from benchmark.report.tables.words import REFERENCE_LABELS, WORDS
from benchmark.statistics import MIN_PAIRS, REFERENCES, groups, reference, scores

CLAIMS = ("better", "worse")
MISSING = {
    "diverged": "diverged",
    "failed": "failed",
    "unfinished": "unfinished",
    "no_value": "without a value",
}
"""Column of the summary -> what its runs are called that are in no mean."""
DIVERGED = (
    "Diverged: no verdict, because runs diverged; either too few pairs are left, or the difference "
    "is in favour of a side that lost runs, as it covers only those that survived."
)
NO_VALUE = (
    "A run without a value is done, but the metric is not defined for it: it is in no mean, and no "
    "verdict is given in favour of its loss."
)


def summary_tables(runs: pd.DataFrame, summary: pd.DataFrame) -> list[TextTable]:
    """One formatted table for each (task, data set, model).

    Args:
        runs: the frame that ``summary`` was made of; gives the secondary metrics.
        summary: what :func:`benchmark.statistics.summarise` returns.
    """
    if summary.empty:
        return []
    own_runs = dict(groups(runs))
    return [
        TextTable(
            title=", ".join(key),
            cells=_cells(own_runs[key], rows),
            caption=_caption(key[0], rows, own_runs[key].columns.tolist()),
            last_in_terminal="verdict",
        )
        for key, rows in groups(summary)
    ]


def _cells(runs: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    task, metric = rows["task"].iloc[0], rows["metric"].iloc[0]
    secondary = [m for m in WORDS[task].secondary if m in runs and m != metric]
    used = used_settings(runs).groupby(runs["loss"]).agg(lambda s: ", ".join(dict.fromkeys(s)))
    columns = {
        "loss": rows["loss"].tolist(),
        "setting": used[rows["loss"]].tolist(),
        f"{metric} (%)": [spread(*pair) for pair in zip(rows["mean"], rows["std"], strict=True)],
        "n": [str(n) for n in rows["n"]],
        "not finished": [not_finished(row) for _, row in rows.iterrows()],
        "difference": [paired(row) for _, row in rows.iterrows()],
        "verdict": [
            f"{verdict}*" if verdict in CLAIMS and not claim else verdict
            for verdict, claim in zip(rows["verdict"], rows["claim"], strict=True)
        ],
    }
    if "boot_low" in rows:
        columns["bootstrap"] = [bootstrap_text(row) for _, row in rows.iterrows()]
    for name in secondary:
        values = scores(runs, name)
        columns[f"{name} (%)"] = [
            spread(values[loss].mean(), values[loss].std()) for loss in rows["loss"]
        ]
    for name in ("setting", "not finished"):
        if not any(columns[name]):
            del columns[name]
    losses = pd.DataFrame(columns)
    references = [
        {
            "loss": REFERENCE_LABELS[name],
            **{f"{m} (%)": percent(reference(runs, name, m)) for m in (metric, *secondary)},
        }
        for name in REFERENCES
    ]
    return pd.concat([losses, pd.DataFrame(references, columns=losses.columns)]).fillna("")


def _caption(task: str, rows: pd.DataFrame, shown: list[str]) -> str:
    first = rows.iloc[0]
    n = sorted({int(count) for count in rows["n"]})
    repetitions = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
    sentences = [
        "Metrics on the test split in percent: mean ± standard deviation over n finished "
        f"repetitions ({repetitions} a loss).",
        WORDS[task].describe(shown),
        f"Difference: mean paired difference of {first['metric']} to the baseline "
        f"{first['baseline']}, in percentage points, with its {100 * first['level']:g} % "
        "t-interval in [ ]; each interval is for one comparison alone, not corrected for the "
        "number of comparisons.",
        f"Better, worse: the interval excludes 0 (at least {MIN_PAIRS} pairs). Cannot tell: it "
        "does not, which does not mean that the losses are equal.",
    ]
    if (rows["verdict"].isin(CLAIMS) & (rows["claim"] == "")).any():
        sentences.append(
            "*: does not survive Holm's correction for the number of comparisons in this table."
        )
    if (rows["verdict"] == "diverged").any():
        sentences.append(DIVERGED)
    sentences += bootstrap_remarks(rows)
    if rows["diverged"].any():
        sentences.append(
            "Losses with diverged runs rank after those without, and as their means and "
            "differences cover only the runs that survived, no verdict is given in their favour."
        )
    if "no_value" in rows and rows["no_value"].any():
        sentences.append(NO_VALUE)
    sentences.append(
        "Untrained model: the same model before training. "
        f"Trivial predictor: looks at no image and {WORDS[task].trivial}."
    )
    return " ".join(sentences)


def bootstrap_remarks(rows: pd.DataFrame) -> list[str]:
    """What to know of the bootstrap intervals in a summary, where it has any."""
    if "boot_low" not in rows:
        return []
    cautions = sorted(set(rows["boot_caution"]) - {""})
    return [
        "Bootstrap: percentile interval of the same difference, from 9,999 resamples"
        + "".join(f"; {caution}" for caution in cautions)
        + "."
    ]


def not_finished(row: pd.Series) -> str:
    """How many runs of a row of the summary are in no mean, and why: ``1 diverged, 2 failed``."""
    return ", ".join(f"{row[k]} {name}" for k, name in MISSING.items() if row.get(k, 0))


def paired(row: pd.Series) -> str:
    """The difference of a row of the summary; its interval from :data:`MIN_PAIRS` pairs on."""
    low = row["diff_low"] if row["n_pairs"] >= MIN_PAIRS else math.nan
    return difference(row["diff"], low, row["diff_high"])


def bootstrap_text(row: pd.Series) -> str:
    """The bootstrap interval of a row of the summary; "" below :data:`MIN_PAIRS` pairs."""
    low, high = float(row.get("boot_low", math.nan)), float(row.get("boot_high", math.nan))
    if math.isnan(low) or row["n_pairs"] < MIN_PAIRS:
        return ""
    return f"[{points(low)}, {points(high)}]"
