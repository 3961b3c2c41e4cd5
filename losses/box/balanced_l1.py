"""Balanced L1 loss on encoded boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..base import BoxLoss, Space, register_box
from ..options import require


@register_box("balanced_l1")
@dataclass(frozen=True, kw_only=True)
class BalancedL1(BoxLoss):
    """Balanced L1 loss: sum over the four deltas of a loss whose slope is α ln(b|x|/β + 1) up to γ.

    Pang et al., 2019 (Libra R-CNN), arXiv:1904.02701, Eq. 6 to 9, for x = prediction - target:
    α/b (b|x| + β) ln(b|x|/β + 1) - α|x| where |x| < β, else γ|x| + γβ/b - αβ, with b such that
    α ln(b + 1) = γ. The paper has β = 1. For other β, value and slope are continuous here; public
    code lacks the factor β in front of the logarithm and in γβ/b, and has kinks at 0 and β.
    Finite in float32 while every |x| is below 8e37 / max(γ, 1).

    Helps when accurate samples should weigh more than under Smooth L1, whose slope falls linearly
    towards 0; hurts when targets are noisy: small errors pull almost as hard as large ones.

    Attributes:
        alpha: how much small errors weigh, > 0; a smaller α weighs them more.
        gamma: slope for large errors, > 0, at most 80 α.
        beta: error from which the slope is γ, > 0.
    """

    space: ClassVar[Space] = "deltas"
    alpha: float = 0.5
    gamma: float = 1.5
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha > 0, "alpha", "> 0", self.alpha)
        # b = e^(γ/α) - 1 leaves float32 above that.
        allowed = 0 < self.gamma <= 80 * self.alpha
        require(allowed, "gamma", f"> 0 and at most 80 times alpha = {self.alpha}", self.gamma)
        require(self.beta > 0, "beta", "> 0", self.beta)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        b = math.expm1(self.gamma / self.alpha)
        error = (pred - target).abs()
        share = error.clamp(max=self.beta) / self.beta
        curve = self.alpha * self.beta * ((share + 1 / b) * torch.log1p(b * share) - share)
        line = self.gamma * error + self.beta * (self.gamma / b - self.alpha)
        return torch.where(error < self.beta, curve, line).sum(-1)
