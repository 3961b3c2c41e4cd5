"""What detection adds to the loop: weighted terms, AP in original pixels, the trivial predictor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

import losses
from benchmark.models import BoxTerm, DetectionLosses, DetectionModel, Detections
from benchmark.tasks import TASKS, Batch
from datasets.sample import Sample

CPU = torch.device("cpu")


def sample(
    name: str, width: int, height: int, rows: Sequence[tuple[Sequence[float], int]]
) -> Sample:
    return Sample(
        id=name,
        path=name,
        image=np.zeros((height, width, 3), np.uint8),
        boxes=np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
        labels=np.array([label for _, label in rows], np.int64),
    )


def task(classes: tuple[str, ...] = ("a",), weight: float = 1.0):
    return TASKS["detection"](losses.get("giou"), weight, list(classes))


class Fixed(DetectionModel):
    """Gives what it was made with."""

    def __init__(self, terms: DetectionLosses | None = None, found: Sequence[Detections] = ()):
        super().__init__()
        self.terms = terms
        self.found = found
        self.calls: list[tuple] = []

    def losses(self, images, boxes, labels, box_loss):
        self.calls.append((images, boxes, labels, box_loss))
        return self.terms

    def predict(self, images):
        self.calls.append((images,))
        first, self.found = self.found[: len(images)], self.found[len(images) :]
        return first


def detections(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
    return Detections(
        torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels).long()
    )


def test_its_losses_are_the_box_losses():
    assert TASKS["detection"].losses() is losses.BOX
    assert TASKS["detection"].primary == "AP"


def test_the_weight_multiplies_box_terms_alone():
    terms = DetectionLosses(
        box={
            "rpn_box": BoxTerm(torch.tensor([1.0, 2.0, 3.0]), torch.tensor(2.0)),
            "roi_box": BoxTerm(torch.zeros(0), torch.tensor(1.0)),
        },
        other={"classification": torch.tensor(5.0)},
    )
    model = Fixed(terms)
    box = torch.tensor([[1.0, 1, 4, 4]])
    batch = Batch(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), [box], [torch.tensor([0])], None)
    detection = task(weight=4.0)
    parts = detection.parts(model, batch)
    assert {name: value.item() for name, value in parts.items()} == {
        "rpn_box": 12.0,
        "roi_box": 0.0,
        "classification": 5.0,
    }
    images, boxes, labels, loss = model.calls[0]
    assert images.dtype == torch.float32
    assert boxes is batch.boxes
    assert labels is batch.labels
    assert loss is detection.loss


def test_evaluation_counts_in_pixels_of_the_original(make_split):
    # 128 wide, kept at 64: scale 1/2. 50 original pixels are "medium", the 25 kept ones "small".
    split = make_split(
        [
            sample("0", 128, 96, [([10, 20, 60, 70], 0)]),
            sample("1", 64, 64, [([4, 4, 24, 24], 0)]),
            sample("2", 32, 32, []),
        ],
        ["a"],
        (64, 64),
    )
    found = [
        detections([[5, 10, 30, 35]], [0.9], [0]),
        detections([[4, 4, 24, 24]], [0.8], [0]),
        detections([], [], []),
    ]
    model = Fixed(found=found)
    metrics = task().evaluator(split)(model, CPU, 2)
    for name in ("AP", "AP_small", "AP_medium"):
        assert metrics[name] == pytest.approx(1.0)
    assert math.isnan(metrics["AP_large"])
    assert [len(images) for (images,) in model.calls] == [2, 1]


def test_evaluation_of_a_model_that_finds_nothing(make_split):
    split = make_split([sample("0", 64, 64, [([10, 20, 60, 60], 0)])], ["a"], (64, 64))
    metrics = task().evaluator(split)(Fixed(found=[detections([], [], [])]), CPU, 2)
    assert metrics["AP"] == 0.0


def test_the_breakdown_counts_in_pixels_of_the_original_too(make_split):
    # Kept at half its size: 50 pixels wide in truth, and cut at the picture's border.
    split = make_split([sample("0", 128, 96, [([10, 46, 60, 96], 0)])], ["a"], (64, 64))
    found = [detections([[5, 23, 30, 60]], [0.9], [0])]
    metrics, details = task().evaluator(split).breakdown(Fixed(found=found), CPU, 2, {})
    assert metrics.pop("ECE") == details["calibration"]["ece"] == pytest.approx(0.1)
    assert metrics == pytest.approx(
        task().evaluator(split)(Fixed(found=found), CPU, 2), nan_ok=True
    )
    assert details["by_size"]["count"] == [0, 1, 0]
    assert details["localisation"]["mean"] == pytest.approx(1.0)


def test_nothing_is_chosen_by_the_validation_split(make_split):
    split = make_split([sample("0", 64, 64, [([10, 20, 60, 60], 0)])], ["a"], (64, 64))
    assert task().evaluator(split).choose(Fixed(), CPU, 2) == {}


def test_boxes_without_gradient_are_counted():
    gradient = torch.tensor([[0.0, 0, 0, 0], [0, 1, 0, 0]])
    assert task().without_gradient(gradient, gradient).tolist() == [1, 2]


def test_the_trivial_predictor_repeats_the_relative_boxes_of_training(make_split):
    # (.1, .2, .3, .6) of the training image is (20, 40, 60, 120) of the test image.
    train = make_split([sample("0", 100, 50, [([10, 10, 30, 30], 0)])], ["a"], (64, 64))
    hit = make_split([sample("1", 200, 200, [([20, 40, 60, 120], 0)])], ["a"], (64, 64))
    miss = make_split([sample("2", 200, 200, [([120, 40, 160, 120], 0)])], ["a"], (64, 64))
    assert task().trivial(train, hit, 0)["AP50"] == pytest.approx(1.0)
    assert task().trivial(train, hit, 0)["AP75"] == pytest.approx(1.0)
    assert task().trivial(train, miss, 0)["AP"] == 0.0


def test_the_trivial_predictor_scores_by_how_common_the_class_is(make_split):
    # Class a three times at one place, class b once at another; the test image has a at both
    # places. b's box is of the wrong class, so one of two objects is found, by the first row.
    rows = [([0, 0, 20, 20], 0)] * 3 + [([40, 40, 60, 60], 1)]
    train = make_split([sample("0", 64, 64, rows)], ["a", "b"], (64, 64))
    test = make_split(
        [sample("1", 64, 64, [([0, 0, 20, 20], 0), ([40, 40, 60, 60], 0)])], ["a", "b"], (64, 64)
    )
    metrics = task(("a", "b")).trivial(train, test, 0)
    assert metrics["AP/a"] == pytest.approx(51 / 101)
    assert math.isnan(metrics["AP/b"])


def test_the_trivial_predictor_draws_at_most_100_boxes_by_its_seed(make_split):
    rows = [([x % 50, x // 50 * 8, x % 50 + 6, x // 50 * 8 + 6], 0) for x in range(150)]
    train = make_split([sample("0", 64, 64, rows)], ["a"], (64, 64))
    assert task().trivial(train, train, 1)["AR100"] == pytest.approx(100 / 150)
    some = make_split([sample("0", 64, 64, rows[:50])], ["a"], (64, 64))
    one, again, other = (task().trivial(train, some, seed) for seed in (1, 1, 2))
    assert one == pytest.approx(again, nan_ok=True)
    assert one["AR100"] != other["AR100"]


def test_without_boxes_in_training_there_is_no_trivial_predictor(make_split):
    train = make_split([sample("0", 64, 64, [])], ["a"], (64, 64))
    assert task().trivial(train, train, 0) == {}
