"""Small data sets in the official layouts, in a data folder of their own."""

import json

import numpy as np
import pytest
from PIL import Image

from datasets.voc import VOC_CLASSES

HEIGHT, WIDTH = 6, 8
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[1:4, 1:5] = 255  # the border
MASK[2, 2:4] = VOC_CLASSES.index("cat") + 1


def save(path, values, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if palette:
        picture.putpalette([(i * 37) % 256 for i in range(768)])
    picture.save(path)


def photograph(path):
    save(path, np.full((HEIGHT, WIDTH, 3), 120, np.uint8))


def write_list(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_xml(path, *objects):
    """Objects are (name, xmin, ymin, xmax, ymax, difficult)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"]
    for name, x1, y1, x2, y2, difficult in objects:
        lines.append(
            f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated>"
            f"<difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        )
    path.write_text(f"<annotation>{''.join(lines)}</annotation>")


def write_year(data, year, lists, masked):
    root = data / f"voc{year}" / "VOCdevkit" / f"VOC{year}"
    for name in sorted({name for names in lists.values() for name in names}):
        photograph(root / "JPEGImages" / f"{name}.jpg")
        objects = [("dog", 2, 3, 5, 6, 0), ("cat", 1, 1, 8, 6, 1)]
        write_xml(root / "Annotations" / f"{name}.xml", *objects)
    for name, names in lists.items():
        write_list(root / "ImageSets" / "Main" / f"{name}.txt", *names)
    for name, names in masked.items():
        write_list(root / "ImageSets" / "Segmentation" / f"{name}.txt", *names)
        for one in names:
            save(root / "SegmentationClass" / f"{one}.png", MASK, palette=True)
    return root


def numbers(first, last):
    return [f"{i:06d}" for i in range(first, last + 1)]


def write_coco(folder, name, count, first):
    images, annotations = [], []
    for i in range(first, first + count):
        photograph(folder / name / f"{i:012d}.jpg")
        images.append(
            {"id": i, "file_name": f"{i:012d}.jpg", "height": HEIGHT, "width": WIDTH, "license": 1}
        )
        polygon = [1, 1, 4, 1, 4, 3, 1, 3]
        annotations.append(
            {"id": i, "image_id": i, "category_id": 90, "bbox": [1, 1, 3, 2], "iscrowd": 0}
            | {"segmentation": [polygon], "area": 6}
        )
    categories = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
    path = folder / "annotations" / f"instances_{name}.json"
    path.parent.mkdir(exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps({"info": {}, "licenses": [], **content}))


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LOSSBENCH_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def voc2007(data):
    train, val, test = numbers(1, 10), numbers(11, 20), numbers(21, 25)
    lists = {"train": train, "val": val, "trainval": train + val, "test": test}
    return write_year(data, "2007", lists, {name: ids[:4] for name, ids in lists.items()})


@pytest.fixture
def voc2012(data):
    train = [f"2008_{i:06d}" for i in range(10)]
    val = [f"2009_{i:06d}" for i in range(4)]
    lists = {"train": train, "val": val, "trainval": train + val}
    return write_year(data, "2012", lists, {"train": train[:6], "val": val[:2]})
