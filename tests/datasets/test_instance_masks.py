"""Objects given as masks: one file an instance, or one number an instance."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.base import SPLITS
from datasets.instance_masks import InstanceMasks
from datasets.sample import DatasetError

HEIGHT, WIDTH = 6, 8


def save(path: Path, values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def rectangle(x1, y1, x2, y2, value=255):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y1:y2, x1:x2] = value
    return mask


PICTURE = np.full((HEIGHT, WIDTH, 4), (10, 20, 30, 255), np.uint8)  # with transparency


@pytest.fixture
def bowl(tmp_path):
    for name in "abc":
        save(tmp_path / name / "images" / f"{name}.png", PICTURE)
        save(tmp_path / name / "masks" / "2.png", rectangle(5, 0, 8, 2, value=1))
        save(tmp_path / name / "masks" / "1.png", rectangle(1, 2, 4, 6))
    return tmp_path


@pytest.fixture
def fudan(tmp_path):
    mask = rectangle(1, 2, 4, 6, value=1) + rectangle(5, 0, 8, 2, value=7)
    for name in "abc":
        save(tmp_path / "PNGImages" / f"{name}.png", PICTURE)
        save(tmp_path / "PedMasks" / f"{name}_mask.png", mask)
    return tmp_path


@pytest.mark.parametrize("layout", ["dsb2018", "penn_fudan"])
def test_both_layouts_read_the_same_objects(layout, request):
    root = request.getfixturevalue({"dsb2018": "bowl", "penn_fudan": "fudan"}[layout])
    data = InstanceMasks(root=str(root), layout=layout, class_name="cell")
    assert data.classes == ["cell"]
    assert data.tasks == {"detection", "segmentation", "instance"}
    assert sorted(i for split in SPLITS for i in data.ids(split)) == ["a", "b", "c"]
    sample = data.load("a")
    assert sample.image[0, 0].tolist() == [10, 20, 30]
    assert sample.boxes.tolist() == [[1, 2, 4, 6], [5, 0, 8, 2]]
    assert sample.labels.tolist() == [0, 0]
    first, second = rectangle(1, 2, 4, 6) > 0, rectangle(5, 0, 8, 2) > 0
    assert np.array_equal(sample.instance_masks, [first, second])
    assert np.array_equal(sample.semantic, first | second)


def test_files_of_a_sample(bowl):
    data = InstanceMasks(root=str(bowl), layout="dsb2018")
    assert [path.name for path in data.files("a")] == ["a.png", "1.png", "2.png"]


def test_more_instances_than_a_byte_counts(fudan):
    values = np.zeros((HEIGHT, WIDTH), np.uint16)
    values[0, 0], values[5, 7] = 300, 256
    save(fudan / "PedMasks" / "a_mask.png", values)
    sample = InstanceMasks(root=str(fudan), layout="penn_fudan").load("a")
    assert sample.boxes.tolist() == [[7, 5, 8, 6], [0, 0, 1, 1]]


def test_an_empty_mask_is_counted(bowl):
    save(bowl / "a" / "masks" / "1.png", rectangle(0, 0, 0, 0))
    data = InstanceMasks(root=str(bowl), layout="dsb2018")
    sample = data.load("a")
    assert sample.dropped == 1
    assert sample.instance_masks.shape == (1, HEIGHT, WIDTH)
    assert data.problems() == [
        f"{bowl / 'a' / 'images' / 'a.png'}: 1 box(es) without width or height"
    ]


def test_bad_files_of_the_bowl(bowl):
    save(bowl / "a" / "masks" / "2.png", np.zeros((5, 5), np.uint8))
    shutil.rmtree(bowl / "b" / "masks")
    shutil.rmtree(bowl / "c" / "images")
    data = InstanceMasks(root=str(bowl), layout="dsb2018")
    with pytest.raises(DatasetError, match=r"2\.png: size is 5x5, but its image a\.png is 8x6"):
        data.load("a")
    with pytest.raises(DatasetError, match=r"b\.png: image without a mask"):
        data.load("b")
    with pytest.raises(DatasetError, match=r"c/masks/1\.png: mask without an image"):
        data.load("c")
    assert [path.name for path in data.files("b")] == ["b.png"]


def test_bad_files_of_penn_fudan(fudan):
    (fudan / "PNGImages" / "a.png").unlink()
    (fudan / "PedMasks" / "b_mask.png").unlink()
    (fudan / "PedMasks" / "c_mask.png").write_text("no image")
    data = InstanceMasks(root=str(fudan), layout="penn_fudan")
    with pytest.raises(DatasetError, match=r"a_mask\.png: mask without an image"):
        data.load("a")
    with pytest.raises(DatasetError, match=r"b\.png: image without a mask \(no .*b_mask\.png\)"):
        data.load("b")
    with pytest.raises(DatasetError, match=r"c_mask\.png: not an image"):
        data.load("c")


def test_two_images_of_one_sample(bowl):
    save(bowl / "a" / "images" / "b.png", PICTURE)
    with pytest.raises(DatasetError, match="a/images: 2 images, expected one"):
        InstanceMasks(root=str(bowl), layout="dsb2018")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "dsb"}, "layout: 'dsb' must be one of dsb2018, penn_fudan"),
        ({"layout": "penn_fudan"}, "PNGImages: no such folder"),
        ({"class_name": ""}, "class_name: '' is not a class name"),
    ],
)
def test_wrong_options(bowl, options, message):
    with pytest.raises(DatasetError, match=message):
        InstanceMasks(**{"root": str(bowl), "layout": "dsb2018", **options})


def test_a_folder_of_another_layout(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match="no folder ID/images with ID/masks in it"):
        InstanceMasks(root=str(tmp_path), layout="dsb2018")


def test_nuclei(data_folder):
    root = data_folder / "dsb2018" / "stage1_train"
    data = InstanceMasks(root=str(root), layout="dsb2018", class_name="nucleus")
    assert [len(data.ids(split)) for split in SPLITS] == [100, 34, 33]
    foreground = []
    for sample_id in data.ids("test"):
        sample = data.load(sample_id)
        masks = list((root / sample_id / "masks").glob("*.png"))
        assert len(sample.boxes) == len(masks)
        assert sample.dropped == 0
        union = np.maximum.reduce([np.array(Image.open(path)) for path in masks]) > 0
        assert np.array_equal(sample.semantic, union)
        foreground.append(union.mean())
    assert 0.05 < np.mean(foreground) < 0.25
