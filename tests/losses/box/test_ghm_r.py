"""GHM-R: weights by counting, by hand."""

from __future__ import annotations

import math

import pytest
import torch

import losses

# With μ = 3, an error of 4 has root 5: value 2 and gradient length 0.8. An error of 0 has length 0.
SIX_AND_TWO = torch.tensor([[4.0, 0, 0, 0], [0, -4, 0, 0]])


def step(loss, pred):
    pred = pred.clone().requires_grad_()
    value = loss(pred, torch.zeros_like(pred))
    value.sum().backward()
    return value.tolist()


def test_each_bin_has_the_same_say():
    # N = 8 deltas, n = 2 bins in use. Two are long: they weigh 8 / (2 · 2) = 2 each.
    loss = losses.get("ghm_r", mu=3.0, bins=2)
    assert step(loss, SIX_AND_TWO) == pytest.approx([4, 4])
    # Alone: one of four is long and weighs 4 / (2 · 1).
    assert step(loss, SIX_AND_TWO[:1]) == pytest.approx([4])
    # All four long: weight 1.
    assert step(loss, torch.full((1, 4), 4.0)) == pytest.approx([8])


def test_weights_are_one_on_average():
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(200, 4, generator=generator, dtype=torch.float64) * 0.05
    # In the limit of a small μ, value = weight · |x|: errors of equal size have equal weights.
    signs = torch.sign(pred)
    assert sum(step(losses.get("ghm_r", mu=1e-9), signs)) == pytest.approx(800)
    mine = losses.get("ghm_r")
    slope_lengths = pred.abs() / torch.sqrt(pred**2 + 0.02**2)
    index = (slope_lengths * 10).long().clamp(max=9).flatten()
    counts = torch.bincount(index, minlength=10)
    weights = 800 / (counts[index] * (counts > 0).sum())
    assert weights.mean().item() == pytest.approx(1)
    smooth = torch.sqrt(pred.flatten() ** 2 + 0.02**2) - 0.02
    assert sum(step(mine, pred)) == pytest.approx((weights * smooth).sum().item())


def test_gradient_takes_the_weights_for_constants():
    pred = SIX_AND_TWO.clone().requires_grad_()
    losses.get("ghm_r", mu=3.0, bins=2)(pred, torch.zeros(2, 4)).sum().backward()
    # Weight 2 times 4/5.
    torch.testing.assert_close(pred.grad[0], torch.tensor([1.6, 0, 0, 0]))


def test_momentum_mixes_the_counts_of_earlier_steps():
    loss = losses.get("ghm_r", mu=3.0, bins=2, momentum=0.5)
    assert loss.state_dict() == {}
    assert step(loss, SIX_AND_TWO) == pytest.approx([4, 4])
    assert loss.state_dict()["counts"].tolist() == [6, 2]
    # Counts of this step 3 and 1, mixed 4.5 and 1.5: the long one weighs 4 / (2 · 1.5).
    assert step(loss, SIX_AND_TWO[:1]) == pytest.approx([2 * 4 / 3])
    other = losses.get("ghm_r", mu=3.0, bins=2, momentum=0.5)
    other.load_state_dict(loss.state_dict())
    assert step(other, SIX_AND_TWO) == step(loss, SIX_AND_TWO)


def test_only_steps_change_the_counts():
    loss = losses.get("ghm_r", momentum=0.5)
    loss(SIX_AND_TWO, torch.zeros(2, 4))
    assert step(loss, torch.zeros(0, 4)) == []
    torch.func.grad(lambda p: loss(p, torch.zeros(2, 4)).sum())(SIX_AND_TWO)
    assert loss.state_dict() == {}


@pytest.mark.parametrize("error", [0.0, 1e-30, 1e-4, 1e19, 1e37])
def test_finite(error):
    pred = torch.full((1, 4), error).requires_grad_()
    value = losses.get("ghm_r")(pred, torch.zeros(1, 4))
    (slope,) = torch.autograd.grad(value.sum(), pred)
    assert value.isfinite().all()
    # Weight 1, as all are alike.
    torch.testing.assert_close(slope, torch.full((1, 4), error / math.hypot(error, 0.02)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mu": 0}, "mu must be > 0, got 0"),
        ({"bins": 0}, "bins must be >= 1, got 0"),
        ({"bins": 2.5}, "bins must be a whole number, got 2.5"),
        ({"momentum": 1}, "momentum must be from 0 to below 1, got 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match="loss 'ghm_r': ") as error:
        losses.get("ghm_r", **options)
    assert str(error.value).endswith(message)
