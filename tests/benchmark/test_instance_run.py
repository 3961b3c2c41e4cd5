"""Instance segmentation by the real command line, from the experiment file to the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmark.tasks import TASKS

SHAPES = {"name": "shapes", "size": 64, "train": 8, "val": 4, "test": 4, "num_classes": 2}
MODEL = {
    "name": "mask_rcnn_mobilenet_v3",
    "label": "net",
    "channels": 8,
    "head": 8,
    "mask_channels": 8,
    "mask_convolutions": 1,
    "sampled": 16,
    "detections": 20,
    "anchor_sizes": [8, 16, 32],
    "sizes_a_level": "one",
}


def write_experiment(folder: Path, data: dict[str, Any], losses: list[Any]) -> Path:
    block = {"task": "instance", "losses": losses, "datasets": [data], "models": [MODEL]}
    train = {"epochs": 1, "batch_size": 4, "image_size": 64}
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "train": train, "matrix": {"all": block}}))
    return path


def test_an_experiment_is_trained_measured_and_reported(cli, tmp_path):
    losses = ["smooth_l1", {"parts": {"box": "giou", "mask": "dice"}, "label": "giou + dice"}]
    done = cli("run", write_experiment(tmp_path, SHAPES, losses))
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results" / "small"
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "mask_AP (%)" in page
    assert "giou + dice" in page
    runs = pd.read_csv(next(results.rglob("runs.csv")))
    assert runs["status"].tolist() == ["done", "done"]
    expected = {"mask_AP", "AP", "trivial/mask_AP", "untrained/mask_AP", "mask_AP/ellipse"}
    assert expected <= set(runs.columns)
    for folder in (path.parent for path in results.rglob("metrics.json")):
        history = pd.read_csv(folder / "history.csv")
        assert {"loss/mask", "loss/roi_box", "loss/rpn_box", "mask_AP"} <= set(history.columns)
        assert np.isfinite(history["loss_total"].iloc[-1])
        details = json.loads((folder / "details.json").read_text())
        assert details["task"] == "instance"
        assert details["by_size"]["group"] == details["boxes"]["by_size"]["group"]
        metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
        assert set(TASKS["instance"].metrics) <= set(metrics)


POLYGON = "0 0.2 0.2 0.6 0.2 0.6 0.6 0.2 0.6"


@pytest.mark.parametrize(
    ("target", "label", "said"),
    [
        ("boxes", POLYGON, "data set 'mine' has annotation for detection, not for instance"),
        ("masks", "0 0.5 0.5 0.2 0.2", "image3.png: not every object has a mask"),
    ],
    ids=["a reader without masks", "an object without a mask"],
)
def test_data_without_masks_of_objects_are_one_message(cli, tmp_path, target, label, said):
    data = tmp_path / "data"
    for name in ("images", "labels"):
        (data / name).mkdir(parents=True)
    for i in range(6):
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(data / f"images/image{i}.png")
        (data / f"labels/image{i}.txt").write_text(label if i == 3 else POLYGON)
    options = {"root": str(data), "images": "images", "labels": "labels", "classes": ["a"]}
    named = {"name": "yolo", "label": "mine", "target": target, **options}
    done = cli("run", write_experiment(tmp_path, named, ["giou"]))
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_real_nuclei_have_a_mask_for_every_box(data_folder, make_cell, tmp_path):
    from benchmark.training.loading import TrainingSet
    from datasets.cache import prepare
    from datasets.instance_masks import InstanceMasks

    root = str(data_folder / "dsb2018" / "stage1_train")
    nuclei = InstanceMasks(root=root, layout="dsb2018")
    nuclei.use_splits({"train": nuclei.ids("test")[:4]})
    split = prepare(nuclei, "train", (64, 64), tmp_path)
    samples = TrainingSet(make_cell("instance", augment={"vflip": 0.5}), split)
    for index in range(len(split)):
        _, boxes, labels, _, masks = samples[1, index]
        assert len(masks) == len(boxes) == len(labels) > 0
        for box, mask in zip(boxes, masks, strict=True):
            if mask.any():
                rows, columns = np.nonzero(mask)
                found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                np.testing.assert_allclose(found, box, atol=2)
