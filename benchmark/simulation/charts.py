"""Pictures of the experiment: error by step, final error by place, one case step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from benchmark.report.drawing import GREY, PAGE, RC, add_legend, loss_handle
from benchmark.report.styles import Style, loss_styles
from benchmark.simulation.protocol import CASES_PER_POINT, CENTRE, RADIUS, STEPS

STRIP_STEPS = (0, 5, 10, 20, 40, 80, 120, 200)
FILM_STEPS = (*range(40), *range(40, 100, 2), *range(100, STEPS + 1, 5))
FRAME_MS, LAST_FRAME_MS = 80, 2000
COLUMNS = 4
LEAST_ERROR = 1e-3
"""Where the logarithmic scales of the error end, per case; below it, all is solved."""

Paths = dict[str, NDArray[np.float64]]
"""States ``[201, 4]`` (centre x, centre y, width, height) of one box, by the loss's label."""


def write_charts(
    curves: pd.DataFrame,
    surface: pd.DataFrame,
    paths: Paths,
    target: NDArray[np.float64],
    folder: Path,
    film: bool = False,
) -> list[Path]:
    """Draw everything as PNG and SVG, and the film as GIF if it is wanted.

    Args:
        curves, surface: as :class:`~benchmark.simulation.results.Outcome` gives them.
        paths: of the case shown step by step.
        target: ``[4]`` of that case.
        folder: must exist.
    """
    styles = loss_styles(list(paths))
    drawings: dict[str, Callable[[], Figure]] = {
        "error": lambda: draw_error(curves, styles),
        "surface": lambda: draw_surface(surface),
        "strip": lambda: draw_strip(paths, target, styles),
    }
    files = []
    with matplotlib.rc_context(RC):
        for name, draw in drawings.items():
            figure = draw()
            for suffix, metadata in ((".png", {}), (".svg", {"Date": None})):
                files.append(folder / f"{name}{suffix}")
                figure.savefig(files[-1], metadata=metadata)
        if film:
            files.append(folder / "film.gif")
            write_film(paths, target, styles, files[-1])
    return files


def draw_error(curves: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """Error by step, on a linear scale (as in the paper) and on a logarithmic one."""
    figure = Figure(figsize=(PAGE, 2.2), layout="constrained")
    for ax, scale in zip(figure.subplots(1, 2), ("linear", "log"), strict=True):
        for loss, style in styles.items():
            own = curves[curves["loss"] == loss]
            ax.plot(
                own["step"],
                own["error"],
                color=style.colour,
                marker=style.marker,
                markersize=3,
                markevery=20,
            )
        ax.set(xlabel="step", ylabel="error, all cases (millions)", yscale=scale)
        ax.set_xlim(0, STEPS)
    figure.axes[0].set_ylim(0)
    add_legend(figure, [loss_handle(loss, style) for loss, style in styles.items()])
    return figure


def draw_surface(surface: pd.DataFrame) -> Figure:
    """Mean final error of a case by the place of its anchor's centre, one panel a loss."""
    losses = list(surface.columns[2:])
    errors = surface[losses].to_numpy() / CASES_PER_POINT
    highest = np.nanmax(errors, initial=10 * LEAST_ERROR, where=np.isfinite(errors))
    norm = LogNorm(LEAST_ERROR, highest, clip=True)
    figure, panels = _panels(losses, PAGE / COLUMNS + 0.2)
    for loss, ax, values in zip(losses, panels, errors.T, strict=True):
        image = ax.scatter(
            surface["anchor_x"],
            surface["anchor_y"],
            c=values,
            norm=norm,
            cmap="viridis",
            s=max(2, 1.2e4 / len(surface)),
            linewidths=0,
            rasterized=True,
        )
        ax.set_title(loss)
        ax.set_aspect("equal")
        edges = CENTRE - 1.03 * RADIUS, CENTRE + 1.03 * RADIUS
        ax.set(xlim=edges, ylim=edges)
        ax.grid(visible=False)
    figure.colorbar(image, ax=panels, label="mean final error of a case", shrink=0.8)
    return figure


def draw_strip(paths: Paths, target: NDArray[np.float64], styles: dict[str, Style]) -> Figure:
    """One case at eight steps, one row a loss: target grey, start dashed."""
    cell = PAGE / len(STRIP_STEPS)
    figure = Figure(figsize=(PAGE, cell * len(paths) + 0.3), layout="constrained")
    grid = figure.subplots(len(paths), len(STRIP_STEPS), squeeze=False)
    for (loss, states), row in zip(paths.items(), grid, strict=True):
        for step, ax in zip(STRIP_STEPS, row, strict=True):
            _draw_case(ax, states, target, step, styles[loss])
        row[0].set_ylabel(loss)
    for step, ax in zip(STRIP_STEPS, grid[0], strict=True):
        ax.set_title(f"step {step}")
    return figure


def write_film(
    paths: Paths, target: NDArray[np.float64], styles: dict[str, Style], file: Path
) -> None:
    """The same case as a GIF, one panel a loss."""
    figure, panels = _panels(list(paths), PAGE / COLUMNS + 0.2)
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    moving = []
    for (loss, states), ax in zip(paths.items(), panels, strict=True):
        moving.append((_draw_case(ax, states, target, 0, styles[loss]), states))
        ax.set_title(loss)
    title = figure.suptitle("step 0", fontsize=7)
    canvas.draw()
    figure.set_layout_engine("none")  # it stays as it is now, and takes most of the time
    frames = []
    for step in FILM_STEPS:
        title.set_text(f"step {step}")
        for rectangle, states in moving:
            x, y, w, h = states[step]
            rectangle.set_bounds(x - w / 2, y - h / 2, w, h)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        frames.append(picture.quantize(64))
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _panels(losses: list[str], height: float) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width with one small panel a loss, four to a row."""
    rows = -(-len(losses) // COLUMNS)
    figure = Figure(figsize=(PAGE, height * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for ax in grid[len(losses) :]:
        ax.set_axis_off()
    return figure, list(grid[: len(losses)])


def _draw_case(
    ax: Axes, states: NDArray[np.float64], target: NDArray[np.float64], step: int, style: Style
) -> Rectangle:
    """Target, start and the box at ``step``, which is returned."""
    ax.add_patch(_rectangle(target, facecolor="0.85", edgecolor=GREY, linewidth=0.6))
    ax.add_patch(_rectangle(states[0], fill=False, edgecolor=GREY, linewidth=0.6, linestyle=":"))
    box = _rectangle(states[step], fill=False, edgecolor=style.colour, linewidth=1.2)
    ax.add_patch(box)
    low, high = CENTRE - RADIUS / 2, CENTRE + RADIUS
    ax.set(xlim=(low, high), ylim=(low, high), xticks=[], yticks=[], aspect="equal")
    return box


def _rectangle(box: NDArray[np.float64], **look: Any) -> Rectangle:
    x, y, w, h = box
    return Rectangle((x - w / 2, y - h / 2), w, h, **look)
