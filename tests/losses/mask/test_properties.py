"""What holds for every mask loss on any input."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

# One loss serves all examples, which is safe as it is immutable; a busy machine may draw slowly.
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
LEVELS = [-65504.0, -1e4, -100.0, -1.0, 0.0, 0.5, 20.0, 1e4, 65504.0]


@st.composite
def masks(draw):
    n, classes, height, width = (draw(st.integers(1, 3)) for _ in range(4))
    count = n * classes * height * width
    logit = st.one_of(st.sampled_from(LEVELS), st.floats(-70000, 70000, width=32))
    logits = draw(st.lists(logit, min_size=count, max_size=count))
    target = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    seen = draw(st.lists(st.booleans(), min_size=count // classes, max_size=count // classes))
    shape = (n, classes, height, width)
    return (
        torch.tensor(logits).reshape(shape),
        torch.tensor(target).float().reshape(shape),
        torch.tensor(seen).reshape(n, 1, height, width),
    )


def fitting(loss, target):
    """The target, of each pixel no more than the first class for losses of exclusive classes."""
    return target * (target.cumsum(1) == 1) if loss.exclusive else target


def differentiate(loss, logits, target, valid):
    logits = logits.clone().requires_grad_()
    value = loss(logits, target, valid)
    value.sum().backward()
    return value.detach(), logits.grad


@given(batch=masks())
@settings(max_examples=10, deadline=None, suppress_health_check=SUPPRESSED)
def test_finite_and_blind_to_ignored_pixels(mask_loss, batch):
    logits, target, valid = batch
    target = fitting(mask_loss, target)
    value, gradient = differentiate(mask_loss, logits, target, valid)
    assert value.shape == (len(logits),)
    assert value.isfinite().all()
    assert not mask_loss.non_negative or (value >= -1e-6).all()
    assert gradient.isfinite().all()
    assert not gradient[~valid.expand_as(gradient)].any()
    other = differentiate(
        mask_loss, logits.where(valid, 33.0), (1 - target).where(~valid, target), valid
    )
    assert other[0].equal(value)
    assert other[1].equal(gradient)


def test_gradient_matches_finite_differences(mask_loss):
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 2, 3, 3, generator=generator, dtype=torch.float64)
    target = fitting(mask_loss, (torch.rand(logits.shape, generator=generator) < 0.4).double())
    valid = torch.rand(2, 1, 3, 3, generator=generator) < 0.8
    assert gradcheck(lambda x: mask_loss(x, target, valid), (logits.requires_grad_(),))


def test_order_of_images_classes_and_pixels_does_not_matter(mask_loss):
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(3, 2, 4, 4, generator=generator)
    target = (logits + torch.randn(logits.shape, generator=generator) > 0).float()
    target = fitting(mask_loss, target)
    valid = torch.rand(3, 1, 4, 4, generator=generator) < 0.8
    value = mask_loss(logits, target, valid)
    for dims in ([0], [1], [2, 3]):
        turned = mask_loss(logits.flip(dims), target.flip(dims), valid.flip(dims))
        torch.testing.assert_close(turned, value.flip(0) if dims == [0] else value)
