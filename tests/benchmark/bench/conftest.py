"""A data set that the measurements of training are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

ANNOTATION = """<annotation><size><width>48</width><height>48</height><depth>3</depth></size>
<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{right}</xmax>
<ymax>{bottom}</ymax></bndbox></object></annotation>"""
COUNTS = {"train": 5, "val": 3, "test": 2}


@pytest.fixture
def write_voc() -> Callable[[Path], Path]:
    """Write 10 pictures of 48 x 48 pixels with one square or disc each, in Pascal VOC layout."""

    def write(root: Path) -> Path:
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (root / folder).mkdir(parents=True)
        generator = np.random.default_rng(0)
        for split, count in COUNTS.items():
            names = [f"{split}{i}" for i in range(count)]
            (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
            for i, name in enumerate(names):
                x, y = (int(v) for v in generator.integers(4, 20, 2))
                picture = generator.integers(0, 60, (48, 48, 3)).astype(np.uint8)
                picture[y : y + 20, x : x + 20] = (200, 80, 240)
                cv2.imwrite(str(root / f"JPEGImages/{name}.png"), picture)
                corner = {"x": x + 1, "y": y + 1, "right": x + 20, "bottom": y + 20}
                text = ANNOTATION.format(name=("disc", "square")[i % 2], **corner)
                (root / f"Annotations/{name}.xml").write_text(text)
        return root

    return write
