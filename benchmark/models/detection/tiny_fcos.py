"""``tiny_fcos``: a small anchor-free detector, after FCOS (Tian et al. 2019, arXiv 1904.01355)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.experiment.train_settings import Train
from benchmark.models.base import (
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    Detections,
    DetectorSpec,
    Kind,
    UnderTest,
    box_loss_at,
    register,
)
from benchmark.models.geometry import centreness
from benchmark.models.layers import Residual, conv_bn
from benchmark.models.norms import check_values
from losses import get as get_loss

STRIDES = (8, 16)
LEVEL_RANGES = ((0.0, 64.0), (64.0, math.inf))
"""A level takes the boxes whose farthest side lies this far (pixels) from the location."""
CENTRE_RADIUS = 1.5
"""Locations this close to the box's centre (in strides) are positive (FCOS "centre sampling")."""
PRIOR = 0.01
"""Foreground probability at the start; it keeps the first focal losses small (RetinaNet §4.1)."""

BOX_LOSS = get_loss("giou")
"""Where the experiment puts none."""
CANDIDATES = 400
"""Boxes with the highest scores that NMS looks at."""


@register("tiny_fcos")
@dataclass(frozen=True)
class TinyFCOSSpec(DetectorSpec):
    """Anchor-free detector from scratch: 5 convolution stages, 2-level pyramid, 0.5 M weights."""

    places: ClassVar[dict[str, Kind]] = {"box": "box"}
    width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width must be a multiple of 8, got {self.width}")

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_values(train, 32)

    def build(self, num_classes: int) -> DetectionModel:
        return TinyFCOS(num_classes, self)


@dataclass
class Head:
    """Raw outputs at all L locations of a batch.

    Attributes:
        logits: ``[B, L, C]``.
        deltas: ``[B, L, 4]``, distances left, top, right, bottom in strides, all positive.
        centre: ``[B, L]``, logit of the centre-ness.
        points: ``[L, 2]``, x and y of the locations in pixels.
        strides: ``[L]``.
    """

    logits: Tensor
    deltas: Tensor
    centre: Tensor
    points: Tensor
    strides: Tensor


