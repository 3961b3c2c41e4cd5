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

from datasets.mask_folder import MaskFolder

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)
QUICK = [
    "repetitions=1",
    "train.epochs=1",
    "train.image_size=64",
    "train.batch_size=4",
]
SMALL_SHAPES = "[{name: shapes, size: 64, train: 8, val: 4, test: 4}]"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's code, to which an example can add files."""
    target = tmp_path / "project"
    target.mkdir()
    shutil.copy(ROOT / "run.py", target)
    for package in ("benchmark", "datasets", "losses"):
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return target


def write_examples(page: str, target: Path) -> list[str]:
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


def call(target: Path, words: list[str], door: str = "run.py") -> str:
    done = subprocess.run(
        [sys.executable, door, *words],
        cwd=target,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_contributing_shows_a_loss_a_data_set_and_a_model_that_work(copy):
    assert len(write_examples("CONTRIBUTING.md", copy)) == 4
    examples = [
        words for words in commands("CONTRIBUTING.md") if words[:2] == ["run", "quickstart"]
    ]
    examples = [words for words in examples if "my_models" not in words[2]]
    assert len(examples) == 3
    losses, datasets, models = (words[2] for words in examples)
    printed = call(
        copy,
        [
            "run",
            "quickstart",
            *QUICK,
            f"matrix.boxes.datasets={SMALL_SHAPES}",
            "matrix.boxes.losses=[smooth_l1]",
            losses,
            datasets,
            models,
        ],
    )
    assert "power_dice power=3" in printed
    assert "segmentation, stripes, plain width=4" in printed


def test_contributing_shows_a_model_outside_the_project_that_works(copy):
    assert "../mine/my_models.py" in write_examples("CONTRIBUTING.md", copy)
    (words,) = (w for w in commands("CONTRIBUTING.md") if "my_models" in " ".join(w))
    shapes = [f"matrix.{block}.datasets={SMALL_SHAPES}" for block in ("boxes", "masks")]
    losses = ["matrix.boxes.losses=[smooth_l1]", "matrix.masks.losses=[bce]"]
    mine = copy.parent / "mine"
    printed = call(mine, [*words, *QUICK, *shapes, *losses], door=f"../{copy.name}/run.py")
    assert "segmentation, shapes, my_models:Dilated layers=3" in printed
    (metrics,) = mine.glob("results/quickstart/runs/*Dilated*/metrics.json")
    assert '"status": "done"' in metrics.read_text()


def test_readme_own_loss(copy):
    written = write_examples("README.md", copy)
    assert "losses/box/centre_l1.py" in written
    (words,) = (words for words in commands("README.md") if "centre_l1" in " ".join(words))
    quick = [*QUICK, f"matrix.boxes.datasets={SMALL_SHAPES}", "matrix.masks.losses=[bce]"]
    printed = call(copy, [*words, *quick, f"matrix.masks.datasets={SMALL_SHAPES}"])
    assert "centre_l1" in printed


def test_readme_combined_losses(copy):
    assert "combined.yaml" in write_examples("README.md", copy)
    shapes = [f"matrix.{block}.datasets={SMALL_SHAPES}" for block in ("boxes", "masks")]
    printed = call(copy, ["run", "combined.yaml", *QUICK, *shapes])
    for label in ("eiou focal=0.5", "0.5*bce + dice", "dice + boundary"):
        assert label in printed


def test_readme_tuned(copy):
    assert "tuned.yaml" in write_examples("README.md", copy)
    dry = call(copy, ["run", "tuned.yaml", "--dry-run"])
    assert "33 cells (18 of them tuning)" in dry
    few = ["tune.weights=[1]", "tune.budget=2", "tune.epochs=1"]
    shapes = f"matrix.boxes.datasets={SMALL_SHAPES}"
    printed = call(copy, ["run", "tuned.yaml", *QUICK, *few, shapes])
    assert "focal_eiou" in printed
    assert len(list((copy / "results/tuned/tuning").glob("*/metrics.json"))) == 6
    assert list((copy / "results/tuned/runs").glob("*/tensorboard/events*"))
    assert (copy / "results/tuned/report.html").exists()


@pytest.mark.parametrize("command", ["check-loss", "simulate", "curves"])
def test_readme_looks_at_losses(copy, command):
    (words,) = (words for words in commands("README.md") if words[0] == command)
    fewer = {"check-loss": ["--no-speed"], "simulate": ["--points", "2"]}
    done = subprocess.run(
        [sys.executable, "run.py", *words, *fewer.get(command, [])],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    # torchvision's CIoU, which the page checks, is not finite everywhere.
    assert done.returncode == (1 if command == "check-loss" else 0), done.stdout + done.stderr


def test_readme_masks_that_number_classes_in_their_own_way(copy):
    assert "street_scenes.yaml" in write_examples("README.md", copy)
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
                    path = copy / name / template.format(split=split, i=i)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(values).save(path)
    printed = call(copy, ["run", "street_scenes.yaml", "--dry-run"])
    assert "12 cells" in printed
    block = yaml.safe_load((copy / "street_scenes.yaml").read_text())["matrix"]["masks"]
    expected = {
        "cityscapes": [[1, 2, 6, 0], [255, 3, 0, 0]],
        "ade20k": [[255, 1, 5, 255], [255, 2, 3, 4]],
    }
    for entry in block["datasets"]:
        options = {key: value for key, value in entry.items() if key not in ("name", "label")}
        dataset = MaskFolder(**{**options, "root": str(copy / options["root"])})
        sample = dataset.load(dataset.ids("test")[0])
        assert sample.semantic.tolist() == expected[entry["label"]]


def test_readme_own_data(copy):
    assert "my_experiment.yaml" in write_examples("README.md", copy)
    folder = copy / "my_data"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        (folder / "labels" / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.4 0.3\n")
    (words,) = (words for words in commands("README.md") if words[0] == "inspect")
    assert "sample sheet" in call(copy, words)
    (words,) = (
        words
        for words in commands("README.md")
        if words[1] == "my_experiment.yaml" and words[0] == "run"
    )
    assert "detection, my_data, tiny_fcos" in call(copy, [*words, *QUICK])
    assert (copy / "results/my_experiment/tables/summary.md").exists()


def test_pages_name_only_files_that_exist():
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (ROOT / link).exists(), f"{page}: {link}"
