"""What is in a data set: tables of its statistics and a sheet of samples as the model sees them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from datasets.augment import Augmentation
from datasets.cached_split import CachedSplit
from datasets.sample import IGNORE

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
ASPECT_LIMITS = (1.0, 1.5, 2.0, 3.0, 4.0, 8.0)
"""Longer over shorter side: where the classes of the aspect-ratio table begin."""
LEGEND_LIMIT = 12
"""The legend names at most so many classes; more do not fit beside the pictures."""
CELL_INCHES = 2.0
IGNORED_HATCH = "/////"

RGB = tuple[float, float, float]


def statistics(split: CachedSplit) -> dict[str, pd.DataFrame]:
    """Statistics of one split at training size.

    Returns:
        Data frames by title, for people to read:

        - ``images``: number of images and objects, images without an object, image size in
          pixels, boxes dropped as degenerate;
        - ``objects``: objects and images by class, and the class's share of all objects;
        - ``box sizes``: percentiles of width and height (pixels of the training image) and of
          the area's square root;
        - ``aspect ratios``: objects by longer over shorter side;
        - ``foreground``: where there are masks, by class and for all classes together: share of
          the pixels that are not ignored, and percentiles of that share over the images.
    """
    boxes = np.concatenate([split.boxes(index) for index in range(len(split))])
    counts = np.array([len(split.labels(index)) for index in range(len(split))])
    tables = {
        "images": _image_table(split, counts),
        "objects": _class_table(split),
        "box sizes": _size_table(boxes),
        "aspect ratios": _aspect_table(boxes),
    }
    if split.has_semantic:
        tables["foreground"] = _foreground_table(split)
    return tables


def _image_table(split: CachedSplit, counts: npt.NDArray[np.int64]) -> pd.DataFrame:
    height, width = split.image_size
    facts: dict[str, Any] = {
        "images": len(split),
        "objects": int(counts.sum()),
        "images without objects": int((counts == 0).sum()),
        "objects per image, mean": round(float(counts.mean()), 2),
        "objects per image, most": int(counts.max()),
        "height, px": height,
        "width, px": width,
        "degenerate boxes dropped": sum(split.dropped.values()),
    }
    return pd.DataFrame({"value": facts.values()}, index=list(facts), dtype=object)


def _class_table(split: CachedSplit) -> pd.DataFrame:
    labels = [split.labels(index) for index in range(len(split))]
    size = len(split.classes)
    objects = np.bincount(np.concatenate(labels), minlength=size)
    images = np.sum([np.bincount(np.unique(row), minlength=size) for row in labels], axis=0)
    share = objects / max(objects.sum(), 1)
    return pd.DataFrame(
        {"objects": objects, "share of objects": share, "images": images},
        index=pd.Index(split.classes, name="class"),
    )


def _size_table(boxes: npt.NDArray[np.float32]) -> pd.DataFrame:
    width, height = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).T
    measures = {"width, px": width, "height, px": height, "√area, px": np.sqrt(width * height)}
    return _percentiles(measures).rename_axis("share of boxes")


def _percentiles(measures: dict[str, npt.NDArray[np.float64]]) -> pd.DataFrame:
    """One row a measure, one column a percentile; NaN where nothing was measured."""
    rows = {
        name: np.percentile(values, PERCENTILES) if len(values) else [np.nan] * len(PERCENTILES)
        for name, values in measures.items()
    }
    columns = [f"{percent} %" for percent in PERCENTILES]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _aspect_table(boxes: npt.NDArray[np.float32]) -> pd.DataFrame:
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    ratio = sides.max(1) / sides.min(1)
    limits = [*ASPECT_LIMITS, np.inf]
    objects = np.histogram(ratio, limits)[0]
    names = [f"{low:g} to {high:g}" for low, high in pairwise(ASPECT_LIMITS)]
    index = pd.Index([*names, f"{limits[-2]:g} and more"], name="longer : shorter side")
    share = objects / max(objects.sum(), 1)
    return pd.DataFrame({"objects": objects, "share of objects": share}, index=index)


def _foreground_table(split: CachedSplit) -> pd.DataFrame:
    """Pixels by class; images all of whose pixels are ignored count for nothing."""
    pixels = np.stack([_pixels(split, index) for index in range(len(split))])
    known = pixels.sum(1)
    pixels, known = pixels[known > 0], known[known > 0]
    classes = {name: pixels[:, k + 1] for k, name in enumerate(split.classes)}
    classes = {"all classes": pixels[:, 1:].sum(1), **classes}
    shares = {name: counted / known for name, counted in classes.items()}
    table = _percentiles(shares).add_suffix(" of images")
    total = max(int(known.sum()), 1)
    table.insert(0, "share of pixels", [counted.sum() / total for counted in classes.values()])
    return table.rename_axis("class")


def _pixels(split: CachedSplit, index: int) -> npt.NDArray[np.int64]:
    """Number of pixels of the background and of each class, ``[1 + classes]``."""
    mask = split.semantic(index)
    assert mask is not None
    return np.bincount(mask[mask != IGNORE], minlength=len(split.classes) + 1)


def draw_sheet(
    split: CachedSplit,
    augmentation: Augmentation | None,
    seed: int,
    path: Path,
    columns: int = 6,
    rows: int = 4,
) -> None:
    """Draw random samples of a split as the model gets them, into a PNG or SVG file.

    Boxes and masks have the colour of their class; pixels that the mask ignores are hatched.

    Args:
        split: where the samples come from.
        augmentation: applied before drawing; None shows the images as they are cached.
        seed: of the choice of samples and of their augmentation.
        path: file to write; its folder is made if missing.
        columns: pictures side by side.
        rows: pictures on top of one another.
    """
    count = min(columns * rows, len(split))
    chosen = np.random.default_rng(seed).choice(len(split), count, replace=False)
    colours = class_colours(len(split.classes))
    height, width = split.image_size
    rows_used = -(-count // columns)
    size = columns * CELL_INCHES, rows_used * (CELL_INCHES * height / width + 0.12) + 0.4
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows_used, columns, squeeze=False).ravel()
    seen: set[int] = set()
    ignored = False
    for place, index in enumerate(chosen):
        sample = split.image(index), split.boxes(index), split.labels(index), split.semantic(index)
        if augmentation is not None:
            sample = augmentation(*sample, seed=seed * 100_003 + int(index))[:4]
        _draw_sample(axes[place], *sample, colours)
        axes[place].set_title(split.ids[index], fontsize=6, pad=2)
        seen |= _classes_in(sample[2], sample[3])
        ignored |= sample[3] is not None and bool((sample[3] == IGNORE).any())
    for ax in axes:
        ax.set_axis_off()
    _draw_legend(figure, split.classes, colours, seen, ignored)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def class_colours(count: int) -> list[RGB]:
    """Colours that are as easy to tell apart on a photograph as so many can be."""
    return sns.color_palette("bright", count) if count <= 10 else sns.husl_palette(count, s=1)


def _classes_in(labels: npt.NDArray[np.int64], semantic: npt.NDArray[np.uint8] | None) -> set[int]:
    found = set(labels.tolist())
    if semantic is not None:
        found |= {int(value) - 1 for value in np.unique(semantic) if value not in (0, IGNORE)}
    return found


def _draw_sample(
    ax: Axes,
    image: npt.NDArray[np.uint8],
    boxes: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    semantic: npt.NDArray[np.uint8] | None,
    colours: list[RGB],
) -> None:
    """One picture; pixel (0, 0) covers 0 to 1, as the boxes have it."""
    height, width = image.shape[:2]
    extent = (0, width, height, 0)
    ax.imshow(image, extent=extent, interpolation="nearest")
    if semantic is not None:
        ax.imshow(_overlay(semantic, colours), extent=extent, interpolation="nearest")
        _hatch_ignored(ax, semantic)
    for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
        frame = Rectangle((left, top), right - left, bottom - top, fill=False, linewidth=0.9)
        frame.set_edgecolor(colours[label])
        ax.add_patch(frame)
    ax.set(xlim=(0, width), ylim=(height, 0))


def _overlay(semantic: npt.NDArray[np.uint8], colours: list[RGB]) -> npt.NDArray[np.float64]:
    """Class colours, half transparent, and grey over ignored pixels; RGBA ``[H, W, 4]``."""
    table = np.zeros((256, 4))
    table[1 : len(colours) + 1] = [(*colour, 0.4) for colour in colours]
    table[IGNORE] = (0.5, 0.5, 0.5, 0.5)
    return table[semantic]


def _hatch_ignored(ax: Axes, semantic: npt.NDArray[np.uint8]) -> None:
    ignored = semantic == IGNORE
    if not ignored.any():
        return
    height, width = semantic.shape
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    contours = ax.contourf(x, y, ignored, levels=[0.5, 1.5], hatches=[IGNORED_HATCH], colors="none")
    contours.set(edgecolor=(1, 1, 1, 0.6), linewidth=0)


def _draw_legend(
    figure: Figure, classes: list[str], colours: list[RGB], seen: set[int], ignored: bool
) -> None:
    """Name what the sheet shows, and nothing else."""
    named = sorted(seen)
    handles = [Patch(color=colours[k], label=classes[k]) for k in named[:LEGEND_LIMIT]]
    if len(named) > LEGEND_LIMIT:
        rest = len(named) - LEGEND_LIMIT
        handles.append(Patch(alpha=0, label=f"and {rest} more classes"))
    if ignored:
        handles.append(Patch(facecolor="0.5", edgecolor="w", hatch=IGNORED_HATCH, label="ignored"))
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=7, fontsize=8, frameon=False
        )
