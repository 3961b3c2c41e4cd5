"""The pass in blocks with its own gradients gives what ordinary operations give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

import losses
from losses.mask import _blocks


def fitting(loss, target):
    return target * (target.cumsum(1) == 1) if loss.exclusive else target


def masks(loss, ignored=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(8)
    logits = torch.randn(3, 2, 4, 5, generator=generator, dtype=torch.float64) * 4
    target = (torch.rand(logits.shape, generator=generator) < 0.4).double()
    valid = torch.rand(3, 1, 4, 5, generator=generator) < (0.8 if ignored else 2)
    return logits.to(dtype), fitting(loss, target).to(dtype), valid


def differentiate(loss, logits, target, valid):
    logits = logits.clone().requires_grad_()
    value = loss(logits, target, valid)
    # Each image has its own factor, so that none is lost.
    factor = torch.arange(1, len(value) + 1, dtype=value.dtype)
    return value.detach(), torch.autograd.grad((value * factor).sum(), logits)[0]


def through_functions(loss, logits, target, valid):
    """The same by torch.func, for which losses consist of ordinary operations."""
    value, pull = torch.func.vjp(lambda x: loss(x, target, valid), logits)
    return value, pull(torch.arange(1, len(value) + 1, dtype=value.dtype))[0]


@pytest.mark.parametrize("ignored", [False, True])
def test_blocks_and_ordinary_operations_agree(mask_loss, ignored, monkeypatch):
    batch = masks(mask_loss, ignored)
    expected = through_functions(mask_loss, *batch)
    for size in (7, 20, 50, 2**17):
        monkeypatch.setattr(_blocks, "BLOCK", size)
        torch.testing.assert_close(differentiate(mask_loss, *batch), expected)


def test_no_gradient_wanted_gives_the_same_value(mask_loss):
    batch = masks(mask_loss)
    value, _ = differentiate(mask_loss, *batch)
    assert mask_loss(*batch).equal(value)


def test_a_second_pass_back_gives_the_same_gradient(mask_loss):
    logits, target, valid = masks(mask_loss)
    logits.requires_grad_()
    total = mask_loss(logits, target, valid).sum()
    first, second = (torch.autograd.grad(total, logits, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, second)


def test_layout_of_memory_does_not_matter(mask_loss):
    batch = masks(mask_loss)
    strided = [x.to(memory_format=torch.channels_last) for x in batch]
    torch.testing.assert_close(differentiate(mask_loss, *strided), differentiate(mask_loss, *batch))


SMOOTH_LOSSES = {
    "bce": {"smoothing": 0.1},
    "balanced_bce": {},
    "focal": {"gamma": 1.5},
    "asymmetric_focal": {},
    "poly1": {},
    "sensitivity_specificity": {},
    "cross_entropy": {"class_weights": (1.0, 2.0, 3.0), "smoothing": 0.1},
    "softmax_focal": {},
    "dice": {"squared": True},
    "mcc": {"activation": "softmax"},
    "jaccard": {"activation": "softmax_with_background", "squared": True},
}


@pytest.mark.parametrize("name", SMOOTH_LOSSES)
def test_second_derivatives(name):
    loss = losses.get(name, **SMOOTH_LOSSES[name])
    logits, target, valid = (x[:2, :, :2, :2] for x in masks(loss))
    leaf = (logits / 4).requires_grad_()
    assert gradgradcheck(lambda x: loss(x, target, valid), (leaf,))


@pytest.mark.parametrize("name", ["focal", "cross_entropy", "dice"])
def test_forward_derivatives(name):
    loss = losses.get(name)
    logits, target, valid = masks(loss)
    direction = torch.ones_like(logits)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(logits, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(loss(dual, target, valid)).tangent
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf, target, valid).sum(), leaf)
    torch.testing.assert_close(tangent.sum(), (gradient * direction).sum())


@pytest.mark.parametrize("name", ["focal", "dice"])
def test_gradient_flows_into_a_target_that_wants_it(name):
    loss = losses.get(name)
    logits, target, valid = masks(loss)
    assert gradcheck(lambda y: loss(logits, y, valid), (target.requires_grad_(),))


@pytest.mark.parametrize("name", ["bce", "focal", "dice", "cross_entropy", "topk_bce"])
def test_sums_over_a_large_image_keep_their_precision(name):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 1, 1024, 1024, generator=generator) * 5
    target = (torch.rand(logits.shape, generator=generator) < 0.1).float()
    valid = torch.ones(logits.shape, dtype=torch.bool)
    loss = losses.get(name)
    exact = loss(logits.double(), target, valid)
    torch.testing.assert_close(loss(logits, target, valid).double(), exact, rtol=2e-6, atol=0)


@pytest.mark.parametrize("name", ["bce", "dice", "jaccard", "focal_tversky"])
def test_losses_near_a_match_keep_their_precision(name):
    options = {} if name == "bce" else {"smooth": 0}
    target = torch.tensor([1.0, 0, 0, 1]).reshape(1, 1, 2, 2)
    valid = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    logits = (target * 2 - 1) * 18
    loss = losses.get(name, **options)
    exact = loss(logits.double(), target, valid)
    assert 0 < exact < 1e-4
    torch.testing.assert_close(loss(logits, target, valid).double(), exact, rtol=1e-5, atol=0)


@given(
    shape=st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(0, 9)),
    size=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("cut", [_blocks.blocks, _blocks.column_blocks])
def test_blocks_cover_everything_once(cut, shape, size):
    before = _blocks.BLOCK
    _blocks.BLOCK = size
    try:
        count = torch.zeros(shape)
        for block in cut(count):
            assert count[block].numel()
            count[block] += 1
    finally:
        _blocks.BLOCK = before
    assert (count == 1).all()


@pytest.mark.parametrize("offset", [0, 1, 8])
@pytest.mark.parametrize("length", [8, 9, 16])
def test_ignored_pixels_are_noticed_wherever_they_are(offset, length):
    image = torch.zeros(1, 1, 1, length)
    buffer = torch.ones(offset + length, dtype=torch.bool)
    valid = buffer[offset:].view(1, 1, 1, length)
    assert _blocks.flat(image, image, valid)[2] is None
    for position in range(length):
        buffer.fill_(True)
        valid[..., position] = False
        assert _blocks.flat(image, image, valid)[2] is not None
