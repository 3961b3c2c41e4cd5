"""Numbers that describe the runs of one loss, or of a pair of losses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.statistics.intervals import known_values, paired_values


def interquartile_mean(values: pd.Series) -> float:
    """Mean of the middle half of ``values`` (NaN left out); NaN of none.

    In sorted order, value ``i`` of ``n`` stands for the part ``[i / n, (i + 1) / n]`` of the
    whole and counts with as much of it as lies in ``[1/4, 3/4]``. So exactly the middle half
    counts whatever ``n`` is; where 4 divides it, this is the mean without the highest and the
    lowest quarter (Agarwal et al., "Deep RL at the edge of the statistical precipice", 2021,
    section 4.3, who round the trimmed quarters down instead).
    """
    known = np.sort(known_values(values))
    n = len(known)
    if not n:
        return float("nan")
    edges = np.clip(np.arange(n + 1) / n, 0.25, 0.75)
    return float(np.diff(edges) @ known / 0.5)


def pairing_correlation(values: pd.Series, baseline: pd.Series) -> float:
    """Pearson's correlation of the two over the repetitions that both have, from -1 to 1.

    Pairing pays where it is positive: the variance of the mean difference is smaller by
    ``2 r s1 s2 / n`` than that of unpaired runs. NaN with fewer than 3 pairs (two points lie on
    a line always) or where a side does not vary.

    Raises:
        ValueError: a repetition occurs twice in an index.
    """
    pairs = paired_values(values, baseline)
    if len(pairs) < 3 or (pairs.nunique() < 2).any():
        return float("nan")
    first, second = (pairs - pairs.mean()).to_numpy().T
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    # The spread of numbers this close may still come out as 0.
    return float(np.clip(first @ second / size, -1, 1)) if size else float("nan")
