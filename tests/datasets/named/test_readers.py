"""Named data sets that one of the general readers reads as it is."""

import numpy as np
import pytest

from datasets.base import SPLITS
from datasets.named.bccd import Bccd
from datasets.named.coco2017 import Coco2017
from datasets.named.dsb2018 import Dsb2018
from datasets.named.penn_fudan import PennFudanPedestrians
from datasets.sample import DatasetError

from .conftest import HEIGHT, WIDTH, photograph, save, write_coco


def test_penn_fudan(data):
    folder = data / "penn_fudan" / "PennFudanPed"
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[1:5, 1:3], mask[2:5, 5:8] = 1, 2
    for i in range(1, 6):
        photograph(folder / "PNGImages" / f"FudanPed{i:05d}.png")
        save(folder / "PedMasks" / f"FudanPed{i:05d}_mask.png", mask)
    dataset = PennFudanPedestrians()
    assert dataset.classes == ["person"]
    assert sum(len(dataset.ids(split)) for split in SPLITS) == 5
    sample = dataset.load("FudanPed00001")
    assert sample.boxes.tolist() == [[1, 1, 3, 5], [5, 2, 8, 5]]
    assert sample.instance_masks.sum(axis=(1, 2)).tolist() == [8, 9]
    assert dataset.problems() == []


def test_coco2017(data):
    folder = data / "coco2017"
    write_coco(folder, "train2017", 40, 1)
    write_coco(folder, "val2017", 5, 100)
    dataset = Coco2017()
    assert dataset.classes == ["person", "toothbrush"]
    assert [len(dataset.ids(split)) for split in SPLITS] == [38, 2, 5]
    assert all("train2017" in name for name in dataset.ids("val"))
    assert all("val2017" in name for name in dataset.ids("test"))
    sample = dataset.load(dataset.ids("test")[0])
    assert sample.boxes.tolist() == [[1, 1, 4, 3]]
    assert sample.labels.tolist() == [1]
    assert sample.instance_masks.sum() == 6
    few = Coco2017(subset=10)
    assert [len(few.ids(split)) for split in SPLITS] == [10, 2, 5]
    assert {*few.ids("train")} <= {*dataset.ids("train")}


def test_bccd_as_it_is(data_folder):
    dataset = Bccd()
    assert dataset.classes == ["RBC", "WBC", "Platelets"]
    assert [len(dataset.ids(split)) for split in SPLITS] == [205, 87, 72]
    sample = dataset.load("BloodImage_00007")
    assert sample.image.shape == (480, 640, 3)
    assert len(sample.boxes) > 5
    assert sorted({*sample.labels.tolist()})[0] == 0


def test_dsb2018_as_it_is(data_folder):
    dataset = Dsb2018()
    assert dataset.classes == ["nucleus"]
    ids = [name for split in SPLITS for name in dataset.ids(split)]
    assert len(ids) == len({*ids}) > 100
    sample = dataset.load(ids[0])
    assert sample.instance_masks.shape == (len(sample.boxes), *sample.image.shape[:2])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Bccd, "bccd"),
        (Coco2017, "coco2017"),
        (Dsb2018, "dsb2018"),
        (PennFudanPedestrians, "penn_fudan"),
    ],
)
def test_not_there(data, make, name):
    with pytest.raises(DatasetError, match=rf"get it with `python3 run\.py download {name} "):
        make()
    (data / name).mkdir()
    with pytest.raises(DatasetError, match=r" lacks .*; move .* away and get it with"):
        make()
