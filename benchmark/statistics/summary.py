"""One row a loss: its mean, its difference to the baseline, and when to claim one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.statistics.descriptive import interquartile_mean, pairing_correlation
from benchmark.statistics.frames import (
    GROUP,
    PRIMARY,
    REFERENCES,
    baseline_labels,
    check_runs,
    groups,
    reference,
    scores,
)
from benchmark.statistics.improvement import probability_of_improvement
from benchmark.statistics.intervals import (
    Bootstrap,
    Estimate,
    bootstrap_interval,
    paired_difference,
)
from benchmark.statistics.power import detectable_difference
from benchmark.statistics.significance import (
    holm,
    sign_flip_test,
    significance_note,
    smallest_p,
    strictest_level,
    t_test,
)
from benchmark.statistics.verdicts import claims, verdict

SUMMARY_COLUMNS = [
    *GROUP,
    *("rank", "loss", "metric", "n", "no_value", "diverged", "failed", "unfinished"),
    *("mean", "std", "min", "max", "iqm"),
    *("baseline", "level", "diff", "diff_low", "diff_high", "n_pairs", "verdict", "claim"),
    *("correlation", "p_value", "p_holm", "p_note", "t_p_holm", "detectable"),
    *("improvement", "improvement_low", "improvement_high", "improvement_n"),
    *REFERENCES,
]


def summarise(
    runs: pd.DataFrame,
    baseline: str | Mapping[str, str] | None = None,
    metric: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """One row a loss of every (task, data set, model), best first.

    Args:
        baseline: label of the loss to compare with, or a label for each task. A task without
            one takes its first loss in the order of ``runs``. Where the one given for a task
            has no run, the others have no pairs.
        metric: column to summarise; by default the :data:`PRIMARY` one of each task.
        level: confidence level of the intervals.

    Returns:
        A frame with :data:`SUMMARY_COLUMNS`: ``n`` done runs with a value of the metric, the
        counts of done runs without one (``no_value``) and of ``diverged``, ``failed`` (timed out
        included) and ``unfinished`` runs;
        ``mean``, ``std`` (n - 1), ``min``, ``max`` and interquartile mean ``iqm`` over the n;
        ``diff`` to the baseline with its interval over ``n_pairs`` repetitions done by both;
        what the untrained model and the trivial predictor get; and ``verdict``:

        - "baseline" for the baseline itself, whose ``diff`` is NaN;
        - "too few repetitions": fewer than :data:`MIN_PAIRS` = 3 pairs. Two pairs leave one
          degree of freedom: the interval rests on one distance between two numbers, and nothing
          in them could show that its assumption of normal differences fails;
        - "better", "worse": the interval excludes 0;
        - "diverged": it does, but in favour of a side with a diverged run, or runs that diverged
          leave fewer than 3 pairs;
        - "cannot tell": it does not exclude 0, or it does in favour of a side with a done run
          that has no value. This is not a finding that the losses are equal.

        Losses with a diverged run come after all those without, the more the later, and a loss
        with no value comes last; otherwise the mean decides. What diverged has no value: means
        and differences cover only the runs that survived, and flatter the side that diverged,
        so no verdict is given in favour of that side.

        Each interval is for one comparison alone, not corrected for their number: with 20
        losses no different from the baseline, one "better" or "worse" is expected at 95 %.
        ``claim`` is the verdict "better" or "worse" where the paired t-test behind the interval
        also survives Holm's correction over the comparisons of the same table that have at
        least 2 pairs, that is where ``t_p_holm``, the corrected p-value, is at most
        ``1 - level``; elsewhere "".

        Beside these, of the pairs: their ``correlation``; the exact sign-flip test's
        ``p_value``, ``p_holm`` after Holm's correction over the comparisons of the table with a
        pair, and ``p_note`` where so few pairs cannot reach ``1 - level``; ``detectable``, the
        difference that as many pairs find with power 0.8, when their spread is what was found,
        at the strictest step of Holm's correction: ``(1 - level) / m`` for the ``m`` comparisons
        that have at least 2 pairs. A difference that is found there is a claim whatever the
        others show.
        ``improvement`` is the share of ``improvement_n`` repetitions in which the loss beats the
        baseline, with the Clopper-Pearson interval; here a diverged run counts, as lost against
        every run that is done.

    Raises:
        ValueError: a column is missing, a task, status, baseline or metric is not known, two
            rows are the same run, or ``level`` is not in (0, 1).
    """
    if runs.empty:
        return pd.DataFrame(columns=SUMMARY_COLUMNS)
    check_runs(runs, metric)
    baselines = baseline_labels(runs, baseline)
    rows: list[dict[str, Any]] = []
    for (task, dataset, model), group in groups(runs):
        shared = {"task": task, "dataset": dataset, "model": model}
        ranked = _summarise_group(group, metric or PRIMARY[task], baselines[task], level)
        rows += [{**shared, "rank": rank, **row} for rank, row in enumerate(ranked, start=1)]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def with_bootstrap(
    summary: pd.DataFrame, runs: pd.DataFrame, method: Bootstrap = "percentile"
) -> pd.DataFrame:
    """The summary with bootstrap intervals of the paired differences beside the t-intervals.

    Returns:
        A copy with ``boot_low`` and ``boot_high`` (NaN below 2 pairs), and ``boot_caution``: what
        :attr:`benchmark.statistics.Estimate.caution` says of the interval.
    """
    tables = dict(groups(runs))
    found = []
    for row in summary.to_dict("records"):
        table = scores(tables[row["task"], row["dataset"], row["model"]], row["metric"])
        if row["n_pairs"] < 2:
            found.append((float("nan"), float("nan"), ""))
            continue
        differences = table[row["loss"]] - table[row["baseline"]]
        estimate = bootstrap_interval(differences, row["level"], method=method)
        found.append((estimate.low, estimate.high, estimate.caution))
    columns = ["boot_low", "boot_high", "boot_caution"]
    return summary.join(pd.DataFrame(found, columns=columns, index=summary.index))


def standing(n: int, diverged: int, mean: float) -> tuple[bool, int, float]:
    """Key by which losses are ranked, best first: with a value, fewest diverged, highest mean."""
    return (n == 0, diverged, -mean if n else 0.0)


def _summarise_group(
    runs: pd.DataFrame, metric: str, baseline: str, level: float
) -> list[dict[str, Any]]:
    table = scores(runs, metric)
    statuses = {str(loss): Counter(rows["status"]) for loss, rows in runs.groupby("loss")}
    shared = {
        "metric": metric,
        "baseline": baseline,
        "level": level,
        **{name: reference(runs, name, metric) for name in REFERENCES},
    }
    rows = [
        {**shared, **_describe(loss, table[loss], statuses[loss])}
        for loss in map(str, table.columns)
    ]
    _compare(rows, table, _with_diverged(runs, table), level)
    return sorted(rows, key=lambda row: standing(row["n"], row["diverged"], row["mean"]))


def _describe(loss: str, values: pd.Series, count: Mapping[str, int]) -> dict[str, Any]:
    return {
        "loss": loss,
        "n": int(values.count()),
        "no_value": count["done"] - int(values.count()),
        "diverged": count["diverged"],
        "failed": count["failed"] + count["timed out"],
        "unfinished": count["running"] + count["pending"],
        **{name: float(values.agg(name)) for name in ("mean", "std", "min", "max")},
        "iqm": interquartile_mean(values),
        "n_pairs": 0,
        "verdict": "baseline",
        "claim": "",
        "p_note": "",
        "improvement_n": 0,
    }


def _with_diverged(runs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The scores, with ``-inf`` for what diverged."""
    gone = runs[runs["status"] == "diverged"]
    ranked = table.copy()
    for repetition, loss in zip(gone["repetition"], gone["loss"], strict=True):
        ranked.loc[repetition, loss] = float("-inf")
    return ranked


