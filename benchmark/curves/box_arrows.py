"""Where a box loss pulls the prediction, by where the prediction lies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from benchmark.curves.base import Drawing, register
from benchmark.curves.box_paths import SIDE, TARGET
from benchmark.curves.evaluate import Array, box_loss
from benchmark.curves.lineup import each
from benchmark.curves.panels import head, panel_each
from benchmark.experiment.loss_spec import NamedLoss
from benchmark.report.drawing import add_legend
from benchmark.report.styles import PALETTE

REACH = 54.0  # pixels from the target's centre to the edge of the map
ARROWS = 13  # along each side of the map; none starts on a kink of the IoU
FINE = 61  # points along each side of the value map
PRED = 12.0  # pixels, side of the prediction
LONGEST = 0.95  # an arrow's greatest length, in units of the distance between arrows
STILL = 1e-6  # 1/px: a pull below this is drawn as a dot


@register(
    "box_arrows",
    "box",
    "Where each box loss pulls a prediction of 12×12 pixels, by where its centre lies",
    "The prediction's size is fixed; grey is the loss by where its centre lies, the arrows "
    "are the pull on the centre, their length the root of the gradient's. A red dot means no "
    "pull: wherever the boxes do not touch for IoU, and wherever one lies inside the other "
    "for those losses that see only overlap and hull. GIoU pulls a box that is off on both "
    "axes into line with the target by the shorter way first. EIoU even pushes a box that is "
    "too small away along one axis: a larger hull makes its error of size count less. Bounded "
    "IoU looks at each axis by itself and has no pull along one that is far off. Extended IoU "
    "is not symmetric: it depends on which corner is called the first.",
)
def arrows_of_each(own: list[NamedLoss]) -> Drawing:
    """A panel a loss: the value as a map, the descent direction of the centre as arrows."""
    lineup = [*own, *each("box")]
    data = pd.concat([_pull(named) for named in lineup], ignore_index=True)
    maps = {named.label: _values(named) for named in lineup}
    figure = panel_each(
        [named.label for named in lineup],
        lambda ax, loss: _draw(ax, loss, maps[loss], data[data["loss"] == loss]),
        panel_height=1.55,
    )
    handles = [
        Patch(facecolor="0.6", label="the darker, the higher the loss"),
        Line2D([], [], color=PALETTE[1], linewidth=1, label="target"),
        Line2D(
            [],
            [],
            color=PALETTE[0],
            marker="$\\rightarrow$",
            linestyle="",
            label="pull, as √ of its length",
        ),
        Line2D([], [], color=PALETTE[3], marker="o", markersize=3, linestyle="", label="no pull"),
    ]
    add_legend(figure, handles)
    return Drawing(figure, data)


def _grid(points: int) -> Array:
    """Predictions ``[points², 4]`` with their centres on a square grid around the target."""
    line = np.linspace(-REACH, REACH, points)
    x, y = np.meshgrid(line, line)
    size = np.ones_like(x).ravel()
    return np.stack([x.ravel(), y.ravel(), PRED * size, PRED * size], 1)


def _pull(named: NamedLoss) -> pd.DataFrame:
    """Columns ``loss``, ``cx_px``, ``cy_px``, ``value``, ``pull_x``, ``pull_y`` (1/px)."""
    boxes = _grid(ARROWS)
    value, gradient = box_loss(named, boxes, TARGET)
    return pd.DataFrame(
        {
            "loss": named.label,
            "cx_px": boxes[:, 0],
            "cy_px": boxes[:, 1],
            "value": value,
            "pull_x": -gradient[:, 0],
            "pull_y": -gradient[:, 1],
        }
    )


def _values(named: NamedLoss) -> Array:
    value, _ = box_loss(named, _grid(FINE), TARGET)
    return value.reshape(FINE, FINE)


def _draw(ax: Axes, loss: str, values: Array, pull: pd.DataFrame) -> None:
    edge = REACH * (1 + 1 / (FINE - 1))
    extent = (-edge, edge, edge, -edge)
    # The darkest grey stays light enough for the arrows.
    span = max(float(np.nanmax(values)), 1e-12) * 1.8
    ax.imshow(values, cmap="Greys", extent=extent, vmin=float(np.nanmin(values)), vmax=span)
    ax.add_patch(
        Rectangle((-SIDE / 2, -SIDE / 2), SIDE, SIDE, fill=False, edgecolor=PALETTE[1], linewidth=1)
    )
    length = np.hypot(pull["pull_x"], pull["pull_y"])
    step = 2 * REACH / (ARROWS - 1)
    moving = pull[length > STILL]
    # The root of the length, so that weak pulls can be seen as well.
    arrows = moving[["pull_x", "pull_y"]].div(np.sqrt(length[length > STILL]), axis=0)
    ax.quiver(
        moving["cx_px"],
        moving["cy_px"],
        arrows["pull_x"],
        arrows["pull_y"],
        color=PALETTE[0],
        angles="xy",
        scale_units="xy",
        scale=np.sqrt(length.max() or 1) / (LONGEST * step),
        width=0.011,
        minlength=0,
    )
    still = pull[length <= STILL]
    ax.plot(still["cx_px"], still["cy_px"], "o", color=PALETTE[3], markersize=1.1)
    head(ax, loss, f"longest {length.max():.2g}/px")
    ax.set(xticks=[], yticks=[], xlim=(-edge, edge), ylim=(edge, -edge))
    ax.spines[:].set_visible(False)
