from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.curves import scenes, share
from benchmark.curves.lineup import each
from benchmark.curves.pixel import pixel_curves
from benchmark.experiment.loss_spec import load_loss

MASKS = pytest.mark.parametrize("named", each("mask"), ids=lambda named: named.label)


def at_half(spec: str, target: int):
    data = pixel_curves([load_loss(spec)])
    rows = data[(data["target"] == target) & np.isclose(data["probability"], 0.5)]
    return rows.iloc[0]


def test_bce_of_a_pixel_by_hand():
    row = at_half("bce", 1)
    assert row["value"] == pytest.approx(math.log(2))
    assert row["slope_in_logit"] == pytest.approx(0.5 - 1)
    assert row["slope_in_probability"] == pytest.approx(-2)
    data = pixel_curves([load_loss("bce")])
    assert np.allclose(data["slope_in_logit"], data["probability"] - data["target"])


@pytest.mark.parametrize(
    ("spec", "target", "value"),
    [
        ("{name: focal, gamma: 2, alpha: 0.25}", 1, 0.25 * 0.25 * math.log(2)),
        ("{name: focal, gamma: 2, alpha: 0.25}", 0, 0.75 * 0.25 * math.log(2)),
        ("{name: focal, gamma: 5, alpha: null}", 1, math.log(2) / 32),
        ("{name: weighted_bce, beta: 4}", 1, 4 * math.log(2)),
        ("{name: weighted_bce, beta: 4}", 0, math.log(2)),
    ],
)
def test_pixel_losses_at_one_half_by_hand(spec, target, value):
    assert at_half(spec, target)["value"] == pytest.approx(value)


def test_the_fixed_error_is_a_fifth_missed_and_as_much_false():
    sizes, logits, target = share.fixed_error()
    predicted = logits > 0
    assert np.array_equal(target.sum((1, 2)), sizes)
    assert np.array_equal((predicted & (target == 1)).sum((1, 2)), 0.8 * sizes)
    assert np.array_equal((predicted & (target == 0)).sum((1, 2)), 0.2 * sizes)


def test_dice_is_the_same_on_every_size_and_bce_follows_the_share():
    data = share.share_curves([load_loss("{name: dice, smooth: 0}"), load_loss("bce")])
    dice = data[data["loss"].str.startswith("dice")]
    # A missed pixel keeps 0.02 and a false one has 0.98, so Σp = n, Σpy = 0.8 n + 0.2 n 0.02.
    assert np.allclose(dice["value"], 1 - 0.804, atol=1e-5)
    # Slope: p (1-p) (2 / (2n) (1 - 0.804 / 2 ...)): dΣ2py/Σ = (2 - 0.804) / (2n) · p(1-p) each.
    n = dice["foreground_share"] * share.SIDE**2
    assert np.allclose(dice["slope_missed"], 0.0196 * (2 - 0.804) / (2 * n) * 1e4, rtol=1e-3)
    bce = data[data["loss"] == "bce"]
    assert np.allclose(bce["value"], 0.4 * bce["foreground_share"] * math.log(50))
    assert np.allclose(bce[["slope_missed", "slope_false"]], 0.98)


def test_the_shifted_square_keeps_its_size():
    shares, logits, target = share.shifted_squares()
    assert np.allclose(shares, target.mean((1, 2)))
    assert np.array_equal((logits > 0)[:, :, share.SHIFT :], target[:, :, : -share.SHIFT] == 1)


def test_the_slope_of_a_region_is_the_derivative_of_its_value():
    frame = scenes.region_curves(load_loss("dice"))
    logit = np.log(frame["probability"] / (1 - frame["probability"]))
    for region in ("object", "background"):
        numeric = np.gradient(frame[f"value_{region}"], logit)
        assert np.allclose(frame[f"slope_{region}"][5:-5], numeric[5:-5], rtol=0.02)


@MASKS
def test_every_mask_loss_is_finite_on_the_scenes(named):
    assert np.isfinite(scenes.region_curves(named).drop(columns="loss")).all(axis=None)
