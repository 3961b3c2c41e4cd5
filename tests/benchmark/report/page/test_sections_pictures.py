"""Pictures: what is right, wrong and missed, each picture embedded once, within the budget."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.metrics.rle import encode
from benchmark.options import UserError
from benchmark.report.page import instance_tiles, mask_tiles
from benchmark.report.page.context import PageContext
from benchmark.report.page.sections import pictures
from benchmark.report.page.tiles import embedded
from benchmark.report.samples import Sample, read_samples

Build = Callable[..., PageContext]
TRUTH = {"boxes": [[2, 2, 12, 12], [20, 20, 30, 30]], "labels": [0, 1]}
FOUND = {
    "boxes": [[2, 2, 12, 11], [2, 2, 12, 12], [0, 0, 5, 5]],
    "scores": [0.9, 0.8, 0.4],
    "labels": [0, 0, 1],
}
EVIL = '"><script>alert(1)</script>'


def picture(path: Path, width: int = 40, height: int = 32, seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, quality=85)


def boxes_run(folder: Path, found: dict[str, Any] = FOUND, images: int = 1, **size: int) -> Path:
    """A folder with the samples of a detector."""
    folder.mkdir(parents=True)
    entries = []
    for n in range(images):
        picture(folder / f"sample-{n}.jpg", seed=n, **size)
        with Image.open(folder / f"sample-{n}.jpg") as image:
            width, height = image.size
        entry = {"id": f"image {n}", "file": f"sample-{n}.jpg", "height": height, "width": width}
        entries.append({**entry, "truth": TRUTH, "predicted": found})
    write(folder, ["cat", "dog"], entries)
    return folder


def masks_run(folder: Path, truth: np.ndarray, predicted: np.ndarray, classes: list[str]) -> Path:
    """A folder with one sample of a segmenter."""
    folder.mkdir(parents=True)
    height, width = truth.shape
    picture(folder / "sample-0.jpg", width, height)
    for name, values in (("truth", truth), ("predicted", predicted)):
        Image.fromarray(values.astype(np.uint8)).save(folder / f"sample-0-{name}.png")
    entry = {"id": "image 0", "file": "sample-0.jpg", "height": height, "width": width}
    files = {name: f"sample-0-{name}.png" for name in ("truth", "predicted")}
    write(folder, classes, [{**entry, **files}])
    return folder


def write(folder: Path, classes: list[str], images: list[dict[str, Any]], version: int = 1) -> None:
    content = {"version": version, "classes": classes, "images": images}
    (folder / "samples.json").write_text(json.dumps(content), encoding="utf-8")


def drawings(markup: Any) -> list[ET.Element]:
    parts = str(markup).split('<svg role="img"')[1:]
    return [ET.fromstring('<svg role="img"' + part.split("</svg>")[0] + "</svg>") for part in parts]


def alts(markup: Any) -> list[str]:
    return [svg.attrib["aria-label"] for svg in drawings(markup)]


@pytest.fixture
def detectors(make_page: Build, tmp_path: Path) -> PageContext:
    values = {("d", "iou"): [0.4, 0.5], ("d", "giou"): [0.6, 0.7], ("d", "worst"): ["diverged"]}
    nothing = {"boxes": [], "scores": [], "labels": []}
    folders = {
        "d-iou-0": boxes_run(tmp_path / "iou"),
        "d-giou-0": boxes_run(tmp_path / "giou", nothing),
        "d-giou-1": tmp_path / "without samples",
    }
    return make_page(values, folders=folders)


def test_truth_first_then_the_losses_best_first(detectors: PageContext) -> None:
    assert alts(pictures.build(detectors)) == [
        "Truth of image 0: 1 cat, 1 dog",
        "giou on image 0: 0 right, 0 wrong, 2 missed, of 2 objects",
        "iou on image 0: 1 right, 2 wrong, 1 missed, of 2 objects",
    ]


def test_every_box_tells_what_it_is(detectors: PageContext) -> None:
    own = drawings(pictures.build(detectors))[2]
    told = {
        mark.attrib["data-tip"]: (group.attrib["stroke-dasharray"], mark.attrib["d"])
        for group in own.iter("g")
        for mark in group.iter("path")
        if "data-tip" in mark.attrib
    }
    assert told == {
        "right: cat, score 0.90, IoU 0.90": ("none", "M2 2H12V11H2Z"),
        "wrong: cat, score 0.80": ("6 3", "M2 2H12V12H2Z"),
        "wrong: dog, score 0.40": ("6 3", "M0 0H5V5H0Z"),
        "missed: dog": ("2 3", "M20 20H30V30H20Z"),
    }


def test_picture_stands_in_the_page_once(detectors: PageContext) -> None:
    drawn = str(pictures.build(detectors))
    assert drawn.count("data:image/jpeg") == 1
    name = re.search(r'<image id="([^"]+)"', drawn)
    assert name is not None
    assert drawn.count(f'href="#{name[1]}"') == 2


def test_filter_finds_the_losses_and_the_rest_is_named(detectors: PageContext) -> None:
    drawn = str(pictures.build(detectors))
    assert re.findall(r'data-loss="(\w+)"', drawn) == ["giou", "iou"]
    assert "Without pictures, for want of a finished run: worst." in drawn
    assert all(f" {kind}</li>" in drawn for kind in ("right", "wrong", "missed"))


def test_names_are_escaped(make_page: Build, tmp_path: Path) -> None:
    folder = boxes_run(tmp_path / "run")
    content = json.loads((folder / "samples.json").read_text())
    write(folder, [EVIL, EVIL], [{**content["images"][0], "id": EVIL}])
    drawn = pictures.build(make_page({("d", EVIL): [0.5]}, folders={f"d-{EVIL}-0": folder}))
    assert "<script" not in str(drawn)
    assert alts(drawn)[1].startswith(f"{EVIL} on {EVIL}: ")


def test_no_samples_no_section(make_page: Build, tmp_path: Path) -> None:
    assert pictures.build(make_page({("d", "iou"): [0.5]})) is None
    assert pictures.build(make_page({("d", "iou"): [0.5]}, folders={"d-iou-0": tmp_path})) is None


def test_samples_are_of_one_repetition(make_page: Build, tmp_path: Path) -> None:
    """Repetition 0 of the first loss diverged, so that of the second is what there is."""
    folders = {name: boxes_run(tmp_path / name) for name in ("d-a-1", "d-b-0")}
    page = make_page({("d", "a"): ["diverged", 0.9], ("d", "b"): [0.5, 0.5]}, folders=folders)
    (sample,) = read_samples(page.panels[0], page.data.folders)
    assert list(sample.predicted) == ["b"]
    assert sample.path == tmp_path / "d-b-0" / "sample-0.jpg"


# Of 8 x 4 pixels: 8 right, 4 of the wrong class, 4 too much, 4 missed, 4 ignored, 8 background.
KINDS_TRUTH = np.repeat([[1, 1, 1, 0, 2, 255, 0, 0]], 4, axis=0)
KINDS_FOUND = np.repeat([[1, 1, 2, 1, 0, 1, 0, 0]], 4, axis=0)


def test_kinds_of_pixels() -> None:
    kinds = mask_tiles.compare(KINDS_TRUTH.astype(np.uint8), KINDS_FOUND.astype(np.uint8))
    hit, extra, lost = mask_tiles.HIT, mask_tiles.EXTRA, mask_tiles.LOST
    wanted = [hit, hit, mask_tiles.CONFUSED, extra, lost, mask_tiles.IGNORED, 0, 0]
    assert kinds.tolist() == [wanted] * 4


@pytest.fixture
def segmenter(make_page: Build, tmp_path: Path) -> PageContext:
    folder = masks_run(tmp_path / "run", KINDS_TRUTH, KINDS_FOUND, ["cell", "crack"])
    return make_page({("d", "dice"): [0.5]}, task="segmentation", folders={"d-dice-0": folder})


def test_masks_are_counted(segmenter: PageContext) -> None:
    # 28 known pixels, 16 of them foreground; 8 right of 20 in the truth or the prediction
    assert alts(pictures.build(segmenter)) == [
        "image 0, 8 × 4 pixels",
        "Truth of image 0: 57.1 % foreground (cell, crack)",
        "dice on image 0: IoU 40.0 %; of the pixels 28.6 % right, 14.3 % too much, 14.3 % missed, "
        "14.3 % wrong class",
    ]


def test_overlay_is_clear_where_nothing_is_to_say(segmenter: PageContext) -> None:
    overlay = [
        image.attrib["href"].removeprefix("data:image/png;base64,")
        for image in drawings(pictures.build(segmenter))[2].iter("image")
    ]
    with Image.open(io.BytesIO(base64.b64decode(overlay[0]))) as image:
        assert image.mode == "P"
        pixels = np.asarray(image.convert("RGBA"))
    assert pixels.shape == (4, 8, 4)
    assert (pixels[:, 6:, 3] == 0).all()
    assert (pixels[:, :6, 3] > 0).all()
    colours = [tuple(int(c) for c in pixels[0, x, :3]) for x in (0, 2, 3, 4)]
    assert colours == [(86, 180, 233), (204, 121, 167), (213, 94, 0), (240, 228, 66)]


def test_errors_are_striped_each_in_its_way() -> None:
    """What tells them apart without colour."""
    striped = [
        (mask_tiles._striped(np.full((12, 12), kind, np.uint8), 3) == kind).astype(int)
        for kind in mask_tiles.KINDS
    ]
    right, extra, lost, confused = striped
    assert right.all()
    assert all(0 < pattern.mean() < 1 for pattern in (extra, lost, confused))
    different = [(extra != lost).any(), (extra != confused).any(), (lost != confused).any()]
    assert all(different)


def test_one_class_has_no_wrong_class_to_explain(make_page: Build, tmp_path: Path) -> None:
    truth = np.zeros((4, 4))
    folder = masks_run(tmp_path / "run", truth, truth, ["cell"])
    page = make_page({("d", "dice"): [0.5]}, task="segmentation", folders={"d-dice-0": folder})
    drawn = pictures.build(page)
    assert "wrong class" not in str(drawn)
    assert alts(drawn)[1] == "Truth of image 0: 0.0 % foreground (no class)"
    assert alts(drawn)[2].startswith("dice on image 0: IoU – %")


def test_wide_pictures_are_made_smaller(tmp_path: Path) -> None:
    picture(tmp_path / "wide.jpg", width=800, height=400)
    small = embedded(tmp_path / "wide.jpg", 360)
    assert (small.width, small.height) == (360, 180)
    with Image.open(io.BytesIO(small.data)) as image:
        assert image.size == (360, 180)
    picture(tmp_path / "narrow.jpg", width=300, height=30)
    assert embedded(tmp_path / "narrow.jpg", 360).data == (tmp_path / "narrow.jpg").read_bytes()


@pytest.mark.parametrize(
    ("budget", "count", "width"),
    [(3_000_000, 4, 360), (300_000, 3, 360), (90_000, 2, 240), (20_000, 1, 160), (10, 0, None)],
)
def test_fewer_pictures_and_then_smaller_ones(
    make_page: Build,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    budget: int,
    count: int,
    width: int | None,
) -> None:
    monkeypatch.setattr(pictures, "MOST_CHARACTERS", budget)
    folder = boxes_run(tmp_path / "run", images=4, width=400, height=400)
    drawn = str(pictures.build(make_page({("d", "a"): [0.5]}, folders={"d-a-0": folder})))
    assert drawn.count("<figure>") == count
    assert (f"{count} of 4 images, to keep the page small." in drawn) == (count < 4)
    data = re.findall(r"data:image/jpeg;base64,([^\"]+)", drawn)
    for text in data:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            assert image.width == width
    assert len(drawn) < budget + 3000  # what says so beside the pictures


def test_tables_share_the_budget(
    make_page: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {("d", "a"): [0.5], ("e", "a"): [0.5], ("none", "a"): [0.5]}
    folders = {
        f"{name}-a-0": boxes_run(tmp_path / name, images=2, width=300, height=300)
        for name in ("d", "e")
    }
    page = make_page(values, folders=folders)
    both = len(str(pictures.build(page)))
    monkeypatch.setattr(pictures, "MOST_CHARACTERS", both)
    assert str(pictures.build(page)).count("<figure>") == 4
    monkeypatch.setattr(pictures, "MOST_CHARACTERS", both // 2)
    drawn = str(pictures.build(page))
    assert drawn.count("<section") == 2
    assert len(drawn) < 0.7 * both


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"images": []}',
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "classes": [], "images": [1]}',
        '{"version": 1, "classes": [], "images": [{"id": "a", "file": "a.jpg"}]}',
        '{"version": 1, "classes": [], "images": [{"id": "a", "file": "a.jpg", "width": 8,'
        ' "height": 8, "truth": {"boxes": [[1, 2, 3, 4]], "labels": []}, "predicted": "b"}]}',
    ],
)
def test_unreadable_list_is_named(make_page: Build, tmp_path: Path, content: str) -> None:
    (tmp_path / "samples.json").write_text(content)
    page = make_page({("d", "a"): [0.5]}, folders={"d-a-0": tmp_path})
    with pytest.raises(UserError, match=r"samples\.json.*delete it"):
        pictures.build(page)


@pytest.mark.parametrize("data", [None, b"no picture"])
def test_unreadable_picture_is_named(make_page: Build, tmp_path: Path, data: bytes | None) -> None:
    folder = boxes_run(tmp_path / "run")
    (folder / "sample-0.jpg").unlink()
    if data is not None:
        (folder / "sample-0.jpg").write_bytes(data)
    page = make_page({("d", "a"): [0.5]}, folders={"d-a-0": folder})
    with pytest.raises(UserError, match=r"sample-0\.jpg: .*delete .*samples\.json to leave"):
        pictures.build(page)


def test_loss_that_kept_other_images_stands_where_it_can(make_page: Build, tmp_path: Path) -> None:
    folders = {
        "d-a-0": boxes_run(tmp_path / "a", images=2),
        "d-b-0": boxes_run(tmp_path / "b", images=1),
    }
    page = make_page({("d", "a"): [0.6], ("d", "b"): [0.5]}, folders=folders)
    samples: list[Sample] = read_samples(page.panels[0], page.data.folders)
    assert [list(sample.predicted) for sample in samples] == [["a", "b"], ["a"]]


def rectangles(*boxes: tuple[int, int, int, int]) -> list[str]:
    """Run lengths of filled boxes on a picture of 40 x 32 pixels."""
    masks = np.zeros((len(boxes), 32, 40), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = 1
    return [one["counts"].decode() for one in encode(masks)]


def instances_run(folder: Path, truth: dict[str, Any], found: dict[str, Any]) -> Path:
    """A folder with one sample of a model of instances."""
    folder.mkdir(parents=True)
    picture(folder / "sample-0.jpg")
    entry = {"id": "image 0", "file": "sample-0.jpg", "height": 32, "width": 40}
    write(folder, ["cat", "dog"], [{**entry, "truth": truth, "predicted": found}])
    content = json.loads((folder / "samples.json").read_text())
    (folder / "samples.json").write_text(json.dumps({**content, "task": "instance"}))
    return folder


def test_instances_are_judged_by_their_masks_and_drawn_as_such(
    make_page: Build, tmp_path: Path
) -> None:
    # The first box is right and its mask is not; with the second it is the other way round.
    truth = {**TRUTH, "masks": rectangles((2, 2, 12, 12), (20, 20, 30, 30))}
    found = {
        "boxes": [[2, 2, 12, 12], [0, 0, 5, 5]],
        "scores": [0.9, 0.8],
        "labels": [0, 1],
        "masks": rectangles((2, 2, 12, 5), (20, 20, 30, 28)),
    }
    folders = {"d-a-0": instances_run(tmp_path / "a", truth, found)}
    drawn = pictures.build(make_page({("d", "a"): [0.5]}, task="instance", folders=folders))
    assert alts(drawn) == [
        "Truth of image 0: 1 cat, 1 dog",
        "a on image 0: 1 right, 1 wrong, 1 missed, of 2 objects",
    ]
    told = {
        mark.attrib["data-tip"]: mark.attrib["d"]
        for mark in drawings(drawn)[1].iter("path")
        if "data-tip" in mark.attrib
    }
    assert set(told) == {
        "right: dog, score 0.80, IoU 0.80",
        "wrong: cat, score 0.90",
        "missed: cat",
    }
    corners = re.findall(r"[ML]([\d.]+) ([\d.]+)", told["right: dog, score 0.80, IoU 0.80"])
    xs, ys = (
        sorted({round(float(value)) for value in axis}) for axis in zip(*corners, strict=True)
    )
    assert (xs, ys) == ([20, 30], [20, 28])


def test_the_outline_of_a_mask_keeps_holes_and_parts() -> None:
    mask = np.zeros((1, 32, 40), np.uint8)
    mask[0, 4:20, 4:20] = 1
    mask[0, 8:16, 8:16] = 0
    mask[0, 25:30, 25:30] = 1
    path, area = instance_tiles.MASKS.outline(encode(mask)[0])
    assert path.count("M") == path.count("Z") == 3
    assert area == mask.sum()
    assert instance_tiles.MASKS.outline(encode(0 * mask)[0]) == ("", 0.0)


@pytest.mark.parametrize("masks", [None, [], ["11", "22", "33"]])
def test_each_instance_needs_a_mask(make_page: Build, tmp_path: Path, masks: Any) -> None:
    truth = {**TRUTH, "masks": masks} if masks is not None else TRUTH
    found = {"boxes": [], "scores": [], "labels": [], "masks": []}
    folders = {"d-a-0": instances_run(tmp_path / "a", truth, found)}
    with pytest.raises(UserError, match=r"images\.0\.truth.*boxes, labels, masks.*delete it"):
        pictures.build(make_page({("d", "a"): [0.5]}, task="instance", folders=folders))
