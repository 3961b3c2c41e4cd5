"""A checkpoint is taken up as it was written, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._pytree import tree_flatten

from benchmark.store import RunFolder
from benchmark.training.state import State, read_checkpoint, resume_or_start, write_checkpoint

CPU = torch.device("cpu")
CLASSES = ["disc", "square"]
ROWS = [{"epoch": 0, "mIoU": 0.1}, {"epoch": 1, "mIoU": 0.30000000000000004, "lr": float("nan")}]


def start(folder: RunFolder, cell) -> State:
    return resume_or_start(cell, folder, CLASSES, 3, CPU)


def leaves(content: object) -> list[object]:
    """All values of a checkpoint, tensors as their bytes."""
    found = tree_flatten(content)[0]
    return [
        leaf.contiguous().numpy().tobytes() if isinstance(leaf, torch.Tensor) else repr(leaf)
        for leaf in found
    ]


@pytest.fixture(params=["detection", "segmentation", "instance"])
def cell(request, make_cell):
    return make_cell(request.param, epochs=4)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    return folder


def advanced(folder: RunFolder, cell) -> State:
    """A state that is past its first epoch."""
    state = start(folder, cell)
    state.epoch, state.rows, state.seconds = 1, ROWS, 2.5
    with torch.no_grad():
        for weight in state.model.parameters():
            weight.add_(0.5)
    return state


def test_a_full_disk_is_the_reason_that_is_told():
    with pytest.raises(OSError, match="No space left on device"):
        write_checkpoint(Path("/dev/full"), {"weights": torch.zeros(100_000)})


def test_a_state_comes_back_with_its_history(cell, folder):
    saved = advanced(folder, cell)
    saved.save(folder)
    found = start(folder, cell)
    assert found.epoch == 1
    assert found.seconds == 2.5
    assert str(found.rows) == str(ROWS)
    for name, value in saved.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value), name


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_checkpoint_cut_short_is_left_for_a_new_start(make_cell, folder, capsys, cut):
    cell = make_cell("segmentation", epochs=4)
    advanced(folder, cell).save(folder)
    folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:-cut])
    found = start(folder, cell)
    assert found.epoch == 0
    assert found.rows == []
    assert "starting from epoch 1" in capsys.readouterr().out
    assert not folder.checkpoint.exists()
    fresh = start(folder, cell)
    for name, value in fresh.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value), name


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_something_else_in_its_place_is_left_for_a_new_start(make_cell, folder, capsys, content):
    folder.checkpoint.write_bytes(content)
    assert start(folder, make_cell("segmentation", epochs=4)).epoch == 0
    assert "starting from epoch 1" in capsys.readouterr().out


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, make_cell) -> Path:
    folder = RunFolder(tmp_path_factory.mktemp("state") / "run")
    folder.path.mkdir()
    advanced(folder, make_cell("segmentation", epochs=4)).save(folder)
    return folder.checkpoint


@settings(max_examples=200)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_what_is_taken_up(checkpoint, place, bit):
    """torch's own reader takes flipped weights for good: it does not look at the checksums."""
    damaged = bytearray(checkpoint.read_bytes())
    damaged[int(place * len(damaged))] ^= 1 << bit
    file = checkpoint.with_name("damaged.pt")
    file.write_bytes(bytes(damaged))
    try:
        found = read_checkpoint(file, CPU)
    except Exception:  # whatever it is: `resume_or_start` then starts anew
        return
    assert leaves(found) == leaves(read_checkpoint(checkpoint, CPU))


def test_a_flipped_bit_of_a_weight_is_seen(checkpoint):
    image = bytearray(checkpoint.read_bytes())
    weights = torch.load(checkpoint, weights_only=True)["model"].values()
    largest = max(weights, key=torch.Tensor.numel)
    stored = bytes(largest.untyped_storage())
    at = image.find(stored)
    assert at > 0
    image[at + len(stored) // 2] ^= 1
    file = checkpoint.with_name("flipped.pt")
    file.write_bytes(bytes(image))
    assert leaves(torch.load(file, weights_only=True)) != leaves(torch.load(checkpoint))
    with pytest.raises(ValueError, match="does not fit its checksum"):
        read_checkpoint(file, CPU)
