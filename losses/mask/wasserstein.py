"""Generalised Wasserstein Dice loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..base import MaskLoss, register_mask
from ..options import require
from ._labels import with_background


@register_mask("wasserstein_dice")
@dataclass(frozen=True, kw_only=True)
class WassersteinDice(MaskLoss):
    """Generalised Wasserstein Dice: Dice in which some confusions of classes cost less than others.

    Fidon et al., 2017, arXiv:1707.00478. δ = Σ_l M[g, l] p_l is the Wasserstein distance between
    a pixel's label g and its probabilities (Eq. 6), M the distances between labels and p the
    softmax over the background, whose logit is 0, and the classes. With the sums over valid
    pixels, the loss is 1 - (2 T + ε) / (2 T + Σ δ + ε), T = Σ (1 - δ) over the pixels that are
    not background (the form of the authors' code). From 0 to 1.

    Attributes:
        distances: M as a list of rows, [1 + C, 1 + C], symmetric, 0 on the diagonal; the
            background comes first. It is divided by its largest entry. None has 1 between any
            two labels.
        weighting: ``"uniform"`` as above; ``"volume"`` weights each pixel by α = 1 / (1 + pixels
            of its label in the image), background included: 1 - (2 Σ α (1 - δ) + ε) /
            (Σ α (2 - δ) + ε) (Tilborghs et al., 2020, arXiv:2007.15546, appendix).
        smooth: ε, > 0.

    Helps when classes are nested or alike, such as the parts of a tumour; hurts where the
    distances are guessed: a confusion set too cheap is learnt.
    """

    exclusive: ClassVar[bool] = True

    distances: tuple[tuple[float, ...], ...] | None = None
    weighting: Literal["uniform", "volume"] = "uniform"
    smooth: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.smooth > 0, "smooth", "> 0", self.smooth)
        m = self.distances
        if m is None:
            return
        square = len(m) > 1 and all(len(row) == len(m) for row in m)
        require(square, "distances", "a square matrix of two rows or more", m)
        pairs = [(m[i][j], m[j][i]) for i in range(len(m)) for j in range(i)]
        sound = all(a == b >= 0 for a, b in pairs) and not any(m[i][i] for i in range(len(m)))
        allowed = "symmetric, without negative numbers, 0 on the diagonal and nowhere else only"
        require(sound and any(a for a, _ in pairs), "distances", allowed, m)

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        logits, label = with_background(logits.where(valid, 0), target)
        label = label.where(valid, 0)
        cost = torch.einsum("kl,nlhw->nkhw", self._matrix(logits), logits.softmax(1))
        error = (label * cost).sum((2, 3))  # Σ δ over the pixels of each label, [N, 1 + C]
        volume = label.sum((2, 3))
        if self.weighting == "uniform":
            twice = 2 * (volume - error)[:, 1:].sum(1)
            total = twice + error.sum(1)
        else:
            alpha = 1 / (1 + volume)
            twice = (alpha * 2 * (volume - error)).sum(1)
            total = (alpha * (2 * volume - error)).sum(1)
        return 1 - (twice + self.smooth) / (total + self.smooth)

    def _matrix(self, logits: Tensor) -> Tensor:
        """M scaled to a largest entry of 1.

        Raises:
            ValueError: its size is not that of the classes and the background.
        """
        labels = logits.shape[1]
        if self.distances is None:
            return 1 - torch.eye(labels, dtype=logits.dtype, device=logits.device)
        if len(self.distances) != labels:
            raise ValueError(
                f"distances must have {labels} rows, one for the background and one for each of "
                f"{labels - 1} classes, got {len(self.distances)}"
            )
        largest = max(map(max, self.distances))
        scaled = [[entry / largest for entry in row] for row in self.distances]
        return logits.new_tensor(scaled)
