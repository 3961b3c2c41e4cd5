"""Feature pyramids of torchvision's classifiers, for detectors of one stage and of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn
from torchvision.models import mobilenet_v3_large, resnet50
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from benchmark.models.norms import MOBILENET_EPSILON

Blocks = Mapping[str, int]
"""Names of a classifier's blocks that feed a pyramid, the finest first, and their strides in
pixels."""

MOBILENET_FIRST: Blocks = MappingProxyType({"4": 8, "7": 16, "16": 32})
"""The first block of each stage of MobileNetV3-Large, which is cheap; the dense detectors take it.

The last of all is the last convolution, the same in the other table."""

MOBILENET_LAST: Blocks = MappingProxyType({"3": 4, "6": 8, "12": 16, "16": 32})
"""The last block of each stage, which knows most; the detectors of two stages take it."""

MOBILENET_TORCHVISION: Blocks = MappingProxyType({"13": 32, "16": 32})
"""What torchvision's own detectors of two stages take; both blocks have stride 32."""

RESNET: Blocks = MappingProxyType({"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32})
RESNET_CHANNELS: Mapping[str, int] = MappingProxyType(
    {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
)


@dataclass
class Pyramid:
    """A backbone and what is to be known of it.

    Attributes:
        network: images ``[B, 3, H, W]`` -> maps by name, the finest first.
        strides: of the maps that the classifier feeds, in pixels.
        classifier: the network whose blocks these are; it shares their modules, so weights that
            are loaded into it are in the pyramid too.
    """

    network: BackboneWithFPN
    strides: list[int]
    classifier: nn.Module


def from_stride(blocks: Blocks, finest: int) -> Blocks:
    """The blocks of that stride and of coarser ones."""
    return {name: stride for name, stride in blocks.items() if stride >= finest}


def mobilenet_pyramid(
    blocks: Blocks,
    channels: int,
    norm_momentum: float,
    norm_epsilon: float = MOBILENET_EPSILON,
    extra: ExtraFPNBlock | None = None,
) -> Pyramid:
    """MobileNetV3-Large (Howard et al. 2019, arXiv 1905.02244) under a feature pyramid.

    Args:
        blocks: that feed it, one of the tables of this module or some rows of it.
        channels: of every map.
        norm_momentum: of the running statistics, see :func:`benchmark.models.norms.set_momentum`.
        norm_epsilon: what is added to the variances.
        extra: makes the coarser maps; None adds one, every second pixel of the last.
    """
    norm = partial(nn.BatchNorm2d, eps=norm_epsilon, momentum=norm_momentum)
    classifier = mobilenet_v3_large(weights=None, norm_layer=norm)
    body = classifier.features
    widths = [body[int(name)].out_channels for name in blocks]
    return _over(body, classifier, blocks, widths, channels, extra)


def resnet50_pyramid(blocks: Blocks, channels: int, norm_momentum: float) -> Pyramid:
    """ResNet-50 (He et al. 2015, arXiv 1512.03385) under a feature pyramid.

    The arguments are those of :func:`mobilenet_pyramid`, ``blocks`` rows of :data:`RESNET`.
    """
    norm = partial(nn.BatchNorm2d, momentum=norm_momentum)
    classifier = resnet50(weights=None, norm_layer=norm)
    widths = [RESNET_CHANNELS[name] for name in blocks]
    return _over(classifier, classifier, blocks, widths, channels, None)


def _over(
    body: nn.Module,
    classifier: nn.Module,
    blocks: Blocks,
    widths: list[int],
    channels: int,
    extra: ExtraFPNBlock | None,
) -> Pyramid:
    network = BackboneWithFPN(
        body,
        return_layers={name: str(level) for level, name in enumerate(blocks)},
        in_channels_list=widths,
        out_channels=channels,
        extra_blocks=extra,
    )
    return Pyramid(network, list(blocks.values()), classifier)
