"""torchvision's DeepLabV3 (Chen et al. 2017, arXiv 1706.05587)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights, WeightsEnum
from torchvision.models.segmentation import (
    DeepLabV3_MobileNet_V3_Large_Weights,
    DeepLabV3_ResNet50_Weights,
    deeplabv3_mobilenet_v3_large,
    deeplabv3_resnet50,
)

from benchmark.experiment.train_settings import Train
from benchmark.models.base import SegmentationModel, register
from benchmark.models.norms import check_values, set_momentum
from benchmark.models.segmentation._torchvision import (
    AUXILIARY,
    MobileNetSpec,
    TorchvisionSegmenter,
    TorchvisionSpec,
)
from benchmark.models.weights import load_weights
from benchmark.options import UserError


@dataclass(frozen=True)
class DeepLabSpec(TorchvisionSpec):
    """What is the same of every DeepLabV3."""

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_values(train, math.inf, in_backbone=False)


@register("deeplabv3_mobilenet_v3")
@dataclass(frozen=True)
class DeepLabMobileNetSpec(MobileNetSpec, DeepLabSpec):
    """torchvision's DeepLabV3 with MobileNetV3-Large, 11 M weights."""

    def build(self, num_classes: int) -> SegmentationModel:
        network = deeplabv3_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=num_classes
        )
        set_momentum(network.backbone, self.norm_momentum)
        _load(
            network,
            self.weights,
            MobileNet_V3_Large_Weights.IMAGENET1K_V2,
            DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
        )
        return DeepLab(network)


@register("deeplabv3_resnet50")
@dataclass(frozen=True)
class DeepLabResNetSpec(DeepLabSpec):
    """torchvision's DeepLabV3 with ResNet-50, 40 M weights."""

    def build(self, num_classes: int) -> SegmentationModel:
        network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=num_classes)
        _load(
            network,
            self.weights,
            ResNet50_Weights.IMAGENET1K_V1,
            DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
        )
        return DeepLab(network)


class DeepLab(TorchvisionSegmenter):
    """Needs two images a batch while it trains."""

    def forward(self, images: Tensor) -> Tensor:
        if self.training and len(images) == 1:
            raise UserError(
                "train.batch_size: DeepLabV3 cannot train on single images, since it normalises "
                "the mean of the whole image over the batch; give at least 2"
            )
        return super().forward(images)


def _load(network: Any, choice: str, backbone: WeightsEnum, full: WeightsEnum) -> None:
    load_weights(
        network,
        choice,
        backbone=(backbone, network.backbone),
        full=full,
        class_layers=("classifier.4.",),
        unused=AUXILIARY,
    )
