"""torchvision's FCOS, its box loss and its classification loss swappable.

Tian et al., 2019, arXiv:1904.01355, and the version of it that torchvision has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import MobileNet_V3_Large_Weights
from torchvision.models.detection import FCOS, FCOS_ResNet50_FPN_Weights, fcos_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead

from benchmark.experiment.sizes import smallest_size
from benchmark.experiment.train_settings import Train
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
    PyramidDetector,
    PyramidSpec,
    anchor_labels,
    class_values,
    padded,
    positives,
    resnet50_network,
    selection,
)
from benchmark.models.geometry import centreness
from benchmark.models.norms import check_momentum
from benchmark.models.pyramids import MOBILENET_FIRST, from_stride, mobilenet_pyramid
from benchmark.models.weights import check_weights, load_weights
from losses import get

BOX_LOSS = get("giou")
CLASS_LOSS = get("class_focal")
"""What torchvision has at the two places."""

COARSEST = 64
"""Stride of the last level over MobileNetV3, in pixels."""

GROUPS = 32
"""Of the group norms of the head."""


@register("fcos_mobilenet_v3")
@dataclass(frozen=True)
class FCOSMobileNetSpec(PyramidSpec):
    """torchvision's FCOS with MobileNetV3-Large and a pyramid of strides 8 to 64.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's, by torchvision) or a file.
        channels: of the pyramid and the head; a multiple of 32.
        convolutions: in each branch of the head.
        finest_stride: of the pyramid's first level; a coarser one is faster and loses small
            objects. The first level takes all boxes that are too small for the others.
        norm_momentum: share of each batch in the running statistics of the backbone's batch
            norms. torchvision's MobileNet has 0.01, too slow for a short training from scratch.
    """

    channels: int = 256
    convolutions: int = 4
    finest_stride: Literal[8, 16, 32] = 8
    norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self.weights, ("none", "backbone"))
        check_momentum(self.norm_momentum)
        if self.channels < GROUPS or self.channels % GROUPS:
            raise ValueError(f"channels must be a multiple of {GROUPS}, got {self.channels}")
        if self.convolutions < 1:
            raise ValueError(f"convolutions must be at least 1, got {self.convolutions}")

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        # Its groups then have one channel, and of a map of one pixel one value.
        if self.channels == GROUPS and max(smallest_size(train)) <= COARSEST:
            raise ValueError(
                f"image_size: {train.image_size} is too small for channels: {self.channels}, which "
                f"leaves one value to a group norm; give a side above {COARSEST} in each step, or "
                "more channels"
            )

    def build(self, num_classes: int) -> DetectionModel:
        blocks = from_stride(MOBILENET_FIRST, self.finest_stride)
        pyramid = mobilenet_pyramid(blocks, self.channels, self.norm_momentum)
        strides = [*pyramid.strides, COARSEST]
        network = FCOS(
            pyramid.network,
            num_classes,
            anchor_generator=AnchorGenerator(
                tuple((stride,) for stride in strides), ((1.0,),) * len(strides)
            ),
            head=FCOSHead(self.channels, 1, num_classes, self.convolutions),
            **selection(self),
        )
        published = MobileNet_V3_Large_Weights.IMAGENET1K_V2
        load_weights(
            network,
            self.weights,
            backbone=(published, network.backbone.body),
            class_layers=CLASS_LAYERS,
        )
        return TorchvisionFCOS(network, strides)


@register("fcos_resnet50")
@dataclass(frozen=True)
class FCOSResNetSpec(PyramidSpec):
    """torchvision's FCOS with ResNet-50 and a pyramid of strides 8 to 128.

    Its batch norms are trained, also those of published weights, which torchvision freezes.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's), ``full`` (COCO's), both by torchvision, or a
            file.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self.weights)

    def build(self, num_classes: int) -> DetectionModel:
        published = FCOS_ResNet50_FPN_Weights.COCO_V1
        network = resnet50_network(fcos_resnet50_fpn, published, self, num_classes)
        return TorchvisionFCOS(network, RESNET_STRIDES)


class TorchvisionFCOS(PyramidDetector):
    """torchvision's FCOS; its one anchor a location is a square with the stride as side."""

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        outputs, levels = self.outputs(images)
        matched = match(levels, boxes, self.network.center_sampling_radius)
        coder = self.network.box_coder
        found = positives(matched, boxes, torch.cat(levels), outputs["bbox_regression"], coder)
        count = torch.full((), max(1.0, len(found.where)), device=images.device)

        logits = outputs["cls_logits"].float()
        class_loss = loss_at(loss, "classification", CLASS_LOSS)
        classes = class_values(class_loss, logits, anchor_labels(matched, labels), "sigmoid", found)
        centre = F.binary_cross_entropy_with_logits(
            outputs["bbox_ctrness"].flatten()[found.where].float(),
            centreness(found.truth_deltas),
            reduction="sum",
        )
        values = found.box_values(box_loss_at(loss, "box", BOX_LOSS))
        return DetectionLosses(
            box={"box": BoxTerm(values, count)},
            other={"classification": classes.sum() / count, "centreness": centre / count},
        )


def match(levels: list[Tensor], boxes: list[Tensor], radius: float) -> Tensor:
    """Which of its image's boxes each location answers for: torchvision's rule.

    A location answers for the smallest of the boxes that hold it, whose centre is near, and whose
    farthest side lies within the reach of its level: 4 to 8 strides, the first level taking
    all that is nearer and the last all that is farther.

    Args:
        levels: per level ``[A_level, 4]``, squares around the locations with the stride as side.
        boxes: B tensors ``[n_i, 4]``, xyxy in pixels.
        radius: largest distance from a box's centre along either axis, in strides.

    Returns:
        int64 ``[B, A]``: index of a box, or -1.
    """
    anchors = torch.cat(levels)
    points = (anchors[:, :2] + anchors[:, 2:]) / 2
    stride = anchors[:, 2] - anchors[:, 0]
    nearest, farthest = stride * 4, stride * 8
    nearest[: len(levels[0])] = 0
    farthest[-len(levels[-1]) :] = torch.inf

    truth = padded(boxes)[:, None]  # [B, 1, n, 4]; padding is no box, as no location lies inside
    x, y = points[:, None].unbind(-1)  # [A, 1]
    sides = (x - truth[..., 0], y - truth[..., 1], truth[..., 2] - x, truth[..., 3] - y)
    shortest = torch.minimum(torch.minimum(*sides[:2]), torch.minimum(*sides[2:]))
    longest = torch.maximum(torch.maximum(*sides[:2]), torch.maximum(*sides[2:]))
    centres = (truth[..., :2] + truth[..., 2:]) / 2
    off = torch.maximum((x - centres[..., 0]).abs(), (y - centres[..., 1]).abs())
    claims = (
        (off < radius * stride[:, None])
        & (shortest > 0)
        & (longest > nearest[:, None])
        & (longest < farthest[:, None])
    )
    # In torchvision's own numbers, whose steps of 8 square pixels decide what is a tie.
    area = (truth[..., 2] - truth[..., 0]) * (truth[..., 3] - truth[..., 1])
    smallness, index = (claims * (1e8 - area)).max(-1)
    return torch.where(smallness < 1e-5, -1, index)
