"""Augmentation of training samples; the one module that knows albumentations.

The transforms are called one after another instead of through ``albumentations.Compose``: at
the small images this project trains on, its checks and its repeated clipping of the boxes cost
more than all pixel work. Clipping and filtering are done once, at the end, by the library's own
function, so a box's visible share is measured against the box before anything was cut off.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from datasets.letterbox import GREY
from datasets.sample import IGNORE

if TYPE_CHECKING:
    import albumentations

Augmented = tuple[
    npt.NDArray[np.uint8],
    npt.NDArray[np.float32],
    npt.NDArray[np.int64],
    npt.NDArray[np.uint8] | None,
    npt.NDArray[np.uint8] | None,
]


@dataclass(frozen=True)
class Augment:
    """What is done to a training image; the defaults flip it left to right half of the time.

    Attributes:
        hflip: probability of a left-right flip.
        vflip: probability of an upside-down flip.
        rotate90: turn by a random multiple of 90 degrees; for square images only.
        scale: range ``[low, high]`` of the factor by which the picture is enlarged before a
            random window of the image's size is cut out; below 1 it is placed at random and
            surrounded by grey (masks: by ignored pixels). ``[1, 1]`` leaves the size alone.
        colour: strength of the change of brightness, contrast, hue and saturation, 0 to 1.
        min_visibility: an object of which less than this share of the box stays inside is no
            longer annotated.

    Raises:
        ValueError: a value lies outside its range.
    """

    hflip: float = 0.5
    vflip: float = 0.0
    rotate90: bool = False
    scale: tuple[float, float] = (1.0, 1.0)
    colour: float = 0.0
    min_visibility: float = 0.1

    def __post_init__(self) -> None:
        for name in ("hflip", "vflip", "colour", "min_visibility"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}; it must lie in 0..1")
        if len(self.scale) != 2 or not 0.1 <= self.scale[0] <= self.scale[1] <= 10:
            raise ValueError(
                f"scale is {list(self.scale)}; it must be [low, high] with 0.1 <= low <= high <= 10"
            )


class Augmentation:
    """The transforms of one :class:`Augment` at one image size.

    Args:
        options: what to do.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Raises:
        ValueError: ``rotate90`` is asked for and the images are not square.
    """

    def __init__(self, options: Augment, height: int, width: int) -> None:
        if options.rotate90 and height != width:
            raise ValueError(
                f"rotate90 needs a square image size, but the images are {height}x{width} "
                "(height x width)"
            )
        cv2.setNumThreads(0)  # a worker is one thread; OpenCV's pool only costs at this size
        self.options = options
        self.height = height
        self.width = width
        # Read when albumentations is imported: without it, it asks the network for its version.
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
        from albumentations.core.bbox_utils import filter_bboxes

        self._filter = filter_bboxes
        self._transforms = _transforms(options, height, width)

    def __call__(
        self,
        image: npt.NDArray[np.uint8],
        boxes: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        semantic: npt.NDArray[np.uint8] | None,
        seed: int,
        instances: npt.NDArray[np.uint8] | None = None,
    ) -> Augmented:
        """Augment one sample; the result depends on the arguments alone.

        Args:
            image: uint8 ``[H, W, 3]``.
            boxes: float32 ``[n, 4]``, xyxy in pixels.
            labels: int64 ``[n]``.
            semantic: uint8 ``[H, W]`` with 255 = ignore, or None.
            seed: what all random draws come from, 0 or greater.
            instances: uint8 ``[n, H, W]`` of 0 and 1, the mask of each box, or None. The other
                results do not depend on them.

        Returns:
            Image, boxes, labels, semantic mask and instance masks, all at the same size, with the
            boxes clipped to the image and those left out that are no longer visible or thinner
            than one pixel. Masks are those of the boxes that are kept; the box of an object that
            is partly cut off may be wider than what is left of its mask. Arrays that nothing was
            done to are returned themselves, not copied.
        """
        if not self._transforms:
            return image, boxes, labels, semantic, instances
        size = np.array([self.width, self.height, self.width, self.height], np.float64)
        # The row number rides along as a fifth column: it says which boxes were kept.
        rows = np.column_stack([boxes / size, np.arange(len(boxes), dtype=np.float64)])
        data: dict[str, Any] = {"image": image, "mask": semantic, "bboxes": rows}
        if instances is not None and len(instances):
            data["masks"] = instances
        # One generator for all: the library's set_random_seed gives each transform its own of
        # the same seed, and then what is flipped is always what is scaled up.
        generators = np.random.default_rng(seed), random.Random(seed)
        for transform in self._transforms:
            transform.set_random_state(*generators)
            data = transform(**data)
        kept = self._filter(
            data["bboxes"],
            {"height": self.height, "width": self.width},
            min_visibility=self.options.min_visibility,
            min_width=1.0,
            min_height=1.0,
        )
        boxes = (kept[:, :4] * size).astype(np.float32)
        order = kept[:, 4].astype(np.int64) if len(kept) else np.zeros(0, np.int64)
        if instances is not None:
            # What was padded is ignored in a mask of classes; of an object it is no part.
            instances = (data.get("masks", instances)[order] == 1).astype(np.uint8)
        return data["image"], boxes, labels[order], data["mask"], instances


def _transforms(options: Augment, height: int, width: int) -> list[albumentations.BasicTransform]:
    """The transforms that can change something; colour first, so that padding stays grey."""
    import albumentations

    low, high = options.scale
    chosen: list[albumentations.BasicTransform] = []
    if options.colour:
        strength = options.colour
        chosen.append(
            albumentations.RandomBrightnessContrast(
                brightness_limit=0.5 * strength, contrast_limit=0.5 * strength, p=1.0
            )
        )
        # The slowest of all, so done to every second image only.
        chosen.append(
            albumentations.HueSaturationValue(
                hue_shift_limit=45 * strength,
                sat_shift_limit=80 * strength,
                val_shift_limit=0,
                p=0.5,
            )
        )
    if options.hflip:
        chosen.append(albumentations.HorizontalFlip(p=options.hflip))
    if options.vflip:
        chosen.append(albumentations.VerticalFlip(p=options.vflip))
    if options.rotate90:
        # p is the chance to draw a turn at all, and one of the four turns is none.
        chosen.append(albumentations.RandomRotate90(p=1.0))
    if (low, high) != (1.0, 1.0):
        chosen.append(albumentations.RandomScale(scale_limit=(low - 1, high - 1), p=1.0))
        chosen.append(
            albumentations.RandomCrop(
                height,
                width,
                pad_if_needed=True,
                pad_position="random",
                fill=GREY,
                fill_mask=IGNORE,
                p=1.0,
            )
        )
    return chosen
