"""Mask losses against the share of the image that the object takes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.curves.base import Drawing, register
from benchmark.curves.evaluate import Array, mask_loss
from benchmark.curves.lineup import Entry, each, pick
from benchmark.curves.panels import (
    Curve,
    Horizontal,
    draw_lines,
    gallery,
    line_legend,
    page,
    styles_of,
)
from benchmark.experiment.loss_spec import NamedLoss

SIDE = 100  # pixels: a share of the image is a number of hundreds of pixels
ERROR = 5  # a fifth of the object is missed, and as many pixels are false
WRONG = float(np.log(49))  # logit of 0.98: how sure a wrong pixel is of itself
RIGHT = 20.0  # and a right one: its probability is 1 to 9 digits
SHARE = Horizontal(
    "foreground_share",
    "foreground share of the image",
    log=True,
    ticks=(0.001, 0.01, 0.1, 0.5),
    tick_labels=("0.1 %", "1 %", "10 %", "50 %"),
)
COMPARED: tuple[Entry, ...] = (
    ("BCE", "bce", {}),
    ("balanced BCE", "balanced_bce", {}),
    ("Dice", "dice", {}),
    ("Jaccard", "jaccard", {}),
    ("Tversky α=0.3 β=0.7", "tversky", {"alpha": 0.3, "beta": 0.7}),
    ("focal", "focal", {}),
    ("Lovász hinge", "lovasz_hinge", {}),
)


def fixed_error() -> tuple[Array, Array, Array]:
    """Predictions that miss a fifth of the object and have as many false pixels.

    Returns:
        The number of foreground pixels ``[N]``, and logits and targets ``[N, 100, 100]``. The
        object takes the first pixels of the image, row by row; its last fifth is missed, and as
        many pixels after it are false. A missed pixel has probability 0.02, a false one 0.98; all
        others are certain, so that the error is the same share of every object.
    """
    sizes = ERROR * np.unique(np.geomspace(2, SIDE * SIDE / 2 / ERROR, 40).round())
    index = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    size = sizes[:, None, None]
    target = (index < size).astype(float)
    wrong = (index >= size - size / ERROR) & (index < size + size / ERROR)
    sign = np.where(wrong, 1 - 2 * target, 2 * target - 1)
    return sizes, sign * np.where(wrong, WRONG, RIGHT), target


def share_curves(lineup: list[NamedLoss]) -> pd.DataFrame:
    """Columns ``loss``, ``foreground_share``, ``value``, ``slope_missed``, ``slope_false``.

    The slopes are the sizes of the gradient in a logit, as mean over the missed and over the false
    pixels, times the number of pixels of the image, so that a loss's mean over pixels is undone.
    """
    sizes, logits, target = fixed_error()
    wrong = {"missed": (target == 1) & (logits < 0), "false": (target == 0) & (logits > 0)}
    frames = []
    for named in lineup:
        value, gradient = mask_loss(named, logits, target)
        columns = {"loss": named.label, "foreground_share": sizes / SIDE**2, "value": value}
        for name, where in wrong.items():
            total = np.where(where, np.abs(gradient), 0).sum((1, 2))
            columns[f"slope_{name}"] = total / where.sum((1, 2)) * SIDE**2
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


@register(
    "foreground_share",
    "mask",
    "The same relative error on small and on large objects: a fifth missed, as much false",
    "A fifth of the object is missed and as many pixels are false. Dice, Jaccard, Tversky and "
    "Lovász charge the same for an object of any size (up to the smoothing, which eases the "
    "smallest), BCE and focal in proportion to its area. So a wrong pixel of a small object "
    "pulls far harder with Dice than with BCE, and one of a large object far less. Balanced "
    "BCE keeps the pull of the missed pixels and lets go of the false ones where objects are "
    "small.",
)
def compared_by_share(own: list[NamedLoss]) -> Drawing:
    """Value on the left, gradient on one missed and on one false pixel beside it."""
    data = share_curves([*pick("mask", *COMPARED), *own])
    styles = styles_of(data)
    figure, axes = page(1, 3, 2.4)
    titles = {
        "value": "loss",
        "slope_missed": "slope of a missed pixel × pixels",
        "slope_false": "slope of a false pixel × pixels",
    }
    for ax, (column, title) in zip(axes[0], titles.items(), strict=True):
        draw_lines(ax, data, "foreground_share", column, styles)
        SHARE.apply(ax)
        ax.set_title(title)
        ax.set_xlabel(SHARE.label)
        if column == "value":
            ax.set_ylim(bottom=0)
        else:
            ax.set_yscale("log")
    line_legend(figure, styles)
    return Drawing(figure, data)


SHIFT = 2  # pixels to the right


def shifted_squares() -> tuple[Array, Array, Array]:
    """Squares, each predicted :data:`SHIFT` pixels too far to the right.

    Returns:
        The share of the foreground ``[N]``, and logits and targets ``[N, 64, 64]``; the
        probability is 0.98 in the predicted square and 0.02 elsewhere.
    """
    sides = np.arange(3, 46, 2)
    row, column = np.mgrid[:64, :64]
    low = ((64 - sides) // 2)[:, None, None]
    high = low + sides[:, None, None]
    across = (row >= low) & (row < high)
    target = across & (column >= low) & (column < high)
    predicted = across & (column >= low + SHIFT) & (column < high + SHIFT)
    return sides**2 / 64**2, np.where(predicted, WRONG, -WRONG), target.astype(float)


@register(
    "foreground_shift_each",
    "mask",
    "Each mask loss on a square predicted 2 pixels too far right, by the size of the square",
    "An absolute error: every square is predicted 2 pixels too far right, with probabilities "
    "of 0.98 and 0.02. Region losses fall as the square grows, since the same strip is a "
    "smaller part of it; pixel losses rise with the strip's length. At the smallest squares "
    "the gradient of Dice falls too: the 2 % that the background is given add up to more than "
    "the object.",
)
def shift_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss: its value, and the length of its gradient in the logits."""
    share, logits, target = shifted_squares()
    frames = []
    for named in [*own, *each("mask")]:
        value, gradient = mask_loss(named, logits, target)
        length = np.sqrt(np.square(gradient).sum((1, 2)))
        columns = {"loss": named.label, "foreground_share": share, "value": value}
        frames.append(pd.DataFrame({**columns, "gradient_length": length}))
    data = pd.concat(frames, ignore_index=True)
    ticks, labels = (0.003, 0.03, 0.3), ("0.3 %", "3 %", "30 %")
    x = Horizontal(SHARE.column, "foreground share", True, ticks, labels)
    curves = [Curve("value", "loss"), Curve("gradient_length", "gradient length (per logit)")]
    return Drawing(gallery(data, x, curves), data)
