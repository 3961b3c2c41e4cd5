"""Positives without a gradient, and the sums over steps."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import losses
from benchmark.experiment.loss_parts import LossParts, Weighted
from benchmark.models import MODELS
from benchmark.tasks import TASKS, Batch
from benchmark.training.health import (
    StepSums,
    Watch,
    boxes_without_gradient,
    pixels_without_gradient,
)

CPU = torch.device("cpu")
TARGET = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
APART = torch.tensor([[30.0, 0, 40, 10], [0, 0, 10, 10]])


class Watched:
    """A loss with its watch."""

    def __init__(self, name: str, **options) -> None:
        mask = name in losses.MASK
        self.watch = Watch(pixels_without_gradient if mask else boxes_without_gradient)
        self.loss = self.watch.over(losses.get(name, **options))
        self.take = self.watch.take

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        return self.loss(*arguments)


def watched(name: str, **options) -> Watched:
    return Watched(name, **options)


def share(loss: Watched, pred: torch.Tensor, *truth: torch.Tensor) -> float:
    loss(pred.clone().requires_grad_(), *truth).sum().backward()
    return loss.take()


def test_iou_gives_disjoint_boxes_no_gradient_and_giou_does():
    assert share(watched("iou"), APART, TARGET) == 1.0
    assert share(watched("giou"), APART, TARGET) == 0.0
    half = torch.stack([APART[0], TARGET[1] + 2])
    assert share(watched("iou"), half, TARGET) == 0.5


def test_a_box_counts_only_if_all_four_gradients_are_zero():
    gradient = torch.tensor([[0.0, 0, 0, 0], [1e-19, 0, 0, 0], [0, 0, 0, -1e-9], [1, 1, 1, 1]])
    assert boxes_without_gradient(gradient, gradient).tolist() == [2, 4]


def test_calls_add_up_until_they_are_taken():
    loss = watched("iou")
    for pred in (APART, TARGET + 2, TARGET + 3):
        loss(pred.clone().requires_grad_(), TARGET).sum().backward()
    assert loss.take() == pytest.approx(2 / 6)
    assert math.isnan(loss.take())


def test_no_positives_is_no_share():
    assert math.isnan(share(watched("giou"), torch.zeros(0, 4), torch.zeros(0, 4)))


def test_a_value_without_gradient_is_not_counted():
    loss = watched("iou")
    with torch.no_grad():
        loss(APART, TARGET)
    loss(APART, TARGET)
    assert math.isnan(loss.take())


def test_pixels_count_that_are_foreground_and_not_ignored():
    target = torch.tensor([1.0, 1, 1, 0]).reshape(1, 1, 1, 4)
    valid = torch.tensor([True, True, False, True]).reshape(1, 1, 1, 4)
    gradient = torch.tensor([0.0, 1, 0, 0]).reshape(1, 1, 1, 4)
    assert pixels_without_gradient(gradient, target, valid).tolist() == [1, 2]


def test_pixels_count_once_for_each_class():
    target = torch.ones(1, 2, 1, 1)
    gradient = torch.tensor([0.0, 1]).reshape(1, 2, 1, 1)
    valid = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    assert pixels_without_gradient(gradient, target, valid).tolist() == [1, 2]


def test_a_saturated_pixel_gets_no_gradient_from_bce():
    logits = torch.tensor([[[[200.0, 0.0]]]])
    truth = torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2, dtype=torch.bool)
    assert share(watched("bce"), logits, *truth) == 0.5


def test_the_watched_loss_has_the_attributes_and_the_state_of_the_loss():
    seen = watched("wise_iou", momentum=0.5)
    loss = seen.loss
    assert (loss.space, loss.momentum) == ("boxes", 0.5)
    assert watched("smooth_l1").loss.space == "deltas"
    share(seen, APART, TARGET)
    other = losses.get("wise_iou", momentum=0.5)
    other.load_state_dict(loss.state_dict())
    assert loss.state_dict().keys() == other.state_dict().keys() != set()
    with pytest.raises(AttributeError, match="no_such_thing"):
        loss.no_such_thing  # noqa: B018


def test_of_losses_by_place_those_of_boxes_are_watched_together():
    parts = {"rpn": losses.get("iou"), "roi": losses.get("giou"), "mask": losses.get("dice")}
    watch = Watch(boxes_without_gradient)
    loss = watch.over(LossParts({place: Weighted(part, 1.0) for place, part in parts.items()}))
    assert (loss.losses["rpn"].space, loss.losses["roi"].space) == ("boxes", "boxes")
    for place in ("rpn", "roi"):
        loss.losses[place](APART.clone().requires_grad_(), TARGET).sum().backward()
    truth = torch.ones(1, 1, 4, 4)
    mask = loss.losses["mask"](truth.clone().requires_grad_(), truth, truth > 0)
    mask.sum().backward()
    assert watch.take() == 0.5  # iou gives both disjoint boxes nothing, giou both something


def boxes() -> tuple[torch.Tensor, ...]:
    target = torch.rand(20, 4).cumsum(-1) * 30
    return target + torch.randn(20, 4), target


def masks() -> tuple[torch.Tensor, ...]:
    label = torch.randint(0, 3, (2, 1, 16, 16))
    target = torch.cat([label == 1, label == 2], 1).float()
    return torch.randn(2, 2, 16, 16), target, torch.rand(2, 1, 16, 16) > 0.1


@pytest.mark.parametrize("name", [*losses.BOX, *losses.MASK])
def test_values_and_gradients_stay_the_same_to_the_bit(name):
    torch.manual_seed(0)
    pred, *truth = masks() if name in losses.MASK else boxes()
    results = []
    for loss in (losses.get(name), watched(name).loss):
        given = pred.clone().requires_grad_()
        value = loss(given, *truth)
        value.sum().backward()
        results.append((value.detach(), given.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize(
    ("task", "model", "options", "loss"),
    [
        ("detection", "tiny_fcos", {"width": 8}, "smooth_l1"),
        ("detection", "tiny_fcos", {"width": 8}, "ciou"),
        ("detection", "fcos_mobilenet_v3", {"channels": 32, "convolutions": 1}, "giou"),
        ("segmentation", "tiny_unet", {"width": 4}, "dice"),
    ],
)
def test_weights_after_training_are_those_of_a_training_unwatched(task, model, options, loss):
    torch.manual_seed(0)
    first = MODELS[model](**options).build(2)
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    boxes = [torch.tensor([[4.0, 4, 40, 30], [20, 10, 60, 60]])] * 4
    masks = torch.randint(0, 3, (4, 64, 64), dtype=torch.uint8)
    batch = Batch(images, boxes, [torch.tensor([0, 1])] * 4, masks)
    trained = []
    for watch in (False, True):
        network = copy.deepcopy(first).train()
        work = TASKS[task](losses.get(loss), 1.0, ["a", "b"])
        if watch:
            seen_by = Watch(work.without_gradient)
            work.loss = seen_by.over(work.loss)
        optimizer = torch.optim.SGD(network.parameters(), 0.01)
        for _ in range(2):
            optimizer.zero_grad()
            torch.stack(list(work.parts(network, batch).values())).sum().backward()
            optimizer.step()
        trained.append(network.state_dict())
    assert 0 <= seen_by.take() <= 1
    plain, seen = trained
    assert all(torch.equal(plain[name], seen[name]) for name in plain)
    assert any(not torch.equal(plain[name], value) for name, value in first.state_dict().items())


def summed(*steps: tuple[float, float], scaled: bool = False) -> StepSums:
    """Steps as (loss, gradient norm), the loss in two equal parts."""
    sums = StepSums(CPU, scaled)
    for loss, norm in steps:
        half = torch.tensor(loss / 2)
        sums.add(torch.tensor(loss), torch.tensor(norm), {"box": half, "other": half})
    return sums


def test_means_by_hand():
    found = summed((1.0, 4.0), (3.0, 2.0)).means()
    assert found == {
        "loss_total": 2.0,
        "grad_norm": 3.0,
        "loss/box": 1.0,
        "loss/other": 1.0,
        "grad_norm_max": 4.0,
        "nonfinite_steps": 0,
    }


def test_steps_that_are_not_finite_are_counted_and_the_first_one_named():
    nan, inf = math.nan, math.inf
    sums = summed((1.0, 2.0), (nan, 9.0), (1.0, inf), (1.0, 5.0))
    assert sums.diverged_at() == 2
    assert sums.means()["nonfinite_steps"] == 2
    assert sums.means()["grad_norm_max"] == 9.0
    assert summed((1.0, 2.0)).diverged_at() is None


def test_without_a_finite_gradient_there_is_no_largest():
    assert math.isnan(summed((1.0, math.nan)).means()["grad_norm_max"])


def test_with_a_loss_scaler_only_the_loss_can_diverge():
    sums = summed((1.0, math.inf), (1.0, 1.0), scaled=True)
    assert sums.diverged_at() is None
    assert sums.means()["nonfinite_steps"] == 1
    assert summed((1.0, 1.0), (math.nan, 1.0), scaled=True).diverged_at() == 2


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=6))
def test_the_largest_norm_is_no_smaller_than_the_mean(steps):
    found = summed(*steps).means()
    assert found["grad_norm_max"] >= found["grad_norm"] * (1 - 1e-5)
