"""Tversky, Matthews and the variants of Dice, and the options that all region losses share."""

from __future__ import annotations

import math

import pytest
import torch

import losses
from losses.mask._power import power, power_slope

LN3 = math.log(3)
# Probabilities 3/4, 1/4, 1/2, 3/4 beside the targets 1, 1, 0, 0:
# TP = 1, FN = 1, FP = 5/4, TN = 3/4.
LOGITS = torch.tensor([LN3, -LN3, 0, LN3]).reshape(1, 1, 2, 2)
TARGET = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 2, 2)
# A second class with 1/2 everywhere, of one pixel: TP = 1/2, FN = 1/2, FP = 3/2.
TWO_LOGITS = torch.cat([LOGITS, torch.zeros(1, 1, 2, 2)], 1)
TWO_TARGETS = torch.cat([TARGET, torch.tensor([0.0, 0, 1, 0]).reshape(1, 1, 2, 2)], 1)

NLL = [-math.log(p) for p in (3 / 4, 1 / 4, 1 / 2, 1 / 4)]


def everything(like):
    return torch.ones_like(like[:, :1], dtype=torch.bool)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("tversky", {"smooth": 0}, 1 - 1 / 2.075),
        ("tversky", {}, 1 - 2 / 3.075),
        ("tversky", {"smooth": 0, "alpha": 1, "beta": 0}, 1 - 4 / 9),
        ("focal_tversky", {"smooth": 0}, (1 - 1 / 2.075) ** 0.75),
        ("focal_tversky", {"smooth": 0, "gamma": 0.5}, (1 - 1 / 2.075) ** 2),
        ("asymmetric_similarity", {"smooth": 0, "beta": 2}, 1 - 5 / 10.25),
        ("asymmetric_focal_tversky", {"smooth": 0}, (1.175 / 1.925 + (1.075 / 2.075) ** 0.25) / 2),
        (
            "asymmetric_focal_tversky",
            {"smooth": 0, "symmetric": True},
            ((1.175 / 1.925) ** 0.25 + (1.075 / 2.075) ** 0.25) / 2,
        ),
        ("log_cosh_dice", {"smooth": 0}, math.log(math.cosh(9 / 17))),
        ("generalised_dice", {}, 9 / 17),
        ("penalty_dice", {}, 1 - (8 / 17) / (1 + 2.5 * 9 / 17)),
        ("penalty_dice", {"k": 0}, 9 / 17),
        ("mcc", {"smooth": 1e-12}, 1 + 0.5 / math.sqrt(2.25 * 2 * 2 * 1.75)),
        (
            "exp_log",
            {},
            0.8 * (-math.log(3 / 5.25)) ** 0.3 + 0.2 * sum(math.sqrt(2) * x**0.3 for x in NLL) / 4,
        ),
        ("dice", {"smooth": 0, "form": "log"}, -math.log(8 / 17)),
        ("jaccard", {"form": "log"}, -math.log(2 / 4.25)),
    ],
)
def test_hand_worked(name, options, expected):
    value = losses.get(name, **options)(LOGITS, TARGET, everything(TARGET))
    torch.testing.assert_close(value, torch.tensor([expected]))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        # Overlaps 2/4.25 and 1/3; sizes 2 and 1.
        ("generalised_dice", {}, 1 - 1.5 / 4.0625),
        ("generalised_dice", {"weighting": "simple"}, 1 - 2 / 5.125),
        ("generalised_dice", {"weighting": "uniform"}, 1 - 3 / 7.25),
        ("dice", {"smooth": 0, "average": "micro"}, 1 - 3 / 7.25),
        ("dice", {"smooth": 0, "average": "micro", "class_weights": [0, 1]}, 2 / 3),
        ("dice", {"smooth": 0, "class_weights": [3, 1]}, (3 * 9 / 17 + 2 / 3) / 4),
        ("dice", {"smooth": 0, "class_weights": [0, 2]}, 2 / 3),
    ],
)
def test_hand_worked_of_two_classes(name, options, expected):
    value = losses.get(name, **options)(TWO_LOGITS, TWO_TARGETS, everything(TWO_TARGETS))
    torch.testing.assert_close(value, torch.tensor([expected]))


