"""Which GPU a run gets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.executors.gpus import VISIBLE, GpuSlots, visible_gpus


@pytest.mark.parametrize(
    ("listed", "count", "expected"),
    [
        (None, 0, []),
        (None, 2, ["0", "1"]),
        ("3,1", 2, ["3", "1"]),
        (" 3 , 1 ", 2, ["3", "1"]),
        ("GPU-5e8a,MIG-77", 2, ["GPU-5e8a", "MIG-77"]),
        # CUDA stops at the first that is not there, and so counts one.
        ("1,9,0", 1, ["1"]),
        ("", 0, []),
        ("-1", 0, []),
    ],
)
def test_gpus_are_named_as_cuda_was_told(monkeypatch, listed, count, expected):
    monkeypatch.delenv(VISIBLE, raising=False)
    if listed is not None:
        monkeypatch.setenv(VISIBLE, listed)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert visible_gpus() == expected


def test_gpus_are_filled_evenly_and_a_free_place_is_used_again():
    slots = GpuSlots(["a", "b"], 0.5)
    assert [slots.take() for _ in range(5)] == ["a", "b", "a", "b", None]
    slots.give_back("b")
    assert slots.take() == "b"
    assert slots.take() is None


@pytest.mark.parametrize(
    ("share", "most"), [(1, 1), (0.6, 1), (0.5, 2), (0.34, 2), (0.33, 3), (0.3333334, 3), (0.1, 10)]
)
def test_how_many_runs_share_a_gpu(share, most):
    slots = GpuSlots(["0"], share)
    taken = [slots.take() for _ in range(20)]
    assert taken == ["0"] * most + [None] * (20 - most)


def test_without_a_share_any_number_of_runs_is_spread():
    slots = GpuSlots(["0", "1", "2"], 0)
    assert [slots.take() for _ in range(7)] == ["0", "1", "2", "0", "1", "2", "0"]


def test_without_gpus_there_is_nothing_to_take():
    assert GpuSlots([], 0.5).take() is None


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.sampled_from([0.25, 0.5, 1.0]))
def test_no_gpu_is_ever_overfull_or_two_ahead_of_another(takes, count, share):
    slots = GpuSlots([str(i) for i in range(count)], share)
    held: list[str] = []
    for take in takes:
        if take:
            gpu = slots.take()
            full = len(held) == count * round(1 / share)
            assert (gpu is None) == full
            if gpu is not None:
                assert held.count(gpu) == min(held.count(str(i)) for i in range(count))
                held.append(gpu)
        elif held:
            slots.give_back(held.pop(0))
