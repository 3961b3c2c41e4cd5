"""Backbones of two-stage detectors: the stages of a classifier under a feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn
from torchvision.models import mobilenet_v3_large, resnet50
from torchvision.models.detection.backbone_utils import BackboneWithFPN

MOBILENET_STAGES: Mapping[str, int] = MappingProxyType({"3": 4, "6": 8, "12": 16, "16": 32})
"""The last block of each stage of MobileNetV3-Large, and its stride in pixels."""

MOBILENET_TORCHVISION: Mapping[str, int] = MappingProxyType({"13": 32, "16": 32})
"""The two blocks that torchvision's two-stage detectors take; both have stride 32."""

RESNET_STAGES: Mapping[str, int] = MappingProxyType(
    {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
)
RESNET_CHANNELS: Mapping[str, int] = MappingProxyType(
    {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
)


@dataclass
class Pyramid:
    """A backbone and what is to be known of it.

    Attributes:
        network: images ``[B, 3, H, W]`` -> maps by name, the finest first; the last is the one
            before at every second pixel and is called ``pool``.
        strides: of all maps, in pixels.
        classifier: the network whose stages these are; it shares their modules, so weights that
            are loaded into it are in the pyramid too.
    """

    network: BackboneWithFPN
    strides: list[int]
    classifier: nn.Module


def mobilenet_pyramid(finest_stride: int | None, channels: int, norm_momentum: float) -> Pyramid:
    """MobileNetV3-Large (Howard et al. 2019, arXiv 1905.02244) under a feature pyramid.

    Args:
        finest_stride: of the first map, in pixels; None takes torchvision's two maps of stride 32.
        channels: of every map.
        norm_momentum: of the running statistics of the batch norms.
    """
    classifier = mobilenet_v3_large(weights=None, norm_layer=_norm(norm_momentum))
    blocks = classifier.features
    stages = MOBILENET_TORCHVISION
    if finest_stride is not None:
        stages = _from(MOBILENET_STAGES, finest_stride)
    widths = [blocks[int(name)].out_channels for name in stages]
    return _over(blocks, classifier, stages, widths, channels)


def resnet50_pyramid(finest_stride: int, channels: int, norm_momentum: float) -> Pyramid:
    """ResNet-50 (He et al. 2015, arXiv 1512.03385) under a feature pyramid.

    The arguments are those of :func:`mobilenet_pyramid`; torchvision's finest stride is 4.
    """
    classifier = resnet50(weights=None, norm_layer=_norm(norm_momentum))
    stages = _from(RESNET_STAGES, finest_stride)
    widths = [RESNET_CHANNELS[name] for name in stages]
    return _over(classifier, classifier, stages, widths, channels)


def _norm(momentum: float) -> partial[nn.BatchNorm2d]:
    return partial(nn.BatchNorm2d, momentum=momentum)


def _from(stages: Mapping[str, int], finest: int) -> dict[str, int]:
    return {name: stride for name, stride in stages.items() if stride >= finest}


def _over(
    body: nn.Module,
    classifier: nn.Module,
    stages: Mapping[str, int],
    widths: list[int],
    channels: int,
) -> Pyramid:
    network = BackboneWithFPN(
        body,
        return_layers={name: str(level) for level, name in enumerate(stages)},
        in_channels_list=widths,
        out_channels=channels,
    )
    strides = list(stages.values())
    return Pyramid(network, [*strides, 2 * strides[-1]], classifier)
