"""COCO's compressed run lengths, held against pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from datasets.run_lengths import expand


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1))
)
def test_runs_of_a_mask(mask):
    runs = expand(coco_mask.encode(np.asfortranarray(mask))["counts"].decode())
    values = np.arange(len(runs)) % 2
    assert np.repeat(values, runs).tolist() == mask.T.ravel().tolist()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("h", "ends within a number"),
        ("\x7f", "cannot be part of them"),
        ("/", "cannot be part of them"),
        ("o" * 1_000_000, "longer than any run"),
    ],
)
def test_damaged_text(text, reason):
    with pytest.raises(ValueError, match=reason):
        expand(text)
