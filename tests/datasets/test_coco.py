"""COCO JSON."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from datasets.base import SPLITS
from datasets.coco import Coco, decode_mask
from datasets.sample import IGNORE, DatasetError

WIDTH, HEIGHT = 8, 6
RECTANGLE = [2, 1, 6, 1, 6, 4, 2, 4]  # columns 2 to 5, rows 1 to 3
OPTIONS = {"annotations": "all.json", "images": "images"}


def content(*annotations, names=("a", "b", "c")):
    return {
        "images": [
            {"id": 10 * i, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
            for i, name in enumerate(names, start=1)
        ],
        "annotations": [{"id": i, "image_id": 10, **a} for i, a in enumerate(annotations, 1)],
        "categories": [
            {"id": 7, "name": "dog"},
            {"id": 3, "name": "cat"},
            {"id": 90, "name": "ox"},
        ],
    }


def write(root: Path, data, source="all.json", folder="images") -> None:
    (root / folder).mkdir(exist_ok=True)
    for record in data["images"]:
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(root / folder / record["file_name"])
    (root / source).write_text(json.dumps(data))


def read(root: Path, *annotations, **options) -> Coco:
    write(root, content(*annotations))
    return Coco(root=str(root), **{**OPTIONS, **options})


def test_boxes_are_corners_and_labels_follow_sorted_ids(tmp_path):
    data = read(
        tmp_path,
        {"category_id": 90, "bbox": [1, 2, 3, 1]},
        {"category_id": 3, "bbox": [0.5, 0, 20, 2.25]},
        {"category_id": 7, "bbox": [0, 0, 1, 1], "image_id": 20},
    )
    assert data.classes == ["cat", "dog", "ox"]
    assert data.tasks == {"detection"}
    sample = data.load("a")
    assert sample.boxes.tolist() == [[1, 2, 4, 3], [0.5, 0, 8, 2.25]]
    assert sample.labels.tolist() == [2, 0]
    assert sample.semantic is None
    assert sample.instance_masks is None
    assert data.load("b").labels.tolist() == [1]
    assert data.load("c").boxes.shape == (0, 4)
    assert [path.name for path in data.files("a")] == ["a.png", "all.json"]


def test_kept_classes_in_the_given_order(tmp_path):
    data = read(
        tmp_path,
        {"category_id": 90, "bbox": [1, 2, 3, 1]},
        {"category_id": 3, "bbox": [0, 0, 2, 2]},
        {"category_id": 7, "bbox": [0, 0, 5, 5]},
        classes=["ox", "cat"],
    )
    assert data.classes == ["ox", "cat"]
    assert data.load("a").labels.tolist() == [0, 1]


def test_degenerate_boxes_are_counted(tmp_path):
    data = read(
        tmp_path,
        {"category_id": 3, "bbox": [1, 2, 0, 1]},
        {"category_id": 3, "bbox": [9, 2, 2, 1]},
        {"category_id": 3, "bbox": [1, 2, 2, 1]},
    )
    sample = data.load("a")
    assert sample.boxes.tolist() == [[1, 2, 3, 3]]
    assert sample.dropped == 2


@pytest.mark.parametrize(
    ("without_mask", "options", "serves"),
    [
        ({"category_id": 7}, {}, False),
        ({"category_id": 7}, {"classes": ["cat"]}, True),
        ({"category_id": 7, "iscrowd": 1}, {}, True),
    ],
    ids=["an object", "one of another class", "a crowd"],
)
def test_instances_are_served_where_every_object_has_a_mask(
    tmp_path, without_mask, options, serves
):
    data = read(
        tmp_path,
        {"category_id": 3, "bbox": [2, 1, 4, 3], "segmentation": [RECTANGLE]},
        {"bbox": [0, 0, 2, 2], **without_mask},
        **options,
    )
    assert ("instance" in data.tasks) == serves
    assert {"detection", "segmentation"} <= data.tasks
    assert (data.load("a").instance_masks is not None) == serves


def expected_rectangle():
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[1:4, 2:6] = True
    return mask


def test_polygon_run_lengths_and_compressed_run_lengths(tmp_path):
    # Column by column: 6 zeros (column 0), then rows 0 and 1 of column 1, then the rest.
    size = [HEIGHT, WIDTH]
    data = read(
        tmp_path,
        {"category_id": 3, "bbox": [2, 1, 4, 3], "segmentation": [RECTANGLE]},
        {
            "category_id": 7,
            "bbox": [1, 0, 1, 2],
            "segmentation": {"counts": [6, 2, 40], "size": size},
        },
        # Below 16 a run is the character 48 + its length; 40 is 8 + 1*32: "X1".
        {"category_id": 90, "bbox": [1, 0, 1, 2], "segmentation": {"counts": "62X1", "size": size}},
    )
    assert data.tasks == {"detection", "segmentation", "instance"}
    sample = data.load("a")
    column = np.zeros((HEIGHT, WIDTH), np.bool_)
    column[0:2, 1] = True
    assert np.array_equal(sample.instance_masks, [expected_rectangle(), column, column])
    assert sample.semantic[1].tolist() == [0, 3, 1, 1, 1, 1, 0, 0]


@given(hnp.arrays(np.uint8, (HEIGHT, WIDTH), elements=st.integers(0, 1)), st.integers(1, 9))
def test_compressed_run_lengths_are_read_as_they_are_written(small, scale):
    mask = np.asfortranarray(np.kron(small, np.ones((scale, scale), np.uint8)))
    encoded = coco_mask.encode(mask)
    shape = {"counts": encoded["counts"].decode(), "size": list(mask.shape)}
    assert np.array_equal(decode_mask(shape, mask.shape, "here"), mask)


def test_crowds_give_no_box_and_are_ignored(tmp_path):
    data = read(
        tmp_path,
        {
            "category_id": 3,
            "bbox": [0, 0, 8, 1],
            "iscrowd": 1,
            "segmentation": {"counts": [0, 12, 36], "size": [HEIGHT, WIDTH]},
        },
        {"category_id": 7, "bbox": [2, 1, 4, 3], "segmentation": [RECTANGLE]},
    )
    sample = data.load("a")
    assert sample.labels.tolist() == [1]
    assert sample.instance_masks.shape == (1, HEIGHT, WIDTH)
    assert sample.dropped == 0
    expected = np.where(expected_rectangle(), 2, 0)
    expected[:, 0:2] = IGNORE
    assert np.array_equal(sample.semantic, expected)


def test_an_object_without_a_mask_is_ignored_in_its_box(tmp_path):
    data = read(
        tmp_path,
        {"category_id": 7, "bbox": [2, 1, 4, 3], "segmentation": [RECTANGLE]},
        {"category_id": 3, "bbox": [5, 3, 3, 3], "segmentation": []},
    )
    sample = data.load("a")
    assert sample.instance_masks is None
    assert len(sample.boxes) == 2
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[3:6, 5:8] = IGNORE
    expected[expected_rectangle()] = 2
    assert np.array_equal(sample.semantic, expected)


def test_one_file_a_split(tmp_path):
    for split, names in {"train2017": "abcdefgh", "val2017": "xy"}.items():
        write(tmp_path, content(names=names), f"instances_{split}.json", split)
    data = Coco(
        root=str(tmp_path),
        annotations="instances_{split}.json",
        images="{split}",
        train="train2017",
        test="val2017",
    )
    assert data.ids("test") == ["val2017/x", "val2017/y"]
    assert (len(data.ids("train")), len(data.ids("val"))) == (6, 2)
    assert data.load("val2017/x").image.shape == (HEIGHT, WIDTH, 3)


def test_a_subset_is_drawn_from_the_training_images_alone(tmp_path):
    names = [f"{letter}{digit}" for letter in "abcde" for digit in range(10)]
    write(tmp_path, content(names=names))

    def ids(**options):
        data = Coco(root=str(tmp_path), **OPTIONS, **options)
        return {split: data.ids(split) for split in SPLITS}

    whole = ids()
    ten = ids(subset=10)
    assert len(ten["train"]) == 10
    assert set(ten["train"]) < set(whole["train"])
    assert (ten["val"], ten["test"]) == (whole["val"], whole["test"])
    assert ids(subset=10) == ten
    assert ids(subset=10, subset_seed=1)["train"] != ten["train"]
    assert set(ten["train"]) < set(ids(subset=0.5)["train"])
    everywhere = ids(subset=0.5, subset_of=list(SPLITS))
    assert [len(everywhere[split]) for split in SPLITS] == [15, 5, 5]
    # Written down once: another result means that published subsets have moved.
    assert ids(subset=4)["train"] == SUBSET


SUBSET = ["a6", "a9", "c5", "e8"]
BOX = {"category_id": 3, "bbox": [0, 0, 2, 2]}


def test_names_with_backslashes_and_other_letters(tmp_path):
    data = content(BOX, names=["ä", "b", "c"])
    write(tmp_path, data)
    data["images"][0]["file_name"] = "dunkel\\ä.png"
    (tmp_path / "images" / "dunkel").mkdir()
    (tmp_path / "images" / "ä.png").rename(tmp_path / "images" / "dunkel" / "ä.png")
    (tmp_path / "all.json").write_bytes(json.dumps(data, ensure_ascii=False).encode())
    assert len(Coco(root=str(tmp_path), **OPTIONS).load("dunkel/ä").boxes) == 1


def test_a_data_set_travels_to_another_process_without_its_annotation(tmp_path):
    data = read(tmp_path, *[{**BOX, "segmentation": [RECTANGLE * 50]}] * 200)
    assert (tmp_path / "all.json").stat().st_size > 200_000
    copy = pickle.dumps(data)
    assert len(copy) < 10_000
    assert len(pickle.loads(copy).load("a").boxes) == 200


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"category_id": 3}, "bbox is None, expected 4 numbers"),
        ({"category_id": 3, "bbox": [1, 2, 3]}, r"bbox is \[1, 2, 3\], expected 4 numbers"),
        ({"category_id": 3, "bbox": [1, "2", 3, 4]}, "bbox holds '2', which is not a number"),
        ({"category_id": 3, "bbox": [1, float("nan"), 3, 4]}, "bbox holds nan"),
        (
            {"category_id": 4, "bbox": [0, 0, 1, 1]},
            "category_id 4 is not in the list.* ids 3 to 90",
        ),
        ({**BOX, "segmentation": [[1, 2, 3, 4]]}, "polygon 1 is .* expected at least 6"),
        ({**BOX, "segmentation": [RECTANGLE, [1, 2, 3, 4, 5, 6, 7]]}, "polygon 2 is"),
        ({**BOX, "segmentation": [[1, 2, 3, 4, 5, None]]}, "polygon 1 holds None"),
        ({**BOX, "segmentation": [[1, 2, 3, 4, 5, -1e9]]}, r"reaches to 1e\+09, .* only 8x6"),
        ({**BOX, "category_id": [3]}, r"category_id \[3\] is not in the list"),
        ({**BOX, "segmentation": "x"}, "neither polygons nor run lengths"),
        ({**BOX, "segmentation": {"counts": [48]}}, "neither polygons nor run lengths"),
        (
            {**BOX, "segmentation": {"counts": [48], "size": [8, 6]}},
            r"the mask's size .* is \[8, 6\], but the image's is \[6, 8\]",
        ),
        (
            {**BOX, "segmentation": {"counts": [6, 2], "size": [6, 8]}},
            r"run lengths are damaged \(runs must .* sum to 48 pixels\)",
        ),
        ({**BOX, "segmentation": {"counts": [50, -2], "size": [6, 8]}}, "run lengths are damaged"),
        ({**BOX, "segmentation": {"counts": ["a"], "size": [6, 8]}}, "run lengths are damaged"),
        ({**BOX, "segmentation": {"counts": "62", "size": [6, 8]}}, "damaged .runs .* 48 pixels"),
        ({**BOX, "segmentation": {"counts": "62X", "size": [6, 8]}}, "ends within a number"),
        ({**BOX, "segmentation": {"counts": "62 1", "size": [6, 8]}}, "' ' cannot be part of"),
    ],
)
def test_a_bad_annotation_is_one_error_with_the_file(tmp_path, annotation, reason):
    data = read(tmp_path, BOX, annotation)
    with pytest.raises(DatasetError, match=rf"all\.json: annotation 2.*{reason}") as error:
        data.load("a")
    assert str(error.value).startswith(str(tmp_path))
    data.load("b")


def test_image_files_that_do_not_fit(tmp_path):
    data = read(tmp_path, BOX)
    (tmp_path / "images" / "a.png").unlink()
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "images" / "b.png")
    (tmp_path / "images" / "c.png").write_text("no image")
    with pytest.raises(DatasetError, match=r"all\.json: annotation without an image: .*a\.png"):
        data.load("a")
    with pytest.raises(DatasetError, match=r"b\.png: size is 5x5, but its entry .* is 8x6"):
        data.load("b")
    with pytest.raises(DatasetError, match=r"c\.png: not an image"):
        data.load("c")


def without(data, section, field):
    del data[section][0][field]
    return data


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", r"all\.json: JSON does not parse"),
        ("[]", r"all\.json: has no list 'images'; this is not COCO's format"),
        (json.dumps({"images": []}), "has no list 'annotations'"),
        (json.dumps(without(content(), "images", "file_name")), "1 of 'images' needs 'file_name'"),
        (
            json.dumps(without(content(BOX), "annotations", "image_id")),
            "needs 'image_id' as a whole",
        ),
        (json.dumps(without(content(), "categories", "name")), "needs 'name' as text"),
        (
            json.dumps(content(BOX, {**BOX, "image_id": 11}, {**BOX, "image_id": 12})),
            "annotation without an image: 2 refer .* annotation 2 with image_id 11",
        ),
        (json.dumps(content(names=["a", "b", "a"])), "the image 'a' is listed twice"),
        (json.dumps({**content(), "categories": []}), "categories: no class names"),
    ],
)
def test_a_bad_file_is_refused_at_once(tmp_path, text, reason):
    write(tmp_path, content())
    (tmp_path / "all.json").write_text(text)
    with pytest.raises(DatasetError, match=reason):
        Coco(root=str(tmp_path), **OPTIONS)


def test_repeated_image_ids(tmp_path):
    data = content()
    data["images"][2]["id"] = 10
    write(tmp_path, data)
    with pytest.raises(DatasetError, match="two images have the id 10"):
        Coco(root=str(tmp_path), **OPTIONS)


def test_files_that_disagree_on_a_category(tmp_path):
    write(tmp_path, content(names="abc"), "train.json")
    other = content(names="de")
    other["categories"][0]["name"] = "wolf"
    write(tmp_path, other, "val.json")
    with pytest.raises(DatasetError, match=r"val\.json: category 7 is 'wolf', but 'dog' before"):
        Coco(root=str(tmp_path), annotations="{split}.json", images="images")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["dgo"]}, r"class 'dgo' is not in the list \(did you mean 'dog'\?"),
        ({"classes": ["dog", "dog"]}, "given 2 times"),
        ({"images": "photos"}, "photos: no such folder"),
        ({"subset": 0}, "subset: 0 must be a whole number from 1 to 1"),
        ({"subset": 2}, "subset: 2 must be a whole number from 1 to 1"),
        ({"subset": 1.0}, "subset: 1.0 must be .* or a share between 0 and 1"),
        ({"subset": 1, "subset_of": ["tain"]}, "subset_of: 'tain' is not one of train, val, test"),
        ({"annotations": "{split}.json"}, r"train\.json: no such file or folder; say what"),
        ({"annotations": "none.json"}, r"none\.json: cannot be read \(No such file"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, **options)


@pytest.fixture
def coco128(data_folder):
    options = {"annotations": "annotations/instances_train2017.json", "images": "images/train2017"}
    return Coco(root=str(data_folder / "coco128"), **options)


def test_masks_are_those_of_the_reference_reader(coco128, data_folder, capsys):
    reference = COCO(str(data_folder / "coco128" / "annotations" / "instances_train2017.json"))
    masks = 0
    for image_id in sorted(reference.imgs)[:40]:
        records = reference.imgToAnns[image_id]
        if any(record["category_id"] > 80 for record in records):
            continue
        sample = coco128.load(f"{image_id:012}")
        expected = np.array([record["bbox"] for record in records]).reshape(-1, 4)
        expected[:, 2:] += expected[:, :2]
        assert np.allclose(sample.boxes, expected, atol=1)  # those that reach out are clipped
        assert sample.labels.tolist() == [record["category_id"] - 1 for record in records]
        if all(record["segmentation"] for record in records):
            for mask, record in zip(sample.instance_masks, records, strict=True):
                assert np.array_equal(mask, reference.annToMask(record))
                masks += 1
        else:
            assert sample.instance_masks is None
    assert masks > 100


def test_categories_that_the_file_does_not_declare_are_found(coco128):
    reported = coco128.problems()
    assert len([i for split in SPLITS for i in coco128.ids(split)]) == 128
    assert len(reported) == 19
    assert all(
        "is not in the list; there are 80 categories with ids 1 to 80" in r for r in reported
    )
