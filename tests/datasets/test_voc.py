"""Pascal VOC folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.base import SPLITS
from datasets.sample import DatasetError
from datasets.voc import VOC_CLASSES, Voc

WIDTH, HEIGHT = 20, 10


def voc_object(name, x1, y1, x2, y2, difficult=0):
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>"
        f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
    )


def write(root: Path, name: str, *objects: str, size=(WIDTH, HEIGHT)) -> None:
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), (250, 20, 10), np.uint8)
    Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.png")
    text = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" + "".join(objects)
    (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{text}</annotation>")


def write_list(root: Path, split: str, *names: str, kind="Main") -> None:
    folder = root / "ImageSets" / kind
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}.txt").write_text("\n".join(names) + "\n")


@pytest.fixture
def root(tmp_path):
    for name in "abc":
        write(tmp_path, name, voc_object("dog", 1, 1, WIDTH, HEIGHT))
    for split, name in zip(SPLITS, "abc", strict=True):
        write_list(tmp_path, split, name)
    return tmp_path


def test_coordinates_count_from_one_and_include_the_last_pixel(root):
    write(root, "a", voc_object("dog", 1, 1, WIDTH, HEIGHT), voc_object("cat", 3, 4, 7, 9))
    data = Voc(root=str(root))
    assert data.classes == ["cat", "dog"]
    assert data.tasks == {"detection"}
    sample = data.load("a")
    assert sample.boxes.tolist() == [[0, 0, 20, 10], [2, 3, 7, 9]]
    assert sample.labels.tolist() == [1, 0]
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert sample.image[0, 0].tolist() == [250, 20, 10]
    assert sample.semantic is None
    assert [path.name for path in data.files("a")] == ["a.png", "a.xml"]


def test_coordinates_as_they_are(root):
    write(root, "a", voc_object("dog", 3, 4, 7.5, 9))
    sample = Voc(root=str(root), one_based=False).load("a")
    assert sample.boxes.tolist() == [[3, 4, 7.5, 9]]


def test_boxes_are_clipped_and_degenerate_ones_counted(root):
    objects = [
        voc_object("dog", 0, 0, 25, 5),
        voc_object("dog", 5, 5, 5, 9),  # corners coincide: a click, not one pixel
        voc_object("dog", 8, 6, 4, 9),
        voc_object("dog", 21, 1, 30, 5),  # outside
    ]
    write(root, "a", *objects)
    data = Voc(root=str(root))
    sample = data.load("a")
    assert sample.boxes.tolist() == [[0, 0, 20, 5]]
    assert sample.dropped == 3
    assert data.problems() == [
        f"{root / 'Annotations' / 'a.xml'}: 3 box(es) without width or height"
    ]


def test_difficult_objects(root):
    write(root, "a", voc_object("dog", 1, 1, 5, 5, difficult=1), voc_object("dog", 2, 2, 9, 9))
    assert Voc(root=str(root)).load("a").boxes.tolist() == [[1, 1, 9, 9]]
    kept = Voc(root=str(root), skip_difficult=False).load("a")
    assert kept.boxes.tolist() == [[0, 0, 5, 5], [1, 1, 9, 9]]


def test_given_classes_fix_the_labels(root):
    assert Voc(root=str(root), classes=["dog", "cat"]).load("a").labels.tolist() == [0]
    assert Voc(root=str(root), classes=["cat", "dog"]).load("a").labels.tolist() == [1]


def test_an_image_without_objects(root):
    write(root, "a")
    assert Voc(root=str(root)).load("a").boxes.shape == (0, 4)


def test_own_lists_in_the_order_of_the_file(root):
    write(root, "d")
    write_list(root, "trainval", "d  1", "a -1", "", "d 1")
    data = Voc(root=str(root), train="trainval", val="val")
    assert data.ids("train") == ["d", "a"]
    assert data.ids("val") == ["b"]
    assert data.ids("test") == ["c"]


def test_without_lists_a_seeded_split(tmp_path):
    for i in range(10):
        write(tmp_path, f"{i}", voc_object("dog", 1, 1, 5, 5))
    data = Voc(root=str(tmp_path))
    assert [len(data.ids(split)) for split in SPLITS] == [6, 2, 2]


def test_a_stated_size_of_zero_states_nothing(root):
    write(root, "a", voc_object("dog", 1, 1, 5, 5), size=(0, 0))
    assert len(Voc(root=str(root)).load("a").boxes) == 1


def rotated(root, name, tag):
    """Save a 20 x 10 picture with a red left edge, with an orientation tag."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, 0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = tag
    (root / "JPEGImages" / f"{name}.png").unlink()
    Image.fromarray(pixels).save(
        root / "JPEGImages" / f"{name}.jpg", exif=exif, quality=100, subsampling=0
    )


def test_the_orientation_tag_is_applied(root):
    write(root, "a", voc_object("dog", 1, 1, HEIGHT, 1), size=(HEIGHT, WIDTH))
    rotated(root, "a", 6)  # to be shown turned clockwise: the left edge is the top
    image = Voc(root=str(root)).load("a").image
    assert image.shape == (WIDTH, HEIGHT, 3)
    assert image[0, :, 0].min() > 200
    assert image[5:, :, 0].max() < 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotation><object>", "XML does not parse"),
        (voc_object("dig", 1, 1, 5, 5), "object 1: class 'dig' is not in the list.*mean 'dog'"),
        (voc_object("dog", 1, "x", 5, 5), "object 1: <ymin> is 'x', not a number"),
        (voc_object("dog", 1, 1, "nan", 5), "object 1: <xmax> is 'nan', not a number"),
        ("<object><name>dog</name></object>", "object 1 has no <bndbox> with <xmin>"),
        ("<object><bndbox/></object>", "object 1 has no <name>"),
        (
            "<size><width>10</width><height>20</height></size>",
            r"size is 10x20, but the image a\.png is 20x10",
        ),
    ],
)
def test_a_bad_annotation_is_one_error_with_the_file(root, text, reason):
    path = root / "Annotations" / "a.xml"
    path.write_text(text if "<annotation>" in text else f"<annotation>{text}</annotation>")
    data = Voc(root=str(root), classes=["dog", "cat"])
    with pytest.raises(DatasetError, match=reason) as error:
        data.load("a")
    assert str(error.value).startswith(str(path))
    assert data.load("b").labels.tolist() == [0]


