"""The embedded data set: textured shapes, generated from a seed, the same bytes everywhere.

Sizes are computed with the operations that IEEE 754 rounds correctly (+, -, ×, ÷, √), everything
else that reaches a pixel in whole numbers; see :mod:`datasets.silhouettes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from datasets.base import SPLITS, Dataset, Split, register
from datasets.sample import DatasetError, Sample
from datasets.silhouettes import SILHOUETTES, Draws, Mask, value_noise

MIN_SIDE = 4
"""Shorter side of the smallest object drawn, in pixels."""
MIN_VISIBLE = 0.25
"""An object of which less than this share would be seen is not put into the picture."""
MAX_SIDE = 0.95
"""Longest side of an object as a share of the image side."""
PALETTE = ((225, 60, 50), (50, 110, 230), (240, 200, 40), (70, 190, 80), (170, 70, 200))
"""The colour (RGB) by which a class can be told, in the order of :data:`SILHOUETTES`."""


@dataclass(frozen=True)
class Placed:
    """One object of a picture: its class and which pixels of the picture show it."""

    label: int
    mask: Mask


@register("shapes")
@dataclass
class Shapes(Dataset):
    """Generated shapes on textured ground, for detection and segmentation; nothing to download.

    Objects hide one another; boxes and masks are those of the visible part. Label noise touches
    the training split alone.

    Attributes:
        seed: what all pictures follow from; 0 or greater.
        size: side of the square pictures, in pixels.
        train: number of training pictures.
        val: number of validation pictures.
        test: number of test pictures.
        num_classes: use the first so many of ellipse, rectangle, triangle, cross, ring.
        objects: least and most objects put into a picture (those that others would hide are
            left out).
        colour_cue: share of the objects that wear their class's colour, 0 to 1; the others are
            of any colour, and only their outline tells what they are.
        difficulty: 0 (strong contrast, calm ground) to 1 (hardly visible, noisy).
        aspect_range: longest side of an object over its shortest, at most.
        size_range: smallest and largest side (√(w·h)) as a share of the image side; small
            objects are more frequent.
        foreground_share: where given, object sizes are multiplied by one factor so that on
            average about this share of the pixels is foreground.
        box_noise: each edge of a training box is moved by up to this share of the box's side.
        mask_noise: training masks are eroded by this many pixels.

    Raises:
        DatasetError: an option is out of range, or ``foreground_share`` cannot be reached.
    """

    seed: int = 0
    size: int = 128
    train: int = 512
    val: int = 128
    test: int = 256
    num_classes: int = 5
    objects: tuple[int, int] = (1, 6)
    colour_cue: float = 0.8
    difficulty: float = 0.3
    aspect_range: float = 4.0
    size_range: tuple[float, float] = (0.1, 0.6)
    foreground_share: float | None = None
    box_noise: float = 0.0
    mask_noise: int = 0

    tasks = frozenset({"detection", "segmentation", "instance"})

    def __post_init__(self) -> None:
        self._check_options()
        self.classes = list(SILHOUETTES)[: self.num_classes]
        self._size_factor = self._factor_for_share()

    def _check_options(self) -> None:
        least, most = self.objects
        smallest, largest = self.size_range
        share = self.foreground_share
        counts = {name: getattr(self, name) for name in ("seed", "train", "val", "test")}
        rules = [
            *((name, value >= 0, "0 or greater") for name, value in counts.items()),
            ("size", 32 <= self.size <= 2048, "in 32..2048"),
            ("num_classes", 1 <= self.num_classes <= len(SILHOUETTES), f"in 1..{len(SILHOUETTES)}"),
            ("objects", 0 <= least <= most <= 200, "[min, max] with 0 <= min <= max <= 200"),
            ("colour_cue", 0 <= self.colour_cue <= 1, "in 0..1"),
            ("difficulty", 0 <= self.difficulty <= 1, "in 0..1"),
            ("aspect_range", 1 <= self.aspect_range <= 20, "in 1..20"),
            (
                "size_range",
                0 < smallest <= largest <= MAX_SIDE,
                f"[min, max] with 0 < min <= max <= {MAX_SIDE}",
            ),
            ("foreground_share", share is None or 0 < share < 1, "between 0 and 1, or null"),
            ("box_noise", 0 <= self.box_noise <= 0.45, "in 0..0.45"),
            ("mask_noise", 0 <= self.mask_noise <= 50, "in 0..50"),
        ]
        for name, valid, allowed in rules:
            if not valid:
                raise DatasetError(f"shapes: {name} is {getattr(self, name)}; it must be {allowed}")

    def _factor_for_share(self) -> float:
        """What object sizes are multiplied by to reach ``foreground_share``."""
        share = self.foreground_share
        if share is None:
            return 1.0
        smallest, largest = self.size_range
        spread = largest - smallest
        # The side is smallest + spread · u², u uniform: the mean of its square in closed form.
        area = smallest * smallest + 2 * smallest * spread / 3 + spread * spread / 5
        cover = sum(SILHOUETTES[name].cover for name in self.classes) / len(self.classes)
        # Objects of summed area w cover about w / (1 + w): they fall on one another, and those
        # that would be hidden are left out.
        wanted = share / (1 - share)
        mean_count = sum(self.objects) / 2
        if mean_count == 0:
            raise DatasetError("shapes: foreground_share needs objects, but objects is [0, 0]")
        factor = math.sqrt(wanted / (mean_count * cover * area))
        if factor * largest > MAX_SIDE:
            raise DatasetError(
                f"shapes: foreground_share {share} would need objects of {factor * largest:.2f} of "
                f"the image side (at most {MAX_SIDE}); raise objects or the lower end of size_range"
            )
        return factor

    def ids(self, split: Split) -> list[str]:
        return [f"{split}-{index:05d}" for index in range(getattr(self, split))]

    def files(self, sample_id: str) -> list[Path]:
        return []

    def load(self, sample_id: str) -> Sample:
        draws = Draws(*self._key(sample_id))
        ground = self._ground(draws)
        placed = self._place(draws)
        image = self._paint(draws, ground, placed)
        masks = np.zeros((len(placed), self.size, self.size), bool)
        semantic = np.zeros((self.size, self.size), np.uint8)
        for row, thing in enumerate(placed):
            masks[row] = thing.mask
            semantic[thing.mask] = thing.label + 1
        return Sample(
            id=sample_id,
            path=f"shapes/{sample_id}",
            image=image,
            boxes=_boxes_around(masks),
            labels=np.array([thing.label for thing in placed], np.int64),
            instance_masks=masks,
            semantic=semantic,
        )

    def load_for(self, sample_id: str, split: Split) -> Sample:
        sample = self.load(sample_id)
        if split != "train":
            return sample
        if self.box_noise:
            sample = replace(sample, boxes=self._jittered(sample.boxes, sample_id))
        if self.mask_noise:
            sample = _eroded(sample, self.mask_noise)
        return sample

    def _key(self, sample_id: str) -> tuple[int, int, int]:
        """Seed, split and index: all that a picture depends on besides the options."""
        split, _, index = sample_id.partition("-")
        if split not in SPLITS or not index.isdecimal() or int(index) >= getattr(self, split):
            raise DatasetError(f"shapes: there is no sample '{sample_id}'")
        return self.seed, SPLITS.index(split), int(index)

    def _ground(self, draws: Draws) -> npt.NDArray[np.int32]:
        """Textured background ``[3, size, size]``, not yet limited to 0..255."""
        strength = 32 + round(64 * self.difficulty)
        light, *tint = value_noise(draws, self.size, 4)
        base = [draws.integer(70, 185) for _ in range(3)]
        return np.stack(
            [
                colour + ((light * 3 + own) * strength >> 8)
                for colour, own in zip(base, tint, strict=True)
            ]
        )

    def _place(self, draws: Draws) -> list[Placed]:
        """Put objects into an empty picture, the foremost first."""
        taken = np.zeros((self.size, self.size), bool)
        placed = []
        for _ in range(draws.integer(*self.objects)):
            label = draws.integer(0, self.num_classes - 1)
            width, height = self._extent(draws)
            left = draws.integer(0, self.size - width)
            top = draws.integer(0, self.size - height)
            x = 2 * np.arange(width, dtype=np.int64)[None, :] + 1 - width
            y = 2 * np.arange(height, dtype=np.int64)[:, None] + 1 - height
            shape = SILHOUETTES[self.classes[label]].draw(x, y, width, height, draws)
            window = (slice(top, top + height), slice(left, left + width))
            visible = shape & ~taken[window]
            if visible.sum() < max(MIN_VISIBLE * shape.sum(), MIN_SIDE):
                continue
            taken[window] |= shape
            mask = np.zeros_like(taken)
            mask[window] = visible
            placed.append(Placed(label, mask))
        return placed

    def _extent(self, draws: Draws) -> tuple[int, int]:
        """Width and height of an object, in pixels."""
        smallest, largest = self.size_range
        position = draws.share()
        side = smallest + (largest - smallest) * position * position
        side *= self._size_factor * self.size
        # Uniform in the inverse, which favours compact objects and never exceeds the range.
        root = math.sqrt(1 / (1 - draws.share() * (1 - 1 / self.aspect_range)))
        limit = int(MAX_SIDE * self.size)
        longer = min(max(round(side * root), MIN_SIDE), limit)
        shorter = min(max(round(side / root), MIN_SIDE), limit)
        return (longer, shorter) if draws.integer(0, 1) else (shorter, longer)

    def _paint(
        self, draws: Draws, ground: npt.NDArray[np.int32], placed: list[Placed]
    ) -> npt.NDArray[np.uint8]:
        """Fill the objects with textures of their own and add grain; uint8 ``[H, W, 3]``."""
        grain = 4 + round(28 * self.difficulty)
        texture = value_noise(draws, self.size, 1)[0]
        canvas = ground.copy()
        for thing in placed:
            strength = draws.integer(48, 192)
            flat = texture[thing.mask] * strength >> 8
            behind = [ground[channel][thing.mask] for channel in range(3)]
            means = [int(values.sum()) // len(values) for values in behind]
            cued = draws.share() < self.colour_cue
            shifts = self._class_shift if cued else self._free_shift
            for channel, shift in enumerate(shifts(draws, thing.label, means)):
                canvas[channel][thing.mask] = means[channel] + shift + flat
        canvas += draws.signed_bytes(3, self.size, self.size).astype(np.int32) * grain >> 7
        return np.ascontiguousarray(canvas.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))

    def _class_shift(self, draws: Draws, label: int, means: list[int]) -> list[int]:
        """From the ground's mean colour towards the class's, the less so the more difficult."""
        nearness = 256 - round(190 * self.difficulty)
        return [
            (colour + draws.integer(-20, 20) - mean) * nearness >> 8
            for colour, mean in zip(PALETTE[label], means, strict=True)
        ]

    def _free_shift(self, draws: Draws, label: int, means: list[int]) -> list[int]:
        """From the ground's mean colour to any other, far from it in at least one channel."""
        contrast = 90 - round(70 * self.difficulty)
        strongest = draws.integer(0, 2)
        shifts = []
        for channel, mean in enumerate(means):
            shift = draws.integer(contrast if channel == strongest else 0, contrast * 3 // 2)
            shifts.append(-shift if draws.integer(0, 255) < mean else shift)
        return shifts

    def _jittered(self, boxes: npt.NDArray[np.float32], sample_id: str) -> npt.NDArray[np.float32]:
        """Boxes with each edge moved by up to ``box_noise`` of the box's width or height."""
        draws = Draws(*self._key(sample_id), 1)
        moved = boxes.astype(np.float64)
        sides = np.tile(moved[:, 2:] - moved[:, :2], 2)
        share = np.array([draws.share() for _ in range(moved.size)]).reshape(moved.shape)
        moved += sides * (2 * share - 1) * self.box_noise
        return moved.clip(0, self.size).astype(np.float32)


def _boxes_around(masks: Mask) -> npt.NDArray[np.float32]:
    """The smallest boxes ``[n, 4]`` around masks ``[n, H, W]``, none of them empty."""
    columns: Mask = np.logical_or.reduce(masks, axis=1)
    rows: Mask = np.logical_or.reduce(masks, axis=2)
    left, top = columns.argmax(1), rows.argmax(1)
    right = columns.shape[1] - columns[:, ::-1].argmax(1)
    bottom = rows.shape[1] - rows[:, ::-1].argmax(1)
    return np.stack([left, top, right, bottom], 1).astype(np.float32)


def _eroded(sample: Sample, pixels: int) -> Sample:
    """The sample with every object's mask shrunk; where an object was, background remains."""
    assert sample.instance_masks is not None
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    masks = np.zeros_like(sample.instance_masks)
    semantic = np.zeros(sample.image.shape[:2], np.uint8)
    for row, mask in enumerate(sample.instance_masks):
        masks[row] = cv2.erode(mask.astype(np.uint8), kernel).astype(bool)
        semantic[masks[row]] = sample.labels[row] + 1
    return replace(sample, instance_masks=masks, semantic=semantic)
