"""Pictures with what is right and wrong in them marked; one tile for the truth and each loss."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from benchmark.options import UserError
from datasets.images import open_picture
from datasets.sample import DatasetError

RIGHT, WRONG, MISSED, OTHER = "#56b4e9", "#d55e00", "#f0e442", "#cc79a7"
"""Colours safe for the colour-blind (Okabe and Ito, "Color universal design", 2008)."""
JPEG_QUALITY = 80


@dataclass(frozen=True)
class Tile:
    """What is drawn over a picture.

    Attributes:
        loss: whose prediction it is; None for the picture itself and the truth.
        drawn: SVG in the pixels of the picture.
        caption: counts, shown below.
        alt: the same for those who cannot see it.
        title: stands above where there is no loss.
        grey: the picture has no colours of its own, which would mix with those drawn over it.
    """

    loss: str | None
    drawn: Markup
    caption: str
    alt: str
    title: str = "truth"
    grey: bool = False

    def markup(self, picture: Markup, width: int, height: int) -> Markup:
        """The drawing over ``picture`` (SVG), which is of ``width`` x ``height`` pixels."""
        if self.grey:
            picture = Markup('<g style="filter:grayscale(1)">{}</g>').format(picture)
        return Markup(
            '<svg role="img" aria-label="{}" viewBox="0 0 {} {}" '
            'style="width:100%;height:auto;display:block">{}{}</svg>'
        ).format(self.alt, width, height, picture, self.drawn)


@dataclass(frozen=True)
class Embedded:
    """A picture as the page holds it."""

    data: bytes
    kind: str
    width: int
    height: int

    def uri(self) -> str:
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


def embedded(path: Path, most: int) -> Embedded:
    """A JPEG at most ``most`` pixels wide; one that is so already stays as it is.

    Raises:
        UserError: it cannot be read.
    """
    with opened(path) as picture:
        if picture.width <= most:
            return Embedded(path.read_bytes(), "jpeg", *picture.size)
        size = (most, max(1, round(picture.height * most / picture.width)))
        buffer = io.BytesIO()
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
        return Embedded(buffer.getvalue(), "jpeg", *size)


def opened(path: Path) -> Image.Image:
    """A picture, read.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return open_picture(path)
    except DatasetError as error:
        raise UserError(
            f"{error}; delete {path.parent / 'samples.json'} to leave that run's pictures out"
        ) from error