@pytest.mark.parametrize(
    ("absent", "expected"), [("counts", 13 / 17), ("zero", 9 / 34), ("skipped", 9 / 17)]
)
def test_a_class_that_the_target_does_not_have(absent, expected):
    target = TWO_TARGETS * torch.tensor([1.0, 0]).reshape(1, 2, 1, 1)
    loss = losses.get("dice", smooth=0, absent=absent)
    torch.testing.assert_close(
        loss(TWO_LOGITS, target, everything(target)), torch.tensor([expected])
    )


@pytest.mark.parametrize("absent", ["zero", "skipped"])
def test_nothing_there_costs_nothing_where_absent_classes_do_not(absent):
    logits = TWO_LOGITS.clone().requires_grad_()
    value = losses.get("dice", absent=absent)(logits, 0 * TWO_TARGETS, everything(TWO_TARGETS))
    value.sum().backward()
    assert value.tolist() == [0]
    assert not logits.grad.any()


def random_masks(n=4, classes=3, size=6, exclusive=False):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(n, classes, size, size, generator=generator, dtype=torch.float64) * 3
    target = (torch.rand(logits.shape, generator=generator) < 0.3).double()
    target = target * (target.cumsum(1) == 1) if exclusive else target
    valid = torch.rand(n, 1, size, size, generator=generator) < 0.7
    return logits, target, valid


@pytest.mark.parametrize(
    ("name", "options", "other", "same"),
    [
        ("tversky", {"alpha": 0.5, "beta": 0.5, "smooth": 0.5}, "dice", {"smooth": 1}),
        ("tversky", {"alpha": 1, "beta": 1}, "jaccard", {}),
        ("focal_tversky", {"gamma": 1}, "tversky", {}),
        ("asymmetric_similarity", {"beta": 1, "smooth": 2}, "dice", {"smooth": 2}),
        (
            "asymmetric_similarity",
            {"beta": 2, "smooth": 0},
            "tversky",
            {"alpha": 0.2, "beta": 0.8, "smooth": 0},
        ),
        ("penalty_dice", {"k": 0}, "generalised_dice", {}),
        ("generalised_dice", {"weighting": "uniform", "smooth": 1}, "dice", {"average": "micro"}),
    ],
)
def test_relations(name, options, other, same):
    masks = random_masks()
    expected = losses.get(other, **same)(*masks)
    torch.testing.assert_close(losses.get(name, **options)(*masks), expected)


def test_matthews_does_not_care_which_side_is_the_foreground():
    logits, target, valid = random_masks()
    loss = losses.get("mcc")
    torch.testing.assert_close(loss(-logits, 1 - target, valid), loss(logits, target, valid))
    everywhere = everything(target)
    assert (loss(target * 80 - 40, target, everywhere) < 1e-6).all()
    torch.testing.assert_close(
        loss(40 - target * 80, target, everywhere), torch.full((4,), 2.0).double()
    )


@pytest.mark.parametrize("symmetric", [False, True])
def test_unified_focal_is_the_sum_of_its_parts(symmetric):
    masks = random_masks()
    regions = losses.get("asymmetric_focal_tversky", delta=0.6, gamma=0.4, symmetric=symmetric)(
        *masks
    )
    if symmetric:
        pixels = losses.get("focal", alpha=0.6, gamma=0.4)(*masks)
    else:
        pixels = losses.get("asymmetric_focal", delta=0.6, gamma=0.4)(*masks)
    value = losses.get("unified_focal", mix=0.3, gamma=0.4, symmetric=symmetric)(*masks)
    torch.testing.assert_close(value, 0.3 * pixels + 0.7 * regions)


