"""``tiny_fcos``: assignment and coding of boxes by hand, losses, prediction, learning."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import losses
from benchmark.metrics.detection import AveragePrecision
from benchmark.models.detection.tiny_fcos import TinyFCOSSpec, assign, decode
from benchmark.models.geometry import centreness
from benchmark.tasks.base import normalise
from losses.base import Space

# One location at stride 8 and one at stride 16 in the middle of a 32 x 32 picture's first cells.
GRID8 = torch.tensor([[4.0 + 8 * x, 4.0 + 8 * y] for y in range(4) for x in range(4)])
GRID16 = torch.tensor([[8.0 + 16 * x, 8.0 + 16 * y] for y in range(2) for x in range(2)])
POINTS = torch.cat([GRID8, GRID16])
STRIDES = torch.tensor([8.0] * 16 + [16.0] * 4)


def assigned(*boxes: tuple[float, ...]) -> dict[tuple[float, float, float], int]:
    """Location (x, y, stride) -> box, for locations that answer for one."""
    match = assign(POINTS, STRIDES, torch.tensor(boxes).reshape(-1, 4))
    return {
        (*POINTS[i].tolist(), STRIDES[i].item()): int(box)
        for i, box in enumerate(match)
        if box >= 0
    }


def build(num_classes: int = 2, width: int = 8, **options: Any):
    torch.manual_seed(0)
    return TinyFCOSSpec(width=width, **options).build(num_classes)


def batch(size: tuple[int, int] = (64, 64), n: int = 2) -> Tensor:
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(1))


def total(found) -> Tensor:
    boxes = sum(term.values.sum() / term.normaliser for term in found.box.values())
    return boxes + sum(found.other.values())


class Recorder(losses.BoxLoss):
    """Keeps what it was called with."""

    seen: ClassVar[tuple[Tensor, Tensor]]

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        Recorder.seen = (pred.detach(), target.detach())
        return (pred - target).abs().sum(-1)


class InDeltas(Recorder):
    space: ClassVar[Space] = "deltas"


class InBoxes(Recorder):
    space: ClassVar[Space] = "boxes"


def test_a_box_is_given_to_the_locations_near_its_centre():
    # Centre (16, 16): the locations at (12 | 20, 12 | 20) lie 4 from it; the next at (4, 12) lie
    # 12 from it, which is not nearer than 1.5 strides.
    assert assigned((0, 0, 32, 32)) == {(x, y, 8): 0 for x in (12, 20) for y in (12, 20)}


def test_the_radius_counts_in_strides():
    # Centre (12, 16): (4, 12) and (20, 12) lie 8 from it, less than 12.
    found = assigned((-4, 0, 28, 32))
    assert found == {(x, y, 8): 0 for x in (4, 12, 20) for y in (12, 20)}


def test_a_location_near_the_centre_but_outside_the_box_is_not_used():
    # Centre (12, 12), 6 wide: x of 4 and 20 lie within the radius and outside the box.
    assert assigned((9, 0, 15, 24)) == {(12, y, 8): 0 for y in (4, 12, 20)}


def test_a_location_in_two_boxes_goes_to_the_smaller():
    found = assigned((0, 0, 32, 32), (8, 8, 16, 16))
    assert found[12, 12, 8] == 1
    assert {found[place] for place in found if place != (12, 12, 8)} == {0}


def test_large_boxes_go_to_the_coarse_level():
    # Farthest side from (8, 8) is 92, beyond 64; the stride 8 locations near the centre of
    # (-100, 100) are as far, so they are out of their range.
    found = assigned((-84, -84, 100, 100))
    assert found == {(8, 8, 16): 0, (24, 8, 16): 0, (8, 24, 16): 0, (24, 24, 16): 0}


@pytest.mark.parametrize(("side", "stride"), [(100, 8), (150, 16)])
def test_the_level_follows_from_the_farthest_side(side, stride):
    half = side / 2
    found = assigned((16 - half, 16 - half, 16 + half, 16 + half))
    assert {place[2] for place in found} == {stride}


def test_a_box_that_no_location_hits_gets_the_nearest():
    assert assigned((0, 0, 2, 2)) == {(4, 4, 8): 0}
    assert assigned((17, 21, 18, 22)) == {(20, 20, 8): 0}


def test_the_nearest_location_is_taken_from_another_box():
    found = assigned((0, 0, 32, 32), (14, 14, 15, 15))
    assert found == {(12, 12, 8): 1, (20, 12, 8): 0, (12, 20, 8): 0, (20, 20, 8): 0}


def test_no_boxes_leave_every_location_free():
    assert assigned() == {}


@given(
    st.lists(st.tuples(*[st.floats(0, 28)] * 2, *[st.floats(0.5, 40)] * 2), min_size=1, max_size=1)
)
def test_no_single_box_is_left_without_a_location(boxes):
    assert assigned(*[(x, y, x + w, y + h) for x, y, w, h in boxes])


def test_decode_by_hand():
    box = decode(
        torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[20.0, 40.0]]), torch.tensor(8.0)
    )
    assert box.tolist() == [[12.0, 24.0, 44.0, 72.0]]


def test_centreness_by_hand():
    deltas = torch.tensor([[2.0, 2, 2, 2], [1, 2, 4, 2], [1, 1, 4, 9], [0, 1, 1, 1], [-1, 1, 1, 1]])
    assert centreness(deltas).tolist() == pytest.approx([1.0, 0.5, 1 / 6, 0.0, 0.0])


@pytest.mark.parametrize("loss", [InDeltas(), InBoxes()])
def test_the_box_loss_is_called_in_the_space_it_asks_for(loss):
    model = build()
    boxes = [torch.tensor([[6.0, 8.0, 26.0, 30.0]]), torch.tensor([[30.0, 10.0, 63.0, 60.0]])]
    found = model.losses(batch(), boxes, [torch.tensor([0]), torch.tensor([1])], loss)
    pred, target = loss.seen
    assert len(target) == len(found.box["box"].values) == found.box["box"].normaliser
    truth = torch.cat(boxes)
    if loss.space == "boxes":
        assert all((truth == row).all(1).any() for row in target)
        assert (pred[:, 2:] > pred[:, :2]).all()
        return
    # Locations lie at odd multiples of half a stride; from there the deltas lead to the boxes.
    head = model._head(batch())
    per_image = [assign(head.points, head.strides, b) for b in boxes]
    at = torch.cat([(match >= 0).nonzero()[:, 0] for match in per_image])
    back = decode(target, head.points[at], head.strides[at, None])
    assert torch.allclose(back.unique(dim=0), truth)
    assert (pred > 0).all()


def test_both_spaces_describe_the_same_boxes():
    boxes, labels = [torch.tensor([[6.0, 8.0, 26.0, 30.0]])], [torch.tensor([0])]
    pairs = []
    for loss in (InDeltas(), InBoxes()):
        build().losses(batch(n=1), boxes, labels, loss)
        pairs.append(loss.seen)
    (deltas, truth_deltas), (corners, truth) = pairs
    # The error of an edge is stride (8, the box is small) times that of its delta.
    sign = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    assert torch.allclose(corners - truth, 8 * sign * (deltas - truth_deltas), atol=1e-4)


@pytest.mark.parametrize("loss", sorted(losses.BOX))
@pytest.mark.parametrize("counts", [(0, 0), (0, 2), (2, 0)])
def test_losses_are_finite_for_images_without_boxes(loss, counts):
    model = build()
    some = torch.tensor([[4.0, 4.0, 30.0, 30.0], [20.0, 10.0, 60.0, 50.0]])
    boxes = [some[:n] for n in counts]
    labels = [torch.arange(n) for n in counts]
    found = model.losses(batch(), boxes, labels, losses.get(loss))
    total(found).backward()
    assert torch.isfinite(total(found))
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert found.box["box"].normaliser >= 1
    assert found.other["classification"] > 0


def test_the_gradient_reaches_every_weight():
    model = build()
    # One box for each level.
    boxes = [torch.tensor([[4.0, 4.0, 30.0, 30.0]]), torch.tensor([[0.0, 0.0, 160.0, 160.0]])]
    labels = [torch.tensor([0]), torch.tensor([1])]
    found = model.losses(batch((160, 160)), boxes, labels, losses.get("giou"))
    total(found).backward()
    dead = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert dead == []


def test_the_first_classification_loss_is_that_of_the_prior():
    """All L x C logits near ln(.01/.99): focal is .75 p² (-ln(1-p)) for each negative."""
    found = build().losses(
        batch(), [torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2, InBoxes()
    )
    count = 2 * (8 * 8 + 4 * 4) * 2
    expected = count * 0.75 * 0.01**2 * -torch.log(torch.tensor(0.99))
    assert found.other["classification"].item() == pytest.approx(expected.item(), rel=0.2)


def test_the_default_has_under_a_million_weights():
    assert sum(p.numel() for p in TinyFCOSSpec().build(20).parameters()) < 1_000_000


@pytest.mark.parametrize("size", [(64, 64), (240, 320), (48, 80)])
def test_predictions_are_sorted_and_inside_the_image(size):
    model = build(score_threshold=0.0).eval()
    torch.nn.init.constant_(model.regress.bias[:4], 30.0)  # boxes far larger than the image
    for found in model.predict(batch(size)):
        assert 0 < len(found.boxes) <= 100
        assert found.boxes.shape == (len(found.scores), 4)
        assert (found.scores.diff() <= 0).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert found.labels.dtype == torch.int64
        assert ((found.labels >= 0) & (found.labels < 2)).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 0::2] <= size[1]).all()
        assert (found.boxes[:, 1::2] <= size[0]).all()
        assert found.boxes[:, 2].max() == size[1]
        assert found.boxes[:, 3].max() == size[0]


def test_options_of_the_selection_are_kept():
    few = build(score_threshold=0.0, detections=3).eval().predict(batch())
    assert [len(found.boxes) for found in few] == [3, 3]
    none = build(score_threshold=1.0).eval().predict(batch())
    assert [len(found.boxes) for found in none] == [0, 0]


def test_a_box_is_suppressed_by_a_better_one_of_its_class_only():
    model = build(score_threshold=0.3, nms_threshold=0.5)
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [20.0, 0.0, 30.0, 10.0]])
    scores = torch.tensor([[0.6, 0.5], [0.9, 0.1], [0.2, 0.4]])
    found = model._select(boxes, scores)
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.4])
    assert found.labels.tolist() == [0, 1, 1]
    assert torch.equal(found.boxes, boxes[[1, 0, 2]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 12}, "width must be a multiple of 8, got 12"),
        ({"width": 0}, "width must be a multiple of 8, got 0"),
        ({"score_threshold": 1.5}, "score_threshold must lie in 0..1, got 1.5"),
        ({"nms_threshold": -0.1}, "nms_threshold must lie in 0..1, got -0.1"),
        ({"detections": 0}, "detections must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TinyFCOSSpec(**options)


def test_it_learns_four_images_by_heart(shapes_splits):
    split = shapes_splits["val"]
    images = normalise(
        torch.stack([torch.tensor(split.image(i)) for i in range(4)]).permute(0, 3, 1, 2)
    )
    boxes = [torch.tensor(split.boxes(i)) for i in range(4)]
    labels = [torch.tensor(split.labels(i)) for i in range(4)]
    model = build(width=16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(80):
        loss = total(model.losses(images, boxes, labels, losses.get("giou")))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < history[0] / 2
    found = model.eval().predict(images)
    measure = AveragePrecision(
        [b.numpy() for b in boxes], [x.numpy() for x in labels], split.classes
    )
    scores = measure(
        [d.boxes.numpy() for d in found],
        [d.scores.numpy() for d in found],
        [d.labels.numpy() for d in found],
    )
    assert scores["AP50"] > 0.5
