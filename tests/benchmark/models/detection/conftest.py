"""What tests of dense detectors share: a batch, and torchvision's own losses and detections."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import (
    fcos_resnet50_fpn,
    retinanet_resnet50_fpn,
    ssd300_vgg16,
    ssdlite320_mobilenet_v3_large,
)
from torchvision.models.detection.image_list import ImageList

from benchmark.models import MODELS

CLASSES = 3


@dataclass(frozen=True)
class Case:
    """A detector as the tests build it.

    Attributes:
        name: of the model; options: of it.
        side: of the images, in pixels; images: how many of them.
        reference: builds torchvision's; None where torchvision has no builder of that network.
        first_label: torchvision's number of class 0.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    side: int = 128
    images: int = 3
    reference: Callable[..., nn.Module] | None = None
    first_label: int = 0

    def build(self, **options: Any) -> Any:
        torch.manual_seed(0)
        model = MODELS[self.name](**{**self.options, **options}).build(CLASSES)
        if self.name.startswith("fcos"):
            # A fresh head ends in many exact zeros, boxes without extent, which our GIoU counts as
            # a millionth larger than they are.
            nn.init.constant_(model.network.head.regression_head.bbox_reg.bias, 0.5)
        return model

    def batch(self) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return torch.randn(self.images, 3, self.side, self.side, generator=generator)

    def torchvisions(self, model: Any) -> nn.Module:
        """torchvision's model with the same weights, its image transform made the identity."""
        if self.reference is None:
            theirs = copy.deepcopy(model.network)
        else:
            theirs = self.reference(
                weights=None,
                weights_backbone=None,
                num_classes=CLASSES + self.first_label,
                score_thresh=model.network.score_thresh,
            )
            theirs.load_state_dict(model.network.state_dict())
        theirs.transform = Identity()
        return theirs

    def images_for(self, model: Any) -> list[Tensor]:
        """The batch as torchvision's model wants it, in its own mean and deviation."""
        images = self.batch()
        return list(model.renormalised(images) if self.name.startswith("ssd") else images)


class Identity(nn.Module):
    """Instead of torchvision's transform of images."""

    def forward(self, images: list[Tensor], targets: Any) -> tuple[ImageList, Any]:
        return ImageList(torch.stack(images), [tuple(i.shape[-2:]) for i in images]), targets

    def postprocess(self, found: Any, sizes: Any, original_sizes: Any) -> Any:
        return found


CASES = [
    Case("fcos_mobilenet_v3", {"channels": 32, "convolutions": 1}),
    Case("fcos_resnet50", reference=fcos_resnet50_fpn),
    Case("ssdlite320_mobilenet_v3", reference=ssdlite320_mobilenet_v3_large, first_label=1),
    Case("ssd300_vgg16", side=300, images=1, reference=ssd300_vgg16, first_label=1),
    Case("retinanet_mobilenet_v3", {"channels": 32, "anchor_size": 2.0}),
    Case("retinanet_resnet50", reference=retinanet_resnet50_fpn),
]
SMALL = ("fcos_mobilenet_v3", "ssdlite320_mobilenet_v3", "retinanet_mobilenet_v3")


@pytest.fixture(scope="session", params=CASES, ids=lambda case: case.name)
def case(request):
    """Every dense detector."""
    return request.param


@pytest.fixture(
    scope="session",
    params=[case for case in CASES if case.name in SMALL],
    ids=lambda case: case.name,
)
def small(request):
    """The dense detectors that are quick to build and to train, one of each kind."""
    return request.param


@pytest.fixture(scope="session")
def model(small):
    """One of those, built once: a test that changes its weights builds its own."""
    return small.build()


@pytest.fixture
def boxes():
    """Of a batch of three images, the second without objects."""
    return [
        torch.tensor([[10.0, 12.0, 40.0, 44.0], [50.0, 20.0, 90.0, 90.0]]),
        torch.zeros(0, 4),
        torch.tensor([[0.0, 0.0, 96.0, 96.0]]),
    ]


@pytest.fixture
def labels():
    return [torch.tensor([0, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([1])]
