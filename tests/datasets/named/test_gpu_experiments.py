"""The shipped experiments for a GPU, planned on small data sets in the official layouts."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmark.experiment.config import load_experiment
from benchmark.runner import Grid, plan_grid

from .conftest import write_coco


def counts(grid: Grid) -> dict[str, Counter[str]]:
    """How many runs each model has in each stage."""
    return {
        stage: Counter(run.cell.model.label for run in runs)
        for stage, runs in (("tuning", grid.tuning), ("final", grid.cells))
    }


@pytest.mark.usefixtures("voc2007", "voc2012")
def test_voc0712(tmp_path):
    grid = plan_grid(load_experiment("voc0712"), tmp_path)
    # Five losses with three weights each; five losses, three repetitions.
    assert counts(grid) == {"tuning": {"fcos_resnet50": 15}, "final": {"fcos_resnet50": 15}}
    (dataset,) = grid.datasets.values()
    assert len(dataset.ids("train")) + len(dataset.ids("val")) == 34
    assert len(dataset.classes) == 20
    assert {run.cell.task for run in grid.cells} == {"detection"}


def test_coco_minitrain(data, tmp_path):
    write_coco(data / "coco2017", "train2017", 60, 1)
    write_coco(data / "coco2017", "val2017", 5, 100)
    fewer = [f"matrix.{block}.datasets.0.subset=20" for block in ("boxes", "instances")]
    grid = plan_grid(load_experiment("coco_minitrain", fewer), tmp_path)
    # Five losses, and two x two; three weights or repetitions each.
    each = {"retinanet_resnet50": 15, "mask_rcnn_resnet50": 12}
    assert counts(grid) == {"tuning": each, "final": each}
    (dataset,) = grid.datasets.values()  # both blocks read the same
    assert [len(dataset.ids(split)) for split in ("train", "test")] == [20, 5]
    tasks = {run.cell.model.label: run.cell.task for run in grid.cells}
    assert tasks == {"retinanet_resnet50": "detection", "mask_rcnn_resnet50": "instance"}
