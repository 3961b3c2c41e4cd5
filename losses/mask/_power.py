"""Powers of losses."""

from __future__ import annotations

from torch import Tensor

FLOOR = 1e-7
"""Loss below which a power below 1 of it is continued by a straight line to 0."""


def power(loss: Tensor, exponent: float) -> Tensor:
    """loss^exponent for a loss >= 0, with a finite gradient at 0 for exponents below 1."""
    if exponent >= 1:
        return loss**exponent
    low = loss < FLOOR
    return (loss.masked_fill(low, 1) ** exponent).where(~low, loss * FLOOR ** (exponent - 1))


def power_slope(loss: Tensor, exponent: float) -> Tensor:
    """The derivative of :func:`power` with respect to the loss."""
    if exponent >= 1:
        return exponent * loss ** (exponent - 1)
    low = loss < FLOOR
    slope = exponent * loss.masked_fill(low, 1) ** (exponent - 1)
    return slope.masked_fill(low, FLOOR ** (exponent - 1))
