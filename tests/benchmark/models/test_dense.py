"""Parts of detectors that score every anchor."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou

import losses
from benchmark.models.dense import Offsets, anchor_labels, class_values, matches, padded, positives
from benchmark.models.geometry import paired_iou

ANCHORS = torch.tensor(
    [[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [0.0, 10.0, 10.0, 20.0], [5.0, 5.0, 9.0, 9.0]]
)
BOXES = [
    torch.tensor([[1.0, 1.0, 9.0, 9.0], [11.0, 0.0, 20.0, 9.0]]),
    torch.zeros(0, 4),
    torch.tensor([[0.0, 10.0, 10.0, 19.0]]),
]
LABELS = [torch.tensor([4, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([0])]
MATCHED = torch.tensor([[0, 1, -1, -2], [-1, -1, -1, -1], [-1, -1, 0, -1]])


def found(deltas: Tensor | None = None):
    deltas = torch.zeros(3, 4, 4) if deltas is None else deltas
    return positives(MATCHED, BOXES, ANCHORS, deltas, Offsets(BoxCoder((1.0, 1.0, 1.0, 1.0))))


def test_positives_are_the_matched_anchors_with_their_boxes():
    deltas = torch.arange(48.0).reshape(3, 4, 4)
    one = found(deltas)
    assert one.where.tolist() == [0, 1, 10]
    assert one.image.tolist() == [0, 0, 2]
    assert torch.equal(one.anchors, ANCHORS[:3])
    assert torch.equal(one.truth, torch.cat(BOXES))
    assert torch.equal(one.deltas, deltas.flatten(0, 1)[[0, 1, 10]])


def test_nothing_matched_gives_no_positive():
    empty = [b[:0] for b in BOXES]
    nothing = torch.full((3, 4), -1)
    one = positives(nothing, empty, ANCHORS, torch.zeros(3, 4, 4), found().coder)
    assert one.truth.shape == one.boxes.shape == one.truth_deltas.shape == (0, 4)
    assert one.box_values(losses.get("giou")).shape == (0,)
    assert (anchor_labels(nothing, [x[:0] for x in LABELS]) == -1).all()


def test_a_prediction_of_the_truth_costs_nothing_in_either_space():
    deltas = torch.zeros(3, 4, 4)
    one = found(deltas)
    one.deltas = one.truth_deltas
    assert torch.allclose(one.boxes, one.truth, atol=1e-5)
    for name in ("l1", "giou"):
        assert one.box_values(losses.get(name)).abs().max() < 1e-5
    # Without shift and growth the prediction is the anchor.
    assert torch.equal(found().boxes, ANCHORS[:3])


def test_labels_of_anchors():
    assert anchor_labels(MATCHED, LABELS).tolist() == [
        [4, 2, -1, -1],
        [-1, -1, -1, -1],
        [-1, -1, 0, -1],
    ]


def test_padding_makes_one_tensor():
    assert padded(LABELS).tolist() == [[4, 2], [0, 0], [0, 0]]
    assert padded([x[:0] for x in LABELS]).shape == (3, 1)
    assert padded([b[:0] for b in BOXES]).shape == (3, 1, 4)


def test_matches_of_an_image_without_boxes_are_none():
    matcher = Matcher(0.5, 0.4)
    assert matches(matcher, BOXES, ANCHORS).tolist() == [
        [0, 1, -1, -1],
        [-1, -1, -1, -1],
        [-1, -1, 0, -1],
    ]


def test_the_quality_of_an_anchor_is_the_iou_of_its_box():
    labels = anchor_labels(MATCHED, LABELS)
    seen = {}

    class Loss(losses.ClassificationLoss):
        activations = frozenset({"sigmoid"})
        needs_quality = True

        def compute(self, logits, labels, activation, quality):
            seen["quality"] = quality
            return labels.float()

    values = class_values(Loss(), torch.zeros(3, 4, 5), labels, "sigmoid", found())
    assert torch.equal(values, labels.float())
    quality = seen["quality"].view(3, 4)
    expected = [[0.64, 0.81, 0.0, 0.0], [0.0] * 4, [0.0, 0.0, 0.9, 0.0]]
    assert torch.allclose(quality, torch.tensor(expected))


def test_paired_iou_is_torchvisions():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(2, 200, 2, generator=generator) * 20
    sides = torch.rand(2, 200, 2, generator=generator) * 20
    one, two = torch.cat([corner, corner + sides], -1)
    assert torch.allclose(paired_iou(one, two), box_iou(one, two).diagonal(), atol=1e-6)
    empty = torch.tensor([[3.0, 3.0, 3.0, 3.0], [4.0, 4.0, 2.0, 2.0]])
    assert paired_iou(empty, torch.tensor([[0.0, 0.0, 5.0, 5.0]]).expand(2, 4)).tolist() == [0, 0]
