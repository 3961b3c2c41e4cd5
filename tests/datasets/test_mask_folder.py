"""A folder of images beside a folder of masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.base import SPLITS
from datasets.images import read_image, read_mask
from datasets.mask_folder import MaskFolder
from datasets.sample import IGNORE, DatasetError

HEIGHT, WIDTH = 3, 4
MASK = np.array([[0, 1, 2, 255], [0, 127, 128, 0], [0, 0, 0, 0]], np.uint8)
INDEX = np.array([[0, 1, 2, 255], [0, 0, 0, 0], [2, 2, 2, 2]], np.uint8)


def save(path: Path, values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write(root: Path, mask=MASK, names="abc", suffix="", masks="masks") -> None:
    for name in names:
        save(root / "images" / f"{name}.bmp", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        save(root / masks / f"{name}{suffix}.png", mask)


@pytest.mark.parametrize("threshold", [0, 1, 127, 254])
def test_binary_masks(tmp_path, threshold):
    write(tmp_path)
    data = MaskFolder(root=str(tmp_path), threshold=threshold)
    assert data.classes == ["foreground"]
    assert data.tasks == {"segmentation"}
    sample = data.load("a")
    assert sample.semantic.dtype == np.uint8
    foreground = [[int(value > threshold) for value in row] for row in MASK]
    assert sample.semantic.tolist() == foreground
    assert sample.boxes.shape == (0, 4)
    assert [path.name for path in data.files("a")] == ["a.bmp", "a.png"]


def test_index_masks(tmp_path):
    write(tmp_path, INDEX)
    data = MaskFolder(root=str(tmp_path), kind="index", classes=["wall", "crack"])
    assert np.array_equal(data.load("a").semantic, INDEX)
    assert (data.load("a").semantic == IGNORE).sum() == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_index_that_means_no_class(tmp_path, dtype):
    write(tmp_path, np.array([[0, 1, 2, 3]] * 3, dtype))
    data = MaskFolder(root=str(tmp_path), kind="index", classes=["wall", "crack"])
    message = r"masks/a\.png: mask holds the values 3; with 2 class\(es\), 0 to 2 and 255"
    with pytest.raises(DatasetError, match=message):
        data.load("a")


def test_masks_with_a_suffix(tmp_path):
    write(tmp_path, suffix="_mask")
    save(tmp_path / "masks" / "overview.png", MASK)
    data = MaskFolder(root=str(tmp_path), mask_suffix="_mask")
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]
    assert [path.name for path in data.files("a")] == ["a.bmp", "a_mask.png"]


def test_images_and_masks_in_one_folder(tmp_path):
    write(tmp_path, suffix="_mask", masks="images")
    data = MaskFolder(root=str(tmp_path), masks="images", mask_suffix="_mask")
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]
    assert data.problems() == []


def test_subfolders_are_part_of_the_name(tmp_path):
    for name in ("x/a", "x/b", "y/a"):
        write(tmp_path, names=[name])
    data = MaskFolder(root=str(tmp_path))
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["x/a", "x/b", "y/a"]
    assert data.load("y/a").path == str(tmp_path / "images" / "y" / "a.bmp")


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    write(tmp_path)
    (tmp_path / "images" / "._a.png").write_text("resource fork")
    (tmp_path / "images" / "notes.txt").write_text("hello")
    data = MaskFolder(root=str(tmp_path))
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]


def test_bad_files(tmp_path):
    write(tmp_path, names="abcd")
    (tmp_path / "images" / "a.bmp").unlink()
    (tmp_path / "masks" / "b.png").unlink()
    save(tmp_path / "masks" / "c.png", MASK.T)
    (tmp_path / "masks" / "d.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    data = MaskFolder(root=str(tmp_path))
    with pytest.raises(DatasetError, match=r"masks/a\.png: mask without an image in 'images'"):
        data.load("a")
    with pytest.raises(DatasetError, match=r"images/b\.bmp: image without a mask \(no 'b' of any"):
        data.load("b")
    with pytest.raises(
        DatasetError, match=r"masks/c\.png: size is 3x4, but its image c\.bmp is 4x3"
    ):
        data.load("c")
    with pytest.raises(DatasetError, match=r"masks/d\.png: "):
        data.load("d")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "colour"}, "kind: 'colour' must be one of binary, index"),
        ({"kind": "index"}, "classes: no class names"),
        ({"classes": ["a", "b"]}, "binary masks have one class, 2 are given"),
        ({"threshold": 255}, r"threshold: 255 must lie in 0\.\.254"),
        ({"threshold": -1}, r"threshold: -1 must lie in 0\.\.254"),
        ({"masks": "labels"}, "labels: no such folder"),
        ({"kind": "index", "classes": [str(i) for i in range(255)]}, "at most 254 are possible"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    write(tmp_path)
    with pytest.raises(DatasetError, match=message):
        MaskFolder(root=str(tmp_path), **options)


def test_ways_to_write_a_mask(tmp_path):
    grey = np.array([[0, 7], [255, 0]], np.uint8)
    opaque = np.full_like(grey, 255)
    path = tmp_path / "mask.png"
    for channels in ([grey] * 3, [grey, grey, grey, opaque], [grey, opaque]):
        save(path, np.dstack(channels))
        assert np.array_equal(read_mask(path), grey)
    save(path, grey > 0)
    assert read_mask(path).tolist() == [[0, 1], [1, 0]]
    save(path, np.array([[0, 40000]], np.uint16))
    assert read_mask(path).tolist() == [[0, 40000]]
    save(tmp_path / "mask.tif", np.zeros((2, 2), np.float32))
    with pytest.raises(DatasetError, match="floating-point"):
        read_mask(tmp_path / "mask.tif")


def test_ways_to_write_a_picture(tmp_path):
    path = tmp_path / "picture.png"
    save(path, np.array([[5, 9]], np.uint8))
    assert read_image(path).tolist() == [[[5, 5, 5], [9, 9, 9]]]
    save(path, np.array([[[1, 2, 3, 0]]], np.uint8))
    assert read_image(path).tolist() == [[[1, 2, 3]]]
    palette = Image.fromarray(np.array([[1, 0]], np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(path)
    assert read_image(path).tolist() == [[[10, 20, 30], [0, 0, 0]]]
    save(path, np.array([[5, 900]], np.uint16))
    with pytest.raises(DatasetError, match=r"picture\.png: more than 8 bits a channel"):
        read_image(path)
    with pytest.raises(DatasetError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")


def test_brick_walls(data_folder):
    root = data_folder / "masonry_cracks" / "dataset"
    data = MaskFolder(
        root=str(root),
        images="crack_detection_224_images",
        masks="crack_detection_224_masks",
        classes=["crack"],
    )
    assert sum(len(data.ids(split)) for split in SPLITS) == 240
    assert data.problems() == []
    shares = [data.load(i).semantic.mean() for split in SPLITS for i in data.ids(split)]
    assert np.mean(shares) == pytest.approx(0.04, abs=0.01)
    sample = data.load("a_0_10")
    stored = np.array(Image.open(root / "crack_detection_224_masks" / "a_0_10.png"))
    assert np.array_equal(sample.semantic == 1, stored == 255)


# Label ids and train ids as Cityscapes writes them; 255 is what is not evaluated.
TRAIN_IDS = np.array([[0, 1, 18, 255], [0, 0, 0, 0], [13, 13, 13, 13]], np.uint8)


def write_cityscapes(root: Path, mask=TRAIN_IDS) -> None:
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "munster")):
        for i in range(3):
            name = f"{city}/{city}_{i:06d}_000019"
            picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            save(root / "leftImg8bit" / split / f"{name}_leftImg8bit.png", picture)
            masks = root / "gtFine" / split
            save(masks / f"{name}_gtFine_labelTrainIds.png", mask)
            save(masks / f"{name}_gtFine_instanceIds.png", mask)


CITYSCAPES = {
    "images": "leftImg8bit/{split}",
    "masks": "gtFine/{split}",
    "image_suffix": "_leftImg8bit",
    "mask_suffix": "_gtFine_labelTrainIds",
    "kind": "index",
    "test": "val",
}


def test_cityscapes(tmp_path):
    write_cityscapes(tmp_path)
    values = {0: "road", 1: "sidewalk", 13: "car", 18: "bicycle"}
    data = MaskFolder(root=str(tmp_path), **CITYSCAPES, values=values)
    assert data.classes == ["road", "sidewalk", "car", "bicycle"]
    assert data.ids("test") == [f"val/munster/munster_{i:06d}_000019" for i in range(3)]
    assert len(data.ids("train")) + len(data.ids("val")) == 6
    sample = data.load(data.ids("test")[0])
    assert sample.semantic.tolist() == [[1, 2, 4, 255], [1, 1, 1, 1], [3, 3, 3, 3]]
    assert data.problems() == []
    (tmp_path / "gtFine/val/munster/munster_000000_000019_gtFine_labelTrainIds.png").unlink()
    data = MaskFolder(root=str(tmp_path), **CITYSCAPES, values=values)
    with pytest.raises(DatasetError, match=r"no 'munster_000000_000019_gtFine_labelTrainIds'"):
        data.load("val/munster/munster_000000_000019")


def test_values_that_share_a_class_and_values_that_are_none(tmp_path):
    write_cityscapes(tmp_path)
    values = {0: "flat", 1: "flat", 13: "background", 18: "ignore"}
    data = MaskFolder(root=str(tmp_path), **CITYSCAPES, values=values)
    assert data.classes == ["flat"]
    semantic = data.load(data.ids("test")[0]).semantic
    assert semantic.tolist() == [[1, 1, 255, 255], [1, 1, 1, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize(("others", "value"), [("ignore", 255), ("background", 0)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_that_are_not_listed(tmp_path, others, value, dtype):
    # As ADE20K's: 1 to 150, and 0 for everything else.
    write(tmp_path, np.array([[0, 1, 4, 150]] * 3, dtype))
    options = {"root": str(tmp_path), "kind": "index", "values": {1: "wall", 4: "floor"}}
    data = MaskFolder(**options, others=others)
    assert data.load("a").semantic[0].tolist() == [value, 1, 2, value]
    with pytest.raises(DatasetError, match=r"a\.png: mask holds the values 0, 150, which 'values'"):
        MaskFolder(**options).load("a")
    ordered = MaskFolder(**options, others=others, classes=["floor", "wall"])
    assert ordered.load("a").semantic[0].tolist() == [value, 2, 1, value]


def test_values_of_a_stored_configuration_are_text(tmp_path):
    write(tmp_path, INDEX)
    text = {"0": "floor", "1": "wall", "2": "crack"}
    data = MaskFolder(root=str(tmp_path), kind="index", values=text)
    assert data.load("a").semantic.tolist() == (INDEX + np.uint8(1) * (INDEX != 255)).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": {1: "wall"}}, "values: has no effect on binary masks; add 'kind: index'"),
        ({"kind": "index", "values": {-1: "wall"}}, r"values: -1 must lie in 0\.\.65534"),
        (
            {"kind": "index", "values": {1: "wall", 2: "roof"}, "classes": ["wall"]},
            "values: 2 means 'roof'; allowed are background, ignore, wall",
        ),
        ({"kind": "index", "values": {1: "ignore"}}, "classes: no class names"),
    ],
)
def test_wrong_values(tmp_path, options, message):
    write(tmp_path, INDEX)
    with pytest.raises(DatasetError, match=message):
        MaskFolder(root=str(tmp_path), **options)


def test_image_suffix_in_one_folder(tmp_path):
    for name in "abc":
        save(tmp_path / "all" / f"{name}_photo.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        save(tmp_path / "all" / f"{name}.png", MASK)
    data = MaskFolder(root=str(tmp_path), images="all", masks="all", image_suffix="_photo")
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]
    assert [path.name for path in data.files("a")] == ["a_photo.png", "a.png"]
