"""Distances across a mask's boundary, held against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from losses.mask import _distance
from losses.mask._distance import distance_across


def by_scipy(mask: torch.Tensor) -> torch.Tensor:
    """The same of one plane; SciPy knows no distance where there is no other side."""
    inside = mask.numpy()
    if inside.all() or not inside.any():
        return torch.zeros(mask.shape, dtype=torch.float64)
    to_outside = ndimage.distance_transform_edt(inside)
    to_inside = ndimage.distance_transform_edt(~inside)
    return torch.from_numpy(np.where(inside, to_outside, to_inside))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_it_is_the_exact_distance_on_any_mask(height, width, share, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(height, width, generator=generator) < share**3
    found = distance_across(mask, torch.float64)
    torch.testing.assert_close(found, by_scipy(mask), rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(300, 40), (40, 300), (130, 257)])
def test_it_is_exact_on_planes_larger_than_a_block(shape):
    generator = torch.Generator().manual_seed(0)
    mask = (
        torch.rand(4, *shape, generator=generator)
        < torch.tensor([1e-4, 1e-3, 0.02, 0.9])[:, None, None]
    )
    found = distance_across(mask, torch.float32)
    expected = torch.stack([by_scipy(plane) for plane in mask]).float()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_planes_do_not_mix_whatever_the_layout():
    mask = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(1)) < 0.2
    alone = torch.stack([torch.stack([by_scipy(p) for p in image]) for image in mask]).float()
    for layout in (mask, mask.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(distance_across(layout, torch.float32), alone)
    turned = distance_across(mask.mT, torch.float32)
    torch.testing.assert_close(turned, alone.mT)


def test_no_other_side_no_distance():
    for mask in (torch.zeros(2, 5, 6), torch.ones(2, 5, 6)):
        assert not distance_across(mask.bool(), torch.float32).any()
    assert distance_across(torch.zeros(0, 5, 6).bool(), torch.float32).shape == (0, 5, 6)
    assert distance_across(torch.zeros(2, 0, 6).bool(), torch.float32).shape == (2, 0, 6)


def test_both_ways_to_the_least_agree(monkeypatch):
    """Devices other than the processor compare all pairs."""
    mask = torch.rand(3, 30, 41, generator=torch.Generator().manual_seed(3)) < 0.01
    expected = distance_across(mask, torch.float32)
    monkeypatch.setattr(_distance, "_lower_by_shifts", _distance._lower_to_least)
    for pairs in (1, 2**26):
        monkeypatch.setattr(_distance, "PAIRS_AT_ONCE", pairs)
        assert distance_across(mask, torch.float32).equal(expected)


def test_it_vectorises_and_compiles():
    mask = torch.rand(3, 7, 8, generator=torch.Generator().manual_seed(2)) < 0.3
    expected = distance_across(mask, torch.float32)
    for dim in (0, 1):
        by_plane = torch.func.vmap(lambda m: distance_across(m, torch.float32), in_dims=dim)
        assert by_plane(mask.movedim(0, dim)).equal(expected)
    compiled = torch.compile(
        lambda m: distance_across(m, torch.float32), fullgraph=True, backend="aot_eager"
    )
    assert compiled(mask).equal(expected)
