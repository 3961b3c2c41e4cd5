"""The examples of README and CONTRIBUTING, run as they stand in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import load_experiment
from benchmark.runner import plan_grid
from datasets.mask_folder import MaskFolder

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)
QUICK = [
    "repetitions=1",
    "train.epochs=1",
    "train.image_size=64",
    "train.batch_size=4",
    "--workers=1",  # of which each imports torch
]
SMALL_SHAPES = "[{name: shapes, size: 64, train: 8, val: 4, test: 4}]"
# Charts take longer than these trainings; only one test has them drawn.
NO_CHARTS = ["--report", "tables", "--report", "page"]
EXAMPLES = (
    "my_experiment.yaml",
    "street_scenes.yaml",
    "places.yaml",
    "tuned.yaml",
    "combined.yaml",
    "losses/box/centre_l1.py",
    "losses/mask/power_dice.py",
    "datasets/stripes.py",
    "benchmark/models/segmentation/plain.py",
    "../mine/my_models.py",
    "../mine/mine.yaml",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's code with every example file of both pages."""
    target = tmp_path_factory.mktemp("clone") / "project"
    target.mkdir()
    shutil.copy(ROOT / "run.py", target)
    for package in ("benchmark", "datasets", "losses"):
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    written = [path for page in ("README.md", "CONTRIBUTING.md") for path in examples(page, target)]
    assert sorted(written) == sorted(EXAMPLES)
    return target


