"""Each of our losses held against every public one that is said to be the same.

Values and gradients of the batch's mean, in float64, so that what differs is the formula and not
the rounding.
"""

from __future__ import annotations

import pytest
import torch

from benchmark.experiment.loss_spec import load_loss
from benchmark.peers import PEERS, our_mean, public_mean

# What the public code warns of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

EQUAL = [peer for peer in PEERS if peer.spec and peer.value == "equal"]
SINGLE = ("LovaszLoss",)
"""Public losses that fail in float64; their gradient is a difference of rounded numbers."""


def boxes(generator, n, extent=300.0):
    low = torch.rand(n, 2, generator=generator, dtype=torch.float64) * extent
    size = 2 + torch.rand(n, 2, generator=generator, dtype=torch.float64) * extent / 3
    return torch.cat([low, low + size], 1)


def jitter(generator, target, by):
    """Boxes near the targets: every corner moved by at most ``by`` of the side."""
    side = (target[:, 2:] - target[:, :2]).repeat(1, 2)
    noise = torch.rand(target.shape, generator=generator, dtype=torch.float64) - 0.5
    return target + 2 * by * side * noise


def box_cases():
    """Pairs of ordinary boxes: name -> (pred, target, whether both are differentiable there)."""
    g = torch.Generator().manual_seed(0)
    target = boxes(g, 32)
    pixels = torch.tensor([640.0, 640.0, 640.0, 640.0], dtype=torch.float64)
    centre = (target[:, :2] + target[:, 2:]).repeat(1, 2) / 2
    return {
        "overlapping": (jitter(g, target, 0.4), target, True),
        "anywhere": (boxes(g, 32), target, True),
        "disjoint": (boxes(g, 32) + 2 * pixels, target, True),
        "enclosed": (centre + 0.3 * (target - centre) + 0.1, target, True),
        "enclosing": (centre + 3 * (target - centre) + 0.1, target, True),
        "identical": (target.clone(), target, False),
        "touching": (target + (target[:, 2:] - target[:, :2]).repeat(1, 2), target, False),
        "large": (jitter(g, 20 * target, 0.3), 20 * target, True),
    }


def delta_cases():
    g = torch.Generator().manual_seed(1)
    target = torch.randn(64, 4, generator=g, dtype=torch.float64)
    small = 0.1 * torch.randn(64, 4, generator=g, dtype=torch.float64)
    return {
        "small errors": (target + small, target, True),
        "large errors": (target + 50 * small, target, True),
        "identical": (target.clone(), target, False),
    }


def mask_cases(classes):
    """Exclusive classes, every class in every image unless the name says otherwise."""
    g = torch.Generator().manual_seed(2)
    shape = (3, classes, 18, 14)
    logits = 2 * torch.randn(shape, generator=g, dtype=torch.float64)
    labels = torch.randint(0, classes + 1, (3, 18, 14), generator=g)
    target = torch.nn.functional.one_hot(labels, classes + 1)[..., 1:].movedim(-1, 1).double()
    empty = target.clone()
    empty[:, 0] = 0
    empty_image = target.clone()
    empty_image[1] = 0
    return {
        "random": (logits, target),
        "confident": (10 * logits, target),
        "nearly right": (12 * (2 * target - 1) + 0.1 * logits, target),
        "wrong": (-4 * (2 * target - 1) + 0.1 * logits, target),
        "empty class": (logits, empty),
        "empty image": (logits, empty_image),
    }


def value_and_gradient(mean, loss, pred, target):
    leaf = pred.clone().requires_grad_()
    inputs, function = mean(loss, leaf, target)
    value = function(inputs)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach().double(), gradient


def deviation(peer, pred, target):
    """Largest difference of value and gradient, relative to their sizes."""
    if peer.name.startswith(SINGLE):
        pred, target = pred.float(), target.float()
    ours = load_loss(peer.ours).loss
    theirs = load_loss(peer.spec, peer.kind).loss
    value, gradient = value_and_gradient(our_mean, ours, pred, target)
    other, other_gradient = value_and_gradient(public_mean, theirs, pred, target)
    other, other_gradient = peer.factor * other, peer.factor * other_gradient
    scale = other_gradient.abs().max().clamp(min=1e-12)
    return (
        ((value - other).abs() / other.abs().clamp(min=1)).item(),
        ((gradient - other_gradient).abs().max() / scale).item(),
    )


def cases_of(peer):
    if peer.kind == "box":
        deltas = load_loss(peer.ours).loss.space == "deltas"
        return delta_cases() if deltas else box_cases()
    return {
        f"{name}, {classes} classes": (*case, True)
        for classes in peer.classes
        for name, case in mask_cases(classes).items()
    }


@pytest.mark.parametrize("peer", EQUAL, ids=lambda peer: f"{peer.package}-{peer.name}")
def test_ours_is_the_public_one(peer):
    found = {}
    for name, (pred, target, smooth) in cases_of(peer).items():
        value, gradient = deviation(peer, pred, target)
        bound = 1e-4 if peer.name.startswith(SINGLE) else 1e-5
        wrong = not (value < 1e-5 and (gradient < bound or not smooth))
        if wrong != any(name.startswith(case) for case in peer.differs_on):
            found[name] = (value, gradient)
    assert not found
