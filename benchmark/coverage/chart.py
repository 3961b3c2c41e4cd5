"""The simulation as pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.coverage.draws import SHAPES
from benchmark.report.drawing import GREY, PAGE, RC, add_legend, loss_handle
from benchmark.report.styles import Style, loss_styles

TICKS = (3, 5, 10, 15, 20)


def write_charts(rates: pd.DataFrame, level: float, folder: Path) -> list[Path]:
    """Draw the coverage and the error rates as PNG and SVG into ``folder``, which must exist.

    Args:
        rates: what :func:`benchmark.coverage.simulation.simulate` returns.
    """
    styles = loss_styles(list(dict.fromkeys(rates["method"])))
    files = []
    with matplotlib.rc_context(RC):
        drawn = {
            "coverage": draw_coverage(rates, styles, level),
            "errors": draw_errors(rates, styles, level),
        }
        for name, figure in drawn.items():
            for suffix, metadata in ((".png", {}), (".svg", {"Date": None})):
                files.append(folder / f"{name}{suffix}")
                figure.savefig(files[-1], metadata=metadata)
    return files


def draw_coverage(rates: pd.DataFrame, styles: dict[str, Style], level: float) -> Figure:
    """Coverage by the number of repetitions: a panel for each shape, and one for pooling."""
    figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
    axes = list(figure.subplots(2, 3, sharex=True, sharey=True).flat)
    own = rates[rates["measure"] == "coverage"]
    shown: dict[str, None] = {}
    for ax, (name, shape) in zip(axes, SHAPES.items(), strict=False):
        single = own[(own["shape"] == name) & (own["datasets"] == 1)]
        shown |= _draw_lines(ax, single, styles, shape.words)
        _mark(ax, 100 * level, band=1)
    last = axes[len(SHAPES)]
    pooled = own[own["datasets"] > 1]
    counts = ", ".join(map(str, pooled["datasets"].unique()))
    for _, rows in pooled.groupby("datasets"):
        shown |= _draw_lines(last, rows, styles, f"pooled over {counts} data sets, normal")
    _mark(last, 100 * level, band=1)
    _name_axes(figure, axes[3:], "coverage (%)")
    add_legend(figure, [loss_handle(method, styles[method]) for method in shown])
    return figure


def draw_errors(rates: pd.DataFrame, styles: dict[str, Style], level: float) -> Figure:
    """How often a difference is claimed where there is none, by the number of repetitions."""
    figure = Figure(figsize=(PAGE, 2.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    own = rates[rates["measure"] == "error"]
    flips = own[own["method"] == "sign-flip"]
    looks = loss_styles(list(SHAPES))
    for name, rows in flips.groupby("shape", sort=False):
        renamed = rows.assign(method=name)
        _draw_lines(left, renamed, looks, "exact sign-flip test")
    many = own[own["method"] != "sign-flip"]
    shown = _draw_lines(right, many, styles, "t-tests of several losses, all equal")
    for ax in (left, right):
        _mark(ax, 100 * (1 - level), band=0)
        ax.set_ylim(bottom=0)
    _name_axes(figure, [left, right], "false claims (%)")
    handles: list[Artist] = [loss_handle(SHAPES[name].words, looks[name]) for name in SHAPES]
    add_legend(figure, handles + [loss_handle(f"right: {m}", styles[m]) for m in shown])
    return figure


def _draw_lines(
    ax: Axes, rates: pd.DataFrame, styles: dict[str, Style], title: str
) -> dict[str, None]:
    """One line a method, with two standard errors each way; gives the methods drawn."""
    ax.set_title(title)
    methods = dict.fromkeys(map(str, rates["method"]))
    for method in methods:
        rows, style = rates[rates["method"] == method], styles[method]
        ax.errorbar(
            rows["repetitions"],
            100 * rows["rate"],
            yerr=200 * rows["standard_error"],
            color=style.colour,
            marker=style.marker,
            markersize=3,
        )
    return methods


def _mark(ax: Axes, nominal: float, band: float) -> None:
    """The nominal rate, with the band that counts as kept."""
    ax.axhline(nominal, color=GREY, linewidth=0.6, zorder=0)
    if band:
        ax.axhspan(nominal - band, nominal + band, color="0.85", zorder=0, linewidth=0)


def _name_axes(figure: Figure, bottom: list[Axes], label: str) -> None:
    for ax in figure.axes:
        ax.set_xticks(TICKS)
    for ax in bottom:
        ax.set_xlabel("repetitions")
    figure.supylabel(label, fontsize=7)
