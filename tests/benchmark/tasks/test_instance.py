"""What instance segmentation adds: two kinds of terms, AP of masks beside that of boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import losses
from benchmark.metrics.rle import encode
from benchmark.models import BoxTerm, DetectionLosses, Detections, InstanceModel
from benchmark.tasks import TASKS, Batch
from datasets.sample import DatasetError, Sample

CPU = torch.device("cpu")
Rectangle = tuple[int, int, int, int]


def filled(boxes: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """Masks ``[n, height, width]`` of boxes with whole corners."""
    masks = np.zeros((len(boxes), height, width), np.bool_)
    for mask, box in zip(masks, boxes, strict=True):
        left, top, right, bottom = map(int, box)
        mask[top:bottom, left:right] = True
    return masks


def sample(
    name: str, width: int, height: int, boxes: list[Rectangle], masks: np.ndarray | None = None
) -> Sample:
    return Sample(
        id=name,
        path=name,
        image=np.zeros((height, width, 3), np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.zeros(len(boxes), np.int64),
        instance_masks=filled(boxes, height, width) if masks is None else masks,
    )


class Fixed(InstanceModel):
    """Gives what it was made with."""

    def __init__(self, terms: DetectionLosses | None = None, found: Sequence[Detections] = ()):
        super().__init__()
        self.terms = terms
        self.found = found
        self.calls: list[tuple] = []

    def losses(self, images, boxes, labels, loss, masks):
        self.calls.append((images, boxes, labels, loss, masks))
        return self.terms

    def predict(self, images):
        first, self.found = self.found[: len(images)], self.found[len(images) :]
        return first


def detections(boxes: list[Any], scores: list[float], masks: np.ndarray) -> Detections:
    labels = torch.zeros(len(scores), dtype=torch.int64)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores),
        labels,
        torch.from_numpy(masks),
    )


def task(weight: float = 1.0):
    return TASKS["instance"](losses.get("giou"), weight, ["a"])


def test_terms_are_reduced_and_the_masks_come_weighted():
    terms = DetectionLosses(
        box={"roi_box": BoxTerm(torch.tensor([1.0, 2.0]), torch.tensor(2.0))},
        mask={"mask": BoxTerm(torch.tensor([4.0]), torch.tensor(1.0))},
        other={"classification": torch.tensor(5.0)},
    )
    model = Fixed(terms)
    masks = [torch.ones(1, 32, 32, dtype=torch.uint8)]
    box, label = [torch.tensor([[1.0, 1, 4, 4]])], [torch.tensor([0])]
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    parts = task(weight=4.0).parts(model, Batch(images, box, label, None, masks))
    assert {name: value.item() for name, value in parts.items()} == {
        "roi_box": 6.0,
        "mask": 4.0,
        "classification": 5.0,
    }
    assert model.calls[0][4] is masks


def test_masks_and_boxes_are_judged_apart(make_split):
    # The box is exact, of the mask the upper 3 of 5 parts were found: IoU 0.6, so a hit at
    # 0.5, 0.55 and 0.6 of the ten thresholds.
    split = make_split([sample("0", 64, 64, [(10, 10, 30, 30)])], ["a"], (64, 64))
    found = [detections([[10, 10, 30, 30]], [0.9], filled([(10, 10, 30, 22)], 64, 64))]
    metrics = task().evaluator(split)(Fixed(found=found), CPU, 2)
    assert metrics["AP"] == pytest.approx(1.0)
    assert metrics["mask_AP"] == pytest.approx(0.3)
    assert metrics["mask_AP50"] == pytest.approx(1.0)
    assert metrics["mask_AP75"] == 0.0
    assert metrics["mask_AP/a"] == metrics["mask_AP"]
    assert metrics["mask_IoU_matched"] == pytest.approx(0.6)


def test_every_metric_that_the_task_names_is_measured(make_split):
    split = make_split([sample("0", 64, 64, [(10, 10, 30, 30)])], ["a"], (64, 64))
    found = [detections([[10, 10, 30, 30]], [0.9], filled([(10, 10, 30, 30)], 64, 64))]
    metrics = task().evaluator(split)(Fixed(found=found), CPU, 2)
    assert set(TASKS["instance"].metrics) <= set(metrics)
    assert TASKS["instance"].primary == "mask_AP"
    assert all(TASKS["instance"].measures(name) for name in metrics)


def test_sizes_of_masks_are_counted_in_pixels_of_the_original(make_split):
    # Kept at half its size: 60 x 30 original pixels are medium (32² to 96²), the kept 450 small;
    # the box of the L is as large as before, its mask small.
    masks = filled([(10, 20, 70, 50)], 96, 128)
    slim = filled([(10, 20, 70, 24)], 96, 128) | filled([(10, 20, 14, 50)], 96, 128)
    for mask, size in ((masks, "medium"), (slim, "small")):
        split = make_split([sample("0", 128, 96, [(10, 20, 70, 50)], mask)], ["a"], (64, 64))
        kept = split.instances(0).astype(bool)
        found = [detections([[5, 10, 35, 25]], [0.9], kept)]
        metrics = task().evaluator(split)(Fixed(found=found), CPU, 2)
        assert metrics[f"mask_AP_{size}"] == pytest.approx(1.0)
        other = {"medium": "small", "small": "medium"}[size]
        assert math.isnan(metrics[f"mask_AP_{other}"])
        assert metrics["AP_medium"] == pytest.approx(1.0)


def test_what_reaches_into_the_padding_is_cut_off(make_split):
    # 64 x 32 in a square: the lower half is padding.
    split = make_split([sample("0", 64, 32, [(10, 12, 30, 32)])], ["a"], (64, 64))
    found = [detections([[10, 12, 30, 60]], [0.9], filled([(10, 12, 30, 60)], 64, 64))]
    metrics = task().evaluator(split)(Fixed(found=found), CPU, 2)
    assert metrics["AP"] == metrics["mask_AP"] == pytest.approx(1.0)


def test_a_model_that_finds_nothing(make_split):
    split = make_split([sample("0", 64, 64, [(10, 10, 30, 30)])], ["a"], (64, 64))
    found = [detections([], [], np.zeros((0, 64, 64), np.bool_))]
    metrics = task().evaluator(split)(Fixed(found=found), CPU, 2)
    assert metrics["AP"] == metrics["mask_AP"] == 0.0


def test_ap_of_masks_is_pycocotools_own(make_split):
    rng = np.random.default_rng(4)

    def some(n: int) -> list[Any]:
        corners = rng.integers(0, 50, (n, 2))
        return np.hstack([corners, corners + rng.integers(4, 14, (n, 2))]).tolist()

    truth = [some(6) for _ in range(3)]
    split = make_split([sample(str(i), 64, 64, b) for i, b in enumerate(truth)], ["a"], (64, 64))
    found = []
    for boxes in truth:
        moved = np.array(boxes) + rng.integers(-2, 3, (6, 4))
        boxes = [*moved.clip(0, 64).tolist(), *some(3)]
        scores = np.sort(rng.random(9).round(3))[::-1].tolist()
        noise = rng.random((9, 64, 64)) < 0.95
        found.append(detections(boxes, scores, filled(boxes, 64, 64) & noise))
    metrics, details = task().evaluator(split).breakdown(Fixed(found=found), CPU, 2, {})

    objects = [(i, mask) for i in range(3) for mask in encode(filled(truth[i], 64, 64))]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "height": 64, "width": 64} for i in range(3)],
        "categories": [{"id": 0}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 0, "iscrowd": 0, "segmentation": mask}
            | {"area": float(coco_mask.area(mask)), "bbox": coco_mask.toBbox(mask).tolist()}
            for n, (i, mask) in enumerate(objects, start=1)
        ],
    }
    coco.createIndex()
    results = [
        {"image_id": i, "category_id": 0, "segmentation": mask, "score": float(score)}
        for i, one in enumerate(found)
        for mask, score in zip(encode(one.masks.numpy()), one.scores.double(), strict=True)
    ]
    expected = COCOeval(coco, coco.loadRes(results), "segm")
    expected.evaluate()
    expected.accumulate()
    expected.summarize()
    names = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
    stats = [value if value >= 0 else math.nan for value in expected.stats[:6]]
    assert [metrics[f"mask_{name}"] for name in names] == pytest.approx(stats, nan_ok=True)
    assert 0.1 < metrics["mask_AP"] < 0.9
    assert np.mean(details["by_iou"]["y"]) == pytest.approx(metrics["mask_AP"])
    assert np.mean(details["boxes"]["by_iou"]["y"]) == pytest.approx(metrics["AP"])


def test_the_breakdowns_are_those_of_masks_with_those_of_boxes_beside_them(make_split):
    split = make_split([sample("0", 64, 64, [(10, 10, 30, 30)])], ["a"], (64, 64))
    found = [detections([[10, 10, 30, 30]], [0.9], filled([(10, 10, 30, 22)], 64, 64))]
    metrics, details = task().evaluator(split).breakdown(Fixed(found=found), CPU, 2, {})
    assert details["task"] == "instance"
    assert details["localisation"]["mean"] == pytest.approx(0.6)
    assert details["boxes"]["localisation"]["mean"] == pytest.approx(1.0)
    assert details["by_size"]["count"] == [1, 0, 0]
    assert metrics["mask_ECE"] == pytest.approx(details["calibration"]["ece"])
    plain = task().evaluator(split)(Fixed(found=found), CPU, 2)
    assert {name: metrics[name] for name in plain} == pytest.approx(plain, nan_ok=True)


def test_pictures_show_masks_of_the_picture_without_its_padding(make_split):
    split = make_split([sample("0", 64, 32, [(10, 12, 30, 32)])], ["a"], (64, 64))
    rows = [[10, 12, 30, 60], [0, 0, 4, 4]]
    found = [detections(rows, [0.9, 0.2], filled(rows, 64, 64))]
    (shown,) = task().show(Fixed(found=found), split, [0], CPU)
    assert shown["truth"]["labels"] == [0]
    assert len(shown["predicted"]["boxes"]) == 1  # the other's score is too low
    expected = filled([(10, 12, 30, 32)], 32, 64)[0]
    for part in shown.values():
        (counts,) = part["masks"]
        mask = coco_mask.decode({"size": [32, 64], "counts": counts.encode()})
        assert np.array_equal(mask, expected)


def test_the_trivial_predictor_fills_its_boxes(make_split):
    # The test image's object is at the training object's relative place: its box is met, its
    # mask, of which a quarter is missing, at an IoU of 3/4.
    train = make_split([sample("0", 64, 64, [(8, 8, 24, 24)])], ["a"], (64, 64))
    mask = filled([(16, 16, 48, 48)], 128, 128) & ~filled([(16, 16, 32, 32)], 128, 128)
    test = make_split([sample("1", 128, 128, [(16, 16, 48, 48)], mask)], ["a"], (64, 64))
    metrics = task().trivial(train, test, 0)
    assert metrics["AP"] == pytest.approx(1.0)
    assert metrics["mask_IoU_matched"] == pytest.approx(0.75)
    nothing = make_split([sample("0", 64, 64, [])], ["a"], (64, 64))
    assert task().trivial(nothing, test, 0) == {}


def test_without_masks_of_objects_there_is_nothing_to_measure(make_split):
    one = sample("0", 64, 64, [(8, 8, 24, 24)])
    bare = Sample(one.id, one.path, one.image, one.boxes, one.labels)
    with pytest.raises(DatasetError, match="mask"):
        task().evaluator(make_split([bare], ["a"], (64, 64)))
