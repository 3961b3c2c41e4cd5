"""Each mask loss on a small image: against the probability of a region, and pixel by pixel."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmark.curves.base import Drawing, register
from benchmark.curves.evaluate import Array, mask_loss
from benchmark.curves.lineup import each
from benchmark.curves.panels import Curve, Horizontal, gallery, head, panel_each
from benchmark.experiment.loss_spec import NamedLoss
from benchmark.report.drawing import add_legend

SIDE = 24  # pixels of the image with the bar
PROBABILITY = np.linspace(0.01, 0.99, 50)
SURE = float(np.log(49))  # logit of 0.98
P_AXIS = Horizontal("probability", "probability p", ticks=(0, 0.5, 1))


def disc(side: int, row: float, column: float, radius: float) -> Array:
    """``[side, side]``, 1 where a pixel's centre lies in the disc."""
    y, x = np.mgrid[:side, :side] + 0.5
    return ((y - row) ** 2 + (x - column) ** 2 <= radius**2).astype(float)


def region_curves(named: NamedLoss) -> pd.DataFrame:
    """One loss while the probability of a whole region changes.

    The target is a bar of 5×23 pixels, a fifth of the image. Either its pixels all have the
    probability p and the background is right, or the background has p and the bar is right; right
    is 0.98 or 0.02.

    Returns:
        Columns ``loss``, ``probability``, and for ``object`` and ``background`` the value and the
        slope: the derivative in the logit that the region's pixels share.
    """
    target = np.zeros((SIDE, SIDE))
    target[9:14, :23] = 1
    moving = np.log(PROBABILITY / (1 - PROBABILITY))[:, None, None]
    targets = np.broadcast_to(target, (len(PROBABILITY), SIDE, SIDE)).copy()
    columns: dict[str, object] = {"loss": named.label, "probability": PROBABILITY}
    for name, region in (("object", target == 1), ("background", target == 0)):
        value, gradient = mask_loss(
            named, np.where(region, moving, SURE * (2 * target - 1)), targets
        )
        columns[f"value_{name}"] = value
        columns[f"slope_{name}"] = gradient[:, region].sum(1)
    return pd.DataFrame(columns)


def _regions(own: list[NamedLoss], what: str, label: str) -> Drawing:
    data = pd.concat([region_curves(named) for named in [*own, *each("mask")]], ignore_index=True)
    curves = [
        Curve(f"{what}_object", f"{label}, object at p"),
        Curve(f"{what}_background", f"{label}, background at p"),
    ]
    shown = data[["loss", "probability", *(curve.column for curve in curves)]]
    return Drawing(gallery(shown, P_AXIS, curves, shared_scale=True), shown)


@register(
    "probability_each",
    "mask",
    "Each mask loss against the predicted probability",
    "The image is 24×24 pixels, a fifth of them in the object. Solid: all its pixels at p and "
    "the background right; dashed: the background at p and the object right. Losses that add "
    "up pixels weigh the background by its area (dashed far above solid), region losses such "
    "as Dice weigh both about alike. Hausdorff jumps at p = 0.5, where its distance map of "
    "the prediction changes; its erosion form is 0 until an error exceeds 0.71, and soft "
    "clDice does not see an even background.",
)
def value_of_regions(own: list[NamedLoss]) -> Drawing:
    """A panel a loss: its value while the object's or the background's probability changes."""
    return _regions(own, "value", "loss")


@register(
    "probability_slope_each",
    "mask",
    "Slope of each mask loss in the logit, against the predicted probability",
    "The same as above, of the derivative in the logit that the region's pixels share. For "
    "cross entropies it is largest where the prediction is most wrong. For Dice, Jaccard and "
    "their kin it falls to 0 at both ends, since the sigmoid is flat there: a network that is "
    "surely wrong hardly learns from them, which is why they are often added to BCE.",
)
def slope_of_regions(own: list[NamedLoss]) -> Drawing:
    """As :func:`value_of_regions`, of the derivative in the region's logit."""
    return _regions(own, "slope", "d loss / d logit")


MAP = 32  # pixels of a side of the image with the two objects


def scene() -> tuple[Array, Array]:
    """Target and logits ``[32, 32]``.

    A large disc is predicted 3 pixels too far to the right, a small one 2; a thin line is
    predicted with a gap; a false spot lies in the corner. The probability is 0.9 or 0.1.
    """
    line = np.zeros((MAP, MAP))
    line[26, 3:29] = 1
    gap = np.zeros_like(line)
    gap[:, 14:18] = 1
    target = np.maximum.reduce([disc(MAP, 11, 10, 7), disc(MAP, 8, 25, 2.6), line])
    shown = [disc(MAP, 11, 13, 7), disc(MAP, 8, 27, 2.6), line * (1 - gap), disc(MAP, 18, 27, 1.5)]
    return target, np.log(9) * (2 * np.maximum.reduce(shown) - 1)


@register(
    "gradient_maps_each",
    "mask",
    "Where each mask loss wants more and where less",
    "The descent direction in the logit of each pixel: blue up, red down, the shade as the "
    "root of the size; p is 0.9 or 0.1 everywhere. Cross entropies push mostly at wrong "
    "pixels, Lovász hinge and top-k only at these. Dice, Jaccard and their kin push the whole "
    "object up and all else down, right or wrong alike, since they see but the sums. Losses "
    "built on distances look at what lies far from the target's edge, soft clDice at thin "
    "structures and not at the large disc.",
)
def maps_of_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss: its descent direction in each pixel's logit."""
    target, logits = scene()
    maps = {}
    for named in [*own, *each("mask")]:
        _, gradient = mask_loss(named, logits[None], target[None])
        maps[named.label] = -gradient[0]
    figure = panel_each(
        list(maps),
        lambda ax, loss: _draw_map(ax, loss, maps[loss], target, logits),
        panel_height=1.55,
    )
    add_legend(
        figure,
        [
            Patch(facecolor="#4393c3", label="raise the logit"),
            Patch(facecolor="#d6604d", label="lower it"),
            Line2D([], [], color="black", linewidth=0.8, label="target"),
            Line2D([], [], color="black", linewidth=0.8, linestyle=":", label="prediction"),
        ],
    )
    row, column = np.mgrid[:MAP, :MAP]
    places = {"row": row.ravel(), "column": column.ravel(), "target": target.ravel()}
    return Drawing(figure, pd.DataFrame({**places, **{k: v.ravel() for k, v in maps.items()}}))


def _draw_map(ax: Axes, loss: str, descent: Array, target: Array, logits: Array) -> None:
    top = float(np.abs(descent).max())
    # The root of the size, so that weak pulls can be seen as well.
    shade = np.sign(descent) * np.sqrt(np.abs(descent) / (top or 1))
    ax.imshow(shade, cmap="RdBu", vmin=-1.4, vmax=1.4, interpolation="nearest")
    ax.contour(target, [0.5], colors="black", linewidths=0.7)
    ax.contour(logits, [0.0], colors="black", linewidths=0.7, linestyles=":")
    head(ax, loss, f"largest {top:.2g}")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
