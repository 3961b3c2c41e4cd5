"""torchvision's Faster R-CNN (Ren et al. 2015, arXiv 1506.01497), its losses swappable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torchvision.models import WeightsEnum
from torchvision.models.detection import (
    FasterRCNN_MobileNet_V3_Large_FPN_Weights,
    FasterRCNN_ResNet50_FPN_Weights,
)

from benchmark.models.base import (
    DetectionLosses,
    DetectionModel,
    Detections,
    UnderTest,
    register,
)
from benchmark.models.rcnn import MobileNetSpec, ResNet50Spec, TwoStage


@register("faster_rcnn_mobilenet_v3")
@dataclass(frozen=True)
class FasterRCNNMobileNetSpec(MobileNetSpec):
    """torchvision's Faster R-CNN with MobileNetV3-Large and a pyramid of strides 32 to 64."""

    published: ClassVar[WeightsEnum | None] = FasterRCNN_MobileNet_V3_Large_FPN_Weights.COCO_V1

    proposal_threshold: float = 0.05

    def build(self, num_classes: int) -> DetectionModel:
        return FasterRCNN(num_classes, self)


@register("faster_rcnn_resnet50")
@dataclass(frozen=True)
class FasterRCNNResNet50Spec(ResNet50Spec):
    """torchvision's Faster R-CNN with ResNet-50 and a pyramid of strides 4 to 64."""

    published: ClassVar[WeightsEnum | None] = FasterRCNN_ResNet50_FPN_Weights.COCO_V1

    def build(self, num_classes: int) -> DetectionModel:
        return FasterRCNN(num_classes, self)


class FasterRCNN(TwoStage, DetectionModel):
    """See :class:`FasterRCNNMobileNetSpec` and :class:`FasterRCNNResNet50Spec`."""

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        return self.learn(images, boxes, labels, loss)[0]

    def predict(self, images: Tensor) -> list[Detections]:
        return [
            Detections(found["boxes"], found["scores"], found["labels"] - 1)
            for found in self.found(images)
        ]