def _compare(
    rows: list[dict[str, Any]], table: pd.DataFrame, ranked: pd.DataFrame, level: float
) -> None:
    """Add to each row but the baseline's how its loss differs from the baseline.

    ``table`` and ``ranked`` hold the scores ``[repetition, loss]``, diverged runs as NaN and as
    ``-inf``.
    """
    baseline = rows[0]["baseline"]
    nothing = pd.Series(float("nan"), table.index)
    against, against_ranked = table.get(baseline, nothing), ranked.get(baseline, nothing)
    own = next((row for row in rows if row["loss"] == baseline), {"diverged": 0, "no_value": 0})
    others = [row for row in rows if row["loss"] != baseline]
    found = [paired_difference(table[row["loss"]], against, level) for row in others]
    strictest = strictest_level(level, sum(difference.n >= 2 for difference in found))
    for row, difference in zip(others, found, strict=True):
        values = table[row["loss"]]
        better = probability_of_improvement(ranked[row["loss"]], against_ranked, level)
        row |= {"diff": difference.mean, "diff_low": difference.low, "diff_high": difference.high}
        row |= {"n_pairs": difference.n, "correlation": pairing_correlation(values, against)}
        row |= {"verdict": _verdict(difference, row, own)}
        row |= {"detectable": detectable_difference(difference.sd, difference.n, level=strictest)}
        row |= {"p_value": sign_flip_test(values - against)}
        row |= {"improvement": better.mean, "improvement_n": better.n}
        row |= {"improvement_low": better.low, "improvement_high": better.high}
    t_tests = [t_test(difference) for difference in found]
    named = claims([row["verdict"] for row in others], t_tests, level)
    for row, claim, p in zip(others, named, holm(t_tests), strict=True):
        row |= {"claim": claim, "t_p_holm": float(p)}
    _correct(others, level)


def _verdict(difference: Estimate, row: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    return verdict(
        difference,
        difference.n,
        row["diverged"] > 0,
        baseline["diverged"] > 0,
        no_value=row["no_value"] > 0,
        baseline_no_value=baseline["no_value"] > 0,
    )


def _correct(rows: list[dict[str, Any]], level: float) -> None:
    """Add the p-values after Holm's correction, and a note where the pairs cannot suffice."""
    with_pairs = [row for row in rows if row["n_pairs"]]
    corrected = holm([row["p_value"] for row in with_pairs])
    # Holm's correction never falls when a p-value rises, so this bounds every outcome.
    bounds = holm([smallest_p(row["n_pairs"]) for row in with_pairs])
    for row, p, bound in zip(with_pairs, corrected, bounds, strict=True):
        row["p_holm"] = float(p)
        row["p_note"] = significance_note(row["n_pairs"], float(bound), len(with_pairs), level)
