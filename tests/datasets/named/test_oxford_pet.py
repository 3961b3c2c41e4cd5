"""The pets in the official layout: images, trimaps of 1, 2 and 3, XML files of heads."""

import numpy as np
import pytest

from datasets.named.oxford_pet import OxfordPet
from datasets.sample import IGNORE, DatasetError

from .conftest import HEIGHT, WIDTH, photograph, save, write_list, write_xml

BREEDS = {"Abyssinian": (1, 1), "american_bulldog": (2, 2), "Bengal": (3, 1)}  # id, cat or dog
TRIMAP = np.full((HEIGHT, WIDTH), 2, np.uint8)
TRIMAP[1:5, 1:6] = 3
TRIMAP[2:4, 2:5] = 1


@pytest.fixture
def root(data):
    folder = data / "oxford_pet"
    lists = {"trainval": [], "test": []}
    for breed, (number, species) in BREEDS.items():
        for i in range(1, 13):
            name = f"{breed}_{i}"
            split = "trainval" if i <= 8 else "test"
            lists[split].append(f"{name} {number} {species} 1")
            photograph(folder / "images" / f"{name}.jpg")
            save(folder / "annotations" / "trimaps" / f"{name}.png", TRIMAP)
            if split == "trainval" and i > 1:  # a few have no box
                head = ("dog" if species == 2 else "cat", 3, 2, 6, 4, 0)
                write_xml(folder / "annotations" / "xmls" / f"{name}.xml", head)
    (folder / "annotations" / "trimaps" / "._Bengal_1.png").write_bytes(b"\0\5\26\7")
    for split, lines in lists.items():
        write_list(folder / "annotations" / f"{split}.txt", *lines)
    return folder


def test_foreground_joins_pet_and_border(root):
    dataset = OxfordPet()
    assert dataset.classes == ["pet"]
    assert dataset.tasks == {"segmentation"}
    assert dataset.load("Bengal_1").semantic.tolist() == (TRIMAP != 2).astype(int).tolist()
    assert len(dataset.ids("test")) == 12
    assert len(dataset.ids("train")) + len(dataset.ids("val")) == 24
    assert len(dataset.ids("val")) == 2
    assert dataset.problems() == []
    assert [path.name for path in dataset.files("Bengal_1")] == ["Bengal_1.jpg", "Bengal_1.png"]


@pytest.mark.parametrize(("border", "value"), [("ignore", IGNORE), ("class", 2)])
def test_trimap(root, border, value):
    dataset = OxfordPet(target="trimap", border=border)
    assert dataset.classes == (["pet", "border"] if border == "class" else ["pet"])
    expected = np.select([TRIMAP == 1, TRIMAP == 2], [1, 0], value)
    assert np.array_equal(dataset.load("Abyssinian_9").semantic, expected)


def test_breeds(root):
    dataset = OxfordPet(target="trimap", border="class", breeds=True)
    assert dataset.classes == ["Abyssinian", "american_bulldog", "Bengal", "border"]
    expected = np.select([TRIMAP == 1, TRIMAP == 2], [3, 0], 4)
    assert np.array_equal(dataset.load("Bengal_2").semantic, expected)
    joined = OxfordPet(breeds=True).load("american_bulldog_2").semantic
    assert np.array_equal(joined, np.where(TRIMAP == 2, 0, 2))


def test_heads_come_from_trainval_alone(root):
    dataset = OxfordPet(target="head")
    assert dataset.tasks == {"detection"}
    assert dataset.classes == ["cat", "dog"]
    sample = dataset.load("american_bulldog_2")
    assert sample.boxes.tolist() == [[2, 1, 6, 4]]
    assert sample.labels.tolist() == [1]
    splits = {split: dataset.ids(split) for split in ("train", "val", "test")}
    everything = sorted(name for ids in splits.values() for name in ids)
    assert everything == sorted(f"{breed}_{i}" for breed in BREEDS for i in range(2, 9))
    assert (len(splits["val"]), len(splits["test"])) == (2, 4)
    assert dataset.problems() == []


def test_heads_by_breed(root):
    dataset = OxfordPet(target="head", breeds=True)
    assert dataset.load("Bengal_2").labels.tolist() == [2]


def test_bad_files_and_options(root):
    with pytest.raises(DatasetError, match=r"test_fraction: 0\.95 must be above 0 and leave"):
        OxfordPet(target="head", test_fraction=0.95)
    save(root / "annotations" / "trimaps" / "Bengal_1.png", TRIMAP + 1)
    with pytest.raises(DatasetError, match=r"Bengal_1\.png: trimap holds the values 4; allowed"):
        OxfordPet().load("Bengal_1")
    listed = (root / "annotations" / "test.txt").read_text()
    write_list(root / "annotations" / "test.txt", listed + "Bengal_1 3 1 3")
    with pytest.raises(DatasetError, match="'Bengal_1' is in the lists of training and of test"):
        OxfordPet()
    (root / "annotations" / "test.txt").write_text(listed)
    with (root / "annotations" / "test.txt").open("a") as file:
        file.write("# a comment\nBengal_13 3\n")
    with pytest.raises(DatasetError, match=r"test\.txt: line 14 is 'Bengal_13 3', expected an"):
        OxfordPet()
    write_list(root / "annotations" / "test.txt", "Bombay_1 5 1 5")
    assert OxfordPet().classes == ["pet"]
    with pytest.raises(DatasetError, match="numbers of the breeds have gaps"):
        OxfordPet(breeds=True)
    (root / "annotations" / "test.txt").unlink()
    with pytest.raises(DatasetError, match=r"lacks annotations/test\.txt"):
        OxfordPet()
