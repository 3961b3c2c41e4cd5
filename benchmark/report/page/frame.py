"""The frame of a chart: where its axes lie, and what is written along them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import escape

from benchmark.report.page.axis import Axis, wrapped
from benchmark.report.page.clip import Point
from benchmark.report.page.marks import loss_attribute, text_element, tip_attribute

CHARACTER = 7.6  # width of a character of the charts' 13 px text, on the safe side
LINE = 15  # height of a line of it


class Frame:
    """The area between the axes of a chart, in pixels of its view box.

    Attributes:
        left, right, top, bottom: edges; ``top`` is the smaller number.
    """

    def __init__(self, x: Axis, y: Axis, width: int, height: int) -> None:
        self.x, self.y = x, y
        self.width, self.height = width, height
        names = [line for _, text in y.marks() for line in _lines(y, text)]
        widest = max((len(name) for name in names), default=0)
        below = max((len(_lines(x, text)) for _, text in x.marks()), default=1)
        self.left = 10 + CHARACTER * widest + (LINE + 6 if y.label else 0)
        self.right = width - 14.0
        self.top = 10.0
        self.bottom = height - 8 - LINE * below - (LINE + 6 if x.label else 0)

    def point(self, x: float, y: float) -> Point:
        """Where a value lies in the unit square, whose origin is at the bottom left."""
        place = self.y.place(float(y))
        return self.x.place(float(x)), 1 - place if self.y.discrete else place

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> list[Point]:
        """As :meth:`point`, for each pair.

        Raises:
            ValueError: ``xs`` and ``ys`` differ in length.
        """
        return [self.point(x, y) for x, y in zip(xs, ys, strict=True)]

    def pixels(self, point: Point) -> Point:
        """Where a point of the unit square lies in the view box."""
        return (
            self.left + point[0] * (self.right - self.left),
            self.bottom + point[1] * (self.top - self.bottom),
        )

    def path(self, points: Sequence[Point]) -> str:
        """Points of the unit square as the data of a path; a lone one has no length."""
        pixels = ["{:.1f} {:.1f}".format(*self.pixels(point)) for point in points]
        return f"M{'L'.join(pixels)}" if len(pixels) > 1 else f"M{pixels[0]}h0"

    def axes(self) -> str:
        """Both axes with their ticks, grid and labels."""
        return self._x_axis() + self._y_axis()

    def _x_axis(self) -> str:
        parts = []
        for value, text in self.x.marks():
            px = self.pixels(self.point(value, self.y.low))[0]
            if not self.x.discrete:
                parts.append(f'<path class="grid" d="M{px:.1f} {self.top}V{self.bottom:.1f}"/>')
            for row, line in enumerate(_lines(self.x, text)):
                parts.append(text_element(px, self.bottom + LINE * (row + 1), line, "middle"))
        parts.append(f'<path class="axis" d="M{self.left:.1f} {self.bottom:.1f}H{self.right}"/>')
        if self.x.label:
            half = CHARACTER * len(self.x.label) / 2
            middle = max(half, min((self.left + self.right) / 2, self.width - half))
            parts.append(text_element(middle, self.height - 6, self.x.label, "middle", "label"))
        return "".join(parts)

    def _y_axis(self) -> str:
        parts = []
        losses = self.y.losses or [None] * len(self.y.marks())
        for (value, text), loss in zip(self.y.marks(), losses, strict=True):
            py = self.pixels(self.point(self.x.low, value))[1]
            if not self.y.discrete:
                parts.append(f'<path class="grid" d="M{self.left:.1f} {py:.1f}H{self.right}"/>')
            lines = _lines(self.y, text)
            start = py + 4 - LINE * (len(lines) - 1) / 2
            drawn = "".join(
                text_element(self.left - 6, start + LINE * row, line, "end")
                for row, line in enumerate(lines)
            )
            cut = lines[-1].endswith("…")
            tip = tip_attribute(text if cut else "")
            parts.append(f"<g{loss_attribute(loss)}{tip}>{drawn}</g>")
        if self.y.label:
            middle = (self.top + self.bottom) / 2
            parts.append(
                f'<text class="label" text-anchor="middle" '
                f'transform="translate(13 {middle:.1f}) rotate(-90)">{escape(self.y.label)}</text>'
            )
        return "".join(parts)


def _lines(axis: Axis, text: str) -> list[str]:
    return wrapped(text) if axis.discrete else [text]
