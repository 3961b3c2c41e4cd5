"""The critical-difference diagram: mean ranks over data sets, and which do not differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from benchmark.report.drawing import PAGE
from benchmark.statistics import CriticalDifference, critical_difference

LINE = 0.18  # inches a label or bar takes


def rank_diagrams(ranks: pd.DataFrame, level: float) -> Iterator[tuple[str, Figure]]:
    """Name and diagram of each (task, model) with enough data sets for a critical difference.

    Args:
        ranks: what :func:`benchmark.statistics.mean_ranks` returns.
    """
    for (task, model), rows in ranks.groupby(["task", "model"], sort=False):
        n = int(rows["datasets"].iloc[0])
        found = critical_difference(rows, n, level)
        if not found.reason:
            yield f"{task}, {model}", rank_diagram(rows, found, n, level)


def rank_diagram(
    ranks: pd.DataFrame, found: CriticalDifference, n_datasets: int, level: float
) -> Figure:
    """Mean ranks on a line, best at the left; a bar joins losses that the data do not tell apart.

    As in Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
    """
    ordered = ranks.sort_values("mean_rank", kind="stable")
    places = dict(zip(ordered["loss"], ordered["mean_rank"].astype(float), strict=True))
    half = math.ceil(len(places) / 2)
    depth = half + len(found.groups) + 1  # rows below the line
    figure = Figure(figsize=(PAGE, LINE * (depth + 4)), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0.5, len(places) + 0.5), ylim=(-depth, 2))
    ax.hlines(0, 1, len(places), color="0.2", linewidth=1)
    for rank in range(1, len(places) + 1):
        ax.vlines(rank, 0, 0.3, color="0.2", linewidth=0.8)
        ax.text(rank, 0.4, str(rank), ha="center", va="bottom")
    ax.hlines(1.6, 1, 1 + found.value, color="0.2", linewidth=1.5)
    name = f"critical difference {found.value:.2f} ({100 * level:g} %, {n_datasets} data sets)"
    ax.text(1 + found.value, 1.6, f"  {name}", va="center")
    for row, group in enumerate(found.groups, start=1):
        ends = places[group[0]] - 0.03, places[group[-1]] + 0.03
        ax.hlines(-0.6 * row, *ends, color="0.2", linewidth=3)
    below = 0.6 * len(found.groups) + 0.6
    for place, (loss, rank) in enumerate(places.items()):
        left = place < half
        height = -below - (place if left else len(places) - 1 - place)
        edge = 0.55 if left else len(places) + 0.45
        ax.plot([rank, rank, edge], [0, height, height], color="0.45", linewidth=0.7)
        text = f"{loss} ({rank:.2f})"
        ax.text(edge, height, text, ha="left" if left else "right", va="bottom")
    ax.axis("off")
    return figure
