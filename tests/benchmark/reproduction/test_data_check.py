"""A store whose runs saw other data is noticed before anything is added to it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from benchmark.data_alike import data_notes
from benchmark.experiment.config import Experiment
from benchmark.options import UserError
from benchmark.report.data import ReportData
from benchmark.report.machines import machines
from benchmark.reproduction.again import reproduce
from benchmark.reproduction.data_check import check_data
from benchmark.runner import Grid, plan_grid, prepare_splits
from datasets import SPLITS
from datasets.cache import open_cached


@pytest.fixture
def pictures(tmp_path) -> Path:
    """12 images of 16 x 16 pixels with masks."""
    draw = np.random.default_rng(0)
    for kind, shape in (("images", (16, 16, 3)), ("masks", (16, 16))):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = draw.integers(0, 2, shape, dtype=np.uint8) * 255
            cv2.imwrite(str(tmp_path / "data" / kind / f"{number:02}.png"), pixels)
    return tmp_path / "data"


def experiment(root: Path) -> dict:
    return {
        "name": "small",
        "train": {"epochs": 1, "batch_size": 2, "image_size": 32},
        "matrix": {
            "masks": {
                "task": "segmentation",
                "losses": ["bce", "dice"],
                "datasets": [{"name": "mask_folder", "label": "dots", "root": str(root)}],
                "models": [{"name": "tiny_unet", "width": 4}],
            }
        },
    }


@pytest.fixture
def grid(pictures, tmp_path) -> Grid:
    """Two cells of which none was begun."""
    return plan_grid(Experiment.model_validate(experiment(pictures)), tmp_path / "results")


def fingerprints(grid: Grid, cache: Path) -> dict[str, str]:
    (dataset,) = grid.datasets.values()
    splits = prepare_splits(dataset, [32, 32], cache)
    return {split: open_cached(splits[split]).fingerprint for split in SPLITS}


def end(grid: Grid, data: dict[str, str], number: int = 0) -> None:
    planned = grid.cells[number]
    planned.folder.begin(planned.cell, {"data": data})
    planned.folder.finish({"status": "done"})


def change(picture: Path) -> None:
    pixels = cv2.imread(str(picture))
    pixels[0, 0] = 255 - pixels[0, 0]
    cv2.imwrite(str(picture), pixels)


def first_picture(grid: Grid, split: str) -> Path:
    (dataset,) = grid.datasets.values()
    return dataset.files(dataset.ids(split)[0])[0]


@pytest.mark.parametrize("split", SPLITS)
def test_a_changed_image_is_noticed(grid, tmp_path, split):
    then = fingerprints(grid, tmp_path / "cache")
    end(grid, then)
    check_data(grid, grid.cells, tmp_path / "cache")
    change(first_picture(grid, split))
    with pytest.raises(UserError) as error:
        check_data(grid, grid.cells, tmp_path / "cache")
    now = fingerprints(grid, tmp_path / "cache")
    said = str(error.value)
    assert said.startswith(f"data set 'dots': the samples of its {split} split are not those of")
    assert f"then {then[split][:12]}, now {now[split][:12]}" in said
    assert f"{grid.cells[0].folder.path} was trained on the former" in said
    assert "--fresh" in said


def test_a_run_to_be_continued_counts_and_one_to_be_started_does_not(grid, tmp_path):
    planned = grid.cells[1]
    planned.folder.begin(planned.cell, {"data": {"train": "other"}})
    check_data(grid, grid.cells, tmp_path / "cache")
    planned.folder.checkpoint.write_bytes(b"half a run")
    with pytest.raises(UserError, match="fingerprint then other, now "):
        check_data(grid, grid.cells, tmp_path / "cache")


@pytest.mark.parametrize("environment", [{}, {"data": None}, {"data": {}}])
def test_runs_from_before_there_were_fingerprints_are_passed_over(grid, tmp_path, environment):
    planned = grid.cells[0]
    planned.folder.begin(planned.cell, environment)
    planned.folder.finish({"status": "done"})
    check_data(grid, grid.cells, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()  # nothing was decoded for it


def test_each_split_is_read_once_and_progress_is_told(grid, tmp_path):
    data = fingerprints(grid, tmp_path / "elsewhere")
    end(grid, data, 0)
    end(grid, data, 1)
    told = []
    check_data(grid, grid.cells, tmp_path / "cache", lambda *news: told.append(news))
    assert [news[0] for news in told if news[1] == 1] == ["dots train", "dots val", "dots test"]


def test_a_data_set_that_cannot_be_read_is_one_message(grid, tmp_path):
    end(grid, fingerprints(grid, tmp_path / "cache"))
    first_picture(grid, "val").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"\.png"):
        check_data(grid, grid.cells, tmp_path / "cache")


def report_of(*seen: dict | None) -> ReportData:
    runs = pd.DataFrame(
        {
            "task": "segmentation",
            "dataset": "dots",
            "model": "m",
            "loss": "bce",
            "repetition": range(len(seen)),
            "cell": [f"run{n}" for n in range(len(seen))],
        }
    )
    environments = {f"run{n}": {"cpu": "A", **(data or {})} for n, data in enumerate(seen)}
    return ReportData("x", "", runs, pd.DataFrame(), environments=environments)


def test_a_report_of_runs_on_different_data_says_so():
    one, other = {"data": {"train": "a" * 32, "test": "t"}}, {"data": {"train": "b", "test": "t"}}
    (note,) = data_notes(report_of(one, other, one, None))
    assert note.startswith("the runs of segmentation, dots, m did not all see the same data")
    assert f"(train split: 2 run(s) {'a' * 12}, 1 run(s) b)" in note
    assert data_notes(report_of(one, one, None)) == []
    assert data_notes(report_of()) == []


def test_data_are_no_property_of_a_machine():
    found = machines(report_of({"data": {"train": "a"}}, {"data": {"train": "b"}}))
    assert [machine.properties for machine in found] == [{"cpu": "A"}]


def test_run_and_reproduce_refuse_changed_data_until_they_are_back(grid, tmp_path, cli):
    end(grid, fingerprints(grid, tmp_path / "cache"))
    folder = grid.cells[0].folder.path
    outcome = (folder / "metrics.json").read_bytes()
    picture = first_picture(grid, "train")
    before = picture.read_bytes()
    change(picture)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(experiment(tmp_path / "data")))
    refused = cli("run", "small.yaml")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert "data set 'dots': the samples of its" in " ".join(refused.stderr.split())
    with pytest.raises(UserError, match="put the data back as they were, then reproduce"):
        reproduce(Console(quiet=True), folder, "cpu", tmp_path / "cache")
    picture.write_bytes(before)
    check_data(grid, grid.cells, tmp_path / "cache")
    assert (folder / "metrics.json").read_bytes() == outcome