class TinyFCOS(DetectionModel):
    """See :class:`TinyFCOSSpec`. Input sides must divide by 16."""

    def __init__(self, num_classes: int, spec: TinyFCOSSpec) -> None:
        super().__init__()
        self.spec = spec
        self.num_classes = num_classes
        w = spec.width
        self.stem = nn.Sequential(conv_bn(3, w // 2, 2), conv_bn(w // 2, w, 2), Residual(w))
        self.stage8 = nn.Sequential(conv_bn(w, 2 * w, 2), Residual(2 * w))
        self.stage16 = nn.Sequential(conv_bn(2 * w, 3 * w, 2), Residual(3 * w))
        self.stage32 = nn.Sequential(conv_bn(3 * w, 3 * w, 2), Residual(3 * w))
        f = 2 * w
        self.lateral8 = nn.Conv2d(2 * w, f, 1)
        self.lateral16 = nn.Conv2d(3 * w, f, 1)
        self.lateral32 = nn.Conv2d(3 * w, f, 1)
        # Group norm: the two levels' statistics differ, so they cannot share batch norm's.
        self.tower = nn.Sequential(
            *(
                layer
                for _ in range(2)
                for layer in (
                    nn.Conv2d(f, f, 3, padding=1, bias=False),
                    nn.GroupNorm(8, f),
                    nn.ReLU(inplace=True),
                )
            )
        )
        self.classify = nn.Conv2d(f, num_classes, 3, padding=1)
        self.regress = nn.Conv2d(f, 5, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(STRIDES)))
        for output in (self.classify, self.regress):
            nn.init.normal_(output.weight, std=0.01)
        assert self.classify.bias is not None
        assert self.regress.bias is not None
        nn.init.constant_(self.classify.bias, -math.log((1 - PRIOR) / PRIOR))
        nn.init.zeros_(self.regress.bias)
        nn.init.constant_(self.regress.bias[:4], 1.0)

    def _pyramid(self, images: Tensor) -> list[Tensor]:
        at8 = self.stage8(self.stem(images))
        at16 = self.stage16(at8)
        at32 = self.lateral32(self.stage32(at16))
        top16 = self.lateral16(at16)
        # Sizes are given: an input side that divides by 16 need not divide by 32.
        top16 = top16 + F.interpolate(at32, size=top16.shape[-2:], mode="nearest")
        top8 = self.lateral8(at8)
        top8 = top8 + F.interpolate(top16, size=top8.shape[-2:], mode="nearest")
        return [top8, top16]

    def _head(self, images: Tensor) -> Head:
        logits, deltas, centre, points, strides = [], [], [], [], []
        for level, (features, stride) in enumerate(
            zip(self._pyramid(images), STRIDES, strict=True)
        ):
            shared = self.tower(features)
            scores = self.classify(shared).permute(0, 2, 3, 1).flatten(1, 2)
            regressed = self.regress(shared).permute(0, 2, 3, 1).flatten(1, 2).float()
            logits.append(scores.float())
            # softplus, not exp: its gradient neither explodes for long sides nor dies for short.
            deltas.append(F.softplus(regressed[..., :4] * self.scales[level]))
            centre.append(regressed[..., 4])
            grid = _grid(features.shape[-2], features.shape[-1], stride, images.device)
            points.append(grid)
            strides.append(grid.new_full((len(grid),), float(stride)))
        return Head(
            torch.cat(logits, 1),
            torch.cat(deltas, 1),
            torch.cat(centre, 1),
            torch.cat(points),
            torch.cat(strides),
        )

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> DetectionLosses:
        from torchvision.ops import sigmoid_focal_loss  # slow to load, and only training needs it

        box_loss = box_loss_at(loss, "box", BOX_LOSS)
        head = self._head(images)
        matched = [assign(head.points, head.strides, image_boxes) for image_boxes in boxes]
        target = torch.zeros_like(head.logits)
        image_index, location, box_index = [], [], []
        for i, match in enumerate(matched):
            where = (match >= 0).nonzero()[:, 0]
            target[i, where, labels[i][match[where]]] = 1.0
            image_index.append(torch.full_like(where, i))
            location.append(where)
            box_index.append(boxes[i][match[where]])
        images_at, at = torch.cat(image_index), torch.cat(location)
        truth = torch.cat(box_index)
        positives = torch.tensor(max(1, len(at)), dtype=torch.float32, device=images.device)

        deltas = head.deltas[images_at, at]
        points, strides = head.points[at], head.strides[at, None]
        truth_deltas = torch.cat([points - truth[:, :2], truth[:, 2:] - points], 1) / strides
        spaces = {
            "deltas": lambda: (deltas, truth_deltas),
            "boxes": lambda: (decode(deltas, points, strides), truth),
        }
        values = box_loss(*spaces[box_loss.space]())
        centre_target = centreness(truth_deltas)
        centre = F.binary_cross_entropy_with_logits(
            head.centre[images_at, at], centre_target, reduction="sum"
        )
        focal = sigmoid_focal_loss(head.logits, target, alpha=0.25, gamma=2.0, reduction="sum")
        return DetectionLosses(
            box={"box": BoxTerm(values, positives)},
            other={"classification": focal / positives, "centreness": centre / positives},
        )

    @torch.no_grad()
    def predict(self, images: Tensor) -> list[Detections]:
        head = self._head(images)
        height, width = images.shape[-2:]
        quality = head.logits.sigmoid() * head.centre.sigmoid()[..., None]
        scores = quality.sqrt()
        boxes = decode(head.deltas, head.points, head.strides[:, None])
        boxes[..., 0::2] = boxes[..., 0::2].clamp(0, width)
        boxes[..., 1::2] = boxes[..., 1::2].clamp(0, height)
        return [self._select(*pair) for pair in zip(boxes, scores, strict=True)]

    def _select(self, boxes: Tensor, scores: Tensor) -> Detections:
        """Boxes ``[L, 4]`` and scores ``[L, C]`` of one image -> its best after NMS."""
        from torchvision.ops import batched_nms  # slow to load, and only training needs it

        flat = scores.flatten()
        candidates = (flat > self.spec.score_threshold).nonzero()[:, 0]
        best = flat[candidates].argsort(descending=True, stable=True)[:CANDIDATES]
        candidates = candidates[best]
        location, label = candidates // self.num_classes, candidates % self.num_classes
        kept = batched_nms(boxes[location], flat[candidates], label, self.spec.nms_threshold)
        kept = kept[: self.spec.detections]
        return Detections(boxes[location[kept]], flat[candidates[kept]], label[kept])


def _grid(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """Centres ``[height * width, 2]`` (x, y) of a level's cells in pixels, row by row."""
    xs = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) * stride
    ys = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) * stride
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 2)


def decode(deltas: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Distances ``[..., 4]`` in strides around ``points [..., 2]`` -> boxes xyxy in pixels."""
    distances = deltas * strides
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], -1)


def assign(points: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """Which of the boxes each location answers for (FCOS §3.1, with centre sampling).

    Args:
        points: ``[L, 2]`` locations in pixels; strides: ``[L]``.
        boxes: ``[n, 4]`` xyxy in pixels.

    Returns:
        int64 ``[L]``: index of a box, or -1. Where several boxes claim a location, the smallest
        gets it. A box that no location may claim, most often because none lies in it, gets the
        nearest one, also where another box has claimed that.
    """
    if len(boxes) == 0:
        return torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    sides = torch.stack(
        [
            points[:, None, 0] - boxes[None, :, 0],
            points[:, None, 1] - boxes[None, :, 1],
            boxes[None, :, 2] - points[:, None, 0],
            boxes[None, :, 3] - points[:, None, 1],
        ],
        -1,
    )  # [L, n, 4]
    farthest = sides.amax(-1)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = (points[:, None] - centres[None]).abs().amax(-1)
    ranges = points.new_tensor(LEVEL_RANGES)[(strides == STRIDES[1]).long()]
    in_level = (farthest > ranges[:, :1]) & (farthest <= ranges[:, 1:])
    inside = sides.amin(-1) > 0
    claims = inside & in_level & (distance < CENTRE_RADIUS * strides[:, None])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    cost = torch.where(claims, area[None], torch.inf)
    smallest, match = cost.min(1)
    match = torch.where(torch.isfinite(smallest), match, -1)
    missed = (~claims.any(0)).nonzero()[:, 0]
    if len(missed):
        squared = (points[:, None] - centres[None, missed]).square().sum(-1)
        nearest = torch.where(strides[:, None] == STRIDES[0], squared, torch.inf).argmin(0)
        match[nearest] = missed
    return match
