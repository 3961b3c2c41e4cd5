"""Bringing a picture to the training size with its shape kept."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from datasets.sample import IGNORE

GREY = 114
"""Value of the pixels that lie outside of the picture, in all three channels."""


@dataclass(frozen=True)
class Letterbox:
    """How a picture of one size is put into a canvas of another: one factor, top left corner.

    Attributes:
        canvas: height and width of the canvas, in pixels.
        scale: the one factor for both directions, and for the boxes.
        height: of the scaled picture, in pixels; below it is padding.
        width: of the scaled picture, in pixels; right of it is padding.
    """

    canvas: tuple[int, int]
    scale: float
    height: int
    width: int

    @classmethod
    def fit(cls, size: tuple[int, int], canvas: tuple[int, int]) -> Letterbox:
        """The largest copy of a picture of ``size`` that fits; both are (height, width)."""
        scale = min(canvas[0] / size[0], canvas[1] / size[1])
        return cls(canvas, scale, max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))

    def image(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Scale a uint8 image ``[h, w, 3]`` onto grey; returns uint8 ``[H, W, 3]``."""
        method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        canvas = np.full((*self.canvas, 3), GREY, np.uint8)
        scaled = cv2.resize(image, (self.width, self.height), interpolation=method)
        canvas[: self.height, : self.width] = scaled
        return canvas

    def mask(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Scale a mask ``[h, w]`` without mixing classes onto ignored pixels; uint8 ``[H, W]``."""
        canvas = np.full(self.canvas, IGNORE, np.uint8)
        scaled = cv2.resize(mask, (self.width, self.height), interpolation=cv2.INTER_NEAREST)
        canvas[: self.height, : self.width] = scaled
        return canvas

    def instances(self, masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """Scale masks ``[n, h, w]`` of single objects onto zeros; 0 or 1, uint8 ``[n, H, W]``.

        Each takes the same pixels of the original as :meth:`mask`; a small object may vanish.
        """
        canvas = np.zeros((len(masks), *self.canvas), np.uint8)
        size = self.width, self.height
        for row, mask in zip(canvas, masks.view(np.uint8), strict=True):
            scaled = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            row[: self.height, : self.width] = scaled
        return canvas
