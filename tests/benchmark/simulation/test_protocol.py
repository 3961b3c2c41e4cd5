from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.simulation.protocol import (
    AREAS,
    ASPECTS,
    CASES_PER_POINT,
    CENTRE,
    FULL,
    POINTS,
    RADIUS,
    STEPS,
    anchor_centres,
    cases,
    learning_rate,
)


def test_the_full_experiment_has_the_papers_size():
    assert CASES_PER_POINT == 343
    assert POINTS * CASES_PER_POINT == FULL == 1_715_000
    assert STEPS == 200


def test_every_combination_of_shapes_and_areas_occurs_once_at_every_centre():
    centres = np.array([[9.0, 11.0], [12.0, 10.5]])
    anchors, targets = cases(centres)
    assert anchors.shape == targets.shape == (4, 2 * 343)
    assert anchors.dtype == torch.float64
    assert torch.equal(anchors[:2, :343], torch.tensor([[9.0], [11.0]]).double().expand(2, 343))
    assert torch.equal(anchors[:2, 343:], torch.tensor([[12.0], [10.5]]).double().expand(2, 343))
    assert (targets[:2] == CENTRE).all()
    torch.testing.assert_close(targets[2] * targets[3], torch.ones(686).double())
    seen = torch.stack(
        (targets[2] / targets[3], anchors[2] * anchors[3], anchors[2] / anchors[3])
    ).numpy()
    expected = {(t, a, s) for t in ASPECTS for a in AREAS for s in ASPECTS}
    for half in (seen[:, :343], seen[:, 343:]):
        rounded = {tuple(np.round(column, 9)) for column in half.T}
        assert rounded == {tuple(np.round(one, 9)) for one in expected}


def test_centres_are_uniform_by_area():
    offsets = anchor_centres(40_000, seed=3) - CENTRE
    squares = (offsets**2).sum(1)
    assert squares.max() <= RADIUS**2
    # r² is uniform in 0..9: mean 4.5, and a quarter of the centres in a quarter of the area.
    assert squares.mean() == pytest.approx(4.5, abs=0.05)
    assert (squares < RADIUS**2 / 4).mean() == pytest.approx(0.25, abs=0.01)
    assert np.abs(offsets.mean(0)).max() < 0.03


def test_the_seed_decides_the_centres_and_fewer_are_the_first_of_more():
    assert np.array_equal(anchor_centres(7, 1), anchor_centres(50, 1)[:7])
    assert not np.isclose(anchor_centres(7, 1), anchor_centres(7, 2)).any()


def test_learning_rate_by_step():
    rates = [learning_rate(step) for step in range(1, STEPS + 1)]
    assert rates == [0.1] * 160 + [0.01] * 20 + [0.001] * 20
