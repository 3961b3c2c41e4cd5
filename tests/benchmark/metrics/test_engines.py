"""The faster engine gives pycocotools' numbers, and who asks for it without having it is told."""

from __future__ import annotations

import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.bench.evaluator import Content, fabricate
from benchmark.experiment.config import Experiment, load_experiment
from benchmark.metrics.breakdown import plain
from benchmark.metrics.detection import AveragePrecision
from benchmark.metrics.detection_breakdown import detection_breakdown
from benchmark.metrics.engines import ENGINES
from benchmark.metrics.matching import match
from benchmark.metrics.rle import encode
from benchmark.options import UserError
from benchmark.runner import make_jobs, plan_grid
from benchmark.store import RunFolder
from benchmark.tasks.base import normalise
from benchmark.training.loop import train_cell
from benchmark.training.state import build_model
from losses import get as get_loss

EXACT = 1e-9


def evaluations(classes, truth, found, masks=(None, None)):
    """What both engines make of the same boxes: metric and evaluation of each."""
    pairs = []
    for engine in ENGINES:
        metric = AveragePrecision(*truth, classes, engine, masks[0])
        given = (*found, masks[1]) if masks[1] is not None else found
        pairs.append((metric, metric.evaluate(*given)))
    return pairs


def assert_equal(classes, truth, found, masks=(None, None)):
    """Everything that anything reads off an evaluation is the same; gives pycocotools' metrics."""
    (slow, one), (fast, two) = evaluations(classes, truth, found, masks)
    assert type(one) is not type(two)
    np.testing.assert_allclose(two.stats[:12], one.stats, rtol=0, atol=EXACT)
    for table in ("precision", "recall"):
        np.testing.assert_allclose(two.eval[table], one.eval[table], rtol=0, atol=EXACT)
    first, second = match(one), match(two)
    for name in ("score", "label", "first"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_allclose(first.iou, second.iou, rtol=0, atol=EXACT)
    known, other = slow.metrics(one), fast.metrics(two)
    assert list(known) == list(other)
    np.testing.assert_allclose(list(other.values()), list(known.values()), rtol=0, atol=EXACT)
    given = (*found, masks[1]) if masks[1] is not None else found
    broken_down = [plain(detection_breakdown(metric, *given)) for metric in (slow, fast)]
    assert str(broken_down[0]) == str(broken_down[1])
    return known


def moved(boxes, labels, seed, classes, spread=0.06, decimals=2):
    """Detections: each object twice, moved by a share of its sides; scores with ties."""
    draws = np.random.default_rng(seed)
    found = ([], [], [])
    for some, label in zip(boxes, labels, strict=True):
        sides = np.tile(some[:, 2:] - some[:, :2], 2)
        near = [some + draws.normal(0, k * spread, some.shape) * sides for k in (1, 2)]
        found[0].append(np.vstack(near))
        found[1].append(draws.random(2 * len(some)).round(decimals))
        wrong = draws.integers(0, classes, len(label))
        found[2].append(
            np.concatenate([label, np.where(draws.random(len(label)) < 0.7, label, wrong)])
        )
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fabricated_boxes_with_ties(seed):
    content = Content("any", images=25, classes=4, objects=4, detections=30)
    boxes, labels, found = fabricate(content, seed)
    metrics = assert_equal(list("abcd"), (boxes, labels), found)
    assert 0.05 < metrics["AP"] < 0.9


def test_more_detections_than_count():
    content = Content("any", images=3, classes=2, objects=20, detections=400)
    boxes, labels, found = fabricate(content)
    assert max(np.bincount(some).max() for some in found[2]) > 100
    assert_equal(["a", "b"], (boxes, labels), found)


NOTHING = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
BOX = (np.array([[10.0, 10, 40, 30]]), np.array([0.5]), np.array([1]))


@pytest.mark.parametrize(
    ("truth", "found"),
    [
        ([BOX, NOTHING], [NOTHING, NOTHING]),
        ([NOTHING, NOTHING], [BOX, NOTHING]),
        ([NOTHING, NOTHING], [NOTHING, NOTHING]),
        ([BOX, NOTHING], [NOTHING, BOX]),
        ([NOTHING, BOX], [BOX, BOX]),
    ],
)
def test_empty_images_and_classes(truth, found):
    """Class a has no object at all; both may be empty."""
    columns = [list(column) for column in zip(*truth, strict=True)]
    given = tuple(list(column) for column in zip(*found, strict=True))
    metrics = assert_equal(["a", "b"], (columns[0], columns[2]), given)
    assert math.isnan(metrics["AP/a"])
    assert math.isnan(metrics["AP/b"]) == (not any(len(labels) for labels in columns[2]))


def test_masks():
    boxes, labels, found = fabricate(Content("any", 12, 2, 4, 10, width=64, height=48))

    def drawn(rows):
        grid = np.mgrid[:48, :64]
        return [
            encode(
                np.array(
                    [
                        (((grid[1] - (x1 + x2) / 2) / max(x2 - x1, 2)) ** 2)
                        + (((grid[0] - (y1 + y2) / 2) / max(y2 - y1, 2)) ** 2)
                        <= 0.25
                        for x1, y1, x2, y2 in some
                    ]
                ).reshape(-1, 48, 64)
            )
            for some in rows
        ]

    masks = drawn(boxes), drawn(found[0])
    metrics = assert_equal(["a", "b"], (boxes, labels), found, masks)
    of_boxes = AveragePrecision(boxes, labels, ["a", "b"])(*found)
    assert 0.05 < metrics["AP"] < 0.9
    assert metrics["AP"] != pytest.approx(of_boxes["AP"], abs=1e-3)


def blood_cells(folder: Path, split: str):
    """Boxes and labels of BCCD, straight from its files."""
    root = folder / "bccd" / "BCCD"
    names = ["Platelets", "RBC", "WBC"]
    boxes, labels, ids = [], [], (root / "ImageSets/Main" / f"{split}.txt").read_text().split()
    for name in ids:
        objects = ET.parse(root / "Annotations" / f"{name}.xml").findall("object")
        sides = ("xmin", "ymin", "xmax", "ymax")
        rows = [[float(o.findtext(f"bndbox/{side}")) for side in sides] for o in objects]
        boxes.append(np.array(rows).reshape(-1, 4))
        labels.append(np.array([names.index(o.findtext("name")) for o in objects], np.int64))
    return names, boxes, labels


def test_blood_cells(data_folder):
    names, boxes, labels = blood_cells(data_folder, "test")
    assert sum(map(len, boxes)) > 500
    metrics = assert_equal(names, (boxes, labels), moved(boxes, labels, 0, 3))
    assert 0.3 < metrics["AP50"] < 1


def test_objects_of_coco(data_folder):
    files = sorted((data_folder / "coco128/labels").rglob("*.txt"))[::2]
    assert len(files) > 50
    boxes, labels = [], []
    for file in files:
        rows = np.array([line.split() for line in file.read_text().splitlines()], float)
        rows = rows.reshape(-1, 5)
        middle, half = rows[:, 1:3] * (640, 480), rows[:, 3:] * (320, 240)
        boxes.append(np.hstack([middle - half, middle + half]))
        labels.append(rows[:, 0].astype(np.int64))
    names = [str(i) for i in range(80)]
    metrics = assert_equal(names, (boxes, labels), moved(boxes, labels, 1, 80))
    assert sum(math.isnan(value) for name, value in metrics.items() if "/" in name) > 5


def test_a_detector_that_learned_a_little(shapes_splits, make_cell):
    split = shapes_splits["train"]
    torch.manual_seed(0)
    model = build_model(make_cell(), 2, torch.device("cpu"))
    images = torch.from_numpy(np.stack([split.image(i) for i in range(len(split))]))
    images = normalise(images.permute(0, 3, 1, 2))
    boxes = [torch.from_numpy(np.array(split.boxes(i))) for i in range(len(split))]
    labels = [torch.from_numpy(np.array(split.labels(i))) for i in range(len(split))]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(40):
        losses = model.losses(images, boxes, labels, get_loss("giou"))
        total = sum(term.reduced() for term in losses.box.values()) + sum(losses.other.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval().predict(images)
    columns = [[getattr(d, name).numpy() for d in found] for name in ("boxes", "scores", "labels")]
    columns[:2] = [[some.astype(np.float64) for some in column] for column in columns[:2]]
    truth = [b.double().numpy() for b in boxes], [x.numpy() for x in labels]
    metrics = assert_equal(split.classes, truth, tuple(columns))
    assert metrics["AP50"] > 0.05


def test_a_run_measures_the_same_with_both(shapes_splits, make_cell, tmp_path):
    outcomes = [
        train_cell(
            make_cell(),
            shapes_splits,
            RunFolder(tmp_path / engine),
            torch.device("cpu"),
            evaluator=engine,
        )
        for engine in ENGINES
    ]
    for kind in ("metrics", "validation", "untrained"):
        one, two = (outcome[kind] for outcome in outcomes)
        assert list(one) == list(two)
        np.testing.assert_allclose(list(two.values()), list(one.values()), rtol=0, atol=EXACT)


def experiment(**more) -> Experiment:
    shapes = {"name": "shapes", "size": 32, "train": 4, "val": 2, "test": 2}
    block = {
        "task": "detection",
        "losses": ["giou"],
        "datasets": [shapes],
        "models": [{"name": "tiny_fcos", "width": 8}],
        "train": {"batch_size": 2, "image_size": 32},
    }
    return Experiment.model_validate({"name": "x", "matrix": {"one": block}, **more})


def test_the_engine_reaches_the_jobs_and_is_no_part_of_a_run(tmp_path):
    grids = [plan_grid(experiment(evaluator=name), tmp_path) for name in ENGINES]
    assert len({grid.cells[0].cell.identity() for grid in grids}) == 1
    jobs = [make_jobs(grid, grid.cells, tmp_path / "cache", "cpu", 1, 0)[0] for grid in grids]
    assert [job.evaluator for job in jobs] == ["pycocotools", "faster"]
    assert plan_grid(experiment(), tmp_path).experiment.evaluator == "pycocotools"


def test_an_engine_that_is_not_installed_is_told_when_planning(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(
        UserError, match=r"faster-coco-eval, which is not installed.*-e \"\.\[faster\]\" -c con"
    ):
        plan_grid(experiment(evaluator="faster"), tmp_path)


def test_an_unknown_engine():
    with pytest.raises(UserError, match="evaluator: must be one of pycocotools, faster"):
        load_experiment("quickstart", ["evaluator=fast"])
