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
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor, nn

from benchmark._discover import LazyRegister
from benchmark.experiment.loss_parts import LossParts
from benchmark.experiment.sizes import UNIT
from benchmark.experiment.train_settings import Train
from losses import BOX, CLASSIFICATION, MASK, BoxLoss

UnderTest = BoxLoss | LossParts
"""The loss of an experiment as a detector gets it: a box loss, or losses by place."""

MODELS: LazyRegister[type[ModelSpec]] = LazyRegister(
    "models", *(f"benchmark.models.{task}" for task in ("detection", "instance", "segmentation"))
)
"""Imported by name, as torchvision takes as long to load as torch, and many models do without."""

T = TypeVar("T", bound="type[ModelSpec]")

Kind = Literal["box", "mask", "sigmoid", "softmax"]
"""Of a place: regression of boxes, masks, or classification with the activation of that name."""
ACTIVATIONS: tuple[Kind, ...] = ("sigmoid", "softmax")


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make a model known to experiment files as ``name``."""

    def add(cls: T) -> T:
        MODELS.add(name, cls)
        return cls

    return add


class ModelSpec(ABC):
    """Options of a model; subclasses are dataclasses."""

    task: ClassVar[str]

    places: ClassVar[dict[str, Kind]] = {}
    """Where a loss of an experiment may stand in the model, and what kind of loss that is."""

    multiple: ClassVar[int] = 16
    """What the sides of images must divide by; 1 for a network that takes any."""

    def check_train(self, train: Train) -> None:
        """Check that the model can be trained so; those that ask for more extend it.

        Raises:
            ValueError: says first which of the train settings is wrong.
        """
        if any(side % self.multiple for side in train.image_size):
            raise ValueError(
                f"image_size: each side must be a multiple of {self.multiple}, "
                f"got {train.image_size}"
            )
        if train.multi_scale is not None and UNIT % self.multiple:
            raise ValueError(
                f"multi_scale makes sides that are multiples of {UNIT} or of twice that, but the "
                f"model asks for multiples of {self.multiple}; leave it out"
            )

    @abstractmethod
    def build(self, num_classes: int) -> nn.Module:
        """The network with fresh weights from torch's global random stream.

        Args:
            num_classes: number of foreground classes.
        """


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
    """One place where a model regresses boxes, or draws the masks of objects.

    Attributes:
        values: ``[P]``, the loss of each positive, unreduced.
        normaliser: what their sum is divided by, at least 1; or one number a value, ``[P]``,
            where they count differently.
    """

    values: Tensor
    normaliser: Tensor

    def reduced(self) -> Tensor:
        """The term as a scalar."""
        if self.normaliser.dim():
            return (self.values / self.normaliser).sum()
        return self.values.sum() / self.normaliser


@dataclass
class DetectionLosses:
    """What a detection model makes of one batch.

    Attributes:
        box: the box losses by place (``"box"``; for two stages ``"rpn_box"``, ``"roi_box"``),
            which the harness reduces and weights.
        other: the model's own losses (classification, centre-ness), scalars, weighted.
        mask: the mask losses by place (``"mask"``), for the harness like ``box``.
    """

    box: dict[str, BoxTerm]
    other: dict[str, Tensor] = field(default_factory=dict)
    mask: dict[str, BoxTerm] = field(default_factory=dict)


@dataclass
class Detections:
    """Detections in one image, best first.

    Attributes:
        boxes: ``[n, 4]`` xyxy in pixels of the model's input.
        scores: ``[n]`` in 0..1.
        labels: int64 ``[n]``, 0-based.
        masks: bool ``[n, H, W]`` at the size of the model's input, or None.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None


class DetectionModel(nn.Module, ABC):
    """A detector whose losses are handed in with every batch.

    Class attributes:
        backbone: dotted names of the sub-modules that are its backbone, the part that published
            weights are for; those can be frozen or trained at a lower rate.
    """

    backbone: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        """Losses of one batch.

        Args:
            images: float ``[B, 3, H, W]``, normalised.
            boxes: B tensors float32 ``[n_i, 4]``, xyxy in pixels.
            labels: B tensors int64 ``[n_i]``, 0-based.
            loss: read by :func:`box_loss_at` and :func:`loss_at`. A box loss is called on the
                positives' boxes in the space that it asks for (``.space``): pixels, or the
                model's own encoding.
        """

    @abstractmethod
    def predict(self, images: Tensor) -> list[Detections]:
        """Detections in each of ``[B, 3, H, W]`` images."""


class InstanceModel(nn.Module, ABC):
    """A detector that draws the mask of each object as well.

    Class attributes:
        backbone: as of :class:`DetectionModel`.
    """

    backbone: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def losses(
        self,
        images: Tensor,
        boxes: list[Tensor],
        labels: list[Tensor],
        loss: UnderTest,
        masks: list[Tensor],
    ) -> DetectionLosses:
        """Losses of one batch: as :meth:`DetectionModel.losses`, and of masks.

        Args:
            masks: B tensors uint8 ``[n_i, H, W]``, 0 or 1, one mask a box.
        """

    @abstractmethod
    def predict(self, images: Tensor) -> list[Detections]:
        """Detections, with masks, in each of ``[B, 3, H, W]`` images."""


class SegmentationModel(nn.Module, ABC):
    """A segmenter: one logit a foreground class a pixel, the background implied.

    Class attributes:
        backbone: as of :class:`DetectionModel`.
    """

    backbone: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """float ``[B, 3, H, W]``, normalised -> logits ``[B, C, H, W]``."""


def losses_for(kind: Kind) -> dict[str, type[Any]]:
    """The losses that can stand at a place of that kind, by name."""
    if kind in ACTIVATIONS:
        return {n: cls for n, cls in CLASSIFICATION.items() if kind in cls.activations}
    registers: dict[str, dict[str, type[Any]]] = {"box": {**BOX}, "mask": {**MASK}}
    return registers[kind]


def box_loss_at(loss: UnderTest, place: str, default: BoxLoss) -> BoxLoss:
    """The loss that regresses the boxes at one place of a model.

    Args:
        loss: what the model was handed. A plain box loss stands at every such place.
        place: one of the model's, such as ``"box"``, ``"rpn"``, ``"roi"``.
        default: stands where the experiment names no loss.
    """
    if isinstance(loss, LossParts):
        return loss.losses.get(place, loss.losses.get("box", default))
    return loss


def loss_at(loss: UnderTest, place: str, default: Any) -> Any:
    """The loss at a place that regresses no boxes: classification, masks.

    Args:
        loss, default: as in :func:`box_loss_at`; a plain box loss leaves these places alone.
        place: one of the model's, such as ``"classification"``, ``"mask"``.
    """
    return loss.losses.get(place, default) if isinstance(loss, LossParts) else default
