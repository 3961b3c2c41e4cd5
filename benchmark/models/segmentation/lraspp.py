"""torchvision's LR-ASPP with MobileNetV3 (Howard et al. 2019, arXiv 1905.02244 §6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from torchvision.models import MobileNet_V3_Large_Weights
from torchvision.models.segmentation import (
    LRASPP_MobileNet_V3_Large_Weights,
    lraspp_mobilenet_v3_large,
)

from benchmark.models.base import SegmentationModel, register
from benchmark.models.norms import set_momentum
from benchmark.models.segmentation._torchvision import (
    MobileNetSpec,
    TorchvisionSegmenter,
)
from benchmark.models.weights import load_weights


@register("lraspp_mobilenet_v3")
@dataclass(frozen=True)
class LRASPPSpec(MobileNetSpec):
    """torchvision's LR-ASPP with MobileNetV3-Large, 3.2 M weights."""

    def build(self, num_classes: int) -> SegmentationModel:
        network = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=num_classes
        )
        set_momentum(network.backbone, self.norm_momentum)
        load_weights(
            network,
            self.weights,
            backbone=(MobileNet_V3_Large_Weights.IMAGENET1K_V2, network.backbone),
            full=LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
            class_layers=("classifier.low_classifier.", "classifier.high_classifier."),
        )
        return TorchvisionSegmenter(network)
