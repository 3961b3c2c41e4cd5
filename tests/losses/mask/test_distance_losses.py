"""Losses that weight pixels by distances: boundary, Hausdorff, distance-weighted ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

import losses


def row(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


STEP = row([1, 1, 1, 0, 0])
"""Distances to the other side: 3, 2, 1, 1, 2."""

SEEN = torch.ones(1, 1, 1, 5, dtype=torch.bool)
UNSURE = torch.zeros_like(STEP)
CORRECT = (2 * STEP - 1) * 100


def blobs(seed: int = 0, n: int = 2, classes: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, n, classes, 20, 24, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 5, 1, 2).unflatten(0, (2, n))
    return 8 * smooth[0], (smooth[1] > 0.05).double()


def distances(mask: np.ndarray) -> np.ndarray:
    """To the other side of each plane's boundary, by SciPy."""
    planes = mask.reshape(-1, *mask.shape[-2:]) > 0.5
    found = [
        ndimage.distance_transform_edt(plane) + ndimage.distance_transform_edt(~plane)
        for plane in planes
    ]
    return np.stack(found).reshape(mask.shape)


def call(name: str, logits: torch.Tensor, target: torch.Tensor, **options) -> torch.Tensor:
    valid = torch.ones_like(logits[:, :1], dtype=torch.bool)
    return losses.get(name, **options)(logits, target, valid)


def test_boundary_by_hand():
    # Signed distances -2, -1, 0, 1, 2 as the outermost foreground pixel is the boundary.
    loss = losses.get("boundary")
    assert loss(UNSURE, STEP, SEEN).item() == 0
    assert loss(CORRECT, STEP, SEEN).item() == pytest.approx((-2 - 1) / 5)
    assert loss(-CORRECT, STEP, SEEN).item() == pytest.approx((1 + 2) / 5)
    halved = losses.get("boundary", normalised=True)
    assert halved(CORRECT, STEP, SEEN).item() == pytest.approx((-1 - 0.5) / 5)


def test_boundary_is_probability_times_scipys_signed_distance():
    logits, target = blobs()
    d = distances(target.numpy())
    phi = np.where(target.numpy() > 0.5, 1 - d, d)
    expected = (phi * logits.sigmoid().numpy()).mean((1, 2, 3))
    np.testing.assert_allclose(call("boundary", logits, target).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["boundary", "hausdorff"])
@pytest.mark.parametrize("full", [False, True])
def test_without_a_boundary_there_is_no_cost(name, full):
    logits = torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    value = call(name, logits, torch.full((1, 1, 4, 4), float(full)))
    value.sum().backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_boundary_declares_that_it_goes_below_zero():
    loss = losses.get("boundary")
    assert not loss.zero_at_match
    assert not loss.non_negative


def test_hausdorff_by_hand():
    # Errors 1/4 everywhere; the prediction, nowhere above 1/2, has no boundary.
    squares = 9 + 4 + 1 + 1 + 4
    loss = losses.get("hausdorff")
    assert loss(UNSURE, STEP, SEEN).item() == pytest.approx(squares / 4 / 5)
    # Prediction 1 1 0 0 0, certain: wrong at one pixel, 1 from either boundary.
    wrong = (2 * row([1, 1, 0, 0, 0]) - 1) * 100
    assert loss(wrong, STEP, SEEN).item() == pytest.approx((1 + 1) / 5)
    one_sided = losses.get("hausdorff", sides="one")
    assert one_sided(wrong, STEP, SEEN).item() == pytest.approx(1 / 5)
    in_logarithms = losses.get("hausdorff", log=True)
    assert in_logarithms(wrong, STEP, SEEN).item() == pytest.approx(math.log(1 + 2 / 5))


