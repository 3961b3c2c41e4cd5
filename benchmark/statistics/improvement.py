"""Probability that a run with one loss beats a run with another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from benchmark.statistics.intervals import Estimate, check_level, known_values, paired_values

NAN = float("nan")


def probability_of_improvement(
    values: pd.Series, baseline: pd.Series, level: float = 0.95
) -> Estimate:
    """Share of repetitions in which ``values`` exceeds ``baseline``, ties counted as half.

    The paired form, used throughout the report: what repeats is the pair of runs of one
    repetition. A diverged run may be given as ``-inf``: it loses against every other and ties
    with its like. The interval is that of Clopper and Pearson ("The use of confidence or
    fiducial limits", Biometrika 1934), which covers at least ``level`` and is wide for few
    repetitions: 5 wins of 5 give [0.48, 1]. Ties enter it as half a win each, so with ties it
    leans to the wide side.

    Returns:
        An estimate from 0 to 1, ``sd`` NaN; all NaN where there is no pair.

    Raises:
        ValueError: a repetition occurs twice in an index, or ``level`` is not in (0, 1).
    """
    check_level(level)
    pairs = paired_values(values, baseline)
    n = len(pairs)
    if not n:
        return Estimate(NAN, NAN, NAN, NAN, 0, "Clopper-Pearson")
    won = (pairs["values"] > pairs["baseline"]).sum()
    wins = float(won + 0.5 * (pairs["values"] == pairs["baseline"]).sum())
    tail = (1 - level) / 2
    low = float(scipy.stats.beta.ppf(tail, wins, n - wins + 1)) if wins > 0 else 0.0
    high = float(scipy.stats.beta.isf(tail, wins + 1, n - wins)) if wins < n else 1.0
    return Estimate(wins / n, low, high, NAN, n, "Clopper-Pearson")


def unpaired_improvement(values: pd.Series, baseline: pd.Series, level: float = 0.95) -> Estimate:
    """Share of all pairs (a run of each side) in which ``values`` exceeds ``baseline``.

    The Mann-Whitney form, ties counted as half, as in Agarwal et al. 2021 (section 4.3). For
    runs that share no repetitions, such as those of two experiments; paired runs lose what the
    pairing gains. The interval is method 5 of Newcombe ("Confidence intervals for an effect size
    measure based on the Mann-Whitney statistic", Statistics in Medicine 2006): the values ``p``
    that the found share is no further from than ``z`` of their own standard errors,
    ``p (1 - p) [1 + m (1 - p) / (2 - p) + m p / (1 + p)] / (n1 n2)``, ``m = (n1 + n2) / 2 - 1``.

    Returns:
        An estimate from 0 to 1; ``n`` is the smaller number of runs, ``sd`` NaN; all NaN where a
        side has no run.

    Raises:
        ValueError: ``level`` is not in (0, 1).
    """
    check_level(level)
    first, second = known_values(values), known_values(baseline)
    n = min(len(first), len(second))
    if not n:
        return Estimate(NAN, NAN, NAN, NAN, 0, "Newcombe")
    higher = first[:, None] > second[None, :]
    share = float((higher + 0.5 * (first[:, None] == second[None, :])).mean())
    z = float(scipy.stats.norm.isf((1 - level) / 2))
    runs = (len(first), len(second))
    return Estimate(
        share, _edge(share, z, runs, 0.0), _edge(share, z, runs, 1.0), NAN, n, "Newcombe"
    )


def _edge(share: float, z: float, runs: tuple[int, int], end: float) -> float:
    """The value between ``share`` and ``end`` that lies ``z`` standard errors from ``share``."""
    mean = sum(runs) / 2 - 1

    def excess(p: float) -> float:
        spread = 1 + mean * (1 - p) / (2 - p) + mean * p / (1 + p)
        return (share - p) ** 2 - z**2 * p * (1 - p) * spread / (runs[0] * runs[1])

    if share == end:
        return end
    # At the share itself the excess is negative (or 0 at its ends), at the far end positive.
    inner = share + np.sign(end - share) * 1e-12
    return float(scipy.optimize.brentq(excess, *sorted((inner, end))))
