"""Detectors of two stages (Ren et al. 2015, arXiv 1506.01497), by torchvision's parts.

A region proposal network (RPN) looks at anchors and proposes boxes; the heads look at the regions
of interest (RoI) in these. torchvision computes the losses of both in functions of its own; here
each is a loss of ours that stands at a *place* and can be another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import (
    RegionProposalNetwork,
    RPNHead,
    concat_box_prediction_layers,
)
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from benchmark.models.base import BoxTerm, UnderTest, box_loss_at, loss_at
from benchmark.models.geometry import paired_iou
from losses import BoxLoss, ClassificationLoss, get
from losses.base import Activation

BOX_LOSS: BoxLoss = get("smooth_l1", beta=1 / 9)
CLASS_LOSS: ClassificationLoss = get("class_cross_entropy")
"""What torchvision has at the places of boxes, and at those of objectness and classes."""

Maps = dict[str, Tensor]
"""Maps of a feature pyramid by name, each ``[B, F, h, w]``."""


@dataclass
class Proposed:
    """What the first stage makes of a batch: B tensors ``[n_i, 4]``, and its losses."""

    proposals: list[Tensor]
    box: BoxTerm
    objectness: Tensor


@dataclass
class Sampled:
    """Regions of interest that the second stage learns from: B tensors each.

    Attributes:
        proposals: ``[n_i, 4]``, xyxy in pixels.
        labels: ``[n_i]``, 0 for the background, 1 to C.
        matched: ``[n_i]``, index of the object; 0 for the background.
    """

    proposals: list[Tensor]
    labels: list[Tensor]
    matched: list[Tensor]

    def objects(self) -> tuple[list[Tensor], list[Tensor]]:
        """Proposals that have an object, ``[p_i, 4]``, and its index, ``[p_i]``."""
        positive = [labels > 0 for labels in self.labels]
        return (
            [p[at] for p, at in zip(self.proposals, positive, strict=True)],
            [m[at] for m, at in zip(self.matched, positive, strict=True)],
        )


class Anchors(AnchorGenerator):
    """torchvision's anchors, at strides that are known.

    torchvision divides the image's side by the map's, which is too small where the side does not
    divide, and takes over the maps' 16-bit type.
    """

    def __init__(self, sizes: list[list[int]], ratios: list[float], strides: list[int]) -> None:
        super().__init__(tuple(tuple(level) for level in sizes), (tuple(ratios),) * len(strides))
        self.strides = strides

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        self.set_cell_anchors(torch.float32, feature_maps[0].device)
        grids = [list(level.shape[-2:]) for level in feature_maps]
        strides = [[stride, stride] for stride in self.strides]
        anchors = torch.cat(self.grid_anchors(grids, strides))
        return [anchors] * len(image_list.image_sizes)


class ProposalHead(RPNHead):
    """torchvision's head of the first stage, its outputs in float32 also under autocast."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = super().forward(x)
        return [level.float() for level in logits], [level.float() for level in deltas]


class BoxPredictor(FastRCNNPredictor):
    """torchvision's last layers of the second stage, their outputs in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = super().forward(x)
        return logits.float(), deltas.float()


class ProposalNetwork(RegionProposalNetwork):
    """torchvision's first stage, with losses that are handed in."""

    def learn(
        self, images: ImageList, features: Maps, targets: list[dict[str, Tensor]], loss: UnderTest
    ) -> Proposed:
        """Proposals and losses of a batch.

        Args:
            targets: per image ``boxes [n_i, 4]``, xyxy in pixels.
            loss: has the places ``rpn`` and ``objectness``.
        """
        maps = list(features.values())
        level_logits, level_deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        logits, deltas = concat_box_prediction_layers(level_logits, level_deltas)
        decoded = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        per_level = [level[0].numel() for level in level_logits]
        proposals, _ = self.filter_proposals(decoded, logits, images.image_sizes, per_level)

        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        positive, negative = (_rows(chosen) for chosen in self.fg_bg_sampler(labels))
        truth, anchor = torch.cat(matched)[positive], torch.cat(anchors)[positive]
        count = len(positive) + len(negative)
        values = regression(
            box_loss_at(loss, "rpn", BOX_LOSS), self.box_coder, deltas[positive], anchor, truth
        )
        objects = labels[0].new_zeros(count, dtype=torch.int64)
        objects[len(positive) :] = -1
        objectness = classification(
            loss_at(loss, "objectness", CLASS_LOSS),
            logits[torch.cat([positive, negative])],
            objects,
            "sigmoid",
            lambda: fit(self.box_coder, deltas[positive], anchor, truth),
        )
        return Proposed(proposals, BoxTerm(values, at_least_one(count, logits)), objectness)


