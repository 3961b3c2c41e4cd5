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
        "not finished": [_not_finished(row) for _, row in rows.iterrows()],
        "difference": [
            difference(*bounds)
            for bounds in zip(rows["diff"], rows["diff_low"], rows["diff_high"], strict=True)
        ],
        "verdict": [
            f"{verdict}*" if verdict in CLAIMS and not claim else verdict
            for verdict, claim in zip(rows["verdict"], rows["claim"], strict=True)
        ],
    }
    if "boot_low" in rows:
        columns["bootstrap"] = [
            "" if math.isnan(low) else f"[{points(low)}, {points(high)}]"
            for low, high in zip(rows["boot_low"], rows["boot_high"], strict=True)
        ]
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
    sentences += bootstrap_remarks(rows)
    if rows["diverged"].any():
        sentences.append(
            "Losses with diverged runs rank after those without, and as their means and "
            "differences cover only the runs that survived, no verdict is given in their favour."
        )
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


def _not_finished(row: pd.Series) -> str:
    return ", ".join(f"{row[k]} {k}" for k in ("diverged", "failed", "unfinished") if row[k])
