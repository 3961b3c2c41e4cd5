"""A terminal that shows text of any origin as text."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) != "\n"}
"""Control character -> what is shown in its place. A label or an error text that holds some could
move the cursor, change the title of the window, or write over what stands above it."""


class PlainConsole(Console):
    """A console whose own colours reach the terminal, and no control character of a text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As rich's, with the control characters of texts spelt out."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                segment = Segment(segment.text.translate(CONTROLS), segment.style)
            yield segment
