"""SSD and SSDlite: hard negatives, default boxes, sizes, published weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights, ssd300_vgg16
from torchvision.models.detection.image_list import ImageList
from torchvision.models.vgg import cfgs, make_layers

from benchmark.experiment.loss_parts import LossParts
from benchmark.experiment.train_settings import Train
from benchmark.models.detection.ssd import SSD300Spec, SSDLiteSpec
from benchmark.models.single_shot import SSD300, hard_negatives
from benchmark.tasks import TASKS
from benchmark.training.batch import Batch


def test_three_background_boxes_of_highest_loss_for_each_object():
    values = torch.tensor(
        [
            [9.0, 1.0, 5.0, 2.0, 4.0, 3.0],  # one object: the three highest of the others
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],  # no object: nothing
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],  # two objects, and four others for six places
        ]
    )
    positive = torch.zeros(3, 6, dtype=torch.bool)
    positive[0, 0] = positive[2, 0] = positive[2, 5] = True
    chosen = hard_negatives(values, positive, 3.0)
    assert chosen[0].tolist() == [False, False, True, False, True, True]
    assert not chosen[1].any()
    assert chosen[2].all()  # the objects fill the last places; their own loss counts anyway


def test_the_width_makes_the_network_smaller():
    sizes = [
        sum(p.numel() for p in SSDLiteSpec(width=width).build(3).parameters())
        for width in (0.25, 0.5, 1.0)
    ]
    assert sizes[0] < 0.5 * sizes[1]
    assert sizes[1] < 0.5 * sizes[2]


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (320, 320)])
def test_ssdlites_default_boxes_follow_the_image(size):
    model = SSDLiteSpec(width=0.25).build(3).eval()
    with torch.no_grad():
        outputs, anchors = model.outputs(torch.zeros(1, 3, *size))
    assert outputs["cls_logits"].shape == (1, len(anchors), 4)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert (centres > 0).all()
    assert (centres < torch.tensor([size[1], size[0]])).all()
    # The last map has one pixel: a box of nearly all of the image in the middle.
    assert centres[-1].tolist() == pytest.approx([size[1] / 2, size[0] / 2])


def test_images_get_the_mean_and_deviation_that_the_network_wants():
    model = SSDLiteSpec(width=0.25).build(3)
    pixels = torch.rand(2, 3, 4, 4)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    found = model.renormalised((pixels - mean) / std)
    assert torch.allclose(found, 2 * pixels - 1, atol=1e-6)
    assert not {"scale", "shift"} & {name.rpartition(".")[2] for name in model.state_dict()}


def published(folder: Path, patch: pytest.MonkeyPatch, name: str, state: dict[str, Tensor]) -> None:
    """A file where torch keeps what it has downloaded."""
    patch.setenv("TORCH_HOME", str(folder))
    target = folder / "hub" / "checkpoints" / name
    target.parent.mkdir(parents=True)
    torch.save(state, target)


VGG16 = make_layers(cfgs["D"], batch_norm=False)


@pytest.fixture(scope="module")
def ssd300(tmp_path_factory):
    """With the weights of :data:`VGG16`, as if these were published."""
    state = {f"features.{name}": value for name, value in VGG16.state_dict().items()}
    with pytest.MonkeyPatch.context() as patch:
        file = "vgg16_features-amdegroot-88682ab5.pth"
        published(tmp_path_factory.mktemp("home"), patch, file, state)
        return SSD300Spec(weights="backbone").build(3)


def test_ssd300_has_its_steps_at_300_and_the_maps_own_elsewhere(ssd300):
    assert ssd300.generator((300, 300)).steps == [8, 16, 32, 64, 100, 300]
    assert ssd300.generator((304, 320)).steps is None
    assert ssd300.generator((304, 320)).scales == ssd300.generator((300, 300)).scales
    maps = [torch.zeros(1, 1, n, n) for n in (40, 20, 10, 5, 3, 1)]
    images = torch.zeros(1, 3, 320, 320)
    (anchors,) = ssd300.generator((320, 320))(ImageList(images, [(320, 320)]), maps)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centres[0].tolist() == pytest.approx([4, 4])
    assert centres.max() < 320


def test_ssd300_refuses_images_that_its_maps_do_not_fit(ssd300):
    assert isinstance(ssd300, SSD300)
    spec = SSD300Spec()
    for size, scales in (([267, 512], None), ([300, 300], [0.8, 1.2])):
        with pytest.raises(ValueError, match=r"^image_size: .*sides are at least 268 pixels"):
            spec.check_train(Train(image_size=size, multi_scale=scales))
    spec.check_train(Train(image_size=[268, 268]))
    spec.check_train(Train(image_size=[300, 300], multi_scale=[0.9, 1.2]))
    with torch.no_grad():
        maps = ssd300.network.backbone(torch.zeros(1, 3, 268, 300))
        assert list(maps.values())[-1].shape[-2:] == (1, 1)
        with pytest.raises(RuntimeError):
            ssd300.network.backbone(torch.zeros(1, 3, 267, 300))


def test_ssd300_learns_from_the_harness_as_torchvisions_does():
    """At the size that it was made for, torchvision's own transform of images included."""
    model = SSD300Spec().build(3)
    theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=4)
    theirs.load_state_dict(model.network.state_dict())
    pixels = torch.randint(0, 256, (1, 3, 300, 300), dtype=torch.uint8)
    boxes = [torch.tensor([[20.0, 30.0, 120.0, 200.0], [5.0, 5.0, 290.0, 90.0]])]
    labels = [torch.tensor([0, 2])]
    task = TASKS["detection"](LossParts({}), 1.0, ["a", "b", "c"])
    targets = [{"boxes": b, "labels": c + 1} for b, c in zip(boxes, labels, strict=True)]
    with torch.no_grad():
        found = task.parts(model, Batch(pixels, boxes, labels, None))
        expected = theirs(list(pixels / 255), targets)
    assert model.generator((300, 300)).steps == theirs.anchor_generator.steps
    assert sorted(value.item() for value in found.values()) == [
        pytest.approx(value.item(), rel=1e-4) for value in sorted(expected.values())
    ]


