"""YOLO text files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from datasets.base import SPLITS
from datasets.sample import IGNORE, DatasetError
from datasets.yolo import Yolo

WIDTH, HEIGHT = 20, 10
ONE_FOLDER = {"images": "images", "labels": "labels"}


def write(root: Path, name: str, *lines: str, folder="") -> None:
    image = root / "images" / folder / f"{name}.png"
    label = root / "labels" / folder / f"{name}.txt"
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(image)
    label.write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path):
    for name in "abc":
        write(tmp_path, name, "0 0.5 0.5 0.1 0.2")
    (tmp_path / "data.yaml").write_text("names:\n  1: dog\n  0: cat\n")
    return tmp_path


def read(root: Path, **options) -> Yolo:
    return Yolo(root=str(root), **{**ONE_FOLDER, **options})


def test_boxes_are_scaled_to_pixels(root):
    # Centre (10, 5), 4 x 5 pixels; then one that reaches out to the left and above.
    write(root, "a", "1 0.5 0.5 0.2 0.5", "", "0 0 0.1 0.5 0.4")
    data = read(root)
    sample = data.load("a")
    assert np.allclose(sample.boxes, [[8, 2.5, 12, 7.5], [0, 0, 5, 3]])
    assert sample.labels.tolist() == [1, 0]
    assert data.classes == ["cat", "dog"]
    assert data.tasks == {"detection"}
    assert sample.semantic is None
    assert [path.name for path in data.files("a")] == ["a.png", "a.txt"]


POLYGON = "1 0.1 0.2 0.5 0.2 0.5 0.7 0.1 0.7"  # columns 2 to 9, rows 2 to 6


def test_polygons_give_their_extent_and_a_mask(root):
    write(root, "a", POLYGON)
    assert np.allclose(read(root).load("a").boxes, [[2, 2, 10, 7]])
    data = read(root, target="masks")
    assert data.tasks == {"detection", "segmentation", "instance"}
    sample = data.load("a")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:7, 2:10] = 2
    assert np.array_equal(sample.semantic, expected)
    assert np.array_equal(sample.instance_masks, expected[None] == 2)


def test_a_box_among_polygons_is_ignored_in_the_mask(root):
    write(root, "a", POLYGON, "0 0.75 0.5 0.1 0.2")
    sample = read(root, target="masks").load("a")
    assert sample.instance_masks is None
    assert np.allclose(sample.boxes, [[2, 2, 10, 7], [14, 4, 16, 6]])
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:7, 2:10] = 2
    expected[4:6, 14:16] = IGNORE
    assert np.array_equal(sample.semantic, expected)


@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.02, 0.2), st.floats(0.02, 0.2))
def test_a_box_written_and_read_is_the_same(tmp_path_factory, cx, cy, w, h):
    root = tmp_path_factory.mktemp("yolo")
    for name in "abc":
        write(root, name, f"0 {cx!r} {cy!r} {w!r} {h!r}")
    box = read(root, classes=["cat"]).load("a").boxes[0]
    assert np.allclose((box[:2] + box[2:]) / 2, [cx * WIDTH, cy * HEIGHT], atol=1e-5)
    assert np.allclose(box[2:] - box[:2], [w * WIDTH, h * HEIGHT], atol=1e-5)
    shutil.rmtree(root)


def test_an_image_without_a_label_file_has_no_objects(root):
    (root / "labels" / "a.txt").unlink()
    (root / "labels" / "b.txt").write_text("")
    data = read(root, target="masks")
    for name in "ab":
        sample = data.load(name)
        assert sample.boxes.shape == (0, 4)
        assert not sample.semantic.any()
    assert [path.name for path in data.files("a")] == ["a.png"]


def test_degenerate_boxes_are_counted(root):
    write(root, "a", "0 0.5 0.5 0 0.5", "0 0.5 0.5 0.1 0.5")
    assert read(root).load("a").dropped == 1


def test_folders_of_the_splits(root):
    for split, names in {"train": "abc", "valid": "de", "test": "f"}.items():
        for name in names:
            write(root, name, folder=split)
    data = Yolo(root=str(root), val="valid")
    assert data.ids("val") == ["valid/d", "valid/e"]
    assert data.ids("test") == ["test/f"]
    assert data.load("train/a").path == str(root / "images" / "train" / "a.png")


@pytest.mark.parametrize(
    ("name", "text", "option"),
    [
        ("data.yaml", "names: [cat, dog]", None),
        ("classes.txt", "cat\ndog\n\n", None),
        ("labels/classes.txt", "cat\ndog\n", "labels/classes.txt"),
        ("my.yml", "names: {0: cat, 1: dog}", "my.yml"),
    ],
)
def test_files_of_names(root, name, text, option):
    (root / "data.yaml").unlink()
    (root / name).write_text(text)
    data = read(root, names=option)
    assert data.classes == ["cat", "dog"]
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("names: [", "YAML does not parse"),
        ("train: x", "has no list 'names'"),
        ("names: {1: a, 2: b}", "numbered from 0 without gaps"),
        ("names: []", "no class names"),
        ("names: [a, a]", "class 'a' is given 2 times"),
    ],
)
def test_bad_files_of_names(root, text, reason):
    (root / "data.yaml").write_text(text)
    with pytest.raises(DatasetError, match=rf"data\.yaml: .*{reason}"):
        read(root)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.1", "4 values; expected 5"),
        ("0 0.5 0.5 0.1 0.2 0.9", "6 values; expected 5"),
        ("0 0.5 0.5 0.1 0.2 0.1 0.2 0.3", "8 values; expected 5"),
        ("0 0.5 0.5 0.1 1.2", r"1\.2 lies outside 0\.\.1"),
        ("0 -0.5 0.5 0.1 0.2", r"-0\.5 lies outside 0\.\.1"),
        ("0 nan 0.5 0.1 0.2", r"nan lies outside 0\.\.1"),
        ("0 0.5 half 0.1 0.2", "'0 0.5 half 0.1 0.2' holds something not a number"),
        ("cat 0.5 0.5 0.1 0.2", "holds something not a number"),
        ("0.5 0.5 0.5 0.1 0.2", "'0.5' is not a class number"),
        ("inf 0.5 0.5 0.1 0.2", "'inf' is not a class number"),
        ("-1 0.5 0.5 0.1 0.2", "class -1 is negative"),
        ("2 0.5 0.5 0.1 0.2", "class 2 is not in the list; there are 2 classes, 0 to 1"),
    ],
)
def test_a_bad_line_is_one_error_with_its_number(root, line, reason):
    write(root, "a", "0 0.5 0.5 0.1 0.2", line)
    data = read(root)
    with pytest.raises(DatasetError, match=rf"a\.txt: line 2: .*{reason}"):
        data.load("a")
    data.load("b")


def test_other_bad_files(root):
    (root / "images" / "a.png").unlink()
    (root / "images" / "b.png").write_bytes(b"")
    (root / "labels" / "c.txt").write_bytes(b"\xff\xfe\x00")
    data = read(root)
    with pytest.raises(DatasetError, match=r"a\.txt: label file without an image in 'images'"):
        data.load("a")
    with pytest.raises(DatasetError, match=r"b\.png: not an image"):
        data.load("b")
    with pytest.raises(DatasetError, match=r"c\.txt: cannot be read as text"):
        data.load("c")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "all"}, "target: 'all' must be one of boxes, masks"),
        ({"names": "no.txt"}, r"no file with class names \(no\.txt\)"),
        ({"classes": ["a", " "]}, "' ' is not a class name"),
        ({"labels": "annotations"}, "annotations: no such folder"),
        ({"images": "photos"}, "photos: no such folder"),
    ],
)
def test_wrong_options(root, options, message):
    with pytest.raises(DatasetError, match=message):
        read(root, **options)


def test_two_images_of_one_name(root):
    shutil.copy(root / "images" / "a.png", root / "images" / "a.bmp")
    with pytest.raises(DatasetError, match=r"a\.bmp and a\.png share the name 'a'"):
        read(root)


def test_real_boxes(data_folder):
    data = Yolo(
        root=str(data_folder / "coco128"),
        images="images/train2017",
        labels="labels/train2017",
        names="config.yaml",
    )
    assert len(data.classes) == 80
    sample = data.load("000000000370")
    assert sample.image.shape == (640, 480, 3)
    # The first line of its file: 0 0.594594 0.519141 0.810813 0.961719
    expected = [0.1891875 * 480, 0.0382815 * 640, 480, 640]
    assert np.allclose(sample.boxes[0], expected, atol=0.01)
    without_image = [problem for problem in data.problems() if "without an image" in problem]
    assert len(without_image) == len(data.problems()) == 2
    for name in ("000000000656.txt", "000000000659.txt"):
        assert any(name in problem for problem in without_image)


def test_real_polygons_against_another_rasteriser(data_folder):
    root = data_folder / "coco128"
    data = Yolo(
        root=str(root),
        images="images/train2017",
        labels="segment_labels/train2017",
        target="masks",
        classes=[str(number) for number in range(91)],
    )
    common = either = 0
    for sample_id in data.ids("test"):
        sample = data.load(sample_id)
        height, width = sample.image.shape[:2]
        label_file = root / "segment_labels" / "train2017" / f"{sample_id}.txt"
        lines = label_file.read_text().splitlines() if label_file.exists() else []
        assert len(lines) == len(sample.labels)
        for line, mask in zip(lines, sample.instance_masks, strict=True):
            points = np.array(line.split()[1:], float).reshape(-1, 2) * [width, height]
            drawn = Image.new("1", (width, height))
            # Pillow's pixel centres lie on whole numbers, COCO's half a pixel further.
            ImageDraw.Draw(drawn).polygon([tuple(point) for point in points - 0.5], fill=1)
            other = np.array(drawn)
            common += (other & mask).sum()
            either += (other | mask).sum()
    # They differ in the pixels that the outline crosses.
    assert either > 500_000
    assert common / either > 0.95
