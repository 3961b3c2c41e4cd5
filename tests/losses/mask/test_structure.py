"""Centre-line Dice, Wasserstein Dice and neighbour-aware calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

import losses


def exclusive(n: int = 2, classes: int = 2, size: int = 9) -> tuple[torch.Tensor, ...]:
    """Logits, one-hot target, labels with the background as 0, and all pixels valid."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(n, classes, size, size, generator=generator, dtype=torch.float64)
    label = torch.randint(0, classes + 1, (n, size, size), generator=generator)
    target = F.one_hot(label, classes + 1).movedim(-1, 1)[:, 1:]
    return logits, target, label, torch.ones(n, 1, size, size, dtype=torch.bool)


def skeleton(mask: np.ndarray, iterations: int) -> np.ndarray:
    """Soft skeleton of one plane with SciPy's grey-scale morphology."""
    cross = ndimage.generate_binary_structure(2, 1)

    def erode(x: np.ndarray) -> np.ndarray:
        return ndimage.minimum_filter(x, footprint=cross, mode="nearest")

    def ridge(x: np.ndarray) -> np.ndarray:
        return np.maximum(x - ndimage.maximum_filter(erode(x), size=3, mode="nearest"), 0)

    found = ridge(mask)
    for _ in range(iterations):
        mask = erode(mask)
        found = found + np.maximum(ridge(mask) * (1 - found), 0)
    return found


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_centre_lines_against_scipy(iterations):
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(2, 1, 1, 17, 19, generator=generator, dtype=torch.float64)
    logits = F.avg_pool2d(noise[0], 3, 1, 1) * 9
    target = (F.avg_pool2d(noise[1], 5, 1, 2) > 0).double()
    p, y = logits[0, 0].sigmoid().numpy(), target[0, 0].numpy()
    sp, sy = skeleton(p, iterations), skeleton(y, iterations)
    precision = ((sp * y).sum() + 0.5) / (sp.sum() + 0.5)
    sensitivity = ((sy * p).sum() + 0.5) / (sy.sum() + 0.5)
    expected = 1 - 2 * precision * sensitivity / (precision + sensitivity)
    loss = losses.get("soft_cl_dice", iterations=iterations, smooth=0.5)
    valid = torch.ones(1, 1, 17, 19, dtype=torch.bool)
    assert loss(logits, target, valid).item() == pytest.approx(expected, rel=1e-9)


def test_a_gap_costs_centre_line_dice_more_than_a_thinner_line():
    target = torch.zeros(1, 1, 11, 30)
    target[..., 4:7, :] = 1
    gap, thin = target.clone(), target.clone()
    gap[..., 10:20] = 0
    thin[..., 4, :] = thin[..., 6, :] = 0
    valid = torch.ones(1, 1, 11, 30, dtype=torch.bool)
    cl_dice, dice = (
        [losses.get(name)((2 * p - 1) * 20, target, valid).item() for p in (gap, thin)]
        for name in ("soft_cl_dice", "dice")
    )
    assert cl_dice[0] > 2 * cl_dice[1]
    assert dice[0] < dice[1]


def test_centre_lines_of_a_batch_are_those_of_all_images_at_once():
    logits, target, _, valid = exclusive(n=3)
    batch = losses.get("soft_cl_dice", scope="batch")(logits, target, valid)
    # Stacked with ignored rows between them, the images do not touch.
    between = (0, 0, 0, 8)
    tall = [torch.cat(list(F.pad(x, between)), -2)[None] for x in (logits, target, valid)]
    one_image = losses.get("soft_cl_dice")(*tall)
    assert batch.unique().numel() == 1
    # The ignored rows are background beside a border that erodes nothing, so only nearly alike.
    assert batch[0].item() == pytest.approx(one_image.item(), abs=0.05)


def test_wasserstein_dice_of_one_class_is_dice():
    logits, target, _, valid = exclusive(classes=1)
    for smooth in (1e-5, 0.5):
        found = losses.get("wasserstein_dice", smooth=smooth)(logits, target, valid)
        expected = losses.get("dice", smooth=smooth)(logits, target, valid)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scale", [1, 8])
def test_wasserstein_dice_by_hand(scale):
    near = tuple(tuple(scale * x for x in r) for r in ((0, 1, 1), (1, 0, 0.5), (1, 0.5, 0)))
    target = torch.zeros(1, 2, 1, 4)
    target[:, 0, :, :3] = 1
    as_second_class = torch.full((1, 2, 1, 4), -100.0)
    as_second_class[:, 1, :, :3] = 100
    valid = torch.ones(1, 1, 1, 4, dtype=torch.bool)
    # Three pixels at distance 1/2: T = 3/2 and Σ δ = 3/2. At distance 1: T = 0.
    cheap = losses.get("wasserstein_dice", distances=near)
    assert cheap(as_second_class, target, valid).item() == pytest.approx(1 - 3 / 4.5, abs=1e-5)
    plain = losses.get("wasserstein_dice")
    assert plain(as_second_class, target, valid).item() == pytest.approx(1, abs=1e-5)
    # α = 1/4 for the three and 1/2 for the background: overlaps 2 (3/8 + 1/2), total 9/8 + 1.
    by_volume = losses.get("wasserstein_dice", distances=near, weighting="volume")
    value = by_volume(as_second_class, target, valid).item()
    assert value == pytest.approx(1 - 1.75 / 2.125, abs=1e-5)


