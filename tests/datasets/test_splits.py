"""The seeded split, and the options that name a data set's own splits."""

import hashlib
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datasets.base import SPLITS
from datasets.mask_folder import MaskFolder
from datasets.sample import DatasetError
from datasets.splits import split_ids

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def write_pairs(root, names, folder=""):
    for kind in ("images", "masks"):
        for name in names:
            path = root / kind / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)


def test_the_division_is_fixed_for_good():
    ids = [f"img{i}" for i in range(10)]
    order = sorted(ids, key=lambda name: hashlib.sha256(f"0:{name}".encode()).hexdigest())
    # By hand: room is 6, 2, 2. The first five go to train (ties to the first), then val and
    # test take one each, all have room for one more, and get it in turn.
    parts = split_ids(ids, SHARES, seed=0)
    assert parts["train"] == sorted([*order[:5], order[7]])
    assert parts["val"] == sorted([order[5], order[8]])
    assert parts["test"] == sorted([order[6], order[9]])
    # Written down once: another result means that published splits have moved.
    assert parts["val"] == ["img0", "img3"]
    assert parts["test"] == ["img5", "img7"]


@given(
    st.sets(st.text("abcxyz0123456789", min_size=1, max_size=6), min_size=3, max_size=60),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_every_id_is_in_one_split_whatever_the_order(ids, seed, rng):
    shuffled = sorted(ids)
    rng.shuffle(shuffled)
    parts = split_ids(shuffled, SHARES, seed)
    assert sorted(i for part in parts.values() for i in part) == sorted(ids)
    assert all(parts.values())
    assert parts == split_ids(sorted(ids), SHARES, seed)


@given(
    st.dictionaries(st.integers(0, 40), st.integers(1, 12), min_size=3, max_size=30),
    st.integers(0, 3),
)
def test_groups_stay_together(sizes, seed):
    ids = [f"wall{group}_{i}" for group, size in sizes.items() for i in range(size)]
    parts = split_ids(ids, SHARES, seed, group=r"^(.+)_\d+$")
    owners = {}
    for split, members in parts.items():
        for member in members:
            owners.setdefault(member.split("_")[0], set()).add(split)
    assert all(len(splits) == 1 for splits in owners.values())
    assert all(parts.values())


@pytest.mark.parametrize("count", [10, 25, 100, 241])
def test_single_images_meet_the_fractions(count):
    parts = split_ids([str(i) for i in range(count)], SHARES)
    for split, share in SHARES.items():
        assert abs(len(parts[split]) - share * count) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_a_group_that_fits_no_small_split_goes_to_training(seed):
    ids = [f"a_{i}" for i in range(60)] + [f"{g}_{i}" for g in "bcdefghi" for i in range(5)]
    parts = split_ids(ids, SHARES, seed, group="^(.)")
    assert {"a_0", "a_59"} <= set(parts["train"])
    assert (len(parts["val"]), len(parts["test"])) == (20, 20)


def test_the_seed_matters():
    ids = [str(i) for i in range(50)]
    assert split_ids(ids, SHARES, 0)["test"] != split_ids(ids, SHARES, 1)["test"]


def test_a_pattern_without_a_group_compares_the_whole_match():
    parts = split_ids(["a1", "a2", "b1", "b2", "c1", "c2"], SHARES, group="^[a-z]")
    assert sorted(len(part) for part in parts.values()) == [2, 2, 2]
    assert all(len({i[0] for i in part}) == 1 for part in parts.values())


@pytest.mark.parametrize(
    ("ids", "group", "message"),
    [
        (["a", "b"], None, "2 samples cannot be divided into 3 splits"),
        (["a_1", "a_2", "a_3", "b_1"], "^(.)_", "2 groups by the pattern '^(.)_' cannot"),
        (["a_1", "b_1", "c_1", "d"], "^(.)_", "'^(.)_' does not match the id 'd'"),
        (["a", "b", "c"], "(", "'(' is not a regular expression"),
    ],
)
def test_impossible_divisions(ids, group, message):
    with pytest.raises(DatasetError, match=re.escape(message)):
        split_ids(ids, SHARES, group=group)


@pytest.mark.parametrize(
    "fractions", [[0.5, 0.5], [0.6, 0.2, 0.3], [0.8, 0.2, 0.0], [1.2, -0.1, -0.1], []]
)
def test_wrong_fractions(tmp_path, fractions):
    write_pairs(tmp_path, "abcdef")
    with pytest.raises(DatasetError, match=r"^fractions: .* three numbers above 0"):
        MaskFolder(root=str(tmp_path), fractions=fractions)


def test_options_reach_the_seeded_split(tmp_path):
    names = [f"{wall}_{i}" for wall in "abcdefgh" for i in range(3)]
    random.Random(0).shuffle(names)
    write_pairs(tmp_path, names)
    options = {"root": str(tmp_path), "fractions": [0.5, 0.25, 0.25], "group": "^(.)_"}
    data = MaskFolder(**options, split_seed=3)
    assert [len(data.ids(split)) for split in SPLITS] == [12, 6, 6]
    expected = split_ids(names, {"train": 0.5, "val": 0.25, "test": 0.25}, 3, "^(.)_")
    assert {split: data.ids(split) for split in SPLITS} == expected


def test_folders_of_their_own(tmp_path):
    for split, names in {"train": "abc", "val": "ab", "test": "c"}.items():
        write_pairs(tmp_path, names, split)
    data = MaskFolder(root=str(tmp_path), images="images/{split}", masks="masks/{split}")
    assert data.ids("train") == ["train/a", "train/b", "train/c"]
    assert data.ids("val") == ["val/a", "val/b"]
    assert data.ids("test") == ["test/c"]
    assert data.load("val/a").id == "val/a"


def test_a_split_without_a_folder_is_taken_from_training(tmp_path):
    write_pairs(tmp_path, [f"{i:02}" for i in range(20)], "training")
    write_pairs(tmp_path, "xy", "held_out")
    data = MaskFolder(
        root=str(tmp_path),
        images="images/{split}",
        masks="masks/{split}",
        train="training",
        test="held_out",
        fractions=[0.6, 0.2, 0.2],
    )
    assert data.ids("test") == ["held_out/x", "held_out/y"]
    # The two shares that are left are .6 and .2: 15 and 5 of 20.
    assert (len(data.ids("train")), len(data.ids("val"))) == (15, 5)
    assert not set(data.ids("train")) & set(data.ids("val"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": "vall"}, r"images/vall: no such file or folder \(option 'val: vall'\)"),
        ({"test": "train"}, "'train/a' is in two splits, 'train' and 'test'"),
        ({"images": "images", "val": "val"}, "val: 'val' has no effect, as 'images: images'"),
        ({"images": "photos/{split}"}, "photos/train: no such file or folder; say what"),
        ({"root": "not_there"}, "root 'not_there' is not a folder"),
    ],
)
def test_wrong_names(tmp_path, options, message):
    write_pairs(tmp_path, "abc", "train")
    defaults = {"root": str(tmp_path), "images": "images/{split}", "masks": "masks/{split}"}
    with pytest.raises(DatasetError, match=message):
        MaskFolder(**{**defaults, **options})


def test_an_empty_split_is_refused(tmp_path):
    write_pairs(tmp_path, "abc", "train")
    for kind in ("images", "masks"):
        (tmp_path / kind / "val").mkdir()
    with pytest.raises(DatasetError, match="the split 'val' has no samples"):
        MaskFolder(root=str(tmp_path), images="images/{split}", masks="masks/{split}")


def test_brick_walls_are_split_by_photo(data_folder):
    data = MaskFolder(
        root=str(data_folder / "masonry_cracks" / "dataset"),
        images="crack_detection_224_images",
        masks="crack_detection_224_masks",
        classes=["crack"],
        group=r"^(.+)_\d+$",
    )
    photos = [{i.rsplit("_", 1)[0] for i in data.ids(split)} for split in SPLITS]
    assert not photos[0] & photos[1]
    assert not photos[0] & photos[2]
    assert not photos[1] & photos[2]
    assert sum(len(data.ids(split)) for split in SPLITS) == 240
    for split, share in SHARES.items():
        assert abs(len(data.ids(split)) / 240 - share) < 0.05


def test_a_place_given_to_one_split_is_no_other_ones(tmp_path):
    for split in ("train", "val"):
        write_pairs(tmp_path, "abcdefgh", split)
    folders = {"root": str(tmp_path), "images": "images/{split}", "masks": "masks/{split}"}
    data = MaskFolder(**folders, test="val")
    assert data.ids("test") == [f"val/{name}" for name in "abcdefgh"]
    assert sorted(data.ids("train") + data.ids("val")) == [f"train/{name}" for name in "abcdefgh"]
