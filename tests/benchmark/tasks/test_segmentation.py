"""What segmentation adds to the loop: masks by class, IoU over a split, the trivial predictor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import losses
from benchmark.tasks import TASKS, Batch
from benchmark.tasks.base import image_batches, normalise
from datasets.sample import Sample

CPU = torch.device("cpu")


def sample(name: str, semantic: np.ndarray, bright: np.ndarray | None = None) -> Sample:
    """An image that is white where ``bright`` (by default: where there is foreground)."""
    shown = semantic > 0 if bright is None else bright
    return Sample(
        id=name,
        path=name,
        image=np.repeat(shown[..., None] * np.uint8(255), 3, 2),
        boxes=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int64),
        semantic=semantic.astype(np.uint8),
    )


def halves(left: int, right: int, height: int = 32, width: int = 64) -> np.ndarray:
    mask = np.full((height, width), left)
    mask[:, width // 2 :] = right
    return mask


class Brightness(nn.Module):
    """Logit of the one class: how bright the pixel is."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = sign
        self.sizes: list[int] = []

    def forward(self, images):
        self.sizes.append(len(images))
        return self.sign * images[:, :1]


def task(classes: tuple[str, ...] = ("a",), weight: float = 1.0, loss=None):
    return TASKS["segmentation"](loss or losses.get("bce"), weight, list(classes))


def test_its_losses_are_the_mask_losses():
    assert TASKS["segmentation"].losses() is losses.MASK
    assert TASKS["segmentation"].primary == "mIoU_fg"


def test_the_loss_gets_one_mask_a_class_and_the_weight_multiplies_the_mean():
    seen = []

    def loss(logits, target, valid):
        seen.append((logits, target, valid))
        return torch.tensor([1.0, 4.0])

    semantic = torch.tensor([[[0, 1, 2, 255]], [[2, 2, 0, 0]]], dtype=torch.uint8)
    batch = Batch(torch.zeros(2, 3, 1, 4, dtype=torch.uint8), [], [], semantic)
    logits = torch.randn(2, 2, 1, 4)
    parts = task(("a", "b"), 3.0, loss).parts(lambda images: logits, batch)
    assert {name: value.item() for name, value in parts.items()} == {"mask": 7.5}
    given, target, valid = seen[0]
    assert given is logits
    assert target.tolist() == [[[[0, 1, 0, 0]], [[0, 0, 1, 0]]], [[[0, 0, 0, 0]], [[1, 1, 0, 0]]]]
    assert valid.dtype == torch.bool
    assert valid.tolist() == [[[[True, True, True, False]]], [[[True] * 4]]]


def test_evaluation_by_hand(make_split):
    # 32 x 64 images in a square of 64: the lower half is padding and must not count.
    split = make_split(
        [sample("0", halves(0, 1)), sample("1", halves(0, 1)), sample("2", halves(1, 0))],
        ["a"],
        (64, 64),
    )
    model = Brightness()
    right = task().evaluator(split)(model, CPU, 2)
    assert model.sizes == [2, 1]
    assert right["pixel_accuracy"] == right["mIoU"] == right["mIoU_fg"] == right["Dice_fg"] == 1.0
    wrong = task().evaluator(split)(Brightness(-1.0), CPU, 2)
    assert wrong["pixel_accuracy"] == wrong["mIoU"] == wrong["Dice_fg"] == 0.0


def test_evaluation_counts_pixels_of_all_images_together(make_split):
    # First image: all 2048 pixels right; second: 1024 foreground pixels missed.
    all_right = sample("0", halves(1, 1))
    half_missed = sample("1", halves(1, 0), bright=np.zeros((32, 64), bool))
    split = make_split([all_right, half_missed], ["a"], (32, 64))
    found = task().evaluator(split)(Brightness(), CPU, 8)
    assert found["IoU/a"] == pytest.approx(2048 / 3072)
    assert found["IoU/background"] == pytest.approx(1024 / 2048)
    assert found["pixel_accuracy"] == pytest.approx(3 / 4)


