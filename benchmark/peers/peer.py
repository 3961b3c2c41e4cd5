"""What a row of the table of public losses says, and how either side of it is called."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from losses import BoxLoss, MaskLoss
from losses.adapters import LAYOUTS, AdaptedBoxLoss, AdaptedMaskLoss

Kind = Literal["box", "mask"]
Agreement = Literal["equal", "differs", ""]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A loss that a public project offers, and the one of ours that is the same.

    Attributes:
        package: the project.
        name: the loss's name there, with the options that make the row.
        kind: what it is a loss of.
        ours: our loss as an experiment file names it; empty where it has no place here, and
            ``note`` says why.
        spec: the public one, as :func:`benchmark.experiment.loss_spec.load_loss` takes it; empty
            for a project that the tests do not install.
        value: ``"equal"`` where both give the same value and gradient for the batch's mean, which
            a test holds for every row with a spec; ``"differs"`` where it is the same loss with
            another constant, average or fault, which ``note`` names; empty where there is
            nothing to compare.
        note: known differences.
        factor: what the public value is multiplied by to give ours.
        classes: numbers of classes for which ``value`` is meant (mask losses).
        differs_on: inputs on which an equal loss is known not to be equal, by the names that the
            test gives them.
    """

    package: str
    name: str
    kind: Kind
    ours: str = ""
    spec: str = ""
    value: Agreement = "equal"
    note: str = ""
    factor: float = 1.0
    classes: tuple[int, ...] = (1, 3)
    differs_on: tuple[str, ...] = ()

    @property
    def importable(self) -> bool:
        """Whether there is a spec, and the project is installed."""
        return bool(self.spec) and importlib.util.find_spec(self.package) is not None


def public_mean(
    loss: BoxLoss | MaskLoss, pred: Tensor, target: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A public loss of a whole batch, called as its users call it.

    The adapter of :func:`benchmark.experiment.loss_spec.load_loss` may call a loss image by image;
    this does not, so it costs what the public code costs, and a mean that depends on the batch
    stays visible.

    Args:
        loss: what ``load_loss`` made of a public loss.
        pred, target: boxes ``[N, 4]``, or logits and masks ``[N, C, H, W]``.

    Returns:
        The predictions in the layout that the loss takes, and the function from these to one
        number. What the public code leaves unreduced is averaged; four values a box are added
        up first.
    """
    if isinstance(loss, AdaptedMaskLoss):
        return _public_mask_mean(loss, pred, target)
    assert isinstance(loss, AdaptedBoxLoss)
    original = loss.original

    def value(boxes: Tensor) -> Tensor:
        result = original(boxes, target)
        return (result.sum(-1) if result.shape == boxes.shape else result).mean()

    return pred, value


def _public_mask_mean(
    loss: AdaptedMaskLoss, logits: Tensor, target: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    scores, truth = LAYOUTS[loss.layout](logits, target.to(logits.dtype))
    activation = torch.sigmoid if not loss.exclusive else lambda x: x.softmax(1)

    def value(scores: Tensor) -> Tensor:
        inputs = activation(scores) if loss.inputs == "probabilities" else scores
        return loss.function(inputs, truth).mean()

    return scores, value


def our_mean(
    loss: BoxLoss | MaskLoss, pred: Tensor, target: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The same for one of ours: every pixel valid, the mean over boxes or images."""
    if isinstance(loss, BoxLoss):
        return pred, lambda boxes: loss(boxes, target).mean()
    valid = torch.ones_like(target[:, :1], dtype=torch.bool)
    return pred, lambda logits: loss(logits, target, valid).mean()
