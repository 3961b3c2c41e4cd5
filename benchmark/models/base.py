"""What a model is to the training loop, and the register of all of them.

A model is registered as a small dataclass, its *spec*: the fields are its options in the
experiment file, ``build`` makes the network::

    @register("my_detector")
    @dataclass(frozen=True)
    class MyDetectorSpec(ModelSpec):
        '''One line that `run.py list models` shows.'''
        task: ClassVar[str] = "detection"
        channels: int = 64

        def build(self, num_classes: int) -> DetectionModel: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from torch import Tensor, nn

from losses import BoxLoss

MODELS: dict[str, type[ModelSpec]] = {}
T = TypeVar("T", bound="type[ModelSpec]")


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make a model known to experiment files as ``name``."""

    def add(cls: T) -> T:
        if name in MODELS:
            raise ValueError(f"two models are registered as '{name}'")
        MODELS[name] = cls
        return cls

    return add


class ModelSpec(ABC):
    """Options of a model; subclasses are dataclasses."""

    task: ClassVar[str]

    @abstractmethod
    def build(self, num_classes: int) -> nn.Module:
        """The network with fresh weights from torch's global random stream.

        Args:
            num_classes: number of foreground classes.
        """


Weights = Literal["none", "imagenet"]
"""Of a torchvision backbone: fresh ones, or those that torchvision publishes (downloaded once)."""


@dataclass(frozen=True)
class DetectorSpec(ModelSpec):
    """Options that all detectors have: how detections are chosen among the predicted boxes."""

    task: ClassVar[str] = "detection"
    score_threshold: float = 0.05
    nms_threshold: float = 0.6
    detections: int = 100

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if self.detections < 1:
            raise ValueError(f"detections must be at least 1, got {self.detections}")


@dataclass
class BoxTerm:
    """One place where a model regresses boxes.

    Attributes:
        values: ``[P]``, the box loss of each positive, unreduced.
        normaliser: what their sum is divided by; the number of positives, at least 1.
    """

    values: Tensor
    normaliser: Tensor


@dataclass
class DetectionLosses:
    """What a detection model makes of one batch.

    Attributes:
        box: the box losses by place (``"box"``; for two stages ``"rpn_box"``, ``"roi_box"``),
            which the harness reduces and weights.
        other: the model's own losses (classification, centre-ness), scalars, weighted.
    """

    box: dict[str, BoxTerm]
    other: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Detections:
    """Detections in one image, best first.

    Attributes:
        boxes: ``[n, 4]`` xyxy in pixels of the model's input.
        scores: ``[n]`` in 0..1.
        labels: int64 ``[n]``, 0-based.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class DetectionModel(nn.Module, ABC):
    """A detector whose box loss is handed in with every batch."""

    @abstractmethod
    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], box_loss: BoxLoss
    ) -> DetectionLosses:
        """Losses of one batch.

        Args:
            images: float ``[B, 3, H, W]``, normalised.
            boxes: B tensors float32 ``[n_i, 4]``, xyxy in pixels.
            labels: B tensors int64 ``[n_i]``, 0-based.
            box_loss: called on the positives' boxes in the space that it asks for
                (``box_loss.space``): pixels, or the model's own encoding.
        """

    @abstractmethod
    def predict(self, images: Tensor) -> list[Detections]:
        """Detections in each of ``[B, 3, H, W]`` images."""


class SegmentationModel(nn.Module, ABC):
    """A segmenter: one logit a foreground class a pixel, the background implied."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """float ``[B, 3, H, W]``, normalised -> logits ``[B, C, H, W]``."""
