from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.coverage.draws import BOUNDED_BASELINE, BOUNDED_LOSS, BOUNDED_SD, SHAPES


@pytest.mark.parametrize("name", SHAPES)
def test_differences_have_the_stated_mean(name):
    values = SHAPES[name].draw(np.random.default_rng(0), (400, 500))
    assert values.shape == (400, 500)
    error = values.std() / np.sqrt(values.size)
    assert values.mean() == pytest.approx(SHAPES[name].mean, abs=4 * error)


def test_shapes_are_what_their_names_say():
    drawn = {
        name: shape.draw(np.random.default_rng(1), (200, 500)).ravel()
        for name, shape in SHAPES.items()
    }
    assert drawn["normal"].std() == pytest.approx(np.sqrt(2), rel=0.02)
    assert abs(stats.skew(drawn["normal"])) < 0.05
    assert abs(stats.kurtosis(drawn["normal"])) < 0.1
    assert stats.kurtosis(drawn["heavy tails"]) > 2
    assert stats.skew(drawn["skewed"]) < -2
    assert stats.skew(drawn["collapses"]) < -1
    assert (drawn["collapses"] < -5).mean() == pytest.approx(0.1, abs=0.02)


def test_bounded_metrics_are_near_their_bound():
    random = np.random.default_rng(2)
    sums = random.normal(0, BOUNDED_SD * np.sqrt(2), 100_000)
    for centre, mean, spread in ((BOUNDED_LOSS, 0.97, 0.013), (BOUNDED_BASELINE, 0.95, 0.021)):
        metric = 1 / (1 + np.exp(-(centre + sums)))
        assert metric.mean() == pytest.approx(mean, abs=0.005)
        assert metric.std() == pytest.approx(spread, abs=0.0006)
