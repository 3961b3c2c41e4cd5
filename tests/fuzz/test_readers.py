"""Whatever an annotation file holds: samples that keep the contract, or one message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import DATASETS, SPLITS, Dataset
from datasets.sample import DatasetError
from tests.bad_input.worlds import COUNT, XML, coco_content, mask, picture
from tests.fuzz.mutations import FUZZ, damaged, spoiled

Make = Callable[[], Dataset]


def read(make: Make) -> list[str]:
    """Messages of all that cannot be read; what can be keeps the contract of a sample."""
    try:
        dataset = make()
    except DatasetError as error:
        return [str(error)]
    found = []
    for sample_id in (each for split in SPLITS for each in dataset.ids(split)):
        try:
            sample = dataset.load(sample_id).validate(dataset.classes)
        except DatasetError as error:
            found.append(str(error))
            continue
        height, width = sample.image.shape[:2]
        assert (sample.boxes >= 0).all()
        assert (sample.boxes <= np.array([width, height, width, height])).all()
    assert all(message.strip() for message in found)
    return found


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("coco")
    for number in range(COUNT):
        picture(root / f"images/{number}.png")
    return root


def read_coco(root: Path, content: bytes) -> list[str]:
    (root / "all.json").write_bytes(content)
    return read(lambda: DATASETS["coco"](root=str(root), annotations="all.json", images="images"))


@FUZZ
@given(data=st.data())
def test_coco_with_one_thing_changed(coco, data):
    content = json.dumps(data.draw(spoiled(coco_content())))
    read_coco(coco, content.encode())


@FUZZ
@given(data=st.data())
def test_coco_with_damaged_bytes(coco, data):
    read_coco(coco, data.draw(damaged(json.dumps(coco_content()).encode())))


def test_coco_undamaged(coco):
    assert read_coco(coco, json.dumps(coco_content()).encode()) == []


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voc")
    for number in range(COUNT):
        picture(root / f"JPEGImages/{number}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / f"Annotations/{number}.xml").write_text(XML)
    return root


@FUZZ
@given(data=st.data())
def test_voc_with_damaged_bytes(voc, data):
    (voc / "Annotations/0.xml").write_bytes(data.draw(damaged(XML.encode())))
    found = read(lambda: DATASETS["voc"](root=str(voc), classes=["dog"]))
    assert len(found) <= 1
    assert all("0.xml" in message for message in found)


YOLO = b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n"


@FUZZ
@given(data=st.data())
def test_yolo_with_damaged_bytes(tmp_path_factory, data):
    root = tmp_path_factory.getbasetemp() / "yolo"
    for number in range(3):
        picture(root / f"images/{number}.png")
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels/0.txt").write_bytes(data.draw(damaged(YOLO)))
    (root / "data.yaml").write_bytes(
        data.draw(st.just(b"names: [a, b]") | damaged(b"names: [a, b]"))
    )
    read(lambda: DATASETS["yolo"](root=str(root), images="images", labels="labels", target="masks"))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@FUZZ
@given(data=st.data())
def test_masks_with_damaged_bytes(tmp_path_factory, suffix, data):
    root = tmp_path_factory.getbasetemp() / f"masks-{suffix}"
    for number in range(3):
        picture(root / f"images/{number}.png")
        mask(root / f"masks/{number}.{suffix}")
    good = (root / f"masks/0.{suffix}").read_bytes()
    (root / f"masks/0.{suffix}").write_bytes(data.draw(damaged(good)))
    make = DATASETS["mask_folder"]
    found = read(lambda: make(root=str(root), kind="index", classes=["crack"]))
    assert all(f"0.{suffix}" in message for message in found)


@FUZZ
@given(data=st.data())
def test_instance_masks_with_damaged_bytes(tmp_path_factory, data):
    root = tmp_path_factory.getbasetemp() / "instances"
    for number in range(3):
        picture(root / f"PNGImages/{number}.png")
        mask(root / f"PedMasks/{number}_mask.png")
    file = root / "PedMasks/0_mask.png"
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    found = read(lambda: DATASETS["instance_masks"](root=str(root), layout="penn_fudan"))
    assert all("0_mask.png" in message for message in found)


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


@FUZZ
@given(data=st.data())
def test_a_real_voc_file(tmp_path_factory, data_folder, data):
    source, root = data_folder / "bccd/BCCD", tmp_path_factory.getbasetemp() / "bccd"
    if not root.exists():
        for name in [path.stem for path in sorted((source / "JPEGImages").iterdir())[:3]]:
            for place in ("JPEGImages/{}.jpg", "Annotations/{}.xml"):
                (root / place.format(name)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / place.format(name), root / place.format(name))
        shutil.copy(first(root, "Annotations/*.xml"), root / "good")
    first(root, "Annotations/*.xml").write_bytes(data.draw(damaged((root / "good").read_bytes())))
    read(lambda: DATASETS["voc"](root=str(root)))


@FUZZ
@given(data=st.data())
def test_a_real_mask(tmp_path_factory, data_folder, data):
    source = data_folder / "masonry_cracks/dataset"
    root = tmp_path_factory.getbasetemp() / "cracks"
    if not root.exists():
        for kind in ("images", "masks"):
            (root / kind).mkdir(parents=True)
            for path in sorted((source / f"crack_detection_224_{kind}").iterdir())[:3]:
                shutil.copy(path, root / kind)
        shutil.copy(first(root, "masks/*"), root / "good")
    first(root, "masks/*").write_bytes(data.draw(damaged((root / "good").read_bytes())))
    read(lambda: DATASETS["mask_folder"](root=str(root)))
