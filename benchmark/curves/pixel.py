"""Losses of a single pixel against its predicted probability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmark.curves.base import Drawing, register
from benchmark.curves.evaluate import mask_loss
from benchmark.curves.lineup import Entry, pick
from benchmark.curves.panels import draw_lines, line_legend, page, styles_of
from benchmark.experiment.loss_spec import NamedLoss

PROBABILITY = np.linspace(0.005, 0.995, 199)
COLUMNS = {1: "positive pixel", 0: "negative pixel"}
ROWS = {
    "value": "loss",
    "slope_in_logit": "d loss / d logit",
    "slope_in_probability": "d loss / d probability",
}
LIMITS = {"value": 5.0, "slope_in_logit": np.inf, "slope_in_probability": 8.0}
"""The largest number that is drawn."""


def pixel_curves(lineup: list[NamedLoss]) -> pd.DataFrame:
    """Columns ``loss``, ``target``, ``probability`` and those of :data:`ROWS`.

    The loss is that of an image of one pixel. dp / d logit = p (1 - p).
    """
    logits = np.log(PROBABILITY / (1 - PROBABILITY))[:, None, None]
    frames = []
    for named in lineup:
        for target in COLUMNS:
            value, gradient = mask_loss(named, logits, np.full_like(logits, target))
            slope = gradient[:, 0, 0]
            columns: dict[str, Any] = {
                "loss": named.label,
                "target": target,
                "probability": PROBABILITY,
                "value": value,
                "slope_in_logit": slope,
                "slope_in_probability": slope / (PROBABILITY * (1 - PROBABILITY)),
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _draw(lineup: list[NamedLoss], rows: list[str]) -> Drawing:
    """A column for each target, a row for each of ``rows``, the names of columns of the data."""
    data = pixel_curves(lineup)
    styles = styles_of(data)
    figure, axes = page(len(rows), 2, 1.75 * len(rows))
    for j, (target, title) in enumerate(COLUMNS.items()):
        axes[0, j].set_title(title)
        axes[-1, j].set_xlabel("predicted probability of the foreground")
        shown = data[data["target"] == target]
        for ax, row in zip(axes[:, j], rows, strict=True):
            draw_lines(ax, shown, "probability", row, styles)
            _limit(ax, row)
    for ax, row in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(ROWS[row])
    line_legend(figure, styles)
    return Drawing(figure, data)


def _limit(ax: Axes, row: str) -> None:
    """Cut off what grows without bound, which would flatten the rest."""
    most = LIMITS[row]
    low, high = (float(np.clip(end, -most, most)) for end in ax.dataLim.intervaly)
    margin = 0.04 * (high - low)
    ax.set_ylim(low - margin * (low > -most), high + margin * (high < most))


@register(
    "pixel_focal",
    "mask",
    "BCE and focal loss (α = none) of one pixel",
    "With γ = 0 focal loss is BCE; the larger γ, the less a pixel counts that is right "
    "already, and the more the force gathers on the confidently wrong ones. In the logit, "
    "which is what a network puts out, BCE's slope is simply p - y, never beyond 1, and that "
    "of focal loss rises a little above it on its way. In the probability the slopes grow "
    "without bound, and the sigmoid's factor p (1 - p) takes that away again: why the rows "
    "are about the logit in the other pictures.",
)
def bce_and_focal(own: list[NamedLoss]) -> Drawing:
    """Focal loss at five γ, of which γ = 0 is BCE."""
    entries = [
        (f"focal γ={gamma:g}", "focal", {"alpha": None, "gamma": gamma})
        for gamma in (0.0, 0.5, 1.0, 2.0, 5.0)
    ]
    return _draw([*pick("mask", ("BCE", "bce", {}), *entries), *own], list(ROWS))


@register(
    "pixel_weighted",
    "mask",
    "Weighted BCE of one pixel",
    "β multiplies the positive pixel's loss and slope and leaves the negative one alone. At β "
    "= 4 a missed pixel pulls four times as hard as a false one; the slope in the logit is a "
    "straight line for every β.",
)
def weighted(own: list[NamedLoss]) -> Drawing:
    """Weighted BCE at five β, of which β = 1 is BCE."""
    entries = [
        (f"weighted BCE β={beta:g}", "weighted_bce", {"beta": beta})
        for beta in (1.0, 0.25, 0.5, 2.0, 4.0)
    ]
    return _draw([*pick("mask", *entries), *own], ["value", "slope_in_logit"])


@register(
    "pixel_others",
    "mask",
    "Other relatives of BCE, of one pixel",
    "Variants of BCE. Poly-1 adds ε times the probability of the wrong state: its slope grows "
    "in the middle, not at the ends. Smoothed labels let the pull end at a probability of 0.9 "
    "and push back beyond. The asymmetric focal loss (here at half the scale of the others) "
    "discounts the easy negative pixel only.",
)
def others(own: list[NamedLoss]) -> Drawing:
    """Label smoothing, Poly-1 and asymmetric focal loss beside BCE."""
    entries: tuple[Entry, ...] = (
        ("BCE", "bce", {}),
        ("BCE, labels smoothed by 0.1", "bce", {"smoothing": 0.1}),
        ("Poly-1 ε=1", "poly1", {"epsilon": 1.0}),
        ("Poly-1 ε=4", "poly1", {"epsilon": 4.0}),
        ("asymmetric focal γ=2, δ=0.5", "asymmetric_focal", {"gamma": 2.0, "delta": 0.5}),
    )
    return _draw([*pick("mask", *entries), *own], ["value", "slope_in_logit"])
