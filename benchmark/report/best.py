"""Whether one loss may be called the best of a table."""

from __future__ import annotations

import pandas as pd

from benchmark.statistics import MIN_PAIRS, paired_difference, scores


def supported_best(runs: pd.DataFrame, rows: pd.DataFrame) -> str | None:
    """The first-ranked loss, where the runs carry that it is the best; else None.

    They do where the interval of its paired difference to each other loss that has a value lies
    above 0, over at least :data:`benchmark.statistics.MIN_PAIRS` pairs, and none of its own runs
    diverged or is done without a value. As every one of the comparisons must hold, their number
    needs no correction (an intersection-union test: Berger, "Multiparameter hypothesis testing
    and acceptance sampling", Technometrics 1982). Beside that, a loss other than the baseline must
    be claimed to be better than it: else the same report would call it the best and say that
    after correction it cannot be told from the baseline.

    Args:
        runs: those of one (task, data set, model).
        rows: their rows of the summary, best first.
    """
    measured = rows[rows["n"] > 0]
    if len(measured) < 2:
        return None
    top = measured.iloc[0]
    if top["diverged"] or top["no_value"]:
        return None
    if top["loss"] != top["baseline"] and top["claim"] != "better":
        return None
    first = str(measured["loss"].iloc[0])
    table = scores(runs, str(measured["metric"].iloc[0]))
    level = float(measured["level"].iloc[0])
    for other in measured["loss"].iloc[1:]:
        found = paired_difference(table[first], table[other], level)
        if found.n < MIN_PAIRS or not found.low > 0:
            return None
    return first