def test_weights_of_vggs_features_reach_both_parts_of_the_backbone(ssd300):
    backbone = ssd300.network.backbone
    assert torch.equal(backbone.features[0].weight, VGG16[0].weight)
    assert torch.equal(backbone.features[21].weight, VGG16[21].weight)
    assert torch.equal(backbone.extra[0][5].weight, VGG16[28].weight)
    parts = [ssd300.get_submodule(name) for name in ssd300.backbone]
    counted = sum(p.numel() for part in parts for p in part.parameters())
    assert counted == sum(p.numel() for p in VGG16.parameters())


def test_weights_of_the_classifier_need_all_its_channels(tmp_path, monkeypatch):
    torch.manual_seed(4)
    state = mobilenet_v3_large().state_dict()
    published(tmp_path, monkeypatch, "mobilenet_v3_large-8738ca79.pth", state)
    backbone = SSDLiteSpec(weights="backbone").build(3).network.backbone
    assert torch.equal(backbone.features[0][0][0].weight, state["features.0.0.weight"])
    assert torch.equal(backbone.features[1][-1][0].weight, state["features.16.0.weight"])


@pytest.mark.parametrize("width", [1.0, 0.35])
def test_a_file_decides_how_many_channels_the_last_blocks_have(tmp_path, width):
    classifier = mobilenet_v3_large(width_mult=width)
    torch.save(classifier.state_dict(), tmp_path / "classifier.pth")
    full = SSDLiteSpec(weights=str(tmp_path / "classifier.pth"), width=width).build(3)
    last = full.network.backbone.features[1][-1][0].weight
    assert torch.equal(last, classifier.features[16][0].weight)
    fresh = SSDLiteSpec(width=width).build(2)
    for name, model in (("full.pth", full), ("reduced.pth", fresh)):
        torch.save({"model": model.state_dict()}, tmp_path / name)
        again = SSDLiteSpec(weights=str(tmp_path / name), width=width).build(3)
        one, two = (m.network.backbone.state_dict() for m in (model, again))
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_weights_of_the_whole_network(tmp_path, monkeypatch):
    torch.manual_seed(4)
    state = SSDLiteSpec().build(90).network.state_dict()
    name = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.url.rpartition("/")[2]
    published(tmp_path, monkeypatch, name, state)
    found = SSDLiteSpec(weights="full").build(3).network.state_dict()
    fresh = [name for name in state if found[name].shape != state[name].shape]
    assert len(fresh) == 12  # weight and bias of the last layer at each of six maps
    assert all(torch.equal(found[name], state[name]) for name in state.keys() - set(fresh))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, r"width must lie in 0\.1\.\.2, got 0"),
        ({"width": 3.0}, r"width must lie in 0\.1\.\.2, got 3"),
        ({"width": 0.5, "weights": "full"}, r"width must be 1 for published weights, got 0\.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SSDLiteSpec(**options)
