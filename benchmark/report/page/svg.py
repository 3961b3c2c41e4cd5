"""Charts as inline SVG, drawn without a library, coloured by the page's style sheet.

Every mark carries the loss that it shows (``data-loss``, by which the page's filter hides it) and
what it says (``data-tip``, shown on hover and focus). Colours are classes ``c0`` to ``c9``, so
that dark mode and print can choose their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup, escape

from benchmark.report.page.axis import Axis
from benchmark.report.page.clip import Point, clamped, clipped
from benchmark.report.page.frame import Frame
from benchmark.report.page.marks import group, marker, swatch, text_element, tip_attribute
from benchmark.report.styles import Style

__all__ = ["Axis", "Chart", "small_multiples", "swatch"]

MARKERS_A_LINE = 8


class Chart:
    """One pair of axes and what is drawn between them; call the methods, then :meth:`markup`.

    Marks take ``series``, the loss's style (None: grey), and ``loss``, its label. What lies
    outside the axes is cut off; what has no place (NaN, infinity) is not drawn.

    Args:
        x, y: the axes.
        width, height: size in pixels.
        title: the chart's accessible name.
        description: what the chart shows, for those who cannot see it.
    """

    def __init__(
        self,
        x: Axis,
        y: Axis,
        *,
        title: str,
        description: str = "",
        width: int = 420,
        height: int = 280,
    ) -> None:
        self.title, self.description = title, description
        self.frame = Frame(x, y, width, height)
        self._below: list[str] = []  # bands and rules, so that marks stay visible
        self._above: list[str] = []

    def line(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        series: Style | None = None,
        loss: str | None = None,
        tips: Sequence[str] | None = None,
        dashed: bool = False,
        markers: bool = True,
        thin: bool = False,
    ) -> None:
        """A curve, which a NaN breaks.

        Args:
            tips: one text a point.
            markers: draw the loss's marker at some of the points.
        """
        points = self.frame.points(xs, ys)
        classes = "line" + (" thin" if thin else "") + (" dashed" if dashed else "")
        path = "".join(self.frame.path(part) for part in clipped(points))
        drawn = [f'<path class="{classes}" d="{path}"/>'] if path else []
        shown = [i for i, point in enumerate(points) if _visible(point)]
        if markers:
            step = max(1, math.ceil(len(shown) / MARKERS_A_LINE))
            places = [self.frame.pixels(points[i]) for i in shown[::step]]
            drawn += [marker(*place, 2.8, series, "dot", "") for place in places]
        for i in shown if tips is not None else []:
            px, py = self.frame.pixels(points[i])
            tip = tip_attribute(tips[i]) if tips is not None else ""
            drawn.append(f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="6"{tip}/>')
        self._above.append(group("".join(drawn), series, loss))

    def band(
        self,
        xs: Sequence[float],
        lows: Sequence[float],
        highs: Sequence[float],
        series: Style | None = None,
        loss: str | None = None,
    ) -> None:
        """The area between two curves; there is none where either has no value."""
        stretches: list[list[tuple[Point, Point]]] = [[]]
        ends = zip(self.frame.points(xs, lows), self.frame.points(xs, highs), strict=True)
        for low, high in ends:
            if all(map(math.isfinite, (*low, *high))):
                stretches[-1].append((low, high))
            else:
                stretches.append([])
        for stretch in stretches:
            if len(stretch) > 1:
                below, above = clamped([p for p, _ in stretch]), clamped([p for _, p in stretch])
                outline = self.frame.path([*below, *reversed(above)])
                self._below.append(group(f'<path class="band" d="{outline}Z"/>', series, loss))

    def dot(
        self,
        x: float,
        y: float,
        series: Style | None = None,
        loss: str | None = None,
        tip: str = "",
        hollow: bool = False,
        small: bool = False,
    ) -> None:
        """A marker of the loss's shape."""
        point = self.frame.point(x, y)
        if _visible(point):
            kind = "dot" + (" hollow" if hollow else "") + (" small" if small else "")
            place = self.frame.pixels(point)
            drawn = marker(*place, 2.6 if small else 4.6, series, kind, tip)
            self._above.append(group(drawn, series, loss))

    def cross(
        self,
        x: float,
        y: float,
        series: Style | None = None,
        loss: str | None = None,
        tip: str = "",
    ) -> None:
        """A cross, for what ended without a value."""
        point = self.frame.point(x, y)
        if _visible(point):
            px, py = self.frame.pixels(point)
            path = f"M{px - 4:.1f} {py - 4:.1f}l8 8m0-8l-8 8"
            drawn = f'<path class="cross" d="{path}"{tip_attribute(tip)}/>'
            self._above.append(group(drawn, series, loss))

    def interval(
        self,
        low: float,
        high: float,
        y: float,
        series: Style | None = None,
        loss: str | None = None,
        tip: str = "",
    ) -> None:
        """A level line from ``low`` to ``high`` with a cap at each end that is not cut off."""
        ends = [self.frame.point(low, y), self.frame.point(high, y)]
        for part in clipped(ends):
            (x0, py), (x1, _) = self.frame.pixels(part[0]), self.frame.pixels(part[-1])
            caps = [x0] * (part[0] == ends[0]) + [x1] * (part[-1] == ends[1])
            path = f"M{x0:.1f} {py:.1f}H{x1:.1f}"
            path += "".join(f"M{cap:.1f} {py - 4:.1f}v8" for cap in caps)
            drawn = f'<path class="interval" d="{path}"{tip_attribute(tip)}/>'
            self._above.append(group(drawn, series, loss))

    def bar(
        self,
        x0: float,
        x1: float,
        y0: float,
        y1: float,
        series: Style | None = None,
        loss: str | None = None,
        tip: str = "",
    ) -> None:
        """A rectangle between two corners."""
        if not all(map(math.isfinite, (x0, x1, y0, y1))):
            return
        corners = clamped([self.frame.point(x0, y0), self.frame.point(x1, y1)])
        (left, low), (right, high) = map(self.frame.pixels, (corners[0], corners[-1]))
        place = f'x="{min(left, right):.1f}" y="{min(low, high):.1f}"'
        size = f'width="{abs(right - left):.1f}" height="{abs(high - low):.1f}"'
        drawn = f'<rect class="bar" {place} {size}{tip_attribute(tip)}/>'
        self._above.append(group(drawn, series, loss))

    def rule(
        self, x: float | None = None, y: float | None = None, label: str = "", dashed: bool = False
    ) -> None:
        """A line across the chart at ``x`` or at ``y``; nothing where it lies off the axis.

        Raises:
            ValueError: neither or both of ``x`` and ``y`` are given.
        """
        if (x is None) == (y is None):
            raise ValueError("a rule needs either x or y")
        frame = self.frame
        upright = x is not None
        point = frame.point(frame.x.low if x is None else x, frame.y.low if y is None else y)
        if not _visible(point):
            return
        px, py = frame.pixels(point)
        path = (
            f"M{px:.1f} {frame.top}V{frame.bottom:.1f}"
            if upright
            else f"M{px:.1f} {py:.1f}H{frame.right}"
        )
        self._below.append(f'<path class="rule{" dashed" if dashed else ""}" d="{path}"/>')
        if label and upright:
            # On the side with more room, so that the text is not cut.
            late = px > (frame.left + frame.right) / 2
            anchor = "end" if late else "start"
            self._above.append(
                text_element(px + (-4 if late else 4), frame.top + 10, label, anchor)
            )
        elif label:
            self._above.append(text_element(frame.left + 4, max(py - 4, 12), label, "start"))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        anchor: Literal["start", "middle", "end"] = "start",
        series: Style | None = None,
        loss: str | None = None,
    ) -> None:
        """A few words at a place of the chart."""
        point = self.frame.point(x, y)
        if _visible(point):
            px, py = self.frame.pixels(point)
            self._above.append(group(text_element(px, py + 4, text, anchor), series, loss))

    def markup(self) -> Markup:
        """The chart as an ``<svg>`` element."""
        # No <title>: browsers show it on hover, over the value that the mark itself tells.
        described = f"<desc>{escape(self.description)}</desc>" if self.description else ""
        width, height = self.frame.width, self.frame.height
        return Markup(
            f'<svg class="chart" role="img" aria-label="{escape(self.title)}" '
            f'viewBox="0 0 {width} {height}" style="--w:{width}px">{described}'
            f"{self.frame.axes()}{''.join(self._below)}{''.join(self._above)}</svg>"
        )


def small_multiples(charts: Sequence[Markup], captions: Sequence[str | Markup]) -> Markup:
    """Charts side by side as far as there is room, each below its caption."""
    return Markup('<div class="multiples">{}</div>').format(
        Markup("").join(
            Markup('<div class="multiple"><p class="over">{}</p>{}</div>').format(caption, chart)
            for chart, caption in zip(charts, captions, strict=True)
        )
    )


def _visible(point: Point) -> bool:
    return all(-1e-9 <= value <= 1 + 1e-9 for value in point)
