"""What region losses charge for pixels that are missed and for pixels that are false."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.curves.base import Drawing, register
from benchmark.curves.evaluate import Array, mask_loss
from benchmark.curves.lineup import Entry, pick
from benchmark.curves.panels import draw_lines, line_legend, page, styles_of
from benchmark.experiment.loss_spec import NamedLoss

SIDE = 40  # pixels
OBJECT = 160  # pixels, a tenth of the image
CERTAIN = 20.0  # logit
SHARES = np.linspace(0, 1, 41)  # of the object's pixels, whole numbers of them
COMPARED: tuple[Entry, ...] = (
    ("Dice", "dice", {}),
    ("Jaccard", "jaccard", {}),
    ("Tversky α=0.3 β=0.7", "tversky", {"alpha": 0.3, "beta": 0.7}),
    ("Tversky α=0.1 β=0.9", "tversky", {"alpha": 0.1, "beta": 0.9}),
    ("Tversky α=0.7 β=0.3", "tversky", {"alpha": 0.7, "beta": 0.3}),
    ("focal Tversky", "focal_tversky", {}),
    ("log-cosh Dice", "log_cosh_dice", {}),
)


def one_kind_of_error(kind: str) -> tuple[Array, Array]:
    """Logits and targets ``[41, 40, 40]``: the object takes the first pixels of the image.

    Args:
        kind: ``"missed"``, the last pixels of the object count as background, or ``"false"``, as
            many pixels after it count as object; all with certainty.
    """
    index = np.broadcast_to(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), (len(SHARES), SIDE, SIDE))
    wrong = (SHARES * OBJECT).round()[:, None, None]
    end = OBJECT + wrong if kind == "false" else OBJECT - wrong
    return np.where(index < end, CERTAIN, -CERTAIN), (index < OBJECT).astype(float)


def error_curves(lineup: list[NamedLoss]) -> pd.DataFrame:
    """Columns ``loss``, ``error`` (missed or false), ``share_of_object``, ``value``."""
    frames = []
    for named in lineup:
        for kind in ("missed", "false"):
            value, _ = mask_loss(named, *one_kind_of_error(kind))
            columns = {"loss": named.label, "error": kind, "share_of_object": SHARES}
            frames.append(pd.DataFrame({**columns, "value": value}))
    return pd.concat(frames, ignore_index=True)


@register(
    "tversky",
    "mask",
    "What a missed pixel costs, and what a false one",
    "One kind of error at a time, on an object of a tenth of the image; α weighs false pixels "
    "and β missed ones. α < β makes misses dear and false pixels cheap, which raises recall. "
    "Jaccard (α = β = 1) charges more than Dice (α = β = 0.5) for the same error, but both "
    "order predictions in the same way.",
)
def missed_against_false(own: list[NamedLoss]) -> Drawing:
    """The loss against the share of missed pixels, and against that of false ones."""
    data = error_curves([*pick("mask", *COMPARED), *own])
    styles = styles_of(data)
    figure, axes = page(1, 2, 2.4)
    top = 1.05 * data["value"].max()
    labels = {"missed": "missed pixels / object", "false": "false pixels / object"}
    for ax, (kind, label) in zip(axes[0], labels.items(), strict=True):
        draw_lines(ax, data[data["error"] == kind], "share_of_object", "value", styles)
        ax.set(title=f"only {kind} pixels", xlabel=label, ylabel="loss", ylim=(0, top))
    line_legend(figure, styles)
    return Drawing(figure, data)
