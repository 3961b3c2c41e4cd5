"""Masks drawn over a picture: right, too much, missed, and of the wrong class."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image, ImageColor

from benchmark.report.page.tiles import MISSED, OTHER, RIGHT, WRONG, Embedded, Tile, opened
from benchmark.report.samples import Sample
from benchmark.report.tables.formats import percent

IGNORE = 255
CLEAR, HIT, EXTRA, LOST, CONFUSED, IGNORED = range(6)
KINDS = {HIT: "right", EXTRA: "too much", LOST: "missed", CONFUSED: "wrong class"}
COLOURS = {HIT: RIGHT, EXTRA: WRONG, LOST: MISSED, CONFUSED: OTHER, IGNORED: "#808080"}
STRONG, WEAK, EVEN = 215, 90, 130  # opacity of 255: two of the stripes, one of even areas
STRIPES = 60  # a picture's width holds so many
FAINT = len(COLOURS) + 1  # a kind's faint stripes are so many colours further
NOTE = (
    "A pixel is right where the predicted class is the true one; IoU: right pixels by those that "
    "are foreground in the truth or in the prediction."
)

ClassMap = npt.NDArray[np.uint8]


def mask_tiles(sample: Sample, picture: Embedded) -> list[Tile]:
    """The picture, the truth, then each loss; masks have the embedded picture's resolution."""
    truth = _class_map(sample.truth)
    foreground = (truth > 0) & (truth != IGNORE)
    known = max(1, int((truth != IGNORE).sum()))
    present = [sample.classes[c - 1] for c in np.unique(truth[foreground])]
    shown = np.where(truth == IGNORE, IGNORED, np.where(foreground, HIT, CLEAR)).astype(np.uint8)
    share = f"{percent(foreground.sum() / known)} % foreground"
    alt = f"Truth of {sample.id}: {share} ({', '.join(present) or 'no class'})"
    size = f"{sample.width} × {sample.height} pixels"
    tiles = [
        Tile(None, Markup(""), size, f"{sample.id}, {size}", title="image"),
        Tile(None, _overlay(shown, sample, picture), share, alt, grey=True),
    ]
    for loss, path in sample.predicted.items():
        kinds = compare(truth, _class_map(path))
        counts = {kind: int((kinds == kind).sum()) for kind in KINDS}
        union = sum(counts.values())
        caption = f"IoU {percent(counts[HIT] / union if union else float('nan'))} %"
        told = ", ".join(
            f"{percent(counts[kind] / known)} % {name}"
            for kind, name in KINDS.items()
            if counts[kind] or kind != CONFUSED
        )
        alt = f"{loss} on {sample.id}: {caption}; of the pixels {told}"
        tiles.append(Tile(loss, _overlay(kinds, sample, picture), caption, alt, grey=True))
    return tiles


def compare(truth: ClassMap, predicted: ClassMap) -> ClassMap:
    """Each pixel's kind: :data:`CLEAR`, :data:`HIT`, :data:`EXTRA`, :data:`LOST`,
    :data:`CONFUSED` (both foreground, of different classes) or :data:`IGNORED`.

    Args:
        truth, predicted: classes ``[H, W]``, 0 background; truth may hold 255 = ignored.
    """
    kinds = np.full(truth.shape, CLEAR, np.uint8)
    kinds[(predicted > 0) & (truth == 0)] = EXTRA
    kinds[(predicted == 0) & (truth > 0)] = LOST
    kinds[(predicted > 0) & (truth > 0)] = CONFUSED
    kinds[(predicted > 0) & (predicted == truth)] = HIT
    kinds[truth == IGNORE] = IGNORED
    return kinds


def _class_map(path: Path) -> ClassMap:
    return np.asarray(opened(path).convert("L"))


def _overlay(kinds: ClassMap, sample: Sample, picture: Embedded) -> Markup:
    """The kinds as a picture with few colours over the whole of the sample's."""
    small = Image.fromarray(kinds).resize((picture.width, picture.height), Image.Resampling.NEAREST)
    period = max(2, round(small.width / STRIPES))
    png = Embedded(_png(_striped(np.asarray(small), period)), "png", *small.size)
    return Markup('<image width="{}" height="{}" href="{}" preserveAspectRatio="none"/>').format(
        sample.width, sample.height, png.uri()
    )


def _striped(kinds: ClassMap, period: int) -> ClassMap:
    """Errors in faint and strong stripes of a direction each, so that colour is not all."""
    rows, columns = np.indices(kinds.shape)
    faint = {
        EXTRA: (rows + columns) // period % 2,
        LOST: (rows - columns) // period % 2,
        CONFUSED: (rows // period + columns // period) % 2,
    }
    striped = kinds.copy()
    for kind, where in faint.items():
        striped[(kinds == kind) & (where == 1)] = kind + FAINT
    return striped


def _png(indices: ClassMap) -> bytes:
    opacity = {**dict.fromkeys(COLOURS, STRONG), HIT: EVEN, IGNORED: EVEN}
    palette, alpha = [0, 0, 0] * (2 * FAINT), [0] * (2 * FAINT)
    for kind, colour in COLOURS.items():
        for place, strength in ((kind, opacity[kind]), (kind + FAINT, WEAK)):
            palette[3 * place : 3 * place + 3] = ImageColor.getrgb(colour)[:3]
            alpha[place] = strength
    image = Image.fromarray(indices).convert("P")
    image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, transparency=bytes(alpha))
    return buffer.getvalue()


def mask_legend(samples: list[Sample]) -> Markup:
    """What colours and stripes mean, each as it is drawn."""
    entries = []
    for kind, name in KINDS.items():
        if kind == CONFUSED and len(samples[0].classes) == 1:
            continue
        patch = Embedded(_png(_striped(np.full((14, 30), kind, np.uint8), 3)), "png", 30, 14)
        entries.append(
            Markup('<li><img src="{}" width="30" height="14" alt=""> {}</li>').format(
                patch.uri(), name
            )
        )
    return Markup("").join(entries)
