"""Sizes of images in training."""

from __future__ import annotations

import pytest

from benchmark.experiment.sizes import scaled_size, smallest_size
from benchmark.experiment.train_settings import Train


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [
        ((128, 256), 0.5, (64, 128)),
        ((128, 256), 1.1, (128, 288)),
        ((48, 64), 0.25, (32, 32)),
        ((48, 64), 1.0, (48, 64)),
        ((75, 101), 1.0, (80, 96)),
    ],
)
def test_sides_are_rounded(size, factor, expected):
    assert scaled_size(size, factor) == expected


@pytest.mark.parametrize(
    ("scales", "expected"),
    [(None, (75, 160)), ([0.5, 2.0], (32, 80)), ([2.0, 3.0], (75, 160)), ([1.0, 2.0], (75, 160))],
)
def test_the_smallest_is_that_of_a_step_or_of_the_evaluation(scales, expected):
    assert smallest_size(Train(image_size=[75, 160], multi_scale=scales)) == expected
