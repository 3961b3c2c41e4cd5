"""``problems()`` of every reader lists all faults of a folder at once, each with its file."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.coco import Coco
from datasets.instance_masks import InstanceMasks
from datasets.mask_folder import MaskFolder
from datasets.voc import Voc
from datasets.yolo import Yolo

HEIGHT, WIDTH = 32, 48


def picture(path: Path, height=HEIGHT, width=WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def mask(path: Path, height=HEIGHT, width=WIDTH, value=1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((height, width), np.uint8)
    values[2:9, 3:7] = value
    Image.fromarray(values).save(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def xml(name="dog", x1="1", x2="9", width=WIDTH):
    return (
        f"<annotation><size><width>{width}</width><height>{HEIGHT}</height></size>"
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>1</ymin>"
        f"<xmax>{x2}</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )


def voc_folder(root: Path) -> Voc:
    texts = {
        "good": xml(),
        "cut": xml(),
        "unparsed": "<annotation>",
        "no_name": xml().replace("<name>dog</name>", ""),
        "no_box": "<annotation><object><name>dog</name></object></annotation>",
        "no_number": xml(x1="left"),
        "unknown": xml(name="dig"),
        "other_size": xml(width=40),
        "no_image": xml(),
        "degenerate": xml(x1="9", x2="9"),
    }
    for name, text in texts.items():
        write(root / "Annotations" / f"{name}.xml", text)
        picture(root / "JPEGImages" / f"{name}.png")
    picture(root / "JPEGImages" / "no_annotation.png")
    (root / "JPEGImages" / "no_image.png").unlink()
    cut(root / "JPEGImages" / "cut.png")
    return Voc(root=str(root), classes=["cat", "dog"])


VOC_FAULTS = {
    "JPEGImages/cut.png": "does not decode",
    "Annotations/unparsed.xml": "XML does not parse",
    "Annotations/no_name.xml": "no <name>",
    "Annotations/no_box.xml": "no <bndbox>",
    "Annotations/no_number.xml": "'left', not a number",
    "Annotations/unknown.xml": "did you mean 'dog'",
    "Annotations/other_size.xml": "size is 40x32",
    "Annotations/no_image.xml": "annotation without an image",
    "Annotations/degenerate.xml": "1 box(es) without width or height",
    "JPEGImages/no_annotation": "image has no annotation",
}


def coco_folder(root: Path) -> Coco:
    box = {"category_id": 1, "bbox": [1, 1, 5, 5]}
    annotations = {
        "good": {**box, "segmentation": [[1, 1, 6, 1, 6, 6]]},
        "cut": box,
        "no_image": box,
        "other_size": box,
        "no_box": {"category_id": 1},
        "no_number": {"category_id": 1, "bbox": [1, 1, "wide", 5]},
        "unknown": {**box, "category_id": 2},
        "polygon": {**box, "segmentation": [[1, 1, 6, 1]]},
        "mask_size": {**box, "segmentation": {"counts": [100], "size": [10, 10]}},
        "runs": {**box, "segmentation": {"counts": [7], "size": [HEIGHT, WIDTH]}},
        "degenerate": {"category_id": 1, "bbox": [1, 1, 0, 5]},
    }
    images = []
    for number, name in enumerate(annotations):
        picture(root / "images" / f"{name}.png")
        size = {"height": HEIGHT, "width": WIDTH + (name == "other_size")}
        images.append({"id": number, "file_name": f"{name}.png", **size})
    entries = [
        {"id": name, "image_id": number, **annotation}
        for number, (name, annotation) in enumerate(annotations.items())
    ]
    content = {
        "images": images,
        "annotations": entries,
        "categories": [{"id": 1, "name": "dog"}],
    }
    write(root / "all.json", json.dumps(content))
    (root / "images" / "no_image.png").unlink()
    cut(root / "images" / "cut.png")
    return Coco(root=str(root), annotations="all.json", images="images")


COCO_FAULTS = {
    "images/cut.png": "does not decode",
    "images/no_image.png does not exist": "annotation without an image",
    "images/other_size.png": "size is 48x32, but its entry in all.json is 49x32",
    "annotation no_box": "bbox is None",
    "annotation no_number": "'wide', which is not a number",
    "annotation unknown": "category_id 2 is not in the list",
    "annotation polygon": "at least 6 numbers",
    "annotation mask_size": "the mask's size",
    "annotation runs": "run lengths are damaged",
    "images/degenerate.png": "1 box(es) without width or height",
}


def yolo_folder(root: Path) -> Yolo:
    lines = {
        "good": "0 0.5 0.5 0.2 0.2",
        "cut": "0 0.5 0.5 0.2 0.2",
        "count": "0 0.5 0.5 0.2",
        "outside": "0 0.5 0.5 0.2 20",
        "no_number": "0 0.5 0.5 0.2 wide",
        "unknown": "3 0.5 0.5 0.2 0.2",
        "no_image": "0 0.5 0.5 0.2 0.2",
        "degenerate": "0 0.5 0.5 0 0.2",
    }
    for name, line in lines.items():
        picture(root / "images" / f"{name}.png")
        write(root / "labels" / f"{name}.txt", line)
    picture(root / "images" / "no_label_is_fine.png")
    (root / "images" / "no_image.png").unlink()
    cut(root / "images" / "cut.png")
    return Yolo(root=str(root), images="images", labels="labels", classes=["dog"])


YOLO_FAULTS = {
    "images/cut.png": "does not decode",
    "labels/count.txt": "line 1: 4 values",
    "labels/outside.txt": "20 lies outside 0..1",
    "labels/no_number.txt": "not a number",
    "labels/unknown.txt": "class 3 is not in the list",
    "labels/no_image.txt": "label file without an image",
    "images/degenerate.png": "1 box(es) without width or height",
}


def bowl_folder(root: Path) -> InstanceMasks:
    for name in ("good", "cut", "no_mask", "no_image", "other_size", "cut_mask", "empty"):
        picture(root / name / "images" / "image.png")
        mask(root / name / "masks" / "1.png", value=255)
    cut(root / "cut" / "images" / "image.png")
    (root / "no_mask" / "masks" / "1.png").unlink()
    (root / "no_image" / "images" / "image.png").unlink()
    mask(root / "other_size" / "masks" / "2.png", height=20)
    (root / "cut_mask" / "masks" / "1.png").write_bytes(b"")
    mask(root / "empty" / "masks" / "1.png", value=0)
    return InstanceMasks(root=str(root), layout="dsb2018")


BOWL_FAULTS = {
    "cut/images/image.png": "does not decode",
    "no_mask/images/image.png": "image without a mask",
    "no_image/masks/1.png": "mask without an image",
    "other_size/masks/2.png": "size is 48x20, but its image image.png is 48x32",
    "cut_mask/masks/1.png": "not an image",
    "empty/images/image.png": "1 box(es) without width or height",
}


def mask_folder(root: Path) -> MaskFolder:
    for name in ("good", "cut", "no_mask", "no_image", "other_size", "cut_mask", "unknown"):
        picture(root / "images" / f"{name}.png")
        mask(root / "masks" / f"{name}.png")
    cut(root / "images" / "cut.png")
    (root / "masks" / "no_mask.png").unlink()
    (root / "images" / "no_image.png").unlink()
    mask(root / "masks" / "other_size.png", width=20)
    (root / "masks" / "cut_mask.png").write_bytes(b"")
    mask(root / "masks" / "unknown.png", value=9)
    return MaskFolder(root=str(root), kind="index", classes=["crack"])


MASK_FAULTS = {
    "images/cut.png": "does not decode",
    "images/no_mask.png": "image without a mask",
    "masks/no_image.png": "mask without an image",
    "masks/other_size.png": "size is 20x32, but its image other_size.png is 48x32",
    "masks/cut_mask.png": "not an image",
    "masks/unknown.png": "mask holds the values 9",
}


@pytest.mark.parametrize(
    ("build", "faults"),
    [
        (voc_folder, VOC_FAULTS),
        (coco_folder, COCO_FAULTS),
        (yolo_folder, YOLO_FAULTS),
        (bowl_folder, BOWL_FAULTS),
        (mask_folder, MASK_FAULTS),
    ],
)
def test_all_faults_are_listed_at_once(tmp_path, build, faults):
    problems = build(tmp_path).problems()
    assert len(problems) == len(faults)
    for name, reason in faults.items():
        about = [problem for problem in problems if name in problem and reason in problem]
        assert len(about) == 1, f"{name}: {reason} is not reported once in {problems}"
        assert about[0].startswith(str(tmp_path))