class RegionPool(MultiScaleRoIAlign):
    """torchvision's pooling of regions, at strides that are known.

    torchvision divides the map's side by the image's and rounds to a power of two, which is wrong
    for some small images whose side does not divide.

    Args:
        strides: of the maps, which are named by their numbers, in pixels.
        side: of what is pooled of a region.
    """

    def __init__(self, strides: list[int], side: int) -> None:
        super().__init__([str(n) for n in range(len(strides))], side, sampling_ratio=2)
        self.scales = [1 / stride for stride in strides]
        finest, coarsest = (stride.bit_length() - 1 for stride in (strides[0], strides[-1]))
        self.map_levels = LevelMapper(finest, coarsest, self.canonical_scale, self.canonical_level)


class RegionHeads(RoIHeads):
    """torchvision's second stage, with losses that are handed in."""

    def check_targets(self, targets: list[dict[str, Tensor]] | None) -> None:
        """torchvision asks for masks here; those are not needed to choose regions."""

    def sample(self, proposals: list[Tensor], targets: list[dict[str, Tensor]]) -> Sampled:
        """The proposals and true boxes that are learned from, chosen by torch's random stream.

        Args:
            targets: per image ``boxes [n_i, 4]`` and ``labels [n_i]``, 1 to C.
        """
        chosen, matched, labels, _ = self.select_training_samples(proposals, targets)
        return Sampled(chosen, labels, matched)

    def learn(
        self,
        features: Maps,
        sizes: list[tuple[int, int]],
        sampled: Sampled,
        targets: list[dict[str, Tensor]],
        loss: UnderTest,
    ) -> tuple[BoxTerm, Tensor]:
        """The losses of boxes and of classes.

        Args:
            sizes: height and width of each image.
            targets: per image ``boxes [n_i, 4]``, xyxy in pixels.
            loss: has the places ``roi`` and ``classification``.
        """
        regions = self.box_roi_pool(features, sampled.proposals, sizes)
        logits, outputs = self.box_predictor(self.box_head(regions))
        labels = torch.cat(sampled.labels)
        positive = (labels > 0).nonzero()[:, 0]
        deltas = outputs.unflatten(1, (-1, 4))[positive, labels[positive]]
        proposals, matched = sampled.objects()
        proposal = torch.cat(proposals)
        truth = torch.cat([t["boxes"][m] for t, m in zip(targets, matched, strict=True)])
        values = regression(
            box_loss_at(loss, "roi", BOX_LOSS), self.box_coder, deltas, proposal, truth
        )
        classes = classification(
            loss_at(loss, "classification", CLASS_LOSS),
            logits,
            labels - 1,
            "softmax",
            lambda: fit(self.box_coder, deltas, proposal, truth),
        )
        return BoxTerm(values, at_least_one(len(labels), logits)), classes


def regression(
    loss: BoxLoss, coder: BoxCoder, deltas: Tensor, anchors: Tensor, truth: Tensor
) -> Tensor:
    """The loss ``[P]`` of boxes ``[P, 4]``, in the space that it asks for.

    Args:
        deltas: encoded by ``coder`` against ``anchors``; xyxy in pixels, as ``truth`` is.
    """
    spaces = {
        "deltas": lambda: (deltas, coder.encode_single(truth, anchors)),
        "boxes": lambda: (coder.decode_single(deltas, anchors), truth),
    }
    return loss(*spaces[loss.space]())


def fit(coder: BoxCoder, deltas: Tensor, anchors: Tensor, truth: Tensor) -> Tensor:
    """IoU ``[P]`` of predicted boxes with their objects; arguments as in :func:`regression`."""
    return paired_iou(coder.decode_single(deltas.detach(), anchors), truth)


def classification(
    loss: ClassificationLoss,
    logits: Tensor,
    labels: Tensor,
    activation: Activation,
    quality: Callable[[], Tensor],
) -> Tensor:
    """The mean loss of boxes ``[N, K]`` with labels ``[N]``, -1 for the background.

    Args:
        quality: gives the IoU ``[P]`` of those that have an object, for losses that ask for it.
    """
    fits = None
    if loss.needs_quality:
        fits = logits.new_zeros(len(logits))
        fits[labels >= 0] = quality()
    values = loss(logits, labels, activation, fits)
    return values.sum() / max(1, len(values))


def _rows(chosen: list[Tensor]) -> Tensor:
    """Masks ``[A]`` of B images -> the chosen rows of all of them below each other."""
    return torch.cat(chosen).nonzero()[:, 0]


def at_least_one(count: int, like: Tensor) -> Tensor:
    """A count as a normaliser, on the device of another tensor."""
    return torch.full((), float(max(1, count)), device=like.device)
