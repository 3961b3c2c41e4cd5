"""The moving average against values by hand and against torch's own class."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmark.training.averaging import MovingAverage


def one_weight(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    return set_to(model, value)


def set_to(model: nn.Linear, value: float) -> nn.Linear:
    nn.init.constant_(model.weight, value)
    return model


def test_the_formula_by_hand():
    """Decay .75: 5 after the first step; .75 · 5 + .25 · 9 = 6; .75 · 6 + .25 · 2 = 5."""
    model = one_weight(3.0)
    average = MovingAverage(model, 0.75)
    assert average.model.weight.item() == 3.0
    for value, expected in ((5.0, 5.0), (9.0, 6.0), (2.0, 5.0)):
        set_to(model, value)
        average.update()
        assert average.model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 2.0


def trained(model: nn.Module, steps: int, *averages) -> None:
    """Steps of gradient descent on noise, each told to the averages."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 3, 4, 4)).square().mean().backward()
        optimizer.step()
        for update in averages:
            update()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def test_it_is_torchs_own_average_with_its_buffers():
    model = network()
    ours = MovingAverage(model, 0.9)
    torchs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    trained(model, 5, ours.update, lambda: torchs.update_parameters(model))
    expected = torchs.module.state_dict()
    for name, value in ours.model.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, expected[name]), name
    assert not torch.equal(ours.model[2].weight, model[2].weight)
    assert not torch.equal(ours.model[1].running_mean, model[1].running_mean)
    # Counts of batches are no average; torch's rounds them down to the first.
    assert ours.model.state_dict()["1.num_batches_tracked"] == 5


def test_it_takes_no_part_in_training():
    average = MovingAverage(network(), 0.9)
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())


def test_it_continues_from_its_state():
    whole, half = network(), network()
    one, two = MovingAverage(whole, 0.9), MovingAverage(half, 0.9)
    torch.manual_seed(1)
    trained(whole, 6, one.update)
    torch.manual_seed(1)
    trained(half, 3, two.update)
    continued = MovingAverage(half, 0.9)
    continued.load_state_dict(two.state_dict())
    trained(half, 3, continued.update)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, continued.model.state_dict()[name]), name
