"""Fingerprints tell one state of a data set from every other, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.cache import prepare
from datasets.fingerprint import fingerprint, sample_digest
from datasets.mask_folder import MaskFolder
from datasets.sample import Sample
from datasets.shapes import Shapes


def sample(**changes) -> Sample:
    plain = Sample(
        id="a",
        path="somewhere/a.png",
        image=np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
        boxes=np.array([[0, 0, 2, 2]], np.float32),
        labels=np.array([1], np.int64),
        instance_masks=np.eye(4, dtype=bool)[None],
        semantic=np.zeros((4, 4), np.uint8),
    )
    return replace(plain, **changes)


def test_what_a_sample_is_called_in_messages_does_not_count():
    assert sample_digest(sample()) == sample_digest(sample(path="elsewhere", dropped=3))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "b"},
        {"boxes": np.array([[0, 0, 2, 2.0000002]], np.float32)},
        {"labels": np.array([0], np.int64)},
        {"instance_masks": None},
        {"instance_masks": ~np.eye(4, dtype=bool)[None]},
        {"semantic": None},
        {"semantic": np.full((4, 4), 255, np.uint8)},
        {"image": np.arange(48, dtype=np.uint8).reshape(2, 8, 3)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_part_counts(changes):
    assert sample_digest(sample()) != sample_digest(sample(**changes))


@given(st.integers(0, 47), st.integers(1, 255))
def test_every_pixel_counts(place, by):
    image = sample().image.copy()
    image.flat[place] ^= by
    assert sample_digest(sample(image=image)) != sample_digest(sample())


def test_order_memory_layout_and_classes():
    turned = np.asfortranarray(sample().image)
    assert sample_digest(sample(image=turned)) == sample_digest(sample())
    a, b = sample_digest(sample()), sample_digest(sample(id="b"))
    assert fingerprint(["x"], [a, b]) == fingerprint(["x"], iter([a, b]))
    kinds = [(["x"], [a, b]), (["x"], [b, a]), (["y"], [a, b]), (["x"], [a]), (["x", "y"], [a, b])]
    assert len({fingerprint(*kind) for kind in kinds}) == len(kinds)


def test_size_and_folder_of_the_cache_do_not_count(tmp_path):
    data = Shapes(size=32, train=4, val=2, test=2)
    found = {
        prepare(data, "train", (size, size), tmp_path / str(size), processes=processes).fingerprint
        for size, processes in ((16, 1), (32, 1), (32, 2))
    }
    assert len(found) == 1
    other = Shapes(size=32, train=4, val=2, test=2, seed=1)
    assert prepare(other, "train", (16, 16), tmp_path).fingerprint not in found
    assert prepare(data, "val", (16, 16), tmp_path).fingerprint not in found


@pytest.fixture
def folder(tmp_path):
    """12 images of 8 x 8 pixels with masks."""
    draw = np.random.default_rng(0)
    for kind, shape in (("images", (8, 8, 3)), ("masks", (8, 8))):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = draw.integers(0, 2, shape, dtype=np.uint8) * 255
            cv2.imwrite(str(tmp_path / "data" / kind / f"{number:02}.png"), pixels)
    return tmp_path / "data"


def fingerprints(root, cache) -> list[str]:
    data = MaskFolder(root=str(root))
    return [prepare(data, s, (8, 8), cache).fingerprint for s in ("train", "val", "test")]


def test_a_changed_pixel_of_a_file_is_noticed_where_it_is(folder, tmp_path):
    before = fingerprints(folder, tmp_path / "cache")
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert fingerprints(moved, tmp_path / "cache") == before
    name = MaskFolder(root=str(moved)).ids("val")[0]
    (mask,) = moved.glob(f"masks/{name}.*")
    pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    pixels[3, 5] = 255 - pixels[3, 5]
    cv2.imwrite(str(mask), pixels)
    after = fingerprints(moved, tmp_path / "cache")
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
