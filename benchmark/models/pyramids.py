"""Feature pyramids of torchvision's classifiers, for detectors."""

from __future__ import annotations

from torch import nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

MOBILENET_STAGES = {8: 4, 16: 7, 32: 16}
"""The block of MobileNetV3-Large that feeds the pyramid at each stride."""


def mobilenet_pyramid(
    channels: int, finest_stride: int, norm_momentum: float, extra: ExtraFPNBlock
) -> BackboneWithFPN:
    """MobileNetV3-Large with a pyramid from ``finest_stride`` to 32 and what ``extra`` adds.

    torchvision's own pyramid of this network starts at stride 32, too coarse for the objects of
    small images.

    Args:
        channels: of each level.
        finest_stride: 8, 16 or 32.
        norm_momentum: see :func:`set_norm_momentum`.
        extra: makes the levels that are coarser than stride 32.
    """
    features = mobilenet_v3_large(weights=None).features
    set_norm_momentum(features, norm_momentum)
    blocks = [block for stride, block in MOBILENET_STAGES.items() if stride >= finest_stride]
    return BackboneWithFPN(
        features,
        return_layers={str(block): str(level) for level, block in enumerate(blocks)},
        in_channels_list=[features[block].out_channels for block in blocks],
        out_channels=channels,
        extra_blocks=extra,
    )


def set_norm_momentum(module: nn.Module, momentum: float) -> None:
    """Set how fast running statistics follow: the share that each batch has in the new value.

    torchvision's MobileNetV3 has 0.01, made for long training: after 100 batches more than a
    third of what predictions are normalised with is still the initial guess.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum


def check_norm_momentum(momentum: float) -> None:
    """Raise ``ValueError`` unless the momentum lies above 0 and at most at 1."""
    if not 0 < momentum <= 1:
        raise ValueError(f"norm_momentum must lie above 0 and at most at 1, got {momentum}")
