"""Models at sizes that divide by nothing, where they say that they take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from benchmark.experiment.loss_parts import LossParts
from benchmark.experiment.train_settings import Train
from benchmark.models import MODELS, ModelSpec

NARROW: dict[str, dict[str, Any]] = {
    "fcos_mobilenet_v3": {"channels": 32, "convolutions": 1},
    "retinanet_mobilenet_v3": {"channels": 16},
    "faster_rcnn_mobilenet_v3": {"channels": 16, "head": 16},
    "faster_rcnn_resnet50": {"channels": 16, "head": 16, "proposals_test": 20},
    "mask_rcnn_mobilenet_v3": {"channels": 16, "head": 16, "mask_channels": 16},
    "mask_rcnn_resnet50": {
        "channels": 16,
        "head": 16,
        "mask_channels": 16,
        "proposals_test": 20,
        "detections": 5,
    },
    "unet": {"encoder": "tu-mobilenetv3_small_050", "decoder_channels": (16, 16, 8, 8, 8)},
}
ANY = sorted(name for name, spec in MODELS.items() if spec.multiple == 1)


def step_and_prediction(name: str, size: tuple[int, int]) -> None:
    spec = MODELS[name](**NARROW.get(name, {}))
    spec.check_train(Train(image_size=size, batch_size=2))
    torch.manual_seed(0)
    model: Any = spec.build(2)
    images = torch.randn(2, 3, *size)
    if spec.task == "segmentation":
        logits = model(images)
        assert logits.shape == (2, 2, *size)
        logits.sum().backward()
        return
    boxes = [torch.tensor([[5.0, 5.0, 30.0, 40.0]]), torch.zeros(0, 4)]
    labels = [torch.tensor([1]), torch.zeros(0, dtype=torch.int64)]
    masks = [[torch.ones(n, *size, dtype=torch.uint8) for n in (1, 0)]]
    found = model.losses(images, boxes, labels, LossParts({}), *masks * (spec.task == "instance"))
    terms = [term.reduced() for term in {**found.box, **found.mask}.values()]
    total = torch.stack([*terms, *found.other.values()]).sum()
    total.backward()
    assert torch.isfinite(total)
    for one in model.eval().predict(images):
        assert (one.boxes >= 0).all()
        assert (one.boxes <= torch.tensor([size[1], size[0]] * 2)).all()
        if spec.task == "instance":
            assert one.masks.shape[1:] == size


@pytest.mark.parametrize("name", [n for n in ANY if n != "ssd300_vgg16"])
def test_odd_sides(name):
    if name == "unet":
        pytest.importorskip("segmentation_models_pytorch")
    step_and_prediction(name, (75, 101))


@dataclass(frozen=True)
class Coarse(ModelSpec):
    task: ClassVar[str] = "segmentation"
    multiple: ClassVar[int] = 32

    def build(self, num_classes: int) -> nn.Module:
        return nn.Conv2d(3, num_classes, 32, 32)


def test_a_model_may_ask_for_sides_that_divide():
    Coarse().check_train(Train(image_size=64))
    with pytest.raises(ValueError, match=r"^image_size: .* multiple of 32, got \[64, 48\]$"):
        Coarse().check_train(Train(image_size=[64, 48]))
    with pytest.raises(ValueError, match=r"^multi_scale makes sides that are multiples of 16"):
        Coarse().check_train(Train(image_size=64, multi_scale=[0.5, 1.0]))
    for name in ("tiny_fcos", "tiny_unet"):
        with pytest.raises(ValueError, match="multiple of 16"):
            MODELS[name]().check_train(Train(image_size=100))
