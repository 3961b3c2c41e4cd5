"""torchvision's RetinaNet, its box loss and its classification loss swappable.

Lin et al., 2017, arXiv:1708.02002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchvision.models import MobileNet_V3_Large_Weights
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
    UnderTest,
    box_loss_at,
    loss_at,
    register,
)
from benchmark.models.dense import (
    CLASS_LAYERS,
    RESNET_STRIDES,
    Offsets,
    PyramidDetector,
    PyramidSpec,
    anchor_labels,
    class_values,
    matches,
    positives,
    resnet50_network,
    selection,
)
from benchmark.models.norms import check_momentum, divide_by_plain_deviation
from benchmark.models.pyramids import MOBILENET_FIRST, from_stride, mobilenet_pyramid
from benchmark.models.weights import check_weights, load_weights
from losses import get

BOX_LOSS = get("l1")
CLASS_LOSS = get("class_focal")
"""What torchvision has at the two places."""

RATIOS = (0.5, 1.0, 2.0)
SCALES = (1, 2 ** (1 / 3), 2 ** (2 / 3))
"""Height by width, and size, of the nine anchors of a location."""
LARGEST_ANCHOR = 64
"""In strides; larger ones would hold most images several times over."""


@dataclass(frozen=True)
class RetinaNetSpec(PyramidSpec):
    """Options of every RetinaNet."""

    nms_threshold: float = 0.5
    detections: int = 300


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
        published = RetinaNet_ResNet50_FPN_Weights.COCO_V1
        network = resnet50_network(retinanet_resnet50_fpn, published, self, num_classes)
        if self.weights == "full":
            divide_by_plain_deviation(network.backbone)
        return TorchvisionRetinaNet(network, RESNET_STRIDES)


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
        check_momentum(self.norm_momentum)
        if self.channels < 8:
            raise ValueError(f"channels must be at least 8, got {self.channels}")
        if not 1 / self.finest_stride <= self.anchor_size <= LARGEST_ANCHOR:
            raise ValueError(
                f"anchor_size must make a pixel or more and be at most {LARGEST_ANCHOR}, "
                f"got {self.anchor_size}"
            )

    def build(self, num_classes: int) -> DetectionModel:
        pyramid = mobilenet_pyramid(
            from_stride(MOBILENET_FIRST, self.finest_stride),
            self.channels,
            self.norm_momentum,
            extra=LastLevelP6P7(self.channels, self.channels),
        )
        strides = [*pyramid.strides, 64, 128]
        sizes = [
            tuple(int(self.anchor_size * stride * scale) for scale in SCALES) for stride in strides
        ]
        network = RetinaNet(
            pyramid.network,
            num_classes,
            anchor_generator=AnchorGenerator(tuple(sizes), (RATIOS,) * len(strides)),
            **selection(self),
        )
        published = MobileNet_V3_Large_Weights.IMAGENET1K_V2
        load_weights(
            network,
            self.weights,
            backbone=(published, network.backbone.body),
            class_layers=CLASS_LAYERS,
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
