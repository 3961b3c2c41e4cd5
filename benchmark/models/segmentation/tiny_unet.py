"""``tiny_unet``: a small U-Net (Ronneberger et al. 2015, arXiv 1505.04597)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.models.base import ModelSpec, SegmentationModel, register
from benchmark.models.layers import conv_bn


@register("tiny_unet")
@dataclass(frozen=True)
class TinyUNetSpec(ModelSpec):
    """U-Net from scratch with a stride-2 stem, 4 levels, skip connections, 0.2 M weights."""

    task: ClassVar[str] = "segmentation"
    width: int = 16

    def __post_init__(self) -> None:
        if self.width < 4:
            raise ValueError(f"width must be at least 4, got {self.width}")

    def build(self, num_classes: int) -> SegmentationModel:
        return TinyUNet(num_classes, self.width)


class TinyUNet(SegmentationModel):
    """See :class:`TinyUNetSpec`. Input sides must divide by 16."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 3 * width, 4 * width]
        self.stem = conv_bn(3, width, 2)
        self.down = nn.ModuleList(
            nn.Sequential(conv_bn(a, b, 2), conv_bn(b, b)) for a, b in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(conv_bn(b + a, a), conv_bn(a, a))
            for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.logits = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        levels = [self.stem(images)]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        x = levels.pop()
        for stage in self.up:
            skip = levels.pop()
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = stage(torch.cat([x, skip], 1))
        return F.interpolate(
            self.logits(x).float(), size=images.shape[-2:], mode="bilinear", align_corners=False
        )