def test_the_breakdown_is_of_the_same_pixels(make_split):
    # The lower half of each square is padding; the second image's foreground is not seen.
    split = make_split(
        [
            sample("0", halves(0, 1)),
            sample("1", halves(1, 1), bright=np.zeros((32, 64), bool)),
            sample("2", halves(0, 1)),
        ],
        ["a"],
        (64, 64),
    )
    evaluator = task().evaluator(split)
    metrics, details = evaluator.breakdown(Brightness(), CPU, 2, {"a": 0.5})
    assert metrics.pop("mIoU_fg_tuned") == metrics["mIoU_fg"] == pytest.approx(0.5)
    assert metrics.items() >= evaluator(Brightness(), CPU, 2).items()
    # The second picture is full of foreground up to its padding: there is no contour to miss.
    assert metrics["boundary_IoU"] == metrics["boundary_F"] == 1.0
    assert metrics["ECE"] == details["calibration"]["ece"]
    assert details["by_share"]["group"] == ["50.0 %", "50.0 to 100.0 %"]
    assert details["by_share"]["count"].tolist() == [2, 1]
    assert details["by_share"]["value"] == [1.0, 0.0]
    assert details["calibration"]["count"].sum() == 3 * 32 * 64


class Faint(Brightness):
    """Right, but with a probability of 0.305 where there is foreground and 0.1 elsewhere."""

    def forward(self, images):
        p = torch.where(images[:, :1] > 0, 0.305, 0.1)
        return p.logit()


def test_thresholds_are_chosen_where_the_iou_is_highest(make_split):
    split = make_split([sample("0", halves(0, 1))], ["a"], (64, 64))
    evaluator = task().evaluator(split)
    chosen = evaluator.choose(Faint(), CPU, 2)
    # Any from 0.1 to 0.3 is right; the nearest to 0.5 of these.
    assert chosen == {"a": 0.3}
    metrics, details = evaluator.breakdown(Faint(), CPU, 2, chosen)
    assert (metrics["mIoU_fg"], metrics["mIoU_fg_tuned"]) == (0.0, 1.0)
    assert details["thresholds"]["value"].tolist() == [0.3]


def test_pixels_without_gradient_are_counted():
    gradient = torch.tensor([0.0, 1, 0]).reshape(1, 1, 1, 3)
    target = torch.tensor([1.0, 1, 0]).reshape(1, 1, 1, 3)
    valid = torch.ones(1, 1, 1, 3, dtype=torch.bool)
    assert task().without_gradient(gradient, target, valid).tolist() == [1, 2]


def test_the_trivial_predictor_calls_everything_the_commonest_class(make_split):
    train_mask = np.zeros((32, 64))
    train_mask[:, :8], train_mask[:, 8:24] = 1, 2
    test_mask = np.zeros((32, 64))
    test_mask[:, :32], test_mask[:, 32:48] = 2, 255
    train = make_split([sample("0", train_mask)], ["a", "b"], (32, 64))
    test = make_split([sample("1", test_mask)], ["a", "b"], (32, 64))
    found = task(("a", "b")).trivial(train, test, 0)
    assert found["IoU/b"] == pytest.approx(2 / 3)
    assert found["IoU/background"] == 0.0
    assert math.isnan(found["IoU/a"])
    assert found["mIoU"] == pytest.approx(1 / 3)
    assert found["mIoU_fg"] == found["pixel_accuracy"] == pytest.approx(2 / 3)


def test_normalise_by_hand():
    images = torch.tensor([124, 116, 104], dtype=torch.uint8).reshape(1, 3, 1, 1)
    found = normalise(images).flatten().tolist()
    expected = [(124 - 123.675) / 58.395, (116 - 116.28) / 57.12, (104 - 103.53) / 57.375]
    assert found == pytest.approx(expected, abs=1e-6)
    assert images.flatten().tolist() == [124, 116, 104]


def test_image_batches_go_through_the_split_in_order(make_split):
    split = make_split(
        [sample(str(i), halves(0, 0), np.full((32, 64), i == 2)) for i in range(3)], ["a"], (32, 64)
    )
    batches = list(image_batches(split, 2, CPU))
    assert [batch.shape for batch in batches] == [(2, 3, 32, 64), (1, 3, 32, 64)]
    assert [batch.amax() > 0 for batch in batches] == [False, True]
    assert batches[0].is_contiguous(memory_format=torch.channels_last)
