"""Optimisers and schedules do what the experiment file asks for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.experiment.train_settings import Train
from benchmark.training.optimization import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule


def rates(train: Train, steps: int) -> list[float]:
    """Learning rate of every step of a run."""
    optimizer = make_optimizer(nn.Linear(2, 2), train)
    schedule = make_schedule(optimizer, train, steps)
    used = []
    for _ in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return used


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_matrices_take_weight_decay(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = make_optimizer(model, Train(optimizer=name, weight_decay=0.25))
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert [decay[id(p)] for p in model.parameters()] == [0.25, 0.0, 0.0, 0.0]


def test_frozen_weights_are_left_out():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    optimizer = make_optimizer(model, Train())
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 0]


def backbone_and_head() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_backbones_rate_is_a_fraction_of_the_others_at_every_step(name, schedule):
    model = backbone_and_head()
    train = Train(optimizer=name, schedule=schedule, lr=0.5, backbone_lr=0.1, weight_decay=0.25)
    optimizer = make_optimizer(model, train, list(model[0].parameters()))
    follows = make_schedule(optimizer, train, 9)
    groups = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    for _ in range(9):
        slow, slow_bias, fast, fast_bias = (groups[id(p)] for p in model.parameters())
        assert slow["lr"] == slow_bias["lr"] == pytest.approx(0.1 * fast["lr"], rel=1e-12)
        assert fast["lr"] == fast_bias["lr"] == optimizer.param_groups[0]["lr"]
        optimizer.step()
        follows.step()
    assert [g["weight_decay"] for g in (slow, slow_bias, fast, fast_bias)] == [0.25, 0, 0.25, 0]


def test_a_factor_of_one_makes_no_groups_of_the_backbone():
    model = backbone_and_head()
    optimizer = make_optimizer(model, Train(), list(model[0].parameters()))
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]


def test_a_step_of_the_backbone_by_hand():
    """Plain SGD: w -= factor · lr · g."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    for p in model.parameters():
        nn.init.constant_(p, 2.0)
        p.grad = torch.ones(1, 1)
    train = Train(optimizer="sgd", lr=0.5, backbone_lr=0.2, momentum=0, weight_decay=0)
    make_optimizer(model, train, list(model[0].parameters())).step()
    assert [p.item() for p in model.parameters()] == pytest.approx([1.9, 1.5])


def test_sgd_by_hand():
    """Momentum .5: v = g + decay w, w -= lr v; then v = .5 v + g + decay w."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    train = Train(optimizer="sgd", lr=0.1, momentum=0.5, weight_decay=0.5)
    optimizer = make_optimizer(model, train)
    for expected in (1.8, 1.51):
        model.weight.grad = torch.ones(1, 1)
        optimizer.step()
        assert model.weight.item() == pytest.approx(expected)


def test_adamw_moves_by_the_rate_at_first():
    """The first step of Adam is lr in the gradient's direction, after decay by lr * decay."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimizer = make_optimizer(model, Train(lr=0.1, weight_decay=0.5))
    model.weight.grad = torch.full((1, 1), 3.0)
    optimizer.step()
    assert model.weight.item() == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1, abs=1e-6)


def test_constant_is_constant():
    assert rates(Train(schedule="constant", lr=0.3), 10) == [0.3] * 10


def test_step_falls_to_a_tenth_at_two_thirds_and_at_eight_ninths():
    used = rates(Train(schedule="step", lr=1.0), 18)
    assert used == pytest.approx([1.0] * 12 + [0.1] * 4 + [0.01] * 2)


def test_one_cycle_rises_for_15_percent_and_falls_to_nothing():
    used = rates(Train(schedule="one_cycle", lr=0.5), 100)
    assert used[0] == pytest.approx(0.5 / 25)
    assert used.index(max(used)) == 14
    assert max(used) == pytest.approx(0.5)
    assert used[:15] == sorted(used[:15])
    assert used[14:] == sorted(used[14:], reverse=True)
    assert used[-1] == pytest.approx(0.5 / 25 / 1e4)


def test_one_cycle_leaves_the_momentum_alone():
    train = Train(optimizer="sgd", schedule="one_cycle", momentum=0.7)
    optimizer = make_optimizer(nn.Linear(2, 2), train)
    schedule = make_schedule(optimizer, train, 10)
    for _ in range(9):
        optimizer.step()
        schedule.step()
        assert optimizer.param_groups[0]["momentum"] == 0.7


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_shortest_runs_have_a_rate(name, steps):
    used = rates(Train(schedule=name, lr=0.1), steps)
    assert len(used) == steps
    assert all(0 < rate <= 0.1 + 1e-12 for rate in used)
