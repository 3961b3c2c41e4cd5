"""A checkpoint of whatever bytes is taken up as it was saved, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.experiment.cell import CellConfig, CellLoss, CellModel, CellPart
from benchmark.experiment.train_settings import Train
from benchmark.store import RunFolder
from benchmark.training.state import State, resume_or_start
from tests.fuzz.mutations import FUZZ, damaged

CELL = CellConfig(
    task="segmentation",
    loss=CellLoss(name="bce", label="bce"),
    dataset=CellPart(name="shapes", label="shapes"),
    model=CellModel(name="tiny_unet", label="tiny_unet", options={"width": 4}),
    repetition=0,
    seed=0,
    train=Train(epochs=3, image_size=32),
)


def start(folder: RunFolder) -> State:
    return resume_or_start(CELL, folder, ["dog"], 2, torch.device("cpu"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, bytes, torch.Tensor]:
    """A run folder, its checkpoint after two epochs, and the weights in there."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    state = start(folder)
    with torch.no_grad():
        for weight in state.model.parameters():
            weight.add_(0.5)
    state.epoch = 2
    state.save(folder)
    return folder, folder.checkpoint.read_bytes(), weights(state)


def weights(state: State) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in state.model.parameters()])


def test_an_undamaged_one_is_taken_up(saved):
    folder, content, expected = saved
    folder.checkpoint.write_bytes(content)
    state = start(folder)
    assert state.epoch == 2
    assert torch.equal(weights(state), expected)


@FUZZ
@given(data=st.data())
def test_a_damaged_one_is_whole_or_refused(saved, data):
    folder, content, expected = saved
    folder.checkpoint.write_bytes(data.draw(damaged(content)))
    state = start(folder)
    assert state.epoch in (0, 2)
    assert torch.equal(weights(state), expected) == (state.epoch == 2)


@FUZZ
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_without_effect(saved, place, bit):
    folder, content, expected = saved
    flipped = bytearray(content)
    flipped[place % len(content)] ^= 1 << bit
    folder.checkpoint.write_bytes(flipped)
    state = start(folder)
    assert torch.equal(weights(state), expected) == (state.epoch == 2)


def test_the_start_differs_from_what_was_saved(saved):
    folder, _, expected = saved
    Path(folder.checkpoint).unlink(missing_ok=True)
    assert not torch.equal(weights(start(folder)), expected)
