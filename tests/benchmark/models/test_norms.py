"""Batch norms of networks: what they divide by, and batches that are too small for them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from benchmark.experiment.train_settings import Train
from benchmark.models import MODELS
from benchmark.models.norms import check_values, divide_by_plain_deviation


def test_dividing_by_the_plain_deviation_is_torchvisions_norm_without_epsilon():
    torch.manual_seed(0)
    ours, theirs = nn.BatchNorm2d(64), FrozenBatchNorm2d(64, eps=0.0)
    ours.running_var.copy_(torch.logspace(-4, 2, 64))
    nn.init.normal_(ours.running_mean)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 64, 5, 5)
    divide_by_plain_deviation(nn.Sequential(ours))
    torch.testing.assert_close(ours.eval()(images), theirs(images), rtol=1e-5, atol=1e-5)
    ours.train()(images).sum().backward()
    assert torch.isfinite(ours.weight.grad).all()


@pytest.mark.parametrize(
    ("train", "stride", "enough"),
    [
        ({"batch_size": 1, "image_size": 32}, 32, False),
        ({"batch_size": 1, "image_size": 32}, 16, True),
        ({"batch_size": 1, "image_size": [32, 33]}, 32, True),
        ({"batch_size": 2, "image_size": 32}, 32, True),
        ({"batch_size": 1, "image_size": 64, "multi_scale": [0.5, 1]}, 32, False),
        ({"batch_size": 1, "image_size": 32, "freeze": "norm"}, 32, True),
        ({"batch_size": 1, "image_size": 512}, math.inf, False),
    ],
)
def test_a_norm_needs_two_values(train, stride, enough):
    if enough:
        check_values(Train(**train), stride)
        return
    with pytest.raises(ValueError, match=r"^batch_size: 1 is too small .* give at least 2$"):
        check_values(Train(**train), stride)


def test_norms_of_a_head_are_not_frozen():
    with pytest.raises(ValueError, match="batch_size"):
        check_values(Train(batch_size=1, freeze="norm"), math.inf, in_backbone=False)


NARROW = {
    "tiny_fcos": {"width": 8},
    "fcos_mobilenet_v3": {"channels": 64, "convolutions": 1},
    "ssdlite320_mobilenet_v3": {"width": 0.25},
    "deeplabv3_mobilenet_v3": {},
    "faster_rcnn_mobilenet_v3": {"channels": 16, "head": 16},
}


@pytest.mark.parametrize("name", sorted(NARROW))
def test_what_is_refused_is_what_torch_refuses(name):
    spec = MODELS[name](**NARROW[name])
    with pytest.raises(ValueError, match="batch_size: 1"):
        spec.check_train(Train(batch_size=1, image_size=32))
    spec.check_train(Train(batch_size=2, image_size=32))
    model = spec.build(1)
    body = model if name == "tiny_fcos" else model.network
    images = torch.randn(1, 3, 32, 32)
    call = body._head if name == "tiny_fcos" else getattr(body, "backbone", body)
    call = body if name.startswith("deeplab") else call
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        call(images)
    call(torch.randn(2, 3, 32, 32))


def test_groups_of_one_channel_need_two_values_as_well():
    spec = MODELS["fcos_mobilenet_v3"](channels=32, convolutions=1)
    with pytest.raises(ValueError, match=r"image_size: .*channels: 32.* a side above 64"):
        spec.check_train(Train(image_size=64))
    with pytest.raises(ValueError, match="image_size"):
        spec.check_train(Train(image_size=128, multi_scale=[0.5, 1.0]))
    spec.check_train(Train(image_size=[64, 80]))
    model = spec.build(1).eval()
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        model.predict(torch.randn(1, 3, 64, 64))
    model.predict(torch.randn(1, 3, 64, 80))
