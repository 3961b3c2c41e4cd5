"""A batch at another size, against values by hand."""

from __future__ import annotations

import pytest
import torch

from benchmark.training.batch import Batch


def batch() -> Batch:
    """Two images of 4 x 8; the first has a box around its right half, the second nothing."""
    images = torch.zeros(2, 3, 4, 8, dtype=torch.uint8)
    images[0, :, :, 4:] = 200
    semantic = torch.zeros(2, 4, 8, dtype=torch.uint8)
    semantic[0, :, 4:] = 3
    semantic[1, :2] = 255
    return Batch(
        images.contiguous(memory_format=torch.channels_last),
        [torch.tensor([[4.0, 0.0, 8.0, 4.0]]), torch.zeros(0, 4)],
        [torch.tensor([1]), torch.zeros(0, dtype=torch.int64)],
        semantic,
        [(semantic[:1] == 3).to(torch.uint8), torch.zeros(0, 4, 8, dtype=torch.uint8)],
    )


@pytest.mark.parametrize(("height", "width"), [(8, 16), (2, 4), (12, 8)])
def test_everything_follows_the_size(height, width):
    old, new = batch(), batch().resized(height, width)
    assert new.images.shape == (2, 3, height, width)
    assert new.images.dtype == torch.uint8
    assert new.images.is_contiguous(memory_format=torch.channels_last)
    assert new.boxes[0].tolist() == [[width / 2, 0.0, width, height]]
    assert new.boxes[1].shape == (0, 4)
    assert [x.tolist() for x in new.labels] == [[1], []]
    half = width // 2
    assert new.semantic is not None
    assert new.semantic[0, :, half:].eq(3).all()
    assert new.semantic[0, :, :half].eq(0).all()
    assert new.semantic[1, : height // 2].eq(255).all()
    assert new.semantic[1, height // 2 :].eq(0).all()
    assert new.masks is not None
    assert torch.equal(new.masks[0][0].bool(), new.semantic[0] == 3)
    assert new.masks[1].shape == (0, height, width)
    # Far from the edge in the middle the picture is what it was.
    assert new.images[0, :, :, -1].eq(200).all()
    assert new.images[0, :, :, 0].eq(0).all()
    # What it was made of is untouched.
    assert old.boxes[0].tolist() == [[4.0, 0.0, 8.0, 4.0]]


def test_images_are_bilinear():
    """Twice as wide, the pixels beside the edge are at a quarter and three quarters of it."""
    row = batch().resized(4, 16).images[0, 0, 0].tolist()
    assert row == [0] * 7 + [50, 150] + [200] * 7


def test_the_same_size_is_the_same_batch():
    one = batch()
    assert one.resized(4, 8) is one


def test_a_batch_without_masks_has_none_after():
    plain = batch()
    plain.semantic = plain.masks = None
    new = plain.resized(8, 8)
    assert new.semantic is None
    assert new.masks is None
