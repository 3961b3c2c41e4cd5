"""The sample pictures of a run: which images, what is listed, and the files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import losses
from benchmark.models import DetectionModel, Detections
from benchmark.store import RunFolder
from benchmark.tasks import TASKS
from benchmark.training.samples import sample_indices, write_samples
from datasets.sample import Sample

CPU = torch.device("cpu")


class Finds(DetectionModel):
    """The same detections in every image."""

    def __init__(self, boxes, scores) -> None:
        super().__init__()
        labels = torch.zeros(len(scores), dtype=torch.int64)
        self.found = Detections(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), labels)

    def losses(self, images, boxes, labels, box_loss):
        raise NotImplementedError

    def predict(self, images):
        return [self.found] * len(images)


class Bright(nn.Module):
    """Logit of the one class: how bright the pixel is."""

    def forward(self, images):
        return images[:, :1]


def sample(name: str, boxes=(), mask: np.ndarray | None = None, size=(32, 64)) -> Sample:
    image = np.full((*size, 3), 10, np.uint8)
    if mask is not None:
        image[mask == 1] = 250
    return Sample(
        id=name,
        path=name,
        image=image,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.zeros(len(boxes), np.int64),
        semantic=mask,
    )


def written(tmp_path, make_cell, task: str, split, model, **cell):
    folder = RunFolder(tmp_path)
    loss = {"detection": "giou", "segmentation": "bce"}[task]
    work = TASKS[task](losses.get(loss), 1.0, split.classes)
    with torch.no_grad():
        write_samples(folder, make_cell(task, **cell), work, split, model, CPU)
    return json.loads((tmp_path / "samples.json").read_text())


def test_detections_with_their_picture(tmp_path, make_cell, make_split):
    # 32 x 64 in a square of 64: the lower half of the image is padding.
    split = make_split([sample("a/1", [[4, 4, 20, 20]])], ["x"], (64, 64))
    model = Finds([[4.06, 4, 20, 60], [0.0, 0, 9, 9], [1, 1, 3, 3]], [0.9, 0.3, 0.29])
    found = written(tmp_path, make_cell, "detection", split, model)
    assert (found["version"], found["task"], found["classes"]) == (1, "detection", ["x"])
    (image,) = found["images"]
    assert image["id"] == "a/1"
    assert (image["height"], image["width"]) == (32, 64)
    assert image["truth"] == {"boxes": [[4, 4, 20, 20]], "labels": [0]}
    # Cut at the picture's lower border; the last one's score is too low.
    assert image["predicted"]["boxes"] == [[4.06, 4, 20, 32], [0, 0, 9, 9]]
    assert image["predicted"]["scores"] == [0.9, 0.3]
    assert image["predicted"]["labels"] == [0, 0]
    with Image.open(tmp_path / image["file"]) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 32))
        assert abs(np.asarray(picture).astype(int) - 10).max() < 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample-0.jpg", "samples.json"]


def test_at_most_fifty_detections_are_shown(tmp_path, make_cell, make_split):
    split = make_split([sample("1", [[4, 4, 20, 20]])], ["x"], (32, 64))
    model = Finds([[1.0, 1, 5, 5]] * 60, [0.9] * 60)
    (image,) = written(tmp_path, make_cell, "detection", split, model)["images"]
    assert len(image["predicted"]["boxes"]) == len(image["predicted"]["scores"]) == 50


def test_masks_with_their_picture(tmp_path, make_cell, make_split):
    mask = np.zeros((32, 64), np.uint8)
    mask[8:16, 8:24], mask[20:24, 30:40] = 1, 255
    split = make_split([sample("1", mask=mask)], ["x"], (64, 64))
    (image,) = written(tmp_path, make_cell, "segmentation", split, Bright())["images"]
    assert (image["truth"], image["predicted"]) == ("sample-0-truth.png", "sample-0-predicted.png")
    with Image.open(tmp_path / image["truth"]) as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), mask)
    with Image.open(tmp_path / image["predicted"]) as picture:
        assert np.array_equal(np.asarray(picture), mask == 1)


def test_the_images_are_the_same_for_every_loss_and_other_by_the_seed(
    tmp_path, make_cell, make_split
):
    split = make_split([sample(str(i), [[4, 4, 20, 20]]) for i in range(12)], ["x"], (32, 64))
    model = Finds([[1.0, 1, 5, 5]], [0.9])
    ids = []
    for cell in ({"loss": "giou"}, {"loss": "iou", "repetition": 1}, {"seed": 1}):
        found = written(tmp_path, make_cell, "detection", split, model, **cell)
        ids.append([image["id"] for image in found["images"]])
    assert ids[0] == ids[1] != ids[2]
    assert [len(set(some)) for some in ids] == [4, 4, 4]


@pytest.mark.parametrize("seed", range(3))
def test_images_with_an_object_come_first(make_split, seed):
    rows = [sample(str(i), [[4, 4, 20, 20]] if i in (2, 7) else []) for i in range(9)]
    split = make_split(rows, ["x"], (32, 64))
    chosen = sample_indices(split, seed)
    assert set(chosen[:2]) == {2, 7}
    assert len(set(chosen)) == 4
    few = make_split(rows[:3], ["x"], (32, 64))
    assert sorted(sample_indices(few, seed)) == [0, 1, 2]


def test_an_object_may_be_in_the_mask_alone(make_split):
    nothing = np.zeros((32, 64), np.uint8)
    ignored, object_ = nothing.copy(), nothing.copy()
    ignored[0], object_[0] = 255, 1
    masks = [nothing] * 5 + [ignored, object_]
    split = make_split([sample(str(i), mask=m) for i, m in enumerate(masks)], ["x"], (32, 64))
    assert sample_indices(split, 0)[0] == 6
