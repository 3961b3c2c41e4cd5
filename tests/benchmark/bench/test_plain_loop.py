"""The plain loop: that it sees the same data as ours, trains, and measures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from benchmark.bench.plain_loop import (
    Annotated,
    Pictures,
    PlainLoop,
    read_annotation,
    training_transforms,
)
from benchmark.experiment.train_settings import Train
from benchmark.models import MODELS
from datasets import DATASETS

CPU = torch.device("cpu")


@pytest.fixture
def voc(tmp_path, write_voc):
    return DATASETS["voc"](root=str(write_voc(tmp_path / "voc")))


def settings(**augment) -> Train:
    return Train(epochs=2, batch_size=2, image_size=[64, 64], augment=augment, optimizer="sgd")


def test_annotation_and_pictures_are_those_of_the_files(voc):
    (one, *_) = read_annotation(voc, "train")
    sample = voc.load(voc.ids("train")[0])
    assert one.path.suffix == ".png"
    assert one.boxes.tolist() == sample.boxes.tolist()
    assert one.labels.tolist() == sample.labels.tolist()
    image, target = Pictures([one], lambda image, target: (image, target))[0]
    assert np.array_equal(np.asarray(image), sample.image)
    assert target["boxes"].canvas_size == sample.image.shape[:2]


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 0.5), (1.5, 1.5)])
def test_transforms_bring_a_sample_to_the_size_and_keep_boxes_on_their_objects(tmp_path, scale):
    """A white square on black, 96 x 96 brought to 64 x 64: the box stays around what is white."""
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[36:60, 36:60] = 255
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    box = torch.tensor([[36.0, 36.0, 60.0, 60.0]])
    one = Annotated(tmp_path / "a.png", box, torch.tensor([1]))
    changes = training_transforms(settings(hflip=0.5, vflip=0.5, scale=list(scale)))
    torch.manual_seed(0)
    image, target = Pictures([one], changes)[0]
    assert image.shape == (3, 64, 64)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() == 1
    assert target["labels"].tolist() == [1]
    ((left, top, right, bottom),) = target["boxes"].round().int().tolist()
    assert right - left == pytest.approx(24 * 64 / 96 * scale[0], abs=1)
    assert image[:, top + 2 : bottom - 2, left + 2 : right - 2].min() > 0.95
    outside = image.clone()
    outside[:, max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = 0
    assert outside.max() < 0.5


def test_colours_change_only_where_they_are_asked_to(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), (40, 120, 200), np.uint8))
    one = Annotated(tmp_path / "a.png", torch.tensor([[8.0, 8, 40, 40]]), torch.tensor([0]))
    torch.manual_seed(0)
    for colour, changed in ((0.0, False), (0.5, True)):
        image, _ = Pictures([one], training_transforms(settings(hflip=0.0, colour=colour)))[0]
        plain = torch.tensor([200.0, 120.0, 40.0])[:, None, None] / 255
        assert (not torch.allclose(image, plain.expand(3, 64, 64), atol=1e-3)) == changed


def make_loop(voc, train: Train) -> tuple[PlainLoop, nn.Module]:
    torch.manual_seed(0)
    network = MODELS["fcos_mobilenet_v3"](channels=64, convolutions=1).build(2).network
    pictures = {split: read_annotation(voc, split) for split in ("train", "val")}
    return PlainLoop(network, train, pictures, voc.classes, CPU, 0), network


def test_it_trains_as_many_steps_and_measures(voc):
    loop, network = make_loop(voc, settings())
    before = [p.detach().clone() for p in network.parameters()]
    assert len(loop.batches) == 2
    metrics = loop.run()
    assert set(metrics) >= {"AP", "AP50", "AP/disc"}
    assert loop.train_seconds > 0
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_its_images_have_the_size_of_ours(voc):
    """Not padded further, and in evaluation resized by the network itself."""
    loop, network = make_loop(voc, settings())
    images, targets = next(iter(loop.validation))
    assert images[0].shape == (3, 48, 48)
    found, _ = network.transform.eval()(list(images))
    assert found.tensors.shape[-2:] == (64, 64)
    assert found.tensors.mean().abs() < 3
    assert [len(t["boxes"]) for t in targets] == [1] * len(images)


def test_a_loss_that_is_not_finite_ends_it(voc):
    loop, network = make_loop(voc, settings())
    for p in network.head.parameters():
        nn.init.constant_(p, float("nan"))
    assert loop.run() == {}
