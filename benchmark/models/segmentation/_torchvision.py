"""What torchvision's segmenters have in common behind our interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from benchmark.models.base import ModelSpec, SegmentationModel
from benchmark.models.norms import check_momentum
from benchmark.models.weights import check_weights

AUXILIARY = ("aux_classifier.",)
"""Published weights hold a second head that torchvision trains along; our networks have none.

Its loss would be a second one of the kind under test, at another place and weight.
"""


@dataclass(frozen=True)
class TorchvisionSpec(ModelSpec):
    """Options of all torchvision segmenters.

    Attributes:
        weights: ``none``, ``backbone`` (trained on ImageNet), ``full`` (the whole network, trained
            on COCO, but for the last layers, which have a channel for the background), or a file.
    """

    task: ClassVar[str] = "segmentation"
    multiple: ClassVar[int] = 1
    weights: str = "none"

    def __post_init__(self) -> None:
        check_weights(self.weights)


@dataclass(frozen=True)
class MobileNetSpec(TorchvisionSpec):
    """Options of those over MobileNetV3.

    Attributes:
        norm_momentum: share of each batch in the running mean and variance of the backbone's
            batch norms. torchvision's 0.01 needs thousands of steps to forget the initial values.
    """

    norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_momentum(self.norm_momentum)


class TorchvisionSegmenter(SegmentationModel):
    """One logit a foreground class: torchvision's own background channel is left out.

    Args:
        network: maps ``[B, 3, H, W]`` to a mapping whose ``"out"`` are the logits.
    """

    backbone: ClassVar[tuple[str, ...]] = ("network.backbone",)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)["out"].float()
