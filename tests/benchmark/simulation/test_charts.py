from __future__ import annotations

import re

import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.report.styles import loss_styles
from benchmark.simulation.charts import FILM_STEPS, STRIP_STEPS, write_charts, write_film

LOSSES = ["iou", "giou", "a loss of mine", "d", "e"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    steps = np.arange(201)
    curves = pd.concat(
        pd.DataFrame({"loss": loss, "step": steps, "error": 6.65 * np.exp(-steps / (9 * i + 9))})
        for i, loss in enumerate(LOSSES)
    )
    centres = np.random.default_rng(0).uniform(8, 12, (40, 2)).T
    surface = pd.DataFrame(
        {"anchor_x": centres[0], "anchor_y": centres[1]}
        | {loss: np.arange(40.0) for loss in LOSSES}
    )
    surface["d"] = np.nan  # a loss that diverged everywhere
    states = np.linspace([11.4, 11.2, 1, 2], [10, 10, 2, 1], 201)
    paths = dict.fromkeys(LOSSES, states)
    files = write_charts(curves, surface, paths, np.array([10, 10, 2, 1.0]), folder)
    return folder, files


def words(path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)<", path.read_text(encoding="utf-8"))


def test_every_picture_is_written_in_both_forms(drawn):
    folder, files = drawn
    stems = ("error", "surface", "strip")
    assert {file.name for file in files} == {f"{s}.{k}" for s in stems for k in ("png", "svg")}
    assert all(matplotlib.image.imread(f).std() > 0 for f in files if f.suffix == ".png")
    assert not matplotlib.pyplot.get_fignums()
    assert {path.name for path in folder.iterdir()} == {file.name for file in files}


def test_pictures_name_their_losses_and_axes(drawn):
    folder, _ = drawn
    assert {*LOSSES, "step", "error, all cases (millions)"} <= set(words(folder / "error.svg"))
    assert {*LOSSES, "mean final error of a case"} <= set(words(folder / "surface.svg"))
    assert {f"step {step}" for step in STRIP_STEPS} | set(LOSSES) <= set(
        words(folder / "strip.svg")
    )


def test_the_film_moves_the_box(tmp_path):
    states = np.linspace([11.4, 11.2, 1, 2], [10, 10, 2, 1], 201)
    write_film({"iou": states}, states[-1], loss_styles(["iou"]), tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == len(FILM_STEPS)
        first = np.asarray(film.convert("RGB"), float)
        film.seek(film.n_frames - 1)
        assert np.abs(np.asarray(film.convert("RGB"), float) - first).max() > 50
    assert FILM_STEPS[0] == 0
    assert FILM_STEPS[-1] == 200
