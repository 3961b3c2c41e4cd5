"""A grid against its data: what is checked before anything is trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.experiment.cell import CellPart
from benchmark.experiment.config import Experiment
from benchmark.options import UserError
from benchmark.runner import make_jobs, open_dataset, pick_device, plan_grid
from datasets.cache import open_cached

ROOT = Path(__file__).parents[2]


def experiment(**block: Any) -> Experiment:
    content = {
        "task": "segmentation",
        "losses": ["bce", "dice"],
        "datasets": [{"name": "shapes", "size": 64, "train": 9, "val": 2, "test": 2}],
        "models": [{"name": "tiny_unet", "width": 4}],
        "train": {"epochs": 3, "batch_size": 4, "image_size": 64},
        **block,
    }
    return Experiment.model_validate({"name": "x", "matrix": {"one": content}})


def mask_folder(path: Path, classes: str = "crack") -> dict[str, Any]:
    """A data set of ten pictures in the layout of `mask_folder`."""
    for name in ("images", "masks"):
        (path / name).mkdir(parents=True)
    for i in range(10):
        picture = np.full((32, 32, 3), 10 * i, np.uint8)
        Image.fromarray(picture).save(path / "images" / f"{i}.png")
        Image.fromarray(picture[..., 0]).save(path / "masks" / f"{i}.png")
    return {"name": "mask_folder", "root": str(path), "classes": [classes]}


def test_a_cells_steps_and_cost():
    grid = plan_grid(experiment(), Path("results"))
    # 9 images in batches of 4: two steps an epoch, the ninth image waits for another epoch.
    assert [planned.steps for planned in grid.cells] == [6, 6]
    assert grid.cells[0].cost == 6 * 4 * 64 * 64


def test_weights_are_loaded_once_before_anything_is_trained(tmp_path, monkeypatch):
    """From an address that nobody serves: one message, and no data decoded for nothing."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    tried = []

    def refuse(url: str, *args: Any, **options: Any) -> None:
        tried.append(url)
        raise OSError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    grid = plan_grid(
        experiment(models=[{"name": "lraspp_mobilenet_v3", "weights": "backbone"}]), tmp_path
    )
    assert len(grid.cells) == 2
    with pytest.raises(UserError, match=r"^model '.*lraspp.*': weights: .*\(no network\)"):
        make_jobs(grid, grid.cells, tmp_path / "cache", "cpu", 1, 0)
    assert len(tried) == 1
    assert not (tmp_path / "cache").exists()


def test_jobs_of_a_grid_share_decoded_data_and_the_trivial_predictor(tmp_path):
    grid = plan_grid(experiment(), tmp_path)
    told = []
    jobs = make_jobs(
        grid, grid.cells, tmp_path / "cache", "cpu", 1, 0, lambda *news: told.append(news)
    )
    assert jobs[0].splits == jobs[1].splits
    assert told[-1] == ("shapes test", 2, 2)
    assert len(open_cached(jobs[0].splits["train"])) == 9
    assert jobs[0].trivial == jobs[1].trivial
    assert 0 < jobs[0].trivial["mIoU_fg"] < 1
    # Everything is called the commonest class: what is right is that class's share.
    test = open_cached(jobs[0].splits["test"])
    masks = np.stack([test.semantic(i) for i in range(2)])  # type: ignore[arg-type, misc]
    shares = [(masks == k).mean() for k in range(1, 6)]
    assert jobs[0].trivial["pixel_accuracy"] in [pytest.approx(s) for s in shares]


def test_a_task_that_the_data_has_no_annotation_for(tmp_path):
    entry = mask_folder(tmp_path / "data")
    block = {"task": "detection", "losses": ["giou"], "models": ["tiny_fcos"]}
    with pytest.raises(UserError, match="annotation for segmentation, not for detection"):
        plan_grid(experiment(datasets=[entry], **block), tmp_path)


def test_two_folders_under_one_label(tmp_path):
    entries = [mask_folder(tmp_path / "a"), mask_folder(tmp_path / "b")]
    with pytest.raises(UserError, match="label"):
        plan_grid(experiment(datasets=entries), tmp_path)
    entries[1]["label"] = "other"
    assert len(plan_grid(experiment(datasets=entries), tmp_path).cells) == 4


def test_one_run_under_two_labels(tmp_path):
    losses = ["bce", {"name": "bce", "label": "again"}]
    with pytest.raises(UserError, match="more than once"):
        plan_grid(experiment(losses=losses), tmp_path)


def test_a_missing_folder_says_where_was_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("LOSSBENCH_DATA", str(tmp_path))
    entry = {"name": "mask_folder", "root": "gone", "classes": ["crack"]}
    with pytest.raises(UserError, match=f"'gone' is not a folder.*{tmp_path}/gone"):
        plan_grid(experiment(datasets=[entry]), tmp_path)


def test_devices(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == "cpu"
    with pytest.raises(UserError, match="no CUDA device"):
        pick_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert pick_device("auto") == pick_device("cuda") == "cuda"
    assert pick_device("cpu") == "cpu"


def test_a_data_set_that_is_not_registered_is_named():
    part = CellPart(name="shape", label="mine")
    with pytest.raises(
        UserError, match=r"'mine': unknown data set 'shape' \(did you mean 'shapes'"
    ):
        open_dataset(part)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"targets": {"AP/rign": 0.1}}, "targets"),
        ({"tune": {"weights": [1.0], "metric": "AP/rign"}}, "tune.metric"),
    ],
)
def test_a_metric_of_a_class_that_the_data_set_lacks(tmp_path, changes, key):
    block = {"task": "detection", "losses": ["iou", "giou"], "models": ["tiny_fcos"]}
    asked = experiment(**block).model_dump(mode="json", exclude_unset=True)
    with pytest.raises(UserError, match=rf"^{key}: 'AP/rign'.*'shapes' lacks .*mean 'ring'"):
        plan_grid(Experiment.model_validate({**asked, **changes}), tmp_path)
    fitting = json.loads(json.dumps(changes).replace("rign", "ring"))
    assert plan_grid(Experiment.model_validate({**asked, **fitting}), tmp_path).cells


def test_planning_networks_of_the_project_spares_the_import_of_torchvision(tmp_path):
    """Which takes as long as torch's, and every command that plans would wait for it."""
    words = ["run", "quickstart", "--dry-run", "--results", str(tmp_path)]
    code = (
        "import sys; from benchmark.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "print({'torchvision', 'torch._dynamo'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[-1:] == ["set()"], done.stderr
