"""Masks of single objects in the cache."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from datasets.base import Dataset
from datasets.cache import CachedSplit, prepare
from datasets.instance_masks import InstanceMasks
from datasets.run_lengths import decode_masks, encode_masks
from datasets.sample import DatasetError, Sample
from datasets.shapes import Shapes


@dataclass
class Given(Dataset):
    """Samples with the masks that a test gives: one array ``[n, H, W]`` or None a sample."""

    masks: list = field(default_factory=list)
    tasks = frozenset({"instance"})
    classes = ["a"]  # noqa: RUF012

    def ids(self, split):
        return [str(number) for number in range(len(self.masks))]

    def files(self, sample_id):
        return []

    def load(self, sample_id):
        masks = self.masks[int(sample_id)]
        count, *size = (1, 20, 30) if masks is None else masks.shape
        return Sample(
            id=sample_id,
            path=sample_id,
            image=np.zeros((*size, 3), np.uint8),
            boxes=np.tile(np.array([0, 0, 5, 5], np.float32), (count, 1)),
            labels=np.zeros(count, np.int64),
            instance_masks=masks,
        )


def cached(folder: Path, size: tuple[int, int], *masks) -> CachedSplit:
    return prepare(Given(list(masks)), "train", size, folder)


def test_by_hand(tmp_path):
    masks = np.zeros((2, 4, 8), np.bool_)
    masks[0, :2, :4] = True
    masks[1, 2:, 2:] = True
    split = cached(tmp_path, (4, 4), masks, np.zeros((0, 4, 8), np.bool_))
    assert split.has_instances
    # Half the size, into the upper half of the canvas; the lower half is padding.
    first = [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    second = [[0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert split.instances(0).tolist() == [first, second]
    assert split.instances(0).dtype == np.uint8
    assert split.instances(1).shape == (0, 4, 4)
    assert split.instances(-2).tolist() == [first, second]
    with pytest.raises(IndexError, match="sample 2 of a split of 2"):
        split.instances(2)


def test_an_object_that_vanishes_keeps_a_mask_of_zeros_beside_its_box(tmp_path):
    masks = np.zeros((2, 40, 40), np.bool_)
    masks[0, 1, 1] = True
    masks[1, 10:, 10:] = True
    split = cached(tmp_path, (4, 4), masks)
    assert len(split.boxes(0)) == len(split.instances(0)) == 2
    assert split.instances(0)[0].sum() == 0
    assert split.instances(0)[1].sum() > 0


@given(
    hnp.arrays(np.bool_, st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9))),
)
def test_run_lengths_give_back_the_masks(masks):
    decoded = decode_masks(encode_masks(masks.view(np.uint8)), masks.shape[1:])
    assert decoded.shape == masks.shape
    assert np.array_equal(decoded, masks)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


def test_run_lengths_are_those_of_the_transposed_mask_in_coco():
    mask = np.random.default_rng(0).integers(0, 2, (1, 7, 5), np.uint8)
    (ours,) = encode_masks(mask)
    assert ours == coco_mask.encode(np.asfortranarray(mask[0].T))["counts"]


def test_one_object_without_a_mask_and_the_split_has_none(tmp_path):
    split = cached(tmp_path, (10, 15), np.ones((1, 20, 30), np.bool_), None)
    assert not split.has_instances
    assert not list(split.folder.glob("instance*"))
    with pytest.raises(DatasetError, match="not every object has a mask of its own"):
        split.instances(0)
    assert prepare(Given([np.ones((1, 20, 30), np.bool_), None]), "train", (10, 15), tmp_path)


def test_their_union_is_the_semantic_mask_of_shapes(tmp_path):
    dataset = Shapes(train=6, size=64, num_classes=3)
    split = prepare(dataset, "train", (48, 80), tmp_path)
    for index in range(6):
        drawn = np.zeros((48, 80), np.uint8)
        for mask, label in zip(split.instances(index), split.labels(index), strict=True):
            drawn[mask == 1] = label + 1
        inside = (slice(0, 48), slice(0, 48))
        assert np.array_equal(drawn[inside], np.asarray(split.semantic(index))[inside])
        assert not drawn[:, 48:].any()


def test_nuclei_are_the_original_masks_at_any_size(data_folder, tmp_path):
    dataset = InstanceMasks(root=str(data_folder / "dsb2018" / "stage1_train"), layout="dsb2018")
    full = prepare(dataset, "val", (256, 256), tmp_path)
    small = prepare(dataset, "val", (128, 160), tmp_path)
    for index in (0, 7, 20):
        masks = dataset.load(full.ids[index]).instance_masks
        assert np.array_equal(full.instances(index), masks)
        shrunk = [
            cv2.resize(mask.astype(np.uint8), (128, 128), interpolation=cv2.INTER_NEAREST)
            for mask in masks
        ]
        assert np.array_equal(small.instances(index)[:, :, :128], shrunk)
        assert not small.instances(index)[:, :, 128:].any()
        assert len(small.boxes(index)) == len(masks)
