"""What detectors that score every anchor have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.models import ResNet50_Weights, WeightsEnum
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou

from benchmark.experiment.train_settings import Train
from benchmark.models.base import DetectionModel, Detections, DetectorSpec, Kind
from benchmark.models.geometry import paired_iou
from benchmark.models.norms import check_values
from benchmark.models.weights import load_weights
from losses import BoxLoss


class Coder(Protocol):
    """Between boxes xyxy in pixels and a model's own encoding of them, both ``[P, 4]``."""

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor: ...

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor: ...


class Offsets:
    """The encoding of R-CNN: shift of the centre in anchor sides, logarithm of the sides' ratio."""

    def __init__(self, coder: BoxCoder) -> None:
        self.coder = coder

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        return self.coder.encode_single(boxes, anchors)

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        return self.coder.decode_single(deltas, anchors)


@dataclass
class Positives:
    """The P anchors of a batch that answer for an object.

    Attributes:
        where: int64 ``[P]``, among the ``B * A`` anchors of the batch, image by image.
        image: int64 ``[P]``, the image of each.
        anchors: ``[P, 4]``; truth: ``[P, 4]``, the box of each one's object; xyxy in pixels.
        deltas: ``[P, 4]``, the prediction in the model's own encoding.
        coder: what that encoding is.
    """

    where: Tensor
    image: Tensor
    anchors: Tensor
    truth: Tensor
    deltas: Tensor
    coder: Coder

    @property
    def truth_deltas(self) -> Tensor:
        """``truth`` in the model's own encoding."""
        return self.coder.encode(self.anchors, self.truth)

    @property
    def boxes(self) -> Tensor:
        """The predicted boxes, xyxy in pixels."""
        return self.coder.decode(self.deltas, self.anchors)

    def box_values(self, loss: BoxLoss) -> Tensor:
        """The box loss ``[P]``, in the space that it asks for."""
        if loss.space == "deltas":
            return loss(self.deltas, self.truth_deltas)
        return loss(self.boxes, self.truth)


def positives(
    matched: Tensor, boxes: list[Tensor], anchors: Tensor, deltas: Tensor, coder: Coder
) -> Positives:
    """The positives of a batch of B images with A anchors each.

    Args:
        matched: int64 ``[B, A]``, the index of a box of the image, or negative.
        boxes: B tensors ``[n_i, 4]``, xyxy in pixels.
        anchors: ``[A, 4]``, xyxy in pixels, the same for all images.
        deltas: ``[B, A, 4]``, the prediction.
        coder: of the model.
    """
    flat = matched.flatten()
    where = (flat >= 0).nonzero()[:, 0]
    image = where // matched.shape[1]
    return Positives(
        where=where,
        image=image,
        anchors=anchors[where % matched.shape[1]],
        truth=padded(boxes)[image, flat[where]],
        deltas=deltas.flatten(0, 1)[where].float(),
        coder=coder,
    )


def matches(matcher: Matcher, boxes: list[Tensor], anchors: Tensor) -> Tensor:
    """What torchvision's matcher makes of the IoU of anchors ``[A, 4]`` with each image's boxes.

    Returns:
        int64 ``[B, A]``: index of a box, or negative; -1 where an image has none.
    """
    nothing = torch.full((len(anchors),), -1, device=anchors.device)
    return torch.stack(
        [matcher(box_iou(truth, anchors)) if len(truth) else nothing for truth in boxes]
    )


def padded(rows: Sequence[Tensor]) -> Tensor:
    """B tensors ``[n_i, ...]`` as one ``[B, max(1, n_i), ...]``, filled up with zeros."""
    stacked = pad_sequence(list(rows), batch_first=True)
    if stacked.shape[1] == 0:
        return stacked.new_zeros(len(rows), 1, *stacked.shape[2:])
    return stacked


def anchor_labels(matched: Tensor, labels: list[Tensor]) -> Tensor:
    """The class ``[B, A]`` that each anchor should see: -1 where ``matched`` is negative."""
    return torch.where(matched >= 0, padded(labels).gather(1, matched.clamp(min=0)), -1)


