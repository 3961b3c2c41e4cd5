"""Small data sets in the official layouts, in a data folder of their own."""

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 6, 8


def save(path, values, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if palette:
        picture.putpalette([(i * 37) % 256 for i in range(768)])
    picture.save(path)


def photograph(path):
    save(path, np.full((HEIGHT, WIDTH, 3), 120, np.uint8))


def write_list(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_xml(path, *objects):
    """Objects are (name, xmin, ymin, xmax, ymax, difficult)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"]
    for name, x1, y1, x2, y2, difficult in objects:
        lines.append(
            f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated>"
            f"<difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        )
    path.write_text(f"<annotation>{''.join(lines)}</annotation>")


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LOSSBENCH_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder
