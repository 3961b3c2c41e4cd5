"""torchvision's SSD and SSDlite, their box loss and their classification loss swappable.

Liu et al., 2016, arXiv:1512.02325; SSDlite is Sandler et al., 2018, arXiv:1801.04381, §6.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, VGG16_Weights, mobilenet_v3_large
from torchvision.models.detection import (
    SSD300_VGG16_Weights,
    SSDLite320_MobileNet_V3_Large_Weights,
)
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead
from torchvision.models.vgg import cfgs, make_layers

from benchmark.experiment.sizes import smallest_size
from benchmark.experiment.train_settings import Train
from benchmark.models.base import DetectionModel, DetectorSpec, Kind, register
from benchmark.models.dense import selection
from benchmark.models.norms import check_momentum, check_values
from benchmark.models.single_shot import (
    SSD300,
    SSD300_RATIOS,
    SSD300_SCALES,
    SSD300_STEPS,
    TorchvisionSSD,
    check_ssd300_size,
)
from benchmark.models.weights import check_weights, load_weights, read_weights

LAST_MAP = 13
"""The block of MobileNetV3-Large whose expansion is SSDlite's first map, of stride 16."""

COARSEST = 512
"""Stride of SSDlite's last map, in pixels."""

LAST_CONVOLUTION = ("features.16.0.weight", "features.1.3.0.weight")
"""Ends of the name of the backbone's last convolution: in the classifier, and in SSDlite."""

FULL_TAIL = 960
"""Channels that the classifier has there; torchvision's SSDlite has half as many."""


@dataclass(frozen=True)
class SSDSpec(DetectorSpec):
    """Options of every SSD."""

    places: ClassVar[dict[str, Kind]] = {"box": "box", "classification": "softmax"}
    multiple: ClassVar[int] = 1

    weights: str = "none"


@register("ssdlite320_mobilenet_v3")
@dataclass(frozen=True)
class SSDLiteSpec(SSDSpec):
    """torchvision's SSDlite with MobileNetV3-Large; maps of stride 16 and coarser; small and fast.

    Its default boxes are fractions of the image, so it takes images of any size.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet's), ``full`` (COCO's), both by torchvision, or a
            file. As in torchvision, the backbone's last blocks have half the channels unless the
            weights are ``backbone``, or a file in which they have all.
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
        check_momentum(self.norm_momentum)
        if not 0.1 <= self.width <= 2:
            raise ValueError(f"width must lie in 0.1..2, got {self.width}")
        if self.width != 1 and self.weights in ("backbone", "full"):
            raise ValueError(f"width must be 1 for published weights, got {self.width}")

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_values(train, COARSEST, in_backbone=False)

    def build(self, num_classes: int) -> DetectionModel:
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=self.norm_momentum)
        published = self.weights == "backbone"
        classifier = mobilenet_v3_large(
            weights=None,
            norm_layer=norm,
            width_mult=self.width,
            reduced_tail=not _has_full_tail(self.weights, self.width),
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
            **selection(self),
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

    Made for images of 300 x 300; takes those whose sides are at least 268.

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

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_ssd300_size(smallest_size(train))

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
            **selection(self),
        )
        load_weights(
            network,
            self.weights,
            backbone=(VGG16_Weights.IMAGENET1K_FEATURES, features),
            full=SSD300_VGG16_Weights.COCO_V1,
            class_layers=("head.classification_head.",),
        )
        return SSD300(network)


def _has_full_tail(weights: str, width: float) -> bool:
    """Whether the weights are of a backbone whose last blocks have all the classifier's channels.

    Args:
        weights, width: as the options of :class:`SSDLiteSpec`.
    """
    if weights in ("none", "full"):
        return False
    if weights == "backbone":
        return True
    state = read_weights(Path(weights))
    found = [len(value) for name, value in state.items() if name.endswith(LAST_CONVOLUTION)]
    # Rounding to multiples of 8 moves both numbers by little.
    return bool(found) and found[0] > 0.75 * FULL_TAIL * width


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
