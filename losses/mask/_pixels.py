"""What the losses that add up over pixels share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def log_likelihood(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Log probability of each pixel's true state, and the logit of that state.

    Args:
        logits, target: ``[N, C, H, W]``; the target is 0 or 1.

    Returns:
        ln p_t and z, both ``[N, C, H, W]``: z is the logit where the target is 1 and its
        negative elsewhere, and p_t = sigmoid(z). Exact for logits of any size.
    """
    z = logits * (2 * target - 1)
    return F.logsigmoid(z), z


def mean_over_pixels(loss: Tensor, valid: Tensor) -> Tensor:
    """Mean ``[N]`` of ``loss [N, C, H, W]`` over classes and valid pixels; 0 if there are none."""
    total = loss.where(valid, 0).sum((1, 2, 3))
    count = loss.shape[1] * valid.sum((1, 2, 3))
    return total / count.clamp(min=1)
