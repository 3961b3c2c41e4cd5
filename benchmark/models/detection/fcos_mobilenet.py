"""torchvision's FCOS over MobileNetV3 with a feature pyramid, its box loss swappable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOSHead
from torchvision.ops import sigmoid_focal_loss
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from benchmark.models.base import (
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    Detections,
    DetectorSpec,
    Weights,
    register,
)
from benchmark.models.geometry import centreness
from losses import BoxLoss

STAGES = {4: 8, 7: 16, 16: 32}
"""Blocks of MobileNetV3-Large that feed the pyramid, and the stride of each.

torchvision's own detectors start at stride 32, too coarse for the objects of small images.
"""


@register("fcos_mobilenet_v3")
@dataclass(frozen=True)
class FCOSMobileNetSpec(DetectorSpec):
    """torchvision's FCOS with MobileNetV3-Large and a pyramid of strides 8 to 64."""

    weights: Weights = "none"
    channels: int = 256
    convolutions: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels < 32 or self.channels % 32:
            raise ValueError(f"channels must be a multiple of 32, got {self.channels}")
        if self.convolutions < 1:
            raise ValueError(f"convolutions must be at least 1, got {self.convolutions}")

    def build(self, num_classes: int) -> DetectionModel:
        return FCOSMobileNet(num_classes, self)


class SwappableHead(FCOSHead):
    """torchvision's FCOS head, with the box loss handed in instead of its fixed GIoU."""

    box_loss: BoxLoss

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> DetectionLosses:
        """Losses of a batch of B images with A anchors each; torchvision's ``FCOS`` calls this.

        Args:
            targets: per image ``boxes [n_i, 4]`` (xyxy, pixels) and ``labels [n_i]``.
            head_outputs: ``cls_logits [B, A, C]``, ``bbox_regression [B, A, 4]``,
                ``bbox_ctrness [B, A, 1]``.
            anchors: per image ``[A, 4]``.
            matched_idxs: per image int64 ``[A]``, the index of a box or -1.
        """
        pairs = list(zip(targets, matched_idxs, strict=True))
        foreground = torch.stack(matched_idxs) >= 0
        truth = torch.cat([t["boxes"][m[m >= 0]] for t, m in pairs])
        classes = torch.cat([t["labels"][m[m >= 0]] for t, m in pairs])
        anchor = torch.stack(anchors)[foreground]
        positives = foreground.sum().clamp(min=1).float()

        logits = head_outputs["cls_logits"].float()
        target = torch.zeros_like(logits)
        target[(*foreground.nonzero(as_tuple=True), classes)] = 1.0
        focal = sigmoid_focal_loss(logits, target, alpha=0.25, gamma=2.0, reduction="sum")

        deltas = head_outputs["bbox_regression"][foreground].float()
        truth_deltas = self.box_coder.encode(anchor, truth)
        spaces = {
            "deltas": lambda: (deltas, truth_deltas),
            "boxes": lambda: (self.box_coder.decode(deltas, anchor), truth),
        }
        values = self.box_loss(*spaces[self.box_loss.space]())
        centre = F.binary_cross_entropy_with_logits(
            head_outputs["bbox_ctrness"][foreground][:, 0].float(),
            centreness(truth_deltas),
            reduction="sum",
        )
        return DetectionLosses(
            box={"box": BoxTerm(values, positives)},
            other={"classification": focal / positives, "centreness": centre / positives},
        )


class FCOSMobileNet(DetectionModel):
    """See :class:`FCOSMobileNetSpec`.

    torchvision's network is used through its parts, without its image transform: the harness
    has already resized and normalised.
    """

    def __init__(self, num_classes: int, spec: FCOSMobileNetSpec) -> None:
        super().__init__()
        published = MobileNet_V3_Large_Weights.IMAGENET1K_V2 if spec.weights == "imagenet" else None
        features = mobilenet_v3_large(weights=published).features
        backbone = BackboneWithFPN(
            features,
            return_layers={str(block): str(level) for level, block in enumerate(STAGES)},
            in_channels_list=[features[block].out_channels for block in STAGES],
            out_channels=spec.channels,
            extra_blocks=LastLevelMaxPool(),
        )
        self.strides = [*STAGES.values(), 2 * max(STAGES.values())]
        self.network = FCOS(
            backbone,
            num_classes,
            anchor_generator=AnchorGenerator(
                tuple((stride,) for stride in self.strides), ((1.0,),) * len(self.strides)
            ),
            head=SwappableHead(spec.channels, 1, num_classes, spec.convolutions),
            score_thresh=spec.score_threshold,
            nms_thresh=spec.nms_threshold,
            detections_per_img=spec.detections,
        )

    def _outputs(self, images: Tensor) -> tuple[dict[str, Tensor], list[Tensor], list[int]]:
        features = list(self.network.backbone(images).values())
        outputs = self.network.head(features)
        # The generator's own call divides the image's side by the map's to get the stride, which
        # is too small where the side does not divide, and takes over the maps' 16-bit type.
        generator = self.network.anchor_generator
        generator.set_cell_anchors(torch.float32, images.device)
        grids = [level.shape[-2:] for level in features]
        anchors = torch.cat(generator.grid_anchors(grids, [(s, s) for s in self.strides]))
        return outputs, [anchors] * len(images), [height * width for height, width in grids]

    def losses(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], box_loss: BoxLoss
    ) -> DetectionLosses:
        outputs, anchors, per_level = self._outputs(images)
        targets = [{"boxes": b, "labels": c} for b, c in zip(boxes, labels, strict=True)]
        self.network.head.box_loss = box_loss
        return self.network.compute_loss(targets, outputs, anchors, per_level)

    @torch.no_grad()
    def predict(self, images: Tensor) -> list[Detections]:
        outputs, anchors, per_level = self._outputs(images)
        split = {key: list(value.float().split(per_level, 1)) for key, value in outputs.items()}
        found = self.network.postprocess_detections(
            split,
            [list(a.split(per_level)) for a in anchors],
            [(images.shape[-2], images.shape[-1])] * len(images),
        )
        return [Detections(d["boxes"], d["scores"], d["labels"]) for d in found]
