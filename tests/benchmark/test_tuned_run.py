"""An experiment with `tune:` through the real command line: search, choice, final runs, crash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

EXPERIMENT = {
    "name": "tuned",
    "repetitions": 2,
    "train": {"epochs": 2, "batch_size": 4, "image_size": 64},
    "tune": {"lr": [1.0e-3, 3.0e-3], "epochs": 1},
    "targets": {"mIoU_fg": 0.01},
    "matrix": {
        "masks": {
            "task": "segmentation",
            "losses": ["bce", "dice"],
            "datasets": [{"name": "shapes", "size": 64, "train": 8, "val": 4, "test": 4}],
            "models": [{"name": "tiny_unet", "width": 4}],
        }
    },
}


TABLES = ["--report", "tables"]  # charts take longer than these runs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tuned.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT))
    return path


def test_the_dry_run_shows_both_phases(file, cli):
    done = cli("run", file.name, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "8 cells (4 of them tuning)" in done.stdout
    assert done.stdout.count("after its tuning") == 4


def test_settings_are_chosen_on_validation_and_used_by_the_final_runs(file, cli):
    results = file.parent / "results" / "tuned"
    done = cli("run", file.name, "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tuned, tuning: 4 runs, 0 done before, 4 to do" in done.stdout
    assert "tuned, final: 4 runs, 0 done before, 4 to do" in done.stdout

    reached: dict[str, dict[float, float]] = {}
    for folder in results.glob("tuning/*"):
        config = yaml.safe_load((folder / "config.yaml").read_text())
        outcome = json.loads((folder / "metrics.json").read_text())
        assert outcome["metrics"] == {}
        assert not {"untrained", "trivial"} & set(outcome)
        assert not (folder / "details.json").exists()
        assert not (folder / "samples.json").exists()
        value = outcome["validation"]["mIoU_fg"]
        reached.setdefault(config["loss"]["label"], {})[config["train"]["lr"]] = value
    best = {loss: max(values, key=values.__getitem__) for loss, values in reached.items()}
    runs = pd.read_csv(results / "tables" / "runs.csv")
    assert {loss: set(rows["lr"]) for loss, rows in runs.groupby("loss")} == {
        loss: {lr} for loss, lr in best.items()
    }
    assert set(runs["status"]) == {"done"}

    planned = cli("run", file.name, "--dry-run").stdout
    assert "after its tuning" not in planned
    assert " 0 of them to do" in planned

    # A tuning run is lost: it is trained again, and leads to the same choice.
    lost = next(results.glob("tuning/*-bce-*"))
    (lost / "metrics.json").unlink()
    again = cli("run", file.name, *TABLES)
    assert "tuned, tuning: 4 runs, 3 done before, 1 to do" in again.stdout
    assert "tuned, final: 4 runs, 4 done before, 0 to do" in again.stdout

    # `reproduce` knows tuning runs too.
    shutil.copytree(lost, file.parent / "lost")
    same = cli("reproduce", "lost")
    assert same.returncode == 0, same.stdout + same.stderr
    assert "bit-identical" in same.stdout


def test_a_loss_whose_tuning_failed_waits_and_the_others_go_on(file, cli):
    content = {**EXPERIMENT, "repetitions": 1}
    file.write_text(yaml.safe_dump(content))
    # A folder where a file must be written makes exactly one run fail, whatever it is.
    planned = cli("run", file.name, "--dry-run").stdout
    name = next(word for word in planned.split() if "-dice-" in word and "-t0-" in word)
    (file.parent / "results" / "tuned" / "tuning" / name / "history.csv").mkdir(parents=True)
    done = cli("run", file.name, *TABLES)
    assert done.returncode == 1
    assert "1 run(s) without a result" in done.stdout
    assert "1 final run(s) wait for the tuning of their losses" in done.stdout
    runs = pd.read_csv(file.parent / "results" / "tuned" / "tables" / "runs.csv")
    assert runs["loss"].tolist() == ["bce"]
