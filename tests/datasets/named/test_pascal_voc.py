"""Pascal VOC in the official layout: VOCdevkit/VOC2007 and VOC2012."""

import numpy as np
import pytest

from datasets.base import SPLITS
from datasets.named.pascal_voc import Voc0712, Voc2007, Voc2012
from datasets.sample import IGNORE, DatasetError
from datasets.voc import VOC_CLASSES

from .conftest import MASK, numbers, write_list

CAT, DOG = VOC_CLASSES.index("cat"), VOC_CLASSES.index("dog")


def test_2007_cuts_val_from_trainval_and_tests_on_test(voc2007):
    dataset = Voc2007()
    assert dataset.tasks == {"detection"}
    assert dataset.classes == VOC_CLASSES
    assert dataset.ids("test") == numbers(21, 25)
    train, val = dataset.ids("train"), dataset.ids("val")
    assert (len(train), len(val)) == (18, 2)
    assert sorted(train + val) == numbers(1, 20)
    assert Voc2007(split_seed=1).ids("val") != val
    assert len(Voc2007(val_fraction=0.25).ids("val")) == 5
    assert dataset.root == str(voc2007)


def test_2007_with_the_official_halves(voc2007):
    dataset = Voc2007(val="official")
    assert [dataset.ids(split) for split in SPLITS] == [
        numbers(1, 10),
        numbers(11, 20),
        numbers(21, 25),
    ]


def test_boxes_without_the_difficult(voc2007):
    sample = Voc2007().load("000001")
    assert sample.boxes.tolist() == [[1, 2, 5, 6]]
    assert sample.labels.tolist() == [DOG]
    both = Voc2007(skip_difficult=False).load("000001")
    assert both.boxes.tolist() == [[1, 2, 5, 6], [0, 0, 8, 6]]
    assert both.labels.tolist() == [DOG, CAT]
    names = [path.name for path in Voc2007().files("000001")]
    assert names == ["000001.jpg", "000001.xml"]


def test_palette_masks_with_an_ignored_border(voc2007):
    dataset = Voc2007(target="masks")
    assert dataset.tasks == {"segmentation"}
    assert dataset.ids("test") == numbers(21, 24)
    semantic = dataset.load("000021").semantic
    assert np.array_equal(semantic, MASK)
    assert (semantic == IGNORE).sum() == 10
    assert dataset.problems() == []


def test_2012_tests_on_val(voc2012):
    dataset = Voc2012()
    assert dataset.ids("test") == [f"2009_{i:06d}" for i in range(4)]
    assert (len(dataset.ids("train")), len(dataset.ids("val"))) == (9, 1)
    masks = Voc2012(target="masks", val_fraction=0.5)
    assert [len(masks.ids(split)) for split in SPLITS] == [3, 3, 2]
    assert masks.load(masks.ids("val")[0]).semantic.max() == IGNORE


def test_both_years_together(voc2007, voc2012, data):
    dataset = Voc0712()
    train, val = dataset.ids("train"), dataset.ids("val")
    wanted = [f"2007/{name}" for name in numbers(1, 20)]
    wanted += [f"2012/2008_{i:06d}" for i in range(10)] + [f"2012/2009_{i:06d}" for i in range(4)]
    assert sorted(train + val) == sorted(wanted)
    assert dataset.ids("test") == [f"2007/{name}" for name in numbers(21, 25)]
    assert dataset.load("2012/2008_000003").path.endswith("VOC2012/Annotations/2008_000003.xml")
    assert dataset.files("2007/000021")[0] == voc2007 / "JPEGImages" / "000021.jpg"
    assert dataset.problems() == []
    assert Voc0712(root=str(data)).ids("val") == val
    assert dataset.root == str(data)


def test_both_years_below_one_folder(voc2007, voc2012, tmp_path):
    kit = tmp_path / "VOCdevkit"
    kit.mkdir()
    voc2007.rename(kit / "VOC2007")
    voc2012.rename(kit / "VOC2012")
    assert len(Voc0712(root="VOCdevkit").ids("test")) == 5


@pytest.mark.parametrize(
    ("make", "name"), [(Voc2007, "voc2007"), (Voc2012, "voc2012"), (Voc0712, "voc0712")]
)
def test_not_there(data, make, name):
    with pytest.raises(DatasetError, match=rf"get it with `python3 run\.py download {name} --data"):
        make()


@pytest.mark.parametrize("there", ["voc2007", "voc2012"])
def test_both_years_say_which_one_they_lack(data, request, there):
    request.getfixturevalue(there)
    (other,) = {"voc2007", "voc2012"} - {there}
    with pytest.raises(DatasetError, match=f"'voc0712' needs '{other}', which is not in the data"):
        Voc0712()


def test_bad_options_and_lists(voc2007):
    with pytest.raises(DatasetError, match=r"val_fraction: 1.5 must lie between 0 and 1"):
        Voc2007(val_fraction=1.5)
    write_list(voc2007 / "ImageSets" / "Main" / "test.txt", "000001", "000021")
    with pytest.raises(DatasetError, match="'000001' is in two splits, 'train' and 'test'"):
        Voc2007()
    (voc2007 / "ImageSets" / "Main" / "test.txt").unlink()
    with pytest.raises(DatasetError, match=r"VOC2007 lacks ImageSets/Main/test\.txt; move"):
        Voc2007()
