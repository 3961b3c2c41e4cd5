"""Lovász losses: values by hand, by the definition of the extension, and their edge cases."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import losses


def row(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def seen(logits: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(logits[:, :1], dtype=torch.bool)


def jaccard_loss(wrong: torch.Tensor, mask: torch.Tensor) -> float:
    """1 - |A ∩ B| / |A ∪ B| where the pixels in ``wrong`` are predicted wrongly."""
    predicted = mask ^ wrong
    union = (predicted | mask).sum()
    return 0.0 if union == 0 else 1 - (predicted & mask).sum().item() / union.item()


def extension(errors: torch.Tensor, mask: torch.Tensor) -> float:
    """Lovász extension as an integral: the loss of the pixels with an error above t, over t."""
    levels = [0.0, *sorted({e for e in errors.tolist() if e > 0})]
    return sum((high - low) * jaccard_loss(errors > low, mask) for low, high in pairwise(levels))


def test_a_hinge_by_hand():
    logits, target = row([2, -1, 0.5, -3]), row([1, 1, 0, 0])
    # Errors -1, 2, 1.5, -2. The first wrong pixel is one of the two in the foreground: 1/2. The
    # second is background, with 1 pixel left in the intersection and 2 in the union: 1/(2·3).
    value = losses.get("lovasz_hinge")(logits, target, seen(logits))
    assert value.item() == pytest.approx(2 * 1 / 2 + 1.5 * 1 / 6)


def test_a_softmax_by_hand():
    logits, target = row([0, 0, 0]), row([1, 0, 0])
    # Every error is 1/2, so each class costs half of the Jaccard loss of "all wrong", which is 1.
    value = losses.get("lovasz_softmax")(logits, target, seen(logits))
    assert value.item() == pytest.approx(0.5)


LEVELS = st.sampled_from([-3.0, -1.0, 0.0, 0.25, 1.0, 2.0])  # few, so that errors tie


@given(st.lists(st.tuples(LEVELS, st.booleans(), st.booleans()), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_a_hinge_is_the_lovasz_extension_of_the_jaccard_loss(pixels):
    z, y, valid = (torch.tensor(x) for x in zip(*pixels, strict=True))
    value = losses.get("lovasz_hinge")(row(z.tolist()), row(y.tolist()), valid.reshape(1, 1, 1, -1))
    errors = (1 - z * (2.0 * y - 1))[valid]
    assert value.item() == pytest.approx(extension(errors, y[valid]), abs=1e-9)


@given(st.lists(st.tuples(LEVELS, LEVELS, st.integers(0, 2)), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_a_softmax_is_the_mean_extension_over_the_classes(pixels):
    first, second, label = (torch.tensor(x) for x in zip(*pixels, strict=True))
    logits = torch.stack([first, second])[None, :, None].double()
    target = torch.stack([label == 1, label == 2])[None, :, None]
    p = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1).softmax(1)[0, :, 0]
    by_class = torch.tensor(
        [extension((p[c] - 1.0 * (label == c)).abs(), label == c) for c in range(3)]
    )
    present = torch.tensor([bool((label == c).any()) for c in range(3)])
    expected = {
        ("present", True): by_class[present].mean(),
        ("present", False): by_class[1:][present[1:]].sum() / max(1, present[1:].sum()),
        ("all", True): by_class.mean(),
        ("all", False): by_class[1:].mean(),
    }
    for (average, background), value in expected.items():
        loss = losses.get("lovasz_softmax", average=average, background=background)
        found = loss(logits, target, seen(logits)).item()
        assert found == pytest.approx(value.item(), abs=1e-6)


def test_certain_predictions_cost_the_jaccard_loss_itself():
    generator = torch.Generator().manual_seed(0)
    predicted, target = (torch.rand(1, 1, 6, 6, generator=generator) < 0.5 for _ in range(2))
    logits = (predicted * 2.0 - 1) * 100
    loss = losses.get("lovasz_softmax", background=False)
    expected = jaccard_loss(predicted ^ target, target)
    assert loss(logits, target, seen(logits)).item() == pytest.approx(expected)


def test_absent_classes():
    logits, target = row([0.5, -2, 0.25]), row([0, 0, 0])
    # One false pixel makes the Jaccard loss 1: the largest error counts, here 1 + 0.5.
    assert losses.get("lovasz_hinge")(logits, target, seen(logits)).item() == 1.5
    every = losses.get("lovasz_softmax", average="all", background=False)
    assert every(logits, target, seen(logits)).item() == pytest.approx(logits.max().sigmoid())
    present = losses.get("lovasz_softmax", average="present", background=False)
    assert present(logits, target, seen(logits)).item() == 0


def test_beyond_the_margin_the_hinge_is_zero():
    target = row([1, 0, 1])
    logits = (2 * target - 1).requires_grad_()
    value = losses.get("lovasz_hinge")(logits, target, seen(logits))
    value.sum().backward()
    assert value.item() == 0


@pytest.mark.parametrize("name", ["lovasz_hinge", "lovasz_softmax"])
def test_the_batch_may_be_sorted_as_one(name):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 2, 4, 5, generator=generator)
    label = torch.randint(0, 3, (3, 1, 4, 5), generator=generator)
    target = torch.cat([label == 1, label == 2], 1)
    valid = torch.rand(3, 1, 4, 5, generator=generator) < 0.8
    batch = losses.get(name, scope="batch")(logits, target, valid)
    beside = [torch.cat(list(x), -1)[None] for x in (logits, target, valid)]
    one_image = losses.get(name)(*beside)
    torch.testing.assert_close(batch, one_image.expand(3))


def test_small_steps_of_large_masks_keep_their_digits():
    """The last of a million pixels adds I / (U (U + 1)), far below the step of float32 at 1."""
    logits = torch.full((1, 1, 1000, 1001), -2.0)
    target = torch.zeros_like(logits)
    target[..., 0, 0] = 1
    logits.requires_grad_()
    with torch.no_grad():
        logits[..., 0, 0] = 2.0
        logits[..., 1:, :] = torch.linspace(3, 1, 999 * 1001).reshape(999, 1001)
    losses.get("lovasz_hinge")(logits, target, seen(logits)).sum().backward()
    union = 999 * 1001  # before the last pixel joins
    assert logits.grad[0, 0, -1, -1].item() == pytest.approx(1 / (union * (union + 1)), rel=1e-4)
