"""FCOS: its matching, the grid of its locations, its options."""

from __future__ import annotations

from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import FCOS

from benchmark.models.detection.fcos import FCOSMobileNetSpec, match

SMALL = {"channels": 32, "convolutions": 1}


def squares(side: int, strides=(8, 16, 32)) -> list[Tensor]:
    """Locations of each level in a square image, as squares around them."""
    levels = []
    for stride in strides:
        at = torch.arange(side // stride) * float(stride)
        points = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).reshape(-1, 2)
        levels.append(torch.cat([points - stride / 2, points + stride / 2], 1))
    return levels


def torchvisions_match(levels: list[Tensor], boxes: list[Tensor]) -> Tensor:
    """What torchvision's own method hands to its head."""
    head = SimpleNamespace(compute_loss=lambda targets, outputs, anchors, matched: matched)
    network = SimpleNamespace(center_sampling_radius=1.5, head=head)
    targets = [{"boxes": b} for b in boxes]
    anchors = [torch.cat(levels)] * len(boxes)
    matched = FCOS.compute_loss(network, targets, {}, anchors, [len(level) for level in levels])
    return torch.stack(matched)


# Whole numbers, so that ties and locations on the boxes' borders are common.
corner, extent = st.integers(-8, 120), st.integers(1, 140)
box = st.tuples(corner, corner, extent, extent).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
image = st.lists(box, max_size=6).map(lambda rows: torch.tensor(rows).float().reshape(-1, 4))


@settings(max_examples=150, deadline=None)
@given(st.lists(image, min_size=1, max_size=3))
def test_matches_are_torchvisions(boxes):
    levels = squares(128)
    assert torch.equal(match(levels, boxes, 1.5), torchvisions_match(levels, boxes))


def test_a_location_answers_for_the_smallest_box_of_its_size():
    levels = squares(64, (8, 16))
    boxes = [[10.0, 10.0, 38.0, 38.0], [17.0, 17.0, 31.0, 31.0], [-40.0, -40.0, 104.0, 104.0]]
    fine, coarse = match(levels, [torch.tensor(boxes)], 1.5)[0].split([64, 16])
    # The first level takes boxes whose farthest side is nearer than 64 pixels, the second the rest.
    assert fine[3 * 8 + 3] == 1  # (24, 24), in the middle of the first and of the second
    assert fine[2 * 8 + 2] == 0  # (16, 16), outside of the second
    assert fine[1 * 8 + 1] == -1  # (8, 8), in the third alone, which is too large
    assert coarse[2 * 4 + 2] == 2  # (32, 32), the centre of the third
    assert coarse[1 * 4 + 1] == 2  # (16, 16), a stride away from it
    assert coarse[0] == -1  # (0, 0), two strides away


def test_locations_lie_a_stride_apart_where_the_sides_do_not_divide():
    model = FCOSMobileNetSpec(**SMALL).build(3)
    with torch.no_grad():
        outputs, levels = model.outputs(torch.zeros(2, 3, 240, 320))
    assert [len(level) for level in levels] == [30 * 40, 15 * 20, 8 * 10, 4 * 5]
    assert outputs["cls_logits"].shape[1] == sum(len(level) for level in levels)
    for level, stride in zip(levels, (8, 16, 32, 64), strict=True):
        centres = (level[:, :2] + level[:, 2:]) / 2
        assert centres[0].tolist() == [0, 0]
        assert centres[:, 0].unique().diff().unique().tolist() == [stride]
        assert centres[:, 1].unique().diff().unique().tolist() == [stride]


@pytest.mark.parametrize(("finest", "grids"), [(8, [64, 16, 4, 1]), (16, [16, 4, 1]), (32, [4, 1])])
def test_a_coarser_pyramid_has_fewer_locations(finest, grids):
    model = FCOSMobileNetSpec(**SMALL, finest_stride=finest).build(3)
    with torch.no_grad():
        _, levels = model.outputs(torch.zeros(2, 3, 64, 64))
    assert [len(level) for level in levels] == grids
    assert levels[0][0].tolist() == [-finest / 2, -finest / 2, finest / 2, finest / 2]


def test_published_weights_of_the_classifier_reach_the_backbone(tmp_path):
    torch.manual_seed(3)
    classifier = mobilenet_v3_large()
    torch.save(classifier.state_dict(), tmp_path / "classifier.pth")
    model = FCOSMobileNetSpec(**SMALL, weights=str(tmp_path / "classifier.pth")).build(3)
    body = model.network.backbone.body.state_dict()
    theirs = classifier.features.state_dict()
    assert body.keys() == theirs.keys()
    assert all(torch.equal(body[name], theirs[name]) for name in body)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 40}, "channels must be a multiple of 32, got 40"),
        ({"convolutions": 0}, "convolutions must be at least 1, got 0"),
        ({"weights": "full"}, "weights must be none, backbone or a file"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FCOSMobileNetSpec(**options)
