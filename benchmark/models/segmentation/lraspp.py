"""torchvision's LR-ASPP with MobileNetV3 (Howard et al. 2019, arXiv 1905.02244 §6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torchvision.models import MobileNet_V3_Large_Weights
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from benchmark.models.base import ModelSpec, SegmentationModel, Weights, register


@register("lraspp_mobilenet_v3")
@dataclass(frozen=True)
class LRASPPSpec(ModelSpec):
    """torchvision's LR-ASPP with MobileNetV3-Large, 3.2 M weights."""

    task: ClassVar[str] = "segmentation"
    weights: Weights = "none"

    def build(self, num_classes: int) -> SegmentationModel:
        return LRASPP(num_classes, self.weights)


class LRASPP(SegmentationModel):
    """One logit a foreground class: torchvision's own background channel is left out."""

    def __init__(self, num_classes: int, weights: Weights) -> None:
        super().__init__()
        published = MobileNet_V3_Large_Weights.IMAGENET1K_V2 if weights == "imagenet" else None
        self.network = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=published, num_classes=num_classes
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)["out"].float()