@pytest.mark.parametrize("name", ["dice", "tversky", "generalised_dice"])
def test_softmax_gives_the_probabilities_of_exclusive_classes(name):
    logits, target, valid = random_masks(exclusive=True)
    p = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1).softmax(1)
    target_of_all = torch.cat([1 - target.sum(1, keepdim=True), target], 1)
    same_as_masks = losses.get(name)
    for activation, chosen in (
        ("softmax", slice(1, None)),
        ("softmax_with_background", slice(None)),
    ):
        loss = losses.get(name, activation=activation)
        assert loss.exclusive
        expected = same_as_masks(torch.logit(p)[:, chosen], target_of_all[:, chosen], valid)
        torch.testing.assert_close(loss(logits, target, valid), expected)
    assert not same_as_masks.exclusive


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": [1, -1]}, "class_weights must be >= 0 and not all 0, got"),
        ({"class_weights": [0]}, "class_weights must be >= 0 and not all 0, got"),
        ({"class_weights": 2.0}, "class_weights must be a list"),
        ({"activation": "tanh"}, "activation must be one of 'sigmoid', 'softmax'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        losses.get("dice", **options)


@pytest.mark.parametrize(
    ("name", "option", "value", "allowed"),
    [
        ("tversky", "alpha", -0.1, ">= 0"),
        ("focal_tversky", "gamma", 0, "> 0"),
        ("asymmetric_similarity", "beta", -1, ">= 0"),
        ("asymmetric_focal_tversky", "gamma", 1, ">= 0 and < 1"),
        ("unified_focal", "mix", 1.1, "between 0 and 1"),
        ("penalty_dice", "k", -1, ">= 0"),
        ("mcc", "smooth", 0, "> 0"),
        ("exp_log", "gamma_cross", 0, "> 0"),
        ("exp_log", "weight_dice", -1, ">= 0"),
        ("topk_bce", "fraction", 0, "> 0 and <= 1"),
        ("poly1", "epsilon", -1.5, ">= -1"),
        ("bce", "smoothing", 0.5, ">= 0 and < 0.5"),
        ("cross_entropy", "smoothing", 1, ">= 0 and < 1"),
        ("focal", "reduced_threshold", 0, "null, or > 0 and <= 1"),
        ("sensitivity_specificity", "ratio", 2, "between 0 and 1"),
        ("asymmetric_focal", "delta", -1, "between 0 and 1"),
    ],
)
def test_options_out_of_range(name, option, value, allowed):
    with pytest.raises(ValueError, match=f"loss '{name}': {option} must be {allowed}, got"):
        losses.get(name, **{option: value})


def test_wrong_number_of_class_weights_is_refused():
    with pytest.raises(ValueError, match=r"class_weights must have one number a class .* 3, got 2"):
        losses.get("dice", class_weights=[1, 2])(*random_masks())


@pytest.mark.parametrize("exponent", [0.25, 0.75, 1.0, 2.0])
def test_powers_near_zero(exponent):
    loss = torch.tensor([0.0, 1e-30, 5e-8, 2e-7, 0.3, 1.0], dtype=torch.float64, requires_grad=True)
    value = power(loss, exponent)
    (slope,) = torch.autograd.grad(value.sum(), loss)
    assert value[0] == 0
    assert slope.isfinite().all()
    assert (value.diff() > 0).all()
    torch.testing.assert_close(value[3:], loss[3:] ** exponent)
    torch.testing.assert_close(power_slope(loss.detach(), exponent), slope)


def test_same_as_segmentation_models():
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, target, _ = random_masks()
    target[:, 1] = 0
    shared = {"smooth": 0, "scope": "batch", "absent": "zero"}
    index = (target.cumsum(1) == 1).double() * target
    labels = (index * torch.arange(1, 4).reshape(1, 3, 1, 1)).sum(1).long()
    states = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
    softmax = shared | {"activation": "softmax_with_background"}
    pairs = [
        ("dice", shared, smp.DiceLoss("multilabel"), (logits, target)),
        (
            "dice",
            shared | {"form": "log"},
            smp.DiceLoss("multilabel", log_loss=True),
            (logits, target),
        ),
        ("jaccard", shared, smp.JaccardLoss("multilabel"), (logits, target)),
        ("tversky", shared, smp.TverskyLoss("multilabel", alpha=0.3, beta=0.7), (logits, target)),
        ("dice", softmax, smp.DiceLoss("multiclass"), (states, labels)),
        (
            "dice",
            shared | {"class_weights": [1, 2, 3]},
            smp.DiceLoss("multilabel", class_weights=[1, 2, 3]),
            (logits, target),
        ),
    ]
    for name, options, theirs, batch in pairs:
        value = losses.get(name, **options)(
            logits, index if batch[0] is states else target, everything(target)
        )
        torch.testing.assert_close(value, theirs(*batch).expand(4), rtol=1e-5, atol=1e-6)


def test_same_as_monai():
    monai = pytest.importorskip("monai.losses")
    logits, target, _ = random_masks(classes=2)
    common = {"sigmoid": True, "reduction": "none"}
    pairs = [
        ("generalised_dice", {"smooth": 1e-5}, monai.GeneralizedDiceLoss(**common)),
        (
            "generalised_dice",
            {"smooth": 1e-5, "weighting": "simple"},
            monai.GeneralizedDiceLoss(w_type="simple", **common),
        ),
        ("dice", {"smooth": 1e-5, "squared": True}, monai.DiceLoss(squared_pred=True, **common)),
        ("mcc", {}, monai.MCCLoss(**common)),
    ]
    for name, options, theirs in pairs:
        value = losses.get(name, **options)(logits, target, everything(target))
        torch.testing.assert_close(value, theirs(logits, target).flatten(1).mean(1))


def test_unified_focal_is_that_of_monai_but_for_the_mean_over_states():
    monai = pytest.importorskip("monai.losses")
    logits, target, _ = random_masks(n=1, classes=1)
    p = torch.sigmoid(logits)
    states = torch.cat([1 - p, p], 1), torch.cat([1 - target, target], 1)
    batch = logits, target, everything(target)
    theirs = monai.unified_focal_loss
    pixels = losses.get("asymmetric_focal")(*batch)
    torch.testing.assert_close(
        pixels[0] / 2, theirs.AsymmetricFocalLoss()(*states), rtol=1e-5, atol=0
    )
    regions = losses.get("asymmetric_focal_tversky")(*batch)
    torch.testing.assert_close(
        regions[0], theirs.AsymmetricFocalTverskyLoss()(*states), rtol=1e-5, atol=0
    )


def test_same_as_kornia():
    kornia = pytest.importorskip("kornia.losses")
    logits, target, _ = random_masks(exclusive=True)
    labels = (target * torch.arange(1, 4).reshape(1, 3, 1, 1)).sum(1).long()
    states = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
    shared = {"smooth": 1e-8, "smooth_in": "denominator", "activation": "softmax_with_background"}
    weights = torch.tensor([1.0, 2, 3, 4]).double()
    pairs = [
        ("dice", {"average": "micro"}, kornia.dice_loss(states, labels)),
        (
            "dice",
            {"average": "micro", "class_weights": weights.tolist()},
            kornia.dice_loss(states, labels, weight=weights),
        ),
        ("dice", {"absent": "skipped"}, kornia.dice_loss(states, labels, average="macro")),
        (
            "tversky",
            {"absent": "skipped", "alpha": 0.3, "beta": 0.7},
            kornia.tversky_loss(states, labels, alpha=0.3, beta=0.7),
        ),
    ]
    for name, options, expected in pairs:
        value = losses.get(name, **shared, **options)(logits, target, everything(target))
        torch.testing.assert_close(value.mean(), expected)


@pytest.mark.parametrize("name", ["generalised_dice", "penalty_dice"])
def test_no_foreground_costs_the_same_with_an_ignored_pixel(name):
    logits, target = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    whole = losses.get(name)(logits, target, valid)
    valid[..., 0, 0] = False
    assert losses.get(name)(logits, target, valid).item() == whole.item()