def examples(page: str, target: Path) -> list[str]:
    """Write all example files of a page below ``target``; their paths."""
    paths = []
    for example in EXAMPLE.finditer((ROOT / page).read_text()):
        path = target / example["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example["text"])
        paths.append(example["path"])
    return paths


def commands(page: str) -> list[list[str]]:
    """Words after ``run.py`` of the page's console lines that run or inspect something."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line.split("run.py ")[1]) for line in lines if "run.py " in line]


def call(folder: Path, words: list[str], door: str = "run.py", code: int = 0) -> str:
    """What a command of the page prints, which must end with that exit code."""
    done = subprocess.run(
        [sys.executable, door, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def planned(experiment: Path, results: Path) -> list[CellConfig]:
    """The runs of an experiment file, tuning included."""
    grid = plan_grid(load_experiment(str(experiment)), results)
    return [run.cell for run in grid.tuning + grid.cells]


def test_a_loss_a_data_set_and_a_model_inside_the_clone(project):
    """One training takes up what README and CONTRIBUTING say about ``quickstart``."""
    said = commands("README.md") + commands("CONTRIBUTING.md")
    own = [words[2:] for words in said if words[:2] == ["run", "quickstart"]]
    settings = [words[0] for words in own if words and words[0].startswith("matrix.")]
    assert len(settings) == 4
    shapes = f"matrix.boxes.datasets={SMALL_SHAPES}"
    printed = call(project, ["run", "quickstart", *QUICK, *NO_CHARTS, shapes, *settings])
    for label in ("centre_l1", "power_dice power=3", "segmentation, stripes, plain width=4"):
        assert label in printed


def test_options_of_where_runs_train(project):
    """What README says for one machine, Ray and Slurm can be said."""
    said = [words for words in commands("README.md") if words[:2] == ["run", "quickstart"]]
    where = [words for words in said if words[2:] and words[2].startswith("--")]
    assert [words[2] for words in where] == ["--workers", "--executor", "--executor"]
    for words in where:
        assert "30 cells" in call(project, [*words, "--dry-run"])


def test_a_model_outside_the_clone_with_losses_by_place(project):
    (words,) = (words for words in commands("CONTRIBUTING.md") if "mine.yaml" in words)
    mine = project.parent / "mine"
    shapes = f"matrix.boxes.datasets={SMALL_SHAPES}"
    printed = call(mine, [*words, *QUICK, *NO_CHARTS, shapes], door="../project/run.py")
    assert "detection, shapes, my_models:Cells width=24" in printed
    found = list(mine.glob("results/mine/runs/*/metrics.json"))
    assert len(found) == 2
    assert all('"status": "done"' in path.read_text() for path in found)


def test_readme_combined_losses(project):
    shapes = [f"matrix.{block}.datasets={SMALL_SHAPES}" for block in ("boxes", "masks")]
    printed = call(project, ["run", "combined.yaml", *QUICK, *NO_CHARTS, *shapes])
    for label in ("eiou focal=0.5", "0.5*bce + dice", "dice + boundary"):
        assert label in printed


def test_readme_losses_by_place(project, tmp_path):
    cells = planned(project / "places.yaml", tmp_path)
    assert len(cells) == 3 * (3 + 4)
    labels = {cell.loss.label for cell in cells}
    assert {"giou in the second stage", "smooth_l1 × bce", "giou × dice"} <= labels


def test_readme_tuned(project, tmp_path):
    assert len(planned(project / "tuned.yaml", tmp_path)) == 33
    few = ["tune.weights=[1]", "tune.budget=2", "tune.epochs=1"]
    shapes = f"matrix.boxes.datasets={SMALL_SHAPES}"
    printed = call(project, ["run", "tuned.yaml", *QUICK, *NO_CHARTS, *few, shapes])
    assert "focal_eiou" in printed
    assert len(list((project / "results/tuned/tuning").glob("*/metrics.json"))) == 6
    assert list((project / "results/tuned/runs").glob("*/tensorboard/events*"))
    assert (project / "results/tuned/report.html").exists()


@pytest.mark.parametrize("command", ["check-loss", "simulate", "curves"])
def test_readme_looks_at_losses(project, command):
    (words,) = (words for words in commands("README.md") if words[0] == command)
    fewer = {"check-loss": ["--no-speed"], "simulate": ["--points", "2"]}
    # torchvision's CIoU, which the page checks, is not finite everywhere.
    call(project, [*words, *fewer.get(command, [])], code=int(command == "check-loss"))


def test_readme_masks_that_number_classes_in_their_own_way(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    images = ("leftImg8bit/{split}/city/{i}_leftImg8bit.png", "images/{split}/{i}.jpg")
    masks = (
        "gtFine/{split}/city/{i}_gtFine_labelTrainIds.png",
        "annotations/{split}/{i}.png",
    )
    splits = {"cityscapes": ("train", "val"), "ade20k": ("training", "validation")}
    numbers = np.array([[0, 1, 13, 150], [255, 2, 3, 4]], np.uint8)
    for (name, names), image, mask in zip(splits.items(), images, masks, strict=True):
        for split in names:
            for i in range(4):
                pixels = (np.zeros((2, 4, 3), np.uint8), numbers)
                for template, values in zip((image, mask), pixels, strict=True):
                    path = project / name / template.format(split=split, i=i)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(values).save(path)
    assert len(planned(project / "street_scenes.yaml", tmp_path)) == 12
    block = yaml.safe_load((project / "street_scenes.yaml").read_text())["matrix"]["masks"]
    expected = {
        "cityscapes": [[1, 2, 6, 0], [255, 3, 0, 0]],
        "ade20k": [[255, 1, 5, 255], [255, 2, 3, 4]],
    }
    for entry in block["datasets"]:
        options = {key: value for key, value in entry.items() if key not in ("name", "label")}
        dataset = MaskFolder(**{**options, "root": str(project / options["root"])})
        sample = dataset.load(dataset.ids("test")[0])
        assert sample.semantic.tolist() == expected[entry["label"]]


def test_readme_own_data(project):
    folder = project / "my_data"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        (folder / "labels" / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.4 0.3\n")
    (words,) = (words for words in commands("README.md") if words[0] == "inspect")
    assert "sample sheet" in call(project, words)
    (words,) = (
        words
        for words in commands("README.md")
        if words[1] == "my_experiment.yaml" and words[0] == "run"
    )
    assert "detection, my_data, tiny_fcos" in call(project, [*words, *QUICK])
    assert (project / "results/my_experiment/tables/summary.md").exists()


def test_pages_name_only_files_that_exist():
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (ROOT / link).exists(), f"{page}: {link}"
