"""How often the intervals hold the truth, and how often the tests err."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.coverage import methods
from benchmark.coverage.draws import SHAPES, Array

REPETITIONS = (3, 4, 5, 6, 8, 10, 15, 20)
DATASETS = (2, 3, 5)
EXACT_REPETITIONS = (4, 6, 8, 10)
"""Of the sign-flip test; the patterns double with each repetition."""
COMPARISONS = 5
BLOCK = 250
"""Experiments that share their resampling, and what bounds the memory."""

COLUMNS = [
    *("measure", "method", "shape", "repetitions", "datasets"),
    *("experiments", "rate", "standard_error"),
]


@dataclass(frozen=True)
class Settings:
    """Size of the simulation.

    Attributes:
        experiments: of the intervals and tests that have a formula, for each shape and number
            of repetitions.
        resampled: of the bootstrap and the sign-flip test.
        resamples: of each bootstrap.
        level: of the intervals; the tests are at ``1 - level``.
    """

    experiments: int = 40_000
    resampled: int = 4_000
    resamples: int = 999
    level: float = 0.95
    seed: int = 0


def simulate(settings: Settings, advance: Callable[[], object] = lambda: None) -> pd.DataFrame:
    """One row a (measure, method, shape, number of repetitions and data sets).

    ``measure`` is "coverage" (how often the interval holds the true mean difference) or "error"
    (how often a test claims a difference although there is none); ``rate`` from 0 to 1 with its
    standard error ``sqrt(rate (1 - rate) / experiments)``. ``advance`` is called after each of
    :func:`steps`.
    """
    rows = []
    for number, step in enumerate(steps(settings)):
        rows += step(np.random.default_rng([settings.seed, number]))
        advance()
    return pd.DataFrame(rows, columns=COLUMNS)


Row = dict[str, Any]
Step = Callable[[np.random.Generator], list[Row]]


def steps(settings: Settings) -> list[Step]:
    """The parts of the simulation; each draws from a random stream of its own."""
    return list(_steps(settings))


def _steps(settings: Settings) -> Iterator[Step]:
    for shape in SHAPES:
        for n in REPETITIONS:
            yield partial(_t, shape=shape, n=n, s=settings)
            yield partial(_bootstrap, shape=shape, n=n, s=settings)
        for n in EXACT_REPETITIONS:
            yield partial(_sign_flip, shape=shape, n=n, s=settings)
    for datasets in DATASETS:
        for n in REPETITIONS:
            yield partial(_pooled, datasets=datasets, n=n, s=settings)
    for n in REPETITIONS:
        yield partial(_comparisons, n=n, s=settings)


def _row(measure: str, method: str, shape: str, n: int, hits: NDArray[np.bool_], k: int = 1) -> Row:
    rate = float(hits.mean())
    error = math.sqrt(rate * (1 - rate) / len(hits))
    return dict(zip(COLUMNS, (measure, method, shape, n, k, len(hits), rate, error), strict=True))


def _holds(bounds: methods.Bounds, truth: float) -> NDArray[np.bool_]:
    low, high = bounds
    return np.asarray((low <= truth) & (truth <= high))


def _t(random: np.random.Generator, shape: str, n: int, s: Settings) -> list[Row]:
    values = SHAPES[shape].draw(random, (s.experiments, n))
    held = _holds(methods.mean_interval(values, s.level), SHAPES[shape].mean)
    return [_row("coverage", "t", shape, n, held)]


def _bootstrap(random: np.random.Generator, shape: str, n: int, s: Settings) -> list[Row]:
    truth = SHAPES[shape].mean
    percentile, bca = [], []
    for values in _blocks(SHAPES[shape].draw(random, (s.resampled, n))):
        means = methods.resampled_means(values, s.resamples, random)
        percentile.append(_holds(methods.percentile_interval(means, s.level), truth))
        bca.append(_holds(methods.bca_interval(values, means, s.level), truth))
    return [
        _row("coverage", "percentile bootstrap", shape, n, np.concatenate(percentile)),
        _row("coverage", "BCa bootstrap", shape, n, np.concatenate(bca)),
    ]


def _sign_flip(random: np.random.Generator, shape: str, n: int, s: Settings) -> list[Row]:
    # The mean moved to 0: no difference on average.
    values = SHAPES[shape].draw(random, (s.resampled, n)) - SHAPES[shape].mean
    p = np.concatenate([methods.sign_flip_test(block) for block in _blocks(values)])
    return [_row("error", "sign-flip", shape, n, p <= 1 - s.level)]


def _blocks(values: Array) -> Iterator[Array]:
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK]


def _pooled(random: np.random.Generator, datasets: int, n: int, s: Settings) -> list[Row]:
    """Normal differences whose spread doubles from each data set to the next."""
    normal = SHAPES["normal"]
    strata = [2.0**i * normal.draw(random, (s.experiments, n)) for i in range(datasets)]
    held = _holds(methods.pooled_interval(strata, s.level), normal.mean)
    return [_row("coverage", "pooled t", "normal", n, held, datasets)]


def _comparisons(random: np.random.Generator, n: int, s: Settings) -> list[Row]:
    """Losses that equal their common baseline: is any of them claimed to differ?"""
    size = (s.experiments, n)
    baseline = random.normal(size=size)
    values = [random.normal(size=size) - baseline for _ in range(COMPARISONS)]
    uncorrected, corrected = methods.any_claim(values, 1 - s.level)
    return [
        _row("error", f"any of {COMPARISONS}, uncorrected", "normal", n, uncorrected),
        _row("error", f"any of {COMPARISONS}, Holm", "normal", n, corrected),
    ]
