"""torchvision's Mask R-CNN (He et al. 2017, arXiv 1703.06870), its losses swappable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import paste_masks_in_image, project_masks_on_boxes

from benchmark.models.base import (
    BoxTerm,
    DetectionLosses,
    Detections,
    InstanceModel,
    Kind,
    UnderTest,
    loss_at,
    register,
)
from benchmark.models.rcnn import MobileNetSpec, ResNet50Spec, TwoStage, TwoStageSpec
from benchmark.models.two_stage import Maps, RegionPool, Sampled, at_least_one
from losses import MaskLoss


@dataclass(frozen=True, kw_only=True)
class SharesBCE(MaskLoss):
    """Binary cross entropy with targets between 0 and 1, mean over pixels; torchvision's."""

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        values = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return values.mean((1, 2, 3))


MASK_LOSS = SharesBCE()
"""Stands at the place of masks where an experiment names no loss."""

MASK_REGION = 14
"""Side of what is pooled of a region for its mask, which has twice this side."""

PASTED = 16
"""Masks that are pasted into images at a time, as float32 before they become bool."""


@dataclass(frozen=True)
class MaskSpec(TwoStageSpec):
    """Options of the mask head; the defaults are torchvision's.

    Attributes:
        mask_channels: of the mask head.
        mask_convolutions: of the mask head, before it doubles the sides.
        mask_targets: what torchvision's own mask loss learns from: the share of each pixel of the
            region that the object covers, 0 to 1 (``soft``, as in torchvision), or whether that
            is half at least (``binary``, as in Detectron2). A loss that an experiment names for
            the masks always gets the latter, since mask losses have a meaning for 0 and 1 only.
    """

    task: ClassVar[str] = "instance"
    places: ClassVar[dict[str, Kind]] = {**TwoStageSpec.places, "mask": "mask"}

    mask_channels: int = 256
    mask_convolutions: int = 4
    mask_targets: Literal["soft", "binary"] = "soft"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mask_channels", "mask_convolutions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def build(self, num_classes: int) -> InstanceModel:
        return MaskRCNN(num_classes, self)


@register("mask_rcnn_mobilenet_v3")
@dataclass(frozen=True)
class MaskRCNNMobileNetSpec(MobileNetSpec, MaskSpec):
    """torchvision's Mask R-CNN with MobileNetV3-Large and a pyramid of strides 32 to 64."""


@register("mask_rcnn_resnet50")
@dataclass(frozen=True)
class MaskRCNNResNet50Spec(ResNet50Spec, MaskSpec):
    """torchvision's Mask R-CNN with ResNet-50 and a pyramid of strides 4 to 64."""

    published: ClassVar[WeightsEnum | None] = MaskRCNN_ResNet50_FPN_Weights.COCO_V1


class MaskPredictor(MaskRCNNPredictor):
    """torchvision's last layers of the mask head, their output in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class MaskRCNN(TwoStage, InstanceModel):
    """See :class:`MaskRCNNMobileNetSpec` and :class:`MaskRCNNResNet50Spec`."""

    class_layers: ClassVar[tuple[str, ...]] = (
        *TwoStage.class_layers,
        "roi_heads.mask_predictor.mask_fcn_logits.",
    )

    def __init__(self, num_classes: int, spec: MaskSpec) -> None:
        super().__init__(num_classes, spec)
        self.soft_targets = spec.mask_targets == "soft"

    def further_heads(
        self, spec: TwoStageSpec, columns: int, strides: list[int]
    ) -> dict[str, nn.Module]:
        assert isinstance(spec, MaskSpec)
        width = spec.mask_channels
        return {
            "mask_roi_pool": RegionPool(strides, MASK_REGION),
            "mask_head": MaskRCNNHeads(spec.channels, [width] * spec.mask_convolutions, 1),
            "mask_predictor": MaskPredictor(width, width, columns),
        }

    def losses(
        self,
        images: Tensor,
        boxes: list[Tensor],
        labels: list[Tensor],
        loss: UnderTest,
        masks: list[Tensor],
    ) -> DetectionLosses:
        found, features, sampled = self.learn(images, boxes, labels, loss)
        logits = self._mask_logits(features, sampled, images)
        truth = _mask_targets(masks, sampled, logits.shape[-1])
        mask_loss: MaskLoss = loss_at(loss, "mask", MASK_LOSS)
        if mask_loss is not MASK_LOSS or not self.soft_targets:
            truth = (truth >= 0.5).float()
        values = mask_loss(logits, truth, torch.ones_like(truth, dtype=torch.bool))
        found.mask["mask"] = BoxTerm(values, at_least_one(len(values), values))
        return found

    def _mask_logits(self, features: Maps, sampled: Sampled, images: Tensor) -> Tensor:
        """``[P, 1, m, m]``: of the true class of each region that has an object."""
        heads = self.network.roi_heads
        height, width = images.shape[-2:]
        proposals, _ = sampled.objects()
        regions = heads.mask_roi_pool(features, proposals, [(height, width)] * len(images))
        outputs = heads.mask_predictor(heads.mask_head(regions))
        labels = torch.cat(sampled.labels)
        labels = labels[labels > 0]
        return outputs[torch.arange(len(labels), device=labels.device), labels][:, None]

    def predict(self, images: Tensor) -> list[Detections]:
        height, width = images.shape[-2:]
        return [
            Detections(
                found["boxes"],
                found["scores"],
                found["labels"] - 1,
                _pasted(found["masks"], found["boxes"], (height, width)),
            )
            for found in self.found(images)
        ]


def _mask_targets(masks: list[Tensor], sampled: Sampled, side: int) -> Tensor:
    """``[P, 1, side, side]``: what share of each pixel of a region its object covers, 0 to 1."""
    per_image = zip(masks, *sampled.objects(), strict=True)
    return torch.cat([project_masks_on_boxes(m, p, i, side) for m, p, i in per_image])[:, None]


def _pasted(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Probabilities ``[n, 1, m, m]`` in boxes ``[n, 4]`` -> bool ``[n, H, W]``, above a half."""
    parts = zip(masks.split(PASTED), boxes.split(PASTED), strict=True)
    pasted = [paste_masks_in_image(m, b, size)[:, 0] > 0.5 for m, b in parts]
    return torch.cat(pasted) if len(masks) else masks.new_zeros((0, *size), dtype=torch.bool)
