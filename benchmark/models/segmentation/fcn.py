"""torchvision's fully convolutional network (Long et al. 2015, arXiv 1411.4038), dilated."""

from __future__ import annotations

from dataclasses import dataclass

from torchvision.models import ResNet50_Weights
from torchvision.models.segmentation import FCN_ResNet50_Weights, fcn_resnet50

from benchmark.models.base import SegmentationModel, register
from benchmark.models.segmentation._torchvision import (
    AUXILIARY,
    TorchvisionSegmenter,
    TorchvisionSpec,
)
from benchmark.models.weights import load_weights


@register("fcn_resnet50")
@dataclass(frozen=True)
class FCNSpec(TorchvisionSpec):
    """torchvision's FCN with ResNet-50, 33 M weights."""

    def build(self, num_classes: int) -> SegmentationModel:
        network = fcn_resnet50(weights=None, weights_backbone=None, num_classes=num_classes)
        load_weights(
            network,
            self.weights,
            backbone=(ResNet50_Weights.IMAGENET1K_V1, network.backbone),
            full=FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
            class_layers=("classifier.4.",),
            unused=AUXILIARY,
        )
        return TorchvisionSegmenter(network)
