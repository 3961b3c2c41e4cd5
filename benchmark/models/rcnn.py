"""Options of two-stage detectors, and the network that they make."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights, WeightsEnum
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList

from benchmark.experiment.train_settings import Train
from benchmark.models.base import DetectionLosses, DetectorSpec, Kind, UnderTest
from benchmark.models.norms import check_momentum, check_values, divide_by_plain_deviation
from benchmark.models.pyramids import (
    MOBILENET_LAST,
    MOBILENET_TORCHVISION,
    RESNET,
    Pyramid,
    from_stride,
    mobilenet_pyramid,
    resnet50_pyramid,
)
from benchmark.models.two_stage import (
    Anchors,
    BoxPredictor,
    Maps,
    ProposalHead,
    ProposalNetwork,
    RegionHeads,
    RegionPool,
    Sampled,
)
from benchmark.models.weights import check_weights, load_weights

ASPECT_RATIOS = [0.5, 1.0, 2.0]
DETECTOR_EPSILON = 1e-5
"""What torchvision's detectors of two stages add to the variances of MobileNetV3."""

BOX_REGION = 7
"""Side of what is pooled of a region for its class and box."""


@dataclass(frozen=True)
class TwoStageSpec(DetectorSpec):
    """Options that all two-stage detectors have; the defaults are torchvision's.

    Attributes:
        weights: ``none``, ``backbone`` (ImageNet), ``full`` (COCO), or a file. torchvision
            freezes the batch norms of published weights and the first stages; here all of the
            network trains unless the training's ``freeze`` says otherwise.
        channels: of the pyramid's maps.
        head: width of the two fully connected layers of the second stage.
        anchor_sizes: roots of the anchors' areas, in pixels.
        sizes_a_level: ``one`` gives each level of the pyramid one size, the finest the first, so
            there must be as many sizes as levels; ``all`` gives all sizes to every level.
        proposals_train, proposals_test: proposals of the first stage that are kept, before
            non-maximum suppression for each level and after it for each image.
        proposal_threshold: least objectness of a proposal, 0 to 1.
        sampled: regions of an image that the second stage learns from, a quarter of them objects.
        norm_momentum: of the running statistics of the backbone's batch norms.
    """

    places: ClassVar[dict[str, Kind]] = {
        "rpn": "box",
        "roi": "box",
        "objectness": "sigmoid",
        "classification": "softmax",
    }
    multiple: ClassVar[int] = 1
    classifier: ClassVar[WeightsEnum]
    published: ClassVar[WeightsEnum | None] = None
    plain_deviation: ClassVar[bool] = False
    """Whether the published weights were trained with batch norms without an epsilon."""

    nms_threshold: float = 0.5
    weights: str = "none"
    channels: int = 256
    head: int = 1024
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    sizes_a_level: Literal["one", "all"] = "one"
    proposals_train: int = 2000
    proposals_test: int = 1000
    proposal_threshold: float = 0.0
    sampled: int = 512
    norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(
            self.weights, ("none", "backbone", *(["full"] if self.published is not None else []))
        )
        for name in ("channels", "head", "proposals_train", "proposals_test"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.sampled < 4:
            raise ValueError(f"sampled must be at least 4, got {self.sampled}")
        if not 0 <= self.proposal_threshold < 1:
            raise ValueError(
                f"proposal_threshold must be in 0..1, below 1, got {self.proposal_threshold}"
            )
        check_momentum(self.norm_momentum)
        self._check_anchors()

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_values(train, 32)

    def _check_anchors(self) -> None:
        if not self.anchor_sizes or min(self.anchor_sizes) < 1:
            raise ValueError(
                f"anchor_sizes must be numbers of at least 1, got {list(self.anchor_sizes)}"
            )
        if self.sizes_a_level == "one" and len(self.anchor_sizes) != self.levels:
            raise ValueError(
                f"anchor_sizes must be {self.levels}, one for each level of the pyramid, got "
                f"{list(self.anchor_sizes)}; with sizes_a_level: all every level has all of them"
            )

    @property
    @abstractmethod
    def levels(self) -> int:
        """Maps of the pyramid."""

    @abstractmethod
    def pyramid(self) -> Pyramid:
        """The backbone with fresh weights."""


@dataclass(frozen=True)
class MobileNetSpec(TwoStageSpec):
    """Options of the detectors over MobileNetV3-Large.

    Attributes:
        finest_stride: of the pyramid's first map, in pixels; each further map halves the sides,
            to stride 64. null is torchvision's own pyramid of strides 32, 32 and 64, which is too
            coarse for the objects of small images.
    """

    classifier: ClassVar[WeightsEnum] = MobileNet_V3_Large_Weights.IMAGENET1K_V2

    finest_stride: Literal[4, 8, 16, 32] | None = None
    sizes_a_level: Literal["one", "all"] = "all"

    @property
    def levels(self) -> int:
        return 3 if self.finest_stride is None else _levels(self.finest_stride)

    def pyramid(self) -> Pyramid:
        blocks = MOBILENET_TORCHVISION
        if self.finest_stride is not None:
            blocks = from_stride(MOBILENET_LAST, self.finest_stride)
        return mobilenet_pyramid(blocks, self.channels, self.norm_momentum, DETECTOR_EPSILON)


@dataclass(frozen=True)
class ResNet50Spec(TwoStageSpec):
    """Options of the detectors over ResNet-50.

    Attributes:
        finest_stride: of the pyramid's first map, in pixels; each further map halves the sides,
            to stride 64.
    """

    classifier: ClassVar[WeightsEnum] = ResNet50_Weights.IMAGENET1K_V1
    plain_deviation: ClassVar[bool] = True

    finest_stride: Literal[4, 8, 16, 32] = 4

    @property
    def levels(self) -> int:
        return _levels(self.finest_stride)

    def pyramid(self) -> Pyramid:
        blocks = from_stride(RESNET, self.finest_stride)
        return resnet50_pyramid(blocks, self.channels, self.norm_momentum)


def _levels(finest_stride: int) -> int:
    """Levels from that stride to stride 64."""
    return (64 // finest_stride).bit_length()


class TwoStage(nn.Module):
    """torchvision's network without its image transform, learning from losses handed in.

    The harness has already resized and normalised.
    """

    backbone: ClassVar[tuple[str, ...]] = ("network.backbone.body",)
    class_layers: ClassVar[tuple[str, ...]] = ("roi_heads.box_predictor.",)

    def __init__(self, num_classes: int, spec: TwoStageSpec) -> None:
        super().__init__()
        pyramid = spec.pyramid()
        coarsest = 2 * pyramid.strides[-1]
        anchors = Anchors(_sizes(spec), ASPECT_RATIOS, [*pyramid.strides, coarsest])
        self.network = GeneralizedRCNN(
            pyramid.network,
            _first_stage(spec, anchors),
            self._second_stage(spec, num_classes + 1, pyramid.strides),
            nn.Identity(),
        )
        load_weights(
            self.network,
            spec.weights,
            backbone=(spec.classifier, pyramid.classifier),
            full=spec.published,
            class_layers=self.class_layers,
        )
        if spec.weights == "full" and spec.plain_deviation:
            divide_by_plain_deviation(pyramid.network)

    def _second_stage(self, spec: TwoStageSpec, columns: int, strides: list[int]) -> RegionHeads:
        """The heads; ``columns`` are the classes with the background."""
        return RegionHeads(
            RegionPool(strides, BOX_REGION),
            TwoMLPHead(spec.channels * BOX_REGION**2, spec.head),
            BoxPredictor(spec.head, columns),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=spec.sampled,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=spec.score_threshold,
            nms_thresh=spec.nms_threshold,
            detections_per_img=spec.detections,
            **self.further_heads(spec, columns, strides),
        )

    def further_heads(
        self, spec: TwoStageSpec, columns: int, strides: list[int]
    ) -> dict[str, nn.Module]:
        """Heads besides that of boxes and classes, as torchvision's ``RoIHeads`` calls them.

        Args:
            columns: classes, the background among them.
            strides: of the maps that regions are pooled from, in pixels.
        """
        return {}

    def learn(
        self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], loss: UnderTest
    ) -> tuple[DetectionLosses, Maps, Sampled]:
        """The losses of boxes and classes, and what further heads learn from."""
        batch = _image_list(images)
        targets = [{"boxes": b, "labels": c + 1} for b, c in zip(boxes, labels, strict=True)]
        features = self.network.backbone(images)
        first = self.network.rpn.learn(batch, features, targets, loss)
        sampled = self.network.roi_heads.sample(first.proposals, targets)
        box, classes = self.network.roi_heads.learn(
            features, batch.image_sizes, sampled, targets, loss
        )
        found = DetectionLosses(
            box={"rpn_box": first.box, "roi_box": box},
            other={"objectness": first.objectness, "classification": classes},
        )
        return found, features, sampled

    @torch.no_grad()
    def found(self, images: Tensor) -> list[dict[str, Tensor]]:
        """torchvision's detections in each image, their labels 1 to C."""
        batch = _image_list(images)
        features = self.network.backbone(images)
        proposals, _ = self.network.rpn(batch, features)
        return self.network.roi_heads(features, proposals, batch.image_sizes)[0]


def _sizes(spec: TwoStageSpec) -> list[list[int]]:
    """The anchors' sizes at each level."""
    if spec.sizes_a_level == "one":
        return [[size] for size in spec.anchor_sizes]
    return [list(spec.anchor_sizes)] * spec.levels


def _first_stage(spec: TwoStageSpec, anchors: Anchors) -> ProposalNetwork:
    kept = {"training": spec.proposals_train, "testing": spec.proposals_test}
    return ProposalNetwork(
        anchors,
        ProposalHead(spec.channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=kept,
        post_nms_top_n=kept,
        nms_thresh=0.7,
        score_thresh=spec.proposal_threshold,
    )


def _image_list(images: Tensor) -> ImageList:
    height, width = images.shape[-2:]
    return ImageList(images, [(height, width)] * len(images))
