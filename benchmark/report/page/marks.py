"""How a loss, its label and its values are written into the SVG of a chart."""

from __future__ import annotations

from markupsafe import Markup, escape

from benchmark.report.styles import PALETTE, Style

SHAPES = {
    "o": "M-1 0A1 1 0 1 0 1 0A1 1 0 1 0-1 0Z",
    "s": "M-.9-.9H.9V.9H-.9Z",
    "^": "M0-1.1L1.05.8H-1.05Z",
    "D": "M0-1.2L1.2 0L0 1.2L-1.2 0Z",
    "v": "M0 1.1L1.05-.8H-1.05Z",
    "P": "M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
    "X": "M0-.5L.6-1.1L1.1-.6L.5 0L1.1.6L.6 1.1L0 .5L-.6 1.1L-1.1.6L-.5 0L-1.1-.6L-.6-1.1Z",
}
"""Outline of each of :data:`benchmark.report.styles.MARKERS` with a radius of about 1."""
DASHES = 3  # kinds of dashed lines, for losses whose colour is taken


def series_class(series: Style | None) -> str:
    """Classes for a loss's colour, and for its dashes once colours repeat; None is grey."""
    if series is None:
        return "grey"
    again = series.index // len(PALETTE)
    dashes = f" d{(again - 1) % DASHES + 1}" if again else ""
    return f"c{series.index % len(PALETTE)}{dashes}"


def group(drawn: str, series: Style | None, loss: str | None) -> str:
    """Marks of one loss: coloured, and hidden where the loss is filtered out."""
    return f'<g class="{series_class(series)}"{loss_attribute(loss)}>{drawn}</g>'


def loss_attribute(loss: str | None) -> str:
    """The attribute (with a space before it) by which the filter finds what shows a loss."""
    return "" if loss is None else f' data-loss="{escape(loss)}"'


def tip_attribute(tip: str) -> str:
    """The attribute (with a space before it) with what is shown on hover and focus."""
    return f' data-tip="{escape(tip)}"' if tip else ""


def marker(x: float, y: float, radius: float, series: Style | None, kind: str, tip: str) -> str:
    """The loss's shape at a place in pixels."""
    shape = SHAPES["o" if series is None else series.marker]
    place = f"translate({x:.1f} {y:.1f}) scale({radius})"
    return f'<path class="{kind}" transform="{place}" d="{shape}"{tip_attribute(tip)}/>'


def text_element(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    """A line of text at a place in pixels; ``anchor`` is "start", "middle" or "end"."""
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def swatch(series: Style) -> Markup:
    """A stroke and marker as the charts draw a loss; the label beside it says which."""
    drawn = '<path class="line" d="M1 6H21"/>' + marker(11, 6, 3.6, series, "dot", "")
    return Markup(
        '<svg class="swatch" aria-hidden="true" viewBox="0 0 22 12">'
        f"{group(drawn, series, None)}</svg>"
    )
