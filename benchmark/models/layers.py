"""Building blocks that our own small models share."""

from __future__ import annotations

from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU: ``[B, inputs, H, W] -> [B, outputs, H/s, W/s]``."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """``x + conv(x)``, with one 3x3 convolution; keeps the shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = conv_bn(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)
