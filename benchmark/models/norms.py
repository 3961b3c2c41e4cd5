"""Batch norms of torchvision's networks: their momentum, their epsilon, and what they need."""

from __future__ import annotations

import math

from torch import nn

from benchmark.experiment.sizes import smallest_size
from benchmark.experiment.train_settings import Train

MOBILENET_EPSILON = 0.001
"""What torchvision's MobileNetV3 adds to the variances, but within detectors of two stages."""

TINY_EPSILON = 1e-12
"""Changes no variance above 1e-4 in float32; torch has batch norms train with none but a positive
one, while torchvision's, which do not train, have 0."""


def set_momentum(module: nn.Module, momentum: float) -> None:
    """Set how fast running statistics follow: the share that each batch has in the new value.

    torchvision's MobileNetV3 has 0.01, made for long training: after 100 batches more than a
    third of what predictions are normalised with is still the initial guess.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum


def check_momentum(momentum: float) -> None:
    """Raise ``ValueError`` unless the momentum lies above 0 and at most at 1."""
    if not 0 < momentum <= 1:
        raise ValueError(f"norm_momentum must lie above 0 and at most at 1, got {momentum}")


def divide_by_plain_deviation(backbone: nn.Module) -> None:
    """Take the epsilon out of the batch norms, for weights that were trained without one.

    torchvision does so for the first published weights of RetinaNet, Faster R-CNN and Mask R-CNN
    with ResNet-50.
    """
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = TINY_EPSILON


def check_values(train: Train, stride: float, in_backbone: bool = True) -> None:
    """Check that every batch norm sees more than one value of a channel in a training step.

    Args:
        stride: in pixels, of the coarsest map that a batch norm sees; infinity for the mean of
            the whole image.
        in_backbone: whether that norm stands in the backbone, where it can be frozen.

    Raises:
        ValueError: it would see one value, which torch refuses.
    """
    if in_backbone and train.freeze != "none":
        return
    height, width = smallest_size(train)
    pixels = max(1, math.ceil(height / stride)) * max(1, math.ceil(width / stride))
    if train.batch_size * pixels < 2:
        raise ValueError(
            f"batch_size: {train.batch_size} is too small for images of {height} x {width} pixels, "
            "of which one value a channel is left to a batch norm; give at least 2"
        )
