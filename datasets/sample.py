"""The one form that every data source is brought to, and what it must satisfy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IGNORE = 255
"""Value of a semantic mask's pixels that neither losses nor metrics look at."""


class DatasetError(ValueError):
    """Something is wrong with the data; the message names the file and the reason."""


@dataclass(frozen=True)
class Sample:
    """One image with its annotation, at full size.

    Attributes:
        id: name of the sample, unique within its data set.
        path: the file to name in messages about this sample.
        image: uint8 ``[H, W, 3]``, RGB.
        boxes: float32 ``[n, 4]``, ``x1, y1, x2, y2`` in pixels, ``x2 > x1`` and ``y2 > y1``.
        labels: int64 ``[n]``, index into the data set's ``classes``.
        instance_masks: bool ``[n, H, W]``, one mask a box, or None where there are none.
        semantic: uint8 ``[H, W]``; 0 is the background, ``k`` is ``classes[k - 1]``,
            :data:`IGNORE` (255) is a pixel to leave out. None where there is none.
        dropped: number of degenerate boxes (no width or no height) left out of ``boxes``.
    """

    id: str
    path: str
    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    instance_masks: npt.NDArray[np.bool_] | None = None
    semantic: npt.NDArray[np.uint8] | None = None
    dropped: int = 0

    def validate(self, classes: list[str]) -> Sample:
        """Return the sample itself, or raise :class:`DatasetError` for what breaks the contract."""
        for problem in self._problems(len(classes)):
            raise DatasetError(f"{self.path}: {problem}")
        return self

    def _problems(self, num_classes: int):
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            yield f"image must be uint8 [H, W, 3], got {self.image.dtype} {self.image.shape}"
        height, width = self.image.shape[:2]
        n = len(self.labels)
        if self.boxes.dtype != np.float32 or self.boxes.shape != (n, 4):
            yield f"boxes must be float32 [{n}, 4], got {self.boxes.dtype} {self.boxes.shape}"
        if not np.isfinite(self.boxes).all():
            yield "a box has a coordinate that is not finite"
        if (self.boxes[:, 2:] <= self.boxes[:, :2]).any():
            yield "a box has no width or no height"
        if self.labels.dtype != np.int64:
            yield f"labels must be int64, got {self.labels.dtype}"
        if n and not (self.labels.min() >= 0 and self.labels.max() < num_classes):
            yield f"a label lies outside 0..{num_classes - 1}"
        if self.instance_masks is not None and self.instance_masks.shape != (n, height, width):
            yield (
                f"instance masks have shape {self.instance_masks.shape}, "
                f"expected {(n, height, width)}"
            )
        if self.instance_masks is not None and self.instance_masks.dtype != np.bool_:
            yield f"instance masks must be bool, got {self.instance_masks.dtype}"
        if self.semantic is not None:
            if self.semantic.shape != (height, width):
                yield f"mask is {self.semantic.shape}, but the image is {(height, width)}"
            else:
                values = np.unique(self.semantic)
                bad = values[(values > num_classes) & (values != IGNORE)]
                if len(bad):
                    yield (
                        f"mask holds class index {int(bad[0])}, but there are {num_classes} classes"
                    )


def drop_degenerate(
    boxes: npt.NDArray[np.float32], width: int, height: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Clip boxes ``[n, 4]`` (xyxy, pixels) to the image and mark those that keep an area.

    Returns:
        The clipped boxes, all n of them, and a bool ``[n]`` that is False for boxes with no
        width or no height left. The caller drops these and counts them in ``Sample.dropped``.
    """
    clipped = boxes.copy()
    clipped[:, 0::2] = clipped[:, 0::2].clip(0, width)
    clipped[:, 1::2] = clipped[:, 1::2].clip(0, height)
    keep = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return clipped, keep
