"""Augmentation: boxes stay around their objects, masks move along, the seed decides everything."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.augment import Augment, Augmentation
from datasets.sample import IGNORE

NO_BOXES = np.zeros((0, 4), np.float32)
NO_LABELS = np.zeros(0, np.int64)
EVERYTHING = Augment(hflip=0.5, vflip=0.5, rotate90=True, scale=(0.5, 2.0), colour=1.0)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def rectangle(height: int, width: int, box: tuple[int, int, int, int]):
    """A mask with one filled rectangle, and the boxes and labels that annotate it."""
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = 1
    return np.array([box], np.float32), np.array([0], np.int64), mask


def box_around(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_left_right_flip_by_hand():
    image = picture(4, 10)
    boxes, labels, mask = rectangle(4, 10, (1, 0, 4, 2))
    augmentation: Any = Augmentation(Augment(hflip=1.0), 4, 10)
    flipped, moved, kept, turned, _ = augmentation(image, boxes, labels, mask, seed=0)
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    np.testing.assert_array_equal(turned, mask[:, ::-1])
    np.testing.assert_allclose(moved, [[6, 0, 9, 2]], atol=1e-5)
    assert moved.dtype == np.float32
    assert kept.dtype == np.int64
    assert kept.tolist() == [0]


def test_upside_down_flip_by_hand():
    image = picture(10, 4)
    boxes, labels, mask = rectangle(10, 4, (0, 1, 2, 4))
    augmentation: Any = Augmentation(Augment(hflip=0.0, vflip=1.0), 10, 4)
    flipped, moved, _, turned, _ = augmentation(image, boxes, labels, mask, seed=0)
    np.testing.assert_array_equal(flipped, image[::-1])
    np.testing.assert_array_equal(turned, mask[::-1])
    np.testing.assert_allclose(moved, [[0, 6, 2, 9]], atol=1e-5)


def test_quarter_turns_are_numpys_and_all_occur():
    image = picture(16, 16)
    boxes, labels, mask = rectangle(16, 16, (1, 2, 5, 12))
    augmentation: Any = Augmentation(Augment(hflip=0.0, rotate90=True), 16, 16)
    seen = set()
    for seed in range(40):
        turned, moved, _, mask_turned, _ = augmentation(image, boxes, labels, mask, seed)
        turns = next(k for k in range(4) if np.array_equal(turned, np.rot90(image, k)))
        seen.add(turns)
        np.testing.assert_array_equal(mask_turned, np.rot90(mask, turns))
        np.testing.assert_allclose(moved[0], box_around(mask_turned), atol=1e-4)
    assert seen == {0, 1, 2, 3}


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(24, 70), st.integers(24, 70)),
    corner=st.tuples(st.floats(0, 0.7), st.floats(0, 0.7)),
    extent=st.tuples(st.floats(0.1, 0.3), st.floats(0.1, 0.3)),
    seed=st.integers(0, 2**62),
    low=st.floats(0.4, 1.0),
    high=st.floats(1.0, 2.5),
)
def test_a_box_stays_around_its_object(size, corner, extent, seed, low, high):
    height, width = size
    left, top = int(corner[0] * width), int(corner[1] * height)
    right = left + max(2, int(extent[0] * width))
    bottom = top + max(2, int(extent[1] * height))
    boxes, labels, mask = rectangle(height, width, (left, top, right, bottom))
    options = Augment(vflip=0.5, scale=(low, high), min_visibility=0.0)
    augmentation: Any = Augmentation(options, height, width)
    image, moved, _, turned, _ = augmentation(picture(height, width), boxes, labels, mask, seed)
    assert image.shape == (height, width, 3)
    assert turned.shape == (height, width)
    if len(moved):
        np.testing.assert_allclose(moved[0], box_around(turned == 1), atol=1.5)
    else:  # what is left is thinner than a pixel, up to the rounding of the scaled mask
        rows, columns = np.nonzero(turned == 1)
        assert len(rows) == 0 or min(np.ptp(rows), np.ptp(columns)) <= 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), min_visibility=st.floats(0.0, 1.0))
def test_objects_are_kept_by_the_share_of_their_box_that_stays_inside(seed, min_visibility):
    boxes, labels, mask = rectangle(64, 64, (8, 20, 40, 44))
    options = Augment(hflip=0.0, scale=(2.0, 2.0), min_visibility=min_visibility)
    augmentation: Any = Augmentation(options, 64, 64)
    _, moved, _, turned, _ = augmentation(picture(64, 64), boxes, labels, mask, seed)
    share = (turned == 1).sum() / (4 * 32 * 24)
    if abs(share - min_visibility) > 0.01:
        assert len(moved) == (share > min_visibility)


def test_an_image_may_lose_all_its_boxes():
    boxes, labels, mask = rectangle(64, 64, (0, 0, 4, 4))
    augmentation: Any = Augmentation(Augment(scale=(8.0, 8.0)), 64, 64)
    for seed in range(60):
        image, moved, kept, turned, _ = augmentation(picture(64, 64), boxes, labels, mask, seed)
        if not (turned == 1).any():
            break
    assert image.shape == (64, 64, 3)
    assert moved.shape == (0, 4)
    assert moved.dtype == np.float32
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


@pytest.mark.parametrize("options", [Augment(), EVERYTHING, Augment(hflip=0.0)])
def test_images_without_boxes_or_masks_are_fine(options):
    augmentation: Any = Augmentation(options, 32, 32)
    for seed in range(5):
        image, boxes, labels, mask, _ = augmentation(
            picture(32, 32), NO_BOXES, NO_LABELS, None, seed
        )
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert boxes.shape == (0, 4)
        assert boxes.dtype == np.float32
        assert labels.shape == (0,)
        assert mask is None


def test_labels_follow_their_boxes():
    corners = np.arange(0, 60, 6, dtype=np.float32)
    boxes = np.stack([corners, corners, corners + 4, corners + 4], 1)
    labels = np.arange(len(boxes))
    mask = np.full((64, 64), 100, np.uint8)
    for left, label in zip(corners.astype(int), labels, strict=True):
        mask[left : left + 4, left : left + 4] = label
    augmentation: Any = Augmentation(Augment(scale=(1.5, 2.0), min_visibility=0.5), 64, 64)
    counts = set()
    for seed in range(20):
        _, moved, kept, turned, _ = augmentation(picture(64, 64), boxes, labels, mask, seed)
        counts.add(len(kept))
        centres = ((moved[:, :2] + moved[:, 2:]) / 2).astype(int)
        assert [turned[y, x] for x, y in centres] == kept.tolist()
    assert min(counts) < len(boxes)


@pytest.mark.parametrize("colour", [0.0, 0.1])
def test_padding_is_grey_and_ignored(colour):
    image = np.full((40, 60, 3), 7, np.uint8)
    mask = np.ones((40, 60), np.uint8)
    augmentation: Any = Augmentation(Augment(scale=(0.5, 0.5), colour=colour), 40, 60)
    shrunk, _, _, turned, _ = augmentation(image, NO_BOXES, NO_LABELS, mask, seed=3)
    padding = (shrunk == 114).all(2)
    assert padding.sum() == 40 * 60 - 20 * 30
    np.testing.assert_array_equal(turned == IGNORE, padding)
    assert (np.abs(shrunk[~padding].astype(int) - 7) <= 20).all()
    assert (turned[~padding] == 1).all()


def test_the_seed_alone_decides():
    boxes, labels, mask = rectangle(48, 48, (10, 10, 30, 25))
    image = picture(48, 48)
    one, other = Augmentation(EVERYTHING, 48, 48), Augmentation(EVERYTHING, 48, 48)
    for seed in (5, 6, 7):
        other(image, boxes, labels, mask, seed)
    np.random.seed(1)  # noqa: NPY002  the library must not look at the global state
    first = one(image, boxes, labels, mask, 7)
    second = other(image, boxes, labels, mask, 7)
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)
    different = one(image, boxes, labels, mask, 8)
    assert not np.array_equal(first[0], different[0])


def test_inputs_are_left_alone_and_may_be_read_only():
    boxes, labels, mask = rectangle(48, 48, (10, 10, 30, 25))
    inputs = picture(48, 48), boxes, labels, mask
    copies = [array.copy() for array in inputs]
    for array in inputs:
        array.setflags(write=False)
    augmentation: Any = Augmentation(EVERYTHING, 48, 48)
    for seed in range(10):
        augmentation(*inputs, seed)
    for array, copy in zip(inputs, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_transforms_are_drawn_independently_of_one_another():
    """With one seed for each transform, all flips would coincide and follow the scale."""
    marks = np.zeros((32, 32), np.uint8)
    marks[:16, :16], marks[:16, 16:], marks[16:, :16], marks[16:, 16:] = 1, 2, 3, 4
    augmentation: Any = Augmentation(Augment(hflip=0.5, vflip=0.5), 32, 32)
    corners = [
        augmentation(picture(32, 32), NO_BOXES, NO_LABELS, marks, seed)[3][0, 0]
        for seed in range(400)
    ]
    counts = np.bincount(corners, minlength=5)[1:]
    assert (np.abs(counts - 100) < 40).all()


def test_colour_changes_pixels_and_nothing_else():
    boxes, labels, mask = rectangle(48, 48, (10, 10, 30, 25))
    image = picture(48, 48)
    changes = {}
    for strength in (0.1, 1.0):
        augmentation: Any = Augmentation(Augment(hflip=0.0, colour=strength), 48, 48)
        changed = []
        for seed in range(20):
            new, moved, _, turned, _ = augmentation(image, boxes, labels, mask, seed)
            np.testing.assert_allclose(moved, boxes, atol=1e-5)
            np.testing.assert_array_equal(turned, mask)
            changed.append(np.abs(new.astype(int) - image).mean())
        changes[strength] = np.mean(changed)
    assert 0 < 4 * changes[0.1] < changes[1.0]


def test_with_nothing_to_do_the_arrays_come_back_themselves():
    image, boxes, labels, mask = picture(8, 8), *rectangle(8, 8, (1, 1, 4, 4))
    inputs: Any = (image, boxes, labels, mask, 0, mask[None])
    augmentation: Any = Augmentation(Augment(hflip=0.0), 8, 8)
    outputs = augmentation(*inputs)
    expected = (*inputs[:4], inputs[5])
    assert all(one is other for one, other in zip(expected, outputs, strict=True))


@settings(max_examples=60)
@given(
    corners=st.lists(
        st.tuples(*(st.integers(0, 40) for _ in range(2)), *(st.integers(3, 24) for _ in range(2))),
        max_size=6,
    ),
    seed=st.integers(0, 2**62),
    low=st.floats(0.4, 1.0),
    high=st.floats(1.0, 2.5),
)
def test_instances_stay_with_their_boxes_and_change_nothing_else(corners, seed, low, high):
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32).reshape(-1, 4)
    masks = np.zeros((len(corners), 64, 64), np.uint8)
    for mask, (x, y, w, h) in zip(masks, corners, strict=True):
        mask[y : y + h, x : x + w] = 1
    options = Augment(vflip=0.5, rotate90=True, scale=(low, high), colour=0.3)
    augmentation: Any = Augmentation(options, 64, 64)
    inputs = picture(64, 64), boxes, np.arange(len(boxes)), np.zeros((64, 64), np.uint8), seed
    alone = augmentation(*inputs)
    *others, found = augmentation(*inputs, masks)
    for one, other in zip(alone[:4], others, strict=True):
        np.testing.assert_array_equal(one, other)
    assert alone[4] is None
    assert found.dtype == np.uint8
    assert found.shape == (len(others[1]), 64, 64)
    assert found.max(initial=0) <= 1
    for box, mask in zip(others[1], found, strict=True):
        np.testing.assert_allclose(box_around(mask), box, atol=2.5)


def test_instances_of_boxes_left_out_are_left_out_by_hand():
    # Doubled, and the window cut out at random: a corner object leaves it more often than not.
    boxes = np.array([[0, 0, 8, 8], [12, 12, 20, 20]], np.float32)
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :8, :8] = masks[1, 12:20, 12:20] = 1
    augmentation: Any = Augmentation(Augment(hflip=0.0, scale=(2.0, 2.0)), 32, 32)
    counts = set()
    for seed in range(20):
        _, moved, kept, _, found = augmentation(
            picture(32, 32), boxes, np.arange(2), None, seed, masks
        )
        counts.add(len(kept))
        assert len(moved) == len(kept) == len(found)
        assert 1 in kept
        np.testing.assert_array_equal(box_around(found[list(kept).index(1)]), moved[-1].round())
    assert counts == {1, 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hflip": 1.5}, "hflip is 1.5; it must lie in 0..1"),
        ({"vflip": -0.1}, "vflip is -0.1"),
        ({"colour": 2.0}, "colour is 2.0"),
        ({"min_visibility": float("nan")}, "min_visibility is nan"),
        ({"scale": (1.5, 0.5)}, r"scale is \[1.5, 0.5\]"),
        ({"scale": (0.0, 1.0)}, "scale is"),
        ({"scale": (1.0,)}, r"must be \[low, high\]"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Augment(**options)


def test_quarter_turns_need_square_images():
    with pytest.raises(ValueError, match=r"rotate90 needs a square image size.* 32x48"):
        Augmentation(Augment(rotate90=True), 32, 48)


def test_the_library_does_not_ask_the_network_for_its_version():
    script = (
        "import os, socket, urllib.request\n"
        "os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "def refuse(*args, **kwargs): print('called'); raise OSError\n"
        "urllib.request.OpenerDirector.open = refuse\n"
        "socket.create_connection = refuse\n"
        "from datasets.augment import Augment, Augmentation\n"
        "import sys; assert 'albumentations' not in sys.modules\n"
        "Augmentation(Augment(), 8, 8)\n"
        "assert 'albumentations' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