def test_files_that_are_missing_or_damaged(root):
    (root / "JPEGImages" / "a.png").unlink()
    (root / "Annotations" / "b.xml").unlink()
    image = root / "JPEGImages" / "c.png"
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(image)
    image.write_bytes(image.read_bytes()[:5000])
    data = Voc(root=str(root), classes=["dog"])
    with pytest.raises(DatasetError, match=r"a\.xml: annotation without an image"):
        data.load("a")
    with pytest.raises(DatasetError, match="b: image has no annotation in Annotations"):
        data.load("b")
    with pytest.raises(DatasetError, match=r"c\.png: image does not decode"):
        data.load("c")
    assert [path.name for path in data.files("a")] == ["a.xml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "trian"}, r"trian\.txt: no such file or folder \(option 'train: trian'\)"),
        ({"target": "both"}, "target: 'both' must be one of boxes, masks"),
        ({"classes": ["dog", "dog"]}, "class 'dog' is given 2 times"),
        ({"classes": "dog"}, "'dog' must be a list of names"),
        ({"classes": [""]}, "'' is not a class name"),
        ({"target": "masks"}, "SegmentationClass: no such folder"),
    ],
)
def test_wrong_options(root, options, message):
    with pytest.raises(DatasetError, match=message):
        Voc(root=str(root), **options)


def test_no_training_list(root):
    (root / "ImageSets" / "Main" / "train.txt").unlink()
    with pytest.raises(DatasetError, match=r"train\.txt: no such file or folder; say what"):
        Voc(root=str(root))


def test_an_empty_list(root):
    write_list(root, "val", "")
    with pytest.raises(DatasetError, match=r"val\.txt: the list is empty"):
        Voc(root=str(root))


def test_no_class_in_any_annotation(root):
    for name in "abc":
        write(root, name)
    with pytest.raises(DatasetError, match="no class names"):
        Voc(root=str(root))


@pytest.fixture
def masks(root):
    """Palette masks: left half aeroplane (1), a column of tvmonitor (20), one of void (255)."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[:, :10], values[:, 10], values[:, 11] = 1, 20, 255
    (root / "SegmentationClass").mkdir()
    for split, name in zip(SPLITS, "abc", strict=True):
        mask = Image.fromarray(values, mode="P")
        mask.putpalette([128, 0, 0] * 256)  # all indices in one colour: only indices count
        mask.save(root / "SegmentationClass" / f"{name}.png")
        write_list(root, split, name, kind="Segmentation")
    return root


def test_masks_are_palette_indices(masks):
    data = Voc(root=str(masks), target="masks")
    assert data.classes == VOC_CLASSES
    assert data.tasks == {"segmentation"}
    sample = data.load("a")
    assert sample.semantic[0].tolist() == [1] * 10 + [20, 255] + [0] * 8
    assert sample.boxes.shape == (0, 4)


def test_masks_without_lists_are_those_that_exist(masks):
    for split in SPLITS:
        (masks / "ImageSets" / "Segmentation" / f"{split}.txt").unlink()
    write(masks, "d")
    data = Voc(root=str(masks), target="masks")
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]


def test_bad_masks(masks):
    folder = masks / "SegmentationClass"
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(folder / "b.png")
    Image.fromarray(
        np.dstack([np.eye(10, 20, dtype=np.uint8)] * 2 + [np.zeros((10, 20), np.uint8)])
    ).save(folder / "c.png")
    data = Voc(root=str(masks), target="masks", classes=["one", "two"])
    with pytest.raises(DatasetError, match=r"a\.png: mask holds the values 20; with 2 class"):
        data.load("a")
    with pytest.raises(DatasetError, match=r"b\.png: size is 5x5, but the image b\.png is 20x10"):
        data.load("b")
    with pytest.raises(DatasetError, match=r"c\.png: mask is in colour \(RGB\)"):
        data.load("c")


def test_blood_cells(data_folder):
    data = Voc(root=str(data_folder / "bccd" / "BCCD"))
    assert data.classes == ["Platelets", "RBC", "WBC"]
    assert [len(data.ids(split)) for split in SPLITS] == [205, 87, 72]
    counts = np.zeros(3, int)
    dropped = {}
    for sample_id in (i for split in SPLITS for i in data.ids(split)):
        sample = data.load(sample_id)
        assert sample.image.shape == (480, 640, 3)
        counts += np.bincount(sample.labels, minlength=3)
        if sample.dropped:
            dropped[sample_id] = sample.dropped
    assert dropped == {"BloodImage_00338": 1, "BloodImage_00343": 1}
    assert counts.sum() == 4888 - 2
    assert counts[1] / counts.sum() == pytest.approx(0.85, abs=0.005)
    first = data.load("BloodImage_00338")
    assert first.boxes[0].tolist() == [452, 80, 555, 182]