def test_wasserstein_dice_needs_a_matrix_of_all_labels():
    loss = losses.get("wasserstein_dice", distances=[[0, 1], [1, 0]])
    logits, target, _, valid = exclusive()
    with pytest.raises(ValueError, match=r"distances must have 3 rows.* got 2"):
        loss(logits, target, valid)


@pytest.mark.parametrize(
    "matrix",
    [[], [[0]], [[0, 1]], [[0, 1], [2, 0]], [[0, -1], [-1, 0]], [[1, 1], [1, 0]], [[0, 0], [0, 0]]],
)
def test_a_matrix_that_is_no_distance_is_refused(matrix):
    with pytest.raises(ValueError, match="distances must be"):
        losses.get("wasserstein_dice", distances=matrix)


@pytest.mark.parametrize("distances", [3, "near", [[0, "a"], ["a", 0]]])
def test_what_is_no_matrix_is_refused(distances):
    with pytest.raises(ValueError, match=r"distances must be a list, each of it a list.* or null"):
        losses.get("wasserstein_dice", distances=distances)


def test_calibration_without_penalty_is_cross_entropy():
    logits, target, label, valid = exclusive()
    both = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
    expected = F.cross_entropy(both, label, reduction="none").mean((1, 2))
    torch.testing.assert_close(losses.get("nacl", alpha=0)(logits, target, valid), expected)


def test_calibration_penalty_by_hand():
    logits = torch.full((1, 1, 3, 3), 2.0)
    target = torch.ones_like(logits)
    valid = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    entropy = math.log(1 + math.exp(-2))
    # The foreground's share is 1 in the middle, 6/9 at the edges and 4/9 in the corners; the
    # background's share and logit are 0.
    gaps = [2 - 1] + 4 * [2 - 6 / 9] + 4 * [2 - 4 / 9]
    for distance, power in (("l1", 1), ("l2", 2)):
        expected = entropy + 0.5 * sum(gap**power for gap in gaps) / 9 / 2
        loss = losses.get("nacl", alpha=0.5, distance=distance)
        assert loss(logits, target, valid).item() == pytest.approx(expected, rel=1e-6)


def test_calibration_by_a_gaussian_neighbourhood():
    logits = torch.zeros(1, 1, 1, 41)
    target = torch.zeros_like(logits)
    target[..., 20:] = 1
    valid = torch.ones(1, 1, 1, 41, dtype=torch.bool)
    column = math.erf(0.5 / 2 / math.sqrt(2))  # what one row of a Gaussian of 2 pixels holds
    share = np.convolve(
        target.flatten().numpy(),
        [
            (math.erf((x + 0.5) / 2 / math.sqrt(2)) - math.erf((x - 0.5) / 2 / math.sqrt(2))) / 2
            for x in range(-8, 9)
        ],
        "same",
    )
    back = np.convolve(
        1 - target.flatten().numpy(),
        [
            (math.erf((x + 0.5) / 2 / math.sqrt(2)) - math.erf((x - 0.5) / 2 / math.sqrt(2))) / 2
            for x in range(-8, 9)
        ],
        "same",
    )
    expected = math.log(2) + ((share + back) * column).mean() / 2
    loss = losses.get("nacl", alpha=1.0, kernel="gaussian", sigma=2.0)
    assert loss(logits, target, valid).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("soft_cl_dice", {"iterations": -1}, "iterations must be >= 0, got -1"),
        ("soft_cl_dice", {"smooth": 0}, "smooth must be > 0, got 0"),
        ("wasserstein_dice", {"smooth": 0}, "smooth must be > 0"),
        ("nacl", {"alpha": -0.1}, "alpha must be >= 0"),
        ("nacl", {"kernel_size": 4}, "kernel_size must be odd and > 0, got 4"),
        ("nacl", {"sigma": 0}, "sigma must be > 0"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name, **options)


STRUCTURAL = [
    "lovasz_hinge",
    "lovasz_softmax",
    "boundary",
    "hausdorff",
    "hausdorff_erosion",
    "soft_cl_dice",
    "distance_weighted_bce",
    "distance_weighted_dice",
    "wasserstein_dice",
    "nacl",
]


@pytest.mark.parametrize("name", STRUCTURAL)
def test_gradients_of_single_images_by_torch_func(name):
    logits, target, _, valid = exclusive()
    loss = losses.get(name)

    def one(z, y, v):
        return loss(z[None], y[None], v[None])[0]

    found = torch.func.vmap(torch.func.grad(one))(logits, target, valid)
    logits.requires_grad_()
    loss(logits, target, valid).sum().backward()
    torch.testing.assert_close(found, logits.grad)


@pytest.mark.parametrize("name", STRUCTURAL)
def test_it_compiles_as_one_graph(name):
    logits, target, _, valid = exclusive(size=6)
    loss = losses.get(name)
    torch._dynamo.reset()  # the losses share one entry function, whose graphs are limited in number
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits, target, valid), loss(logits, target, valid))
