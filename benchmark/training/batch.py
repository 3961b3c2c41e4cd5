"""What the loader hands to a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass
class Batch:
    """Training samples of one step.

    Attributes:
        images: uint8 ``[B, 3, H, W]``.
        boxes: B tensors float32 ``[n_i, 4]``, xyxy, pixels.
        labels: B tensors int64 ``[n_i]``, 0-based.
        semantic: uint8 ``[B, H, W]`` (0 background, 255 ignore), or None.
        masks: B tensors uint8 ``[n_i, H, W]`` (0 or 1), one mask a box, or None.
    """

    images: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    semantic: Tensor | None
    masks: list[Tensor] | None = None

    @classmethod
    def collate(cls, samples: list[tuple[Any, Any, Any, Any, Any]]) -> Batch:
        """From augmented samples: image, boxes, labels, semantic mask, instance masks; numpy."""
        images, boxes, labels, semantic, masks = zip(*samples, strict=True)
        # The layout stays the decoder's, channels last: the permuted view costs nothing and is
        # what the convolutions want.
        return cls(
            torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
            [torch.from_numpy(b) for b in boxes],
            [torch.from_numpy(x) for x in labels],
            None if semantic[0] is None else torch.from_numpy(np.stack(semantic)),
            None if masks[0] is None else [torch.from_numpy(m) for m in masks],
        )

    def to(self, device: torch.device) -> Batch:
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Called by the loader for CUDA, where it makes the copies to the device asynchronous."""
        return self._each(lambda tensor: tensor.pin_memory())

    def resized(self, height: int, width: int) -> Batch:
        """The batch at another size: images bilinear, masks nearest, boxes scaled with them."""
        old_height, old_width = self.images.shape[-2:]
        if (height, width) == (old_height, old_width):
            return self
        # Slow to load, and only training with several sizes needs it.
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2.functional import resize

        x, y = width / old_width, height / old_height

        def scaled(boxes: Tensor) -> Tensor:
            found = boxes.clone()
            found[:, 0::2] *= x  # by numbers: a tensor of them would have to be sent first
            found[:, 1::2] *= y
            return found

        def nearest(masks: Tensor) -> Tensor:
            return resize(masks, [height, width], InterpolationMode.NEAREST_EXACT)

        return Batch(
            resize(self.images, [height, width], InterpolationMode.BILINEAR, antialias=True),
            [scaled(b) for b in self.boxes],
            self.labels,
            None if self.semantic is None else nearest(self.semantic),
            None if self.masks is None else [nearest(m) for m in self.masks],
        )

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            change(self.images),
            [change(b) for b in self.boxes],
            [change(x) for x in self.labels],
            None if self.semantic is None else change(self.semantic),
            None if self.masks is None else [change(m) for m in self.masks],
        )