def class_values(
    loss: Any, logits: Tensor, labels: Tensor, activation: str, found: Positives
) -> Tensor:
    """The classification loss ``[B, A]`` of all anchors.

    Args:
        loss: a classification loss; where it asks for the quality of the boxes, that is the IoU
            of each positive's predicted box with its object.
        logits: ``[B, A, K]``.
        labels: ``[B, A]``, see :func:`anchor_labels`.
        activation: ``"sigmoid"`` or ``"softmax"``.
        found: the batch's positives.
    """
    quality = None
    if loss.needs_quality:
        with torch.no_grad():
            quality = torch.zeros(labels.numel(), device=labels.device)
            quality[found.where] = paired_iou(found.boxes, found.truth)
    values: Tensor = loss(logits.flatten(0, 1), labels.flatten(), activation, quality)
    return values.view(labels.shape)


CLASS_LAYERS = ("head.classification_head.cls_logits.",)
"""Starts of the names of parameters whose shape follows the number of classes, in the networks of
:class:`PyramidDetector`."""

RESNET_STRIDES = [8, 16, 32, 64, 128]
"""Of the pyramid of :func:`resnet50_network`."""


@dataclass(frozen=True)
class PyramidSpec(DetectorSpec):
    """Options of every :class:`PyramidDetector`."""

    places: ClassVar[dict[str, Kind]] = {"box": "box", "classification": "sigmoid"}
    multiple: ClassVar[int] = 1

    weights: str = "none"

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_values(train, 32)


def selection(spec: DetectorSpec) -> dict[str, Any]:
    """How detections are chosen, in the words of torchvision's detectors of one stage."""
    return {
        "score_thresh": spec.score_threshold,
        "nms_thresh": spec.nms_threshold,
        "detections_per_img": spec.detections,
    }


def resnet50_network(
    build: Callable[..., Any], published: WeightsEnum, spec: PyramidSpec, num_classes: int
) -> Any:
    """A network of torchvision's with ResNet-50, its weights as the spec asks for.

    Args:
        build: torchvision's own builder of it; published: its weights from COCO.
    """
    network = build(weights=None, weights_backbone=None, num_classes=num_classes, **selection(spec))
    load_weights(
        network,
        spec.weights,
        backbone=(ResNet50_Weights.IMAGENET1K_V1, network.backbone.body),
        full=published,
        class_layers=CLASS_LAYERS,
    )
    return network


class PyramidDetector(DetectionModel):
    """A detector of torchvision that scores anchors at each level of a pyramid.

    torchvision's network is used through its parts, without its image transform: the harness
    has already resized and normalised.

    Args:
        network: with the same number of anchors at each location of each level.
        strides: of the pyramid's levels.
    """

    backbone: ClassVar[tuple[str, ...]] = ("network.backbone.body",)

    def __init__(self, network: FCOS | RetinaNet, strides: list[int]) -> None:
        super().__init__()
        self.network = network
        self.strides = strides

    def outputs(self, images: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The head's outputs ``[B, A, ...]``, and the anchors ``[A_level, 4]`` of each level.

        The anchor generator's own call divides the image's side by the map's to get the stride,
        which is too small where the side does not divide, and takes over the maps' 16-bit type.
        """
        features = list(self.network.backbone(images).values())
        generator = self.network.anchor_generator
        generator.set_cell_anchors(torch.float32, images.device)
        grids = [list(level.shape[-2:]) for level in features]
        levels = generator.grid_anchors(grids, [[stride, stride] for stride in self.strides])
        return self.network.head(features), levels

    @torch.no_grad()
    def predict(self, images: Tensor) -> list[Detections]:
        outputs, levels = self.outputs(images)
        sizes = [len(level) for level in levels]
        split = {key: list(value.float().split(sizes, 1)) for key, value in outputs.items()}
        found = self.network.postprocess_detections(
            split, [levels] * len(images), [(images.shape[-2], images.shape[-1])] * len(images)
        )
        return [Detections(d["boxes"], d["scores"], d["labels"]) for d in found]