@pytest.mark.parametrize("alpha", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("sides", ["one", "two"])
def test_hausdorff_against_scipy(alpha, sides):
    logits, target = blobs(1)
    p, y = logits.sigmoid().numpy(), target.numpy()
    far = distances(y) ** alpha + (distances(p) ** alpha if sides == "two" else 0)
    expected = (far * (p - y) ** 2).mean((1, 2, 3))
    found = call("hausdorff", logits, target, alpha=alpha, sides=sides)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_a_far_false_pixel_costs_more_than_a_near_one():
    target = torch.zeros(1, 1, 16, 16)
    target[..., :3] = 1
    costs = []
    for column in (5, 9, 14):
        logits = (2 * target - 1) * 20
        logits[..., 8, column] = 20
        costs.append(call("hausdorff", logits, target).item())
    assert costs == sorted(costs)
    assert costs[-1] > 4 * costs[0]


def eroded_error(error: np.ndarray, erosions: int, alpha: float, stretch: str) -> float:
    """Σ k^α E_k of one plane, with SciPy's convolution."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5
    total = np.zeros_like(error)
    for k in range(1, erosions + 1):
        error = np.maximum(ndimage.convolve(error, cross, mode="constant") - 0.5, 0)
        if stretch == "double":
            error = 2 * error
        elif np.ptp(error) > 0:
            error = (error - error.min()) / np.ptp(error)
        total += k**alpha * error
    return total.mean()


@pytest.mark.parametrize("stretch", ["double", "range"])
@pytest.mark.parametrize(("erosions", "alpha"), [(1, 2.0), (4, 2.0), (10, 1.0)])
def test_erosion_against_scipy(erosions, alpha, stretch):
    logits, target = blobs(2)
    logits = 5 * logits
    error = ((logits.sigmoid() - target) ** 2).numpy()
    expected = [
        np.mean([eroded_error(plane, erosions, alpha, stretch) for plane in image])
        for image in error
    ]
    assert min(expected) > 0.01
    options = {"erosions": erosions, "alpha": alpha, "stretch": stretch}
    found = call("hausdorff_erosion", logits, target, **options)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_one_erosion_by_hand():
    """A wrong cross of five pixels leaves its centre, with all five: 1 - 1/2, doubled to 1."""
    target = torch.zeros(1, 1, 5, 5)
    target[..., 1:4, 2] = 1
    target[..., 2, 1:4] = 1
    value = call("hausdorff_erosion", torch.full_like(target, -100.0), target, erosions=1)
    # The neighbours of the centre have two wrong pixels in five, and so have the corners.
    assert value.item() == pytest.approx(1 / 25)


def test_only_the_range_stretch_can_reward_a_worse_prediction():
    """Two missed blobs, one of them faintly: making that one worse must not pay."""
    target = torch.zeros(1, 1, 12, 24)
    target[..., 2:10, 2:10] = target[..., 2:10, 14:22] = 1
    logits = torch.where(torch.arange(24) < 12, -4.0, -2.0).expand_as(target).clone()

    def pull(stretch: str) -> float:
        x = logits.clone().requires_grad_()
        call("hausdorff_erosion", x, target, stretch=stretch).sum().backward()
        return x.grad[..., 2:10, 2:10].sum().item()

    assert pull("double") < 0 < pull("range")


def test_distance_weights_by_hand():
    # Φ = 0, 1/2, 1 inside (distances 3, 2, 1) and 1, 0 outside (distances 1, 2).
    value = losses.get("distance_weighted_bce")(UNSURE, STEP, SEEN)
    assert value.item() == pytest.approx(math.log(2) * (1 + 2.5 / 5))
    # Σ w y = 1 + 3/2 + 2 and Σ w = 5 + 5/2.
    both = losses.get("distance_weighted_dice", smooth=1e-9)
    assert both(UNSURE, STEP, SEEN).item() == pytest.approx(1 - 4.5 / (7.5 / 2 + 4.5))
    overlap = losses.get("distance_weighted_dice", weighted="overlap", smooth=1e-9)
    assert overlap(UNSURE, STEP, SEEN).item() == pytest.approx(1 - 4.5 / (2.5 + 3))
    assert overlap(CORRECT, STEP, SEEN).item() == pytest.approx(1 - 9 / 6)
    assert not overlap.non_negative
    assert not overlap.zero_at_match


def test_distance_weights_of_thin_and_of_missing_sides():
    thin = row([0, 1, 0, 1, 0])
    loss = losses.get("distance_weighted_bce")
    assert loss(UNSURE, thin, SEEN).item() == pytest.approx(2 * math.log(2))
    for value in (0.0, 1.0):
        alike = torch.full_like(STEP, value)
        assert loss(UNSURE, alike, SEEN).item() == pytest.approx(math.log(2))


def test_an_ignored_pixel_counts_as_background_for_distances():
    valid = SEEN.clone()
    valid[..., 0] = False
    # What is left of the foreground are two pixels between background: distances 1, 1, 1, 2.
    value = losses.get("hausdorff")(UNSURE, STEP, valid)
    assert value.item() == pytest.approx((1 + 1 + 1 + 4) / 4 / 4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hausdorff", {"alpha": 0}, "alpha must be > 0, got 0"),
        ("hausdorff", {"sides": "both"}, "sides must be one of 'two', 'one', got 'both'"),
        ("hausdorff_erosion", {"alpha": -1}, "alpha must be > 0"),
        ("hausdorff_erosion", {"erosions": 0}, "erosions must be >= 1, got 0"),
        ("distance_weighted_dice", {"smooth": 0}, "smooth must be > 0, got 0"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name, **options)
