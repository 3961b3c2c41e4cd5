"""torchvision's RetinaNet, its box loss and its classification loss swappable.

Lin et al., 2017, arXiv:1708.02002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights
from torchvision.models.detection import (
    RetinaNet,
    RetinaNet_ResNet50_FPN_Weights,
    retinanet_resnet50_fpn,
)
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from benchmark.models.base import (
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    DetectorSpec,
    Kind,
    UnderTest,
    box_loss_at,
    loss_at,
    register,
)
from benchmark.models.dense import (
    Offsets,
    PyramidDetector,
    anchor_labels,
    class_values,
    matches,
    positives,
)
from benchmark.models.pyramids import check_norm_momentum, mobilenet_pyramid
from benchmark.models.weights import check_weights, load_weights
from losses import get

BOX_LOSS = get("l1")
CLASS_LOSS = get("class_focal")
"""What torchvision has at the two places."""

CLASS_LAYERS = ("head.classification_head.cls_logits.",)
"""Starts of the names of parameters whose shape follows the number of classes."""

RATIOS = (0.5, 1.0, 2.0)
SCALES = (1, 2 ** (1 / 3), 2 ** (2 / 3))
"""Height by width, and size, of the nine anchors of a location."""


@dataclass(frozen=True)
class RetinaNetSpec(DetectorSpec):
    """Options of every RetinaNet."""

    places: ClassVar[dict[str, Kind]] = {"box": "box", "classification": "sigmoid"}

    nms_threshold: float = 0.5
    detections: int = 300
    weights: str = "none"


@register("retinanet_resnet50")
@dataclass(frozen=True)
class RetinaNetResNetSpec(RetinaNetSpec):
    """torchvision's RetinaNet with ResNet-50, strides 8 to 128, anchors from 32 pixels.

    Its batch norms are trained, also those of published weights, which torchvision freezes.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's), ``full`` (COCO's), both by torchvision, or a
            file.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self.weights)

    def build(self, num_classes: int) -> DetectionModel:
        network = retinanet_resnet50_fpn(
            weights=None,
            weights_backbone=None,
            num_classes=num_classes,
            score_thresh=self.score_threshold,
            nms_thresh=self.nms_threshold,
            detections_per_img=self.detections,
        )
        load_weights(
            network,
            self.weights,
            backbone=(ResNet50_Weights.IMAGENET1K_V1, network.backbone.body),
            full=RetinaNet_ResNet50_FPN_Weights.COCO_V1,
            class_layers=CLASS_LAYERS,
        )
        if self.weights == "full":
            # These weights were trained with norms that divide by the plain deviation.
            for layer in network.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eps = 0.0
        return TorchvisionRetinaNet(network, [8, 16, 32, 64, 128])


@register("retinanet_mobilenet_v3")
@dataclass(frozen=True)
class RetinaNetMobileNetSpec(RetinaNetSpec):
    """torchvision's RetinaNet with MobileNetV3-Large, anchors as fit the size of the objects.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's, by torchvision) or a file.
        channels: of the pyramid and the head.
        finest_stride: of the pyramid's first level. Behind stride 32 come two more levels.
        anchor_size: side of a level's smallest square anchor, in strides of the level; 4 as in
            torchvision and the paper. Objects much smaller than the first level's anchors are
            hardly learned.
        norm_momentum: share of each batch in the running statistics of the backbone's batch
            norms. torchvision's MobileNet has 0.01, too slow for a short training from scratch.
    """

    channels: int = 256
    finest_stride: Literal[8, 16, 32] = 8
    anchor_size: float = 4.0
    norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self.weights, ("none", "backbone"))
        check_norm_momentum(self.norm_momentum)
        if self.channels < 8:
            raise ValueError(f"channels must be at least 8, got {self.channels}")
        if self.anchor_size * self.finest_stride < 1:
            raise ValueError(f"anchor_size must make a pixel or more, got {self.anchor_size}")

    def build(self, num_classes: int) -> DetectionModel:
        strides = [stride for stride in (8, 16, 32, 64, 128) if stride >= self.finest_stride]
        sizes = [
            tuple(int(self.anchor_size * stride * scale) for scale in SCALES) for stride in strides
        ]
        backbone = mobilenet_pyramid(
            self.channels,
            self.finest_stride,
            self.norm_momentum,
            LastLevelP6P7(self.channels, self.channels),
        )
        network = RetinaNet(
            backbone,
            num_classes,
            anchor_generator=AnchorGenerator(tuple(sizes), (RATIOS,) * len(strides)),
            score_thresh=self.score_threshold,
            nms_thresh=self.nms_threshold,
            detections_per_img=self.detections,
        )
        published = MobileNet_V3_Large_Weights.IMAGENET1K_V2
        load_weights(
            network, self.weights, backbone=(published, backbone.body), class_layers=CLASS_LAYERS
        )
        return TorchvisionRetinaNet(network, strides)


class TorchvisionRetinaNet(PyramidDetector):
    """torchvision's RetinaNet."""

    def __init__(self, network: RetinaNet, strides: list[int]) -> None:
        super().__init__(network, strides)
        self.coder = Offsets(network.box_coder)

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        outputs, levels = self.outputs(images)
        anchors = torch.cat(levels)
        matched = matches(self.network.proposal_matcher, boxes, anchors)
        found = positives(matched, boxes, anchors, outputs["bbox_regression"], self.coder)
        # Each image is divided by its own positives, and the batch is the mean of its images.
        share = (matched >= 0).sum(1).clamp(min=1).float() * len(images)

        class_loss = loss_at(loss, "classification", CLASS_LOSS)
        logits, seen = outputs["cls_logits"].float(), anchor_labels(matched, labels)
        classes = class_values(class_loss, logits, seen, "sigmoid", found)
        ignored = matched == Matcher.BETWEEN_THRESHOLDS
        classification = (classes.masked_fill(ignored, 0).sum(1) / share).sum()
        values = found.box_values(box_loss_at(loss, "box", BOX_LOSS))
        return DetectionLosses(
            box={"box": BoxTerm(values, share[found.image])},
            other={"classification": classification},
        )
