"""Paired experiments with a known mean difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]


@dataclass(frozen=True)
class Shape:
    """How the runs of a loss and of the baseline are distributed.

    In every repetition both share a part, so that the pairs are correlated.

    Attributes:
        words: for people, of the differences.
        draw: differences ``[experiments, n]``, loss minus baseline.
        mean: what they are on average.
    """

    words: str
    draw: Draw
    mean: float


def _normal(random: np.random.Generator, size: tuple[int, int]) -> Array:
    shared = random.normal(size=size)
    return (shared + random.normal(size=size)) - (shared + random.normal(size=size))


def _heavy(random: np.random.Generator, size: tuple[int, int]) -> Array:
    """Student's t with 3 degrees of freedom on both sides."""
    shared = random.normal(size=size)
    return (shared + random.standard_t(3, size)) - (shared + random.standard_t(3, size))


def _skewed(random: np.random.Generator, size: tuple[int, int]) -> Array:
    """The loss at times comes out well below its usual; log-normal, of skewness about -6."""
    shared = random.normal(size=size)
    low = exp(0.5) - random.lognormal(size=size)
    return (shared + low) - (shared + 0.5 * random.normal(size=size))


def _collapsing(random: np.random.Generator, size: tuple[int, int]) -> Array:
    """One run in ten of the loss ends 8 standard deviations lower, and yet is no failure."""
    collapsed = random.random(size) < 0.1
    return _normal(random, size) - 8 * collapsed


def _bounded(random: np.random.Generator, size: tuple[int, int]) -> Array:
    """Metrics close to 1: the logistic function of a normal sum of two parts."""
    shared = random.normal(0, BOUNDED_SD, size)
    loss = expit(BOUNDED_LOSS + shared + random.normal(0, BOUNDED_SD, size))
    return loss - expit(BOUNDED_BASELINE + shared + random.normal(0, BOUNDED_SD, size))


def _mean_expit(centre: float) -> float:
    """Mean of the logistic function of such a sum around ``centre``, by Gauss and Hermite."""
    at, weights = np.polynomial.hermite.hermgauss(80)
    spread = sqrt(2) * BOUNDED_SD
    return float(weights @ expit(centre + sqrt(2) * spread * at) / sqrt(pi))


BOUNDED_LOSS, BOUNDED_BASELINE = 3.5, 3.0
"""Metrics of about 97 and 95 %."""
BOUNDED_SD = 0.3
"""Of each part; repetitions then spread by 1.3 and 2.1 percentage points."""

SHAPES = {
    "normal": Shape("normal differences", _normal, 0.0),
    "heavy tails": Shape("heavy tails (t, 3 degrees of freedom)", _heavy, 0.0),
    "bounded": Shape(
        "metrics of 97 and 95 %",
        _bounded,
        _mean_expit(BOUNDED_LOSS) - _mean_expit(BOUNDED_BASELINE),
    ),
    "skewed": Shape("strongly skewed (log-normal)", _skewed, 0.0),
    "collapses": Shape("one run in ten collapses", _collapsing, -0.8),
}
