"""torchvision's SSD behind our interface (Liu et al. 2016, arXiv 1512.02325)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from benchmark.models.base import (
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    Detections,
    UnderTest,
    box_loss_at,
    loss_at,
)
from benchmark.models.dense import Offsets, anchor_labels, class_values, matches, positives
from losses import get

BOX_LOSS = get("smooth_l1", beta=1.0)
CLASS_LOSS = get("class_cross_entropy")
"""What torchvision has at the two places."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""What the harness normalises with."""

SSD300_RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
SSD300_SCALES = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
SSD300_STEPS = [8, 16, 32, 64, 100, 300]
"""Of each map's default boxes: sides' ratios, size as a fraction of the image, distance in pixels.

The last of the sizes belongs to the geometric mean with the one before it."""

SMALLEST_SSD300 = 268
"""Shortest side whose last map has a pixel."""


class TorchvisionSSD(DetectionModel):
    """An SSD of torchvision, used through its parts.

    Its image transform is left out, but for the mean and the deviation that it wants. Column 0 of
    its logits is the background's; our classes follow.
    """

    backbone: ClassVar[tuple[str, ...]] = ("network.backbone.features",)

    scale: Tensor
    shift: Tensor

    def __init__(self, network: SSD) -> None:
        super().__init__()
        self.network = network
        self.coder = Offsets(network.box_coder)
        # By the size of the images. torchvision makes them on the CPU, and a copy to the GPU waits
        # for all that this was given to do.
        self.default_boxes: dict[tuple[int, int, torch.device], Tensor] = {}
        wanted = network.transform
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        own_mean, own_std = torch.tensor(wanted.image_mean), torch.tensor(wanted.image_std)
        for name, value in (("scale", std / own_std), ("shift", (mean - own_mean) / own_std)):
            self.register_buffer(name, value[:, None, None], persistent=False)

    def renormalised(self, images: Tensor) -> Tensor:
        """Images in the harness's mean and deviation, in those that the network wants."""
        return images * self.scale + self.shift

    def generator(self, size: tuple[int, int]) -> DefaultBoxGenerator:
        """What makes the default boxes in images of a size."""
        return self.network.anchor_generator

    def outputs(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The head's outputs ``[B, A, ...]``, and the default boxes ``[A, 4]``."""
        size = (images.shape[-2], images.shape[-1])
        generator = self.generator(size)
        features = list(self.network.backbone(self.renormalised(images)).values())
        where = (*size, images.device)
        if where not in self.default_boxes:
            # Of the maps it reads the size, the device and the type, which autocast makes 16-bit.
            maps = [level[:1, :1].float() for level in features]
            (self.default_boxes[where],) = generator(ImageList(images[:1], [size]), maps)
        anchors = self.default_boxes[where]
        return self.network.head(features), anchors

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        outputs, anchors = self.outputs(images)
        matched = matches(self.network.proposal_matcher, boxes, anchors)
        found = positives(matched, boxes, anchors, outputs["bbox_regression"], self.coder)
        count = torch.full((), max(1.0, len(found.where)), device=images.device)

        class_loss = loss_at(loss, "classification", CLASS_LOSS)
        logits, seen = outputs["cls_logits"].float(), anchor_labels(matched, labels)
        classes = class_values(class_loss, logits, seen, "softmax", found)
        counted = (seen >= 0) | hard_negatives(classes, seen >= 0, self.network.neg_to_pos_ratio)
        values = found.box_values(box_loss_at(loss, "box", BOX_LOSS))
        return DetectionLosses(
            box={"box": BoxTerm(values, count)},
            other={"classification": torch.where(counted, classes, 0).sum() / count},
        )

    @torch.no_grad()
    def predict(self, images: Tensor) -> list[Detections]:
        outputs, anchors = self.outputs(images)
        found = self.network.postprocess_detections(
            {key: value.float() for key, value in outputs.items()},
            [anchors] * len(images),
            [(images.shape[-2], images.shape[-1])] * len(images),
        )
        return [Detections(d["boxes"], d["scores"], d["labels"] - 1) for d in found]


class SSD300(TorchvisionSSD):
    """SSD300, for images of other sizes as well.

    Its default boxes lie at steps that are measured on images of 300 x 300, at others at the
    middle of each pixel of a map.
    """

    backbone: ClassVar[tuple[str, ...]] = (
        "network.backbone.features",
        *(f"network.backbone.extra.0.{layer}" for layer in (1, 3, 5)),
    )

    def __init__(self, network: SSD) -> None:
        super().__init__(network)
        self.elsewhere = DefaultBoxGenerator(SSD300_RATIOS, scales=SSD300_SCALES)

    def generator(self, size: tuple[int, int]) -> DefaultBoxGenerator:
        return self.network.anchor_generator if size == (300, 300) else self.elsewhere


def check_ssd300_size(size: tuple[int, int]) -> None:
    """Raise ``ValueError`` for images, of a height and width, that are too small for SSD300."""
    if min(size) < SMALLEST_SSD300:
        raise ValueError(
            f"image_size: ssd300_vgg16 takes images whose sides are at least {SMALLEST_SSD300} "
            f"pixels, also in multi-scale training; the smallest are {size[0]} x {size[1]}"
        )


def hard_negatives(values: Tensor, positive: Tensor, ratio: float) -> Tensor:
    """The background that an SSD learns from (arXiv:1512.02325, §2.2): that with the highest loss.

    Args:
        values: ``[B, A]``, the classification loss of every default box.
        positive: bool ``[B, A]``, those with an object.
        ratio: how many are taken in an image for each positive of it.

    Returns:
        bool ``[B, A]``.
    """
    negatives = values.detach().masked_fill(positive, -torch.inf)
    rank = negatives.argsort(1, descending=True).argsort(1)
    return rank < ratio * positive.sum(1, keepdim=True)
