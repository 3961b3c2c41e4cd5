"""torchvision's SSD and SSDlite, their box loss and their classification loss swappable.

Liu et al., 2016, arXiv:1512.02325; SSDlite is Sandler et al., 2018, arXiv:1801.04381, §6.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, VGG16_Weights, mobilenet_v3_large
from torchvision.models.detection import (
    SSD300_VGG16_Weights,
    SSDLite320_MobileNet_V3_Large_Weights,
)
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead
from torchvision.models.vgg import cfgs, make_layers

from benchmark.models.base import (
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    Detections,
    DetectorSpec,
    Kind,
    UnderTest,
    box_loss_at,
    loss_at,
    register,
)
from benchmark.models.dense import Offsets, anchor_labels, class_values, matches, positives
from benchmark.models.pyramids import check_norm_momentum
from benchmark.models.weights import check_weights, load_weights
from benchmark.options import UserError
from losses import get

BOX_LOSS = get("smooth_l1", beta=1.0)
CLASS_LOSS = get("class_cross_entropy")
"""What torchvision has at the two places."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""What the harness normalises with."""

LAST_MAP = 13
"""The block of MobileNetV3-Large whose expansion is SSDlite's first map, of stride 16."""

SSD300_RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
SSD300_SCALES = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
SSD300_STEPS = [8, 16, 32, 64, 100, 300]
"""Of each map's default boxes: sides' ratios, size as a fraction of the image, distance in pixels.

The last of the sizes belongs to the geometric mean with the one before it."""

SMALLEST_SSD300 = 272
"""Shortest side whose last map has a pixel, among multiples of 16."""


@dataclass(frozen=True)
class SSDSpec(DetectorSpec):
    """Options of every SSD."""

    places: ClassVar[dict[str, Kind]] = {"box": "box", "classification": "softmax"}

    weights: str = "none"


@register("ssdlite320_mobilenet_v3")
@dataclass(frozen=True)
class SSDLiteSpec(SSDSpec):
    """torchvision's SSDlite with MobileNetV3-Large; maps of stride 16 and coarser; small and fast.

    Its default boxes are fractions of the image, so it takes images of any size.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's), ``full`` (COCO's), both by torchvision, or a
            file. As in torchvision, the backbone's last blocks have half the channels unless the
            weights are ``backbone``.
        width: factor of the channels of the backbone and of the maps behind it.
        norm_momentum: share of each batch in the running statistics of the batch norms.
            torchvision has 0.03, slow for a short training from scratch.
    """

    score_threshold: float = 0.001
    nms_threshold: float = 0.55
    detections: int = 300
    width: float = 1.0
    norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self.weights)
        check_norm_momentum(self.norm_momentum)
        if not 0.1 <= self.width <= 2:
            raise ValueError(f"width must lie in 0.1..2, got {self.width}")
        if self.width != 1 and self.weights in ("backbone", "full"):
            raise ValueError(f"width must be 1 for published weights, got {self.width}")

    def build(self, num_classes: int) -> DetectionModel:
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=self.norm_momentum)
        published = self.weights == "backbone"
        classifier = mobilenet_v3_large(
            weights=None, norm_layer=norm, width_mult=self.width, reduced_tail=not published
        )
        if not published:
            _initialise(classifier, partial(nn.init.normal_, std=0.03))
        backbone = SSDLiteFeatureExtractorMobileNet(classifier.features, LAST_MAP, norm, self.width)
        anchors = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
        head = SSDLiteHead(
            _channels(backbone), anchors.num_anchors_per_location(), num_classes + 1, norm
        )
        network = SSD(
            backbone,
            anchors,
            (320, 320),
            num_classes + 1,
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
            head=head,
            score_thresh=self.score_threshold,
            nms_thresh=self.nms_threshold,
            detections_per_img=self.detections,
            topk_candidates=300,
        )
        load_weights(
            network,
            self.weights,
            backbone=(MobileNet_V3_Large_Weights.IMAGENET1K_V1, classifier.features),
            full=SSDLite320_MobileNet_V3_Large_Weights.COCO_V1,
            class_layers=("head.classification_head.",),
        )
        return TorchvisionSSD(network)


@register("ssd300_vgg16")
@dataclass(frozen=True)
class SSD300Spec(SSDSpec):
    """torchvision's SSD300 with VGG-16, which has no norms: start it from published weights.

    Made for images of 300 x 300; takes those whose sides are at least 272.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's), ``full`` (COCO's), both by torchvision, or a
            file.
    """

    score_threshold: float = 0.01
    nms_threshold: float = 0.45
    detections: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(self.weights)

    def build(self, num_classes: int) -> DetectionModel:
        # torchvision's own builder makes the whole classifier first, most of it for nothing.
        features = make_layers(cfgs["D"], batch_norm=False)
        _initialise(features, partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"))
        network = SSD(
            SSDFeatureExtractorVGG(features, highres=False),
            DefaultBoxGenerator(SSD300_RATIOS, scales=SSD300_SCALES, steps=SSD300_STEPS),
            (300, 300),
            num_classes + 1,
            image_mean=[0.48235, 0.45882, 0.40784],
            image_std=[1 / 255, 1 / 255, 1 / 255],
            score_thresh=self.score_threshold,
            nms_thresh=self.nms_threshold,
            detections_per_img=self.detections,
        )
        load_weights(
            network,
            self.weights,
            backbone=(VGG16_Weights.IMAGENET1K_FEATURES, features),
            full=SSD300_VGG16_Weights.COCO_V1,
            class_layers=("head.classification_head.",),
        )
        return SSD300(network)


def _initialise(module: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
    """Weights of convolutions as drawn, their biases 0: where torchvision's SSD starts from."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@torch.no_grad()
def _channels(backbone: nn.Module) -> list[int]:
    """Channels of each map that the backbone gives."""
    maps = backbone.eval()(torch.zeros(1, 3, 32, 32))
    backbone.train()
    return [level.shape[1] for level in maps.values()]


class TorchvisionSSD(DetectionModel):
    """An SSD of torchvision, used through its parts.

    Its image transform is left out, but for the mean and the deviation that it wants. The last of
    its classes' logits are ours; the first is the background's.
    """

    backbone: ClassVar[tuple[str, ...]] = ("network.backbone.features",)

    scale: Tensor
    shift: Tensor

    def __init__(self, network: SSD) -> None:
        super().__init__()
        self.network = network
        self.coder = Offsets(network.box_coder)
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

    def _outputs(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The head's outputs ``[B, A, ...]``, and the default boxes ``[A, 4]``."""
        size = (images.shape[-2], images.shape[-1])
        generator = self.generator(size)
        features = list(self.network.backbone(self.renormalised(images)).values())
        # Of the maps it reads the size, the device and the type, which autocast makes 16-bit.
        maps = [level[:1, :1].float() for level in features]
        (anchors,) = generator(ImageList(images[:1], [size]), maps)
        return self.network.head(features), anchors

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        outputs, anchors = self._outputs(images)
        matched = matches(self.network.proposal_matcher, boxes, anchors)
        found = positives(matched, boxes, anchors, outputs["bbox_regression"], self.coder)
        count = found.where.new_tensor(max(1, len(found.where)), dtype=torch.float32)

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
        outputs, anchors = self._outputs(images)
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
        if min(size) < SMALLEST_SSD300:
            raise UserError(
                f"ssd300_vgg16 takes images whose sides are at least {SMALLEST_SSD300} pixels, "
                f"got {size[0]} x {size[1]}"
            )
        return self.network.anchor_generator if size == (300, 300) else self.elsewhere


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
