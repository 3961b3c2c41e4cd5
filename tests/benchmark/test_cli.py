"""The real command line, in subprocesses, from the experiment file to the tables."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark.store import RunFolder

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "run",
    "report",
    "status",
    "list",
    "inspect",
    "reproduce",
    "bench",
    "check-loss",
    "simulate",
    "curves",
    "index",
    "power",
    "download",
]
TABLES = ["--report", "tables"]  # charts take longer than these runs
SHAPES = {"name": "shapes", "size": 64, "train": 16, "val": 6, "test": 6, "num_classes": 2}
EXPERIMENT = {
    "name": "small",
    "repetitions": 2,
    "train": {"epochs": 2, "batch_size": 4, "image_size": 64},
    "matrix": {
        "boxes": {
            "task": "detection",
            "losses": ["smooth_l1", {"name": "giou", "weight": 2}],
            "datasets": [SHAPES],
            "models": [{"name": "tiny_fcos", "width": 8}],
        },
        "masks": {
            "task": "segmentation",
            "losses": ["bce", {"name": "focal", "gamma": 1}],
            "datasets": [SHAPES],
            "models": [{"name": "tiny_unet", "width": 4}],
        },
    },
}


def write_experiment(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**EXPERIMENT, **changes}))
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the small experiment was run, and what the command printed."""
    folder = tmp_path_factory.mktemp("trained")
    write_experiment(folder / "small.yaml")
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "run", "small.yaml", "--workers", "2"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return folder, done.stdout


@pytest.fixture
def results(trained: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the trained experiment that a test may change."""
    shutil.copytree(trained[0] / "results", tmp_path / "results")
    shutil.copy(trained[0] / "small.yaml", tmp_path / "small.yaml")
    return tmp_path / "results" / "small"


def test_help_needs_no_torch():
    code = "import sys, benchmark.cli; print([m for m in ('torch', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    done = cli(command, "--help")
    assert done.returncode == 0
    assert f"run.py {command}" in done.stdout


def test_run_prints_tables_and_says_where_everything_lies(trained):
    folder, printed = trained
    assert "8 runs, 0 done before, 8 to do" in printed
    assert "8/8" in printed
    for word in ("smooth_l1", "giou weight=2", "focal gamma=1", "untrained model", "baseline"):
        assert word in printed
    for line in ("tables: results/small/tables", "charts: results/small/charts"):
        assert line in printed
    results = folder / "results" / "small"
    runs = pd.read_csv(results / "tables" / "runs.csv")
    assert len(runs) == 8
    assert set(runs["status"]) == {"done"}
    names = {path.name for path in (results / "charts").iterdir()}
    assert {Path(name).suffix for name in names} == {".png", ".svg", ".pdf"}
    assert (results / "tables" / "summary.tex").read_text().count(r"\toprule") == 2


def test_a_run_folder_holds_what_it_takes_to_reproduce_it(trained):
    (folder,) = (trained[0] / "results/small/runs").glob("*-bce-r0-*")
    assert {path.name for path in folder.iterdir()} >= {
        "config.yaml",
        "environment.json",
        "history.csv",
        "metrics.json",
    }
    assert not (folder / "checkpoint.pt").exists()
    history = pd.read_csv(folder / "history.csv")
    assert list(history["epoch"]) == [0, 1, 2]
    logged = {"loss_total", "loss/mask", "grad_norm", "lr", "images_per_second", "mIoU_fg"}
    assert logged <= set(history.columns)
    outcome = json.loads((folder / "metrics.json").read_text())
    assert {"IoU/background", "Dice_fg", "pixel_accuracy"} <= set(outcome["metrics"])
    assert outcome["trivial"]["mIoU_fg"] > 0


def test_running_again_trains_nothing(results, cli):
    before = {p: p.stat().st_mtime_ns for p in results.glob("runs/*/metrics.json")}
    done = cli("run", "small.yaml", *TABLES)
    assert done.returncode == 0
    assert "8 done before, 0 to do" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in results.glob("runs/*/metrics.json")} == before


def test_unfinished_and_failed_runs_are_trained_fresh_ones_kept(results, cli):
    lost, failed = sorted(results.glob("runs/*-bce-*"))[:2]
    expected = json.loads((lost / "metrics.json").read_text())["metrics"]
    (lost / "metrics.json").unlink()
    (failed / "metrics.json").unlink()
    (failed / "failure.json").write_text('{"error": "boom", "traceback": "line 1"}')
    done = cli("status", "results/small")
    assert done.returncode == 1
    assert "boom" in done.stdout
    assert "6 done" in done.stdout
    done = cli("run", "small.yaml", *TABLES)
    assert "6 done before, 2 to do" in done.stdout
    assert json.loads((lost / "metrics.json").read_text())["metrics"] == expected
    assert not (failed / "failure.json").exists()


def test_fresh_trains_all_again_to_the_same_numbers(results, cli):
    word = "matrix.boxes.losses=[smooth_l1]"
    (old,) = results.glob("runs/*-smooth_l1-r0-*/metrics.json")
    before = json.loads(old.read_text())
    words = ["--fresh", word, "repetitions=1", "matrix.masks.losses=[bce]"]
    done = cli("run", "small.yaml", *words, *TABLES)
    assert "0 done before, 2 to do" in done.stdout
    assert json.loads(old.read_text())["metrics"] == before["metrics"]
    assert len(list(results.glob("runs/*/metrics.json"))) == 8


def test_other_settings_are_other_runs_and_not_mixed_into_the_report(results, cli):
    done = cli("run", "small.yaml", "train.epochs=1", "repetitions=1", *TABLES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 runs, 0 done before, 4 to do" in done.stdout
    assert "8 run(s)" in done.stdout
    assert len(pd.read_csv(results / "tables" / "runs.csv")) == 4


def test_dry_run_prints_cells_and_steps_and_trains_nothing(cli, tmp_path):
    write_experiment(tmp_path / "small.yaml")
    done = cli("run", "small.yaml", "--dry-run")
    assert done.returncode == 0
    # 2 epochs of 16 // 4 = 4 steps each, 8 cells.
    assert "8 cells, about 64 steps, 64 of them to do" in done.stdout
    assert not (tmp_path / "results" / "small").exists()


def test_report_with_another_baseline(results, cli):
    shutil.rmtree(results / "tables")
    done = cli("report", "results/small", "--baseline", "giou weight=2")
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(results / "tables" / "summary.csv")
    assert summary.loc[summary["loss"] == "giou weight=2", "verdict"].item() == "baseline"
    wrong = cli("report", "results/small", "--baseline", "gio")
    assert wrong.returncode == 2
    assert "gio" in wrong.stderr


def test_reproduce_is_bit_identical(results, cli):
    (folder,) = results.glob("runs/*-giou-weight=2-r1-*")
    done = cli("reproduce", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-identical" in done.stdout


def test_reproduce_says_what_differs(results, cli):
    (folder,) = results.glob("runs/*-bce-r1-*")
    outcome = json.loads((folder / "metrics.json").read_text())
    outcome["metrics"]["mIoU_fg"] += 0.25
    (folder / "metrics.json").write_text(json.dumps(outcome))
    environment = json.loads((folder / "environment.json").read_text())
    environment["packages"]["torch"] = "1.0"
    (folder / "environment.json").write_text(json.dumps(environment))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["loss"]["version"] = 0
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = cli("reproduce", folder)
    assert done.returncode == 1
    assert "1 of " in done.stdout
    assert "-2.50e-01" in done.stdout
    assert "torch: then 1.0, now" in done.stdout
    assert "loss bce: then version 0 of its code, now" in done.stdout


@pytest.mark.parametrize("kind", ["losses", "datasets", "models", "experiments"])
def test_list(cli, kind):
    expected = {
        "losses": ["smooth_l1", "beta: float", "balanced_bce", "linear | log", "class_focal"],
        "datasets": [
            *("shapes", "voc", "coco", "yolo", "instance_masks", "mask_folder", "root: str"),
            *("voc2007", "voc0712", "oxford_pet", "penn_fudan", "coco2017", "bccd", "dsb2018"),
        ],
        "models": [
            *("tiny_fcos", "fcos_resnet50", "retinanet_resnet50", "ssd300_vgg16"),
            *("faster_rcnn_mobilenet_v3", "mask_rcnn_resnet50"),
            *("tiny_unet", "lraspp_mobilenet_v3", "deeplabv3_resnet50", "fcn_resnet50", "unet"),
        ],
        "experiments": ["quickstart", "bccd", "nuclei_cracks", "bccd_fcos", "voc0712"],
    }
    done = cli("list", kind)
    assert done.returncode == 0
    for word in expected[kind]:
        assert word in done.stdout


def test_inspect_draws_and_counts(cli, tmp_path):
    write_experiment(tmp_path / "small.yaml")
    done = cli("inspect", "small.yaml", "--out", "sheet")
    assert done.returncode == 0, done.stderr
    for word in ("objects", "aspect ratios", "foreground", "ellipse"):
        assert word in done.stdout
    assert (tmp_path / "sheet" / "shapes-train.png").stat().st_size > 10_000


def test_inspect_lists_all_bad_files_at_once(cli, tmp_path, data_folder):
    copy = tmp_path / "cracks"
    shutil.copytree(data_folder / "masonry_cracks" / "dataset", copy)
    images = sorted((copy / "crack_detection_224_images").iterdir())
    masks = sorted((copy / "crack_detection_224_masks").iterdir())
    images[0].write_bytes(b"no picture")
    masks[5].write_bytes(masks[5].read_bytes()[:100])
    entry = {
        "name": "mask_folder",
        "root": str(copy),
        "images": "crack_detection_224_images",
        "masks": "crack_detection_224_masks",
        "classes": ["crack"],
    }
    block = {**EXPERIMENT["matrix"]["masks"], "datasets": [entry]}  # type: ignore[index]
    write_experiment(tmp_path / "bad.yaml", matrix={"masks": block})
    done = cli("inspect", "bad.yaml")
    assert done.returncode != 0
    assert done.stdout.count("problem:") == 2
    unwrapped = done.stdout.replace("\n", "")
    assert images[0].name in unwrapped
    assert masks[5].name in unwrapped


def test_a_folder_that_cannot_be_written_is_one_message(cli, tmp_path):
    write_experiment(tmp_path / "small.yaml")
    (tmp_path / "file").write_text("")
    done = cli("run", "small.yaml", "--results", "file")
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["{}", "[]", "{"])
def test_a_damaged_result_is_named(results, cli, content):
    (old,) = results.glob("runs/*-bce-r0-*/metrics.json")
    old.write_text(content)
    done = cli("status", "results/small")
    assert done.returncode == 1
    assert "metrics.json" in done.stdout
    assert "7 done" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run", "nothing.yaml"], "no experiment 'nothing.yaml'"),
        (["run", "small.yaml", "train.image_size=100"], "each side must be a multiple of 16"),
        (["run", "bccd"], "LOSSBENCH_DATA"),
        (["run", "small.yaml", "--device", "cuda"], "no CUDA device"),
        (["run", "small.yaml", "--device", "gpu"], "'gpu'"),
        (["run", "small.yaml", "--workers", "0"], "--workers"),
        (["status", "nowhere"], "is no results folder"),
        (["list", "loss"], "'loss'"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_2(cli, tmp_path, monkeypatch, words, part):
    """In processes of their own: some of the many that ``docs/bad_input.md`` shows."""
    monkeypatch.delenv("LOSSBENCH_DATA", raising=False)
    if "cuda" in words:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    write_experiment(tmp_path / "small.yaml")
    done = cli(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert part in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


BROKEN = """
from dataclasses import dataclass

from benchmark.models.detection.tiny_fcos import TinyFCOS, TinyFCOSSpec


class Broken(TinyFCOS):
    def losses(self, *batch):
        raise RuntimeError("broken on purpose")


@dataclass(frozen=True)
class BrokenSpec(TinyFCOSSpec):
    def build(self, num_classes):
        return Broken(num_classes, self)
"""


def test_a_failed_and_a_diverged_run_do_not_stop_the_grid(cli, tmp_path):
    write_experiment(tmp_path / "small.yaml")
    (tmp_path / "broken.py").write_text(BROKEN)
    words = [
        "repetitions=1",
        "matrix.boxes.losses=[giou]",
        "matrix.boxes.models=[broken.py:BrokenSpec]",
        "matrix.masks.train={lr: 1.0e+30, grad_clip: null}",
        "matrix.masks.losses=[bce, dice]",
    ]
    done = cli("run", "small.yaml", *words, *TABLES)
    assert done.returncode == 1, done.stdout
    assert "failed" in done.stdout
    assert "diverged" in done.stdout
    assert "Traceback" in done.stdout  # of the failed run, below its reason
    status = cli("status", "results/small")
    assert status.returncode == 1
    assert re.search(r"loss or gradient not finite in epoch \d+, step \d+", status.stdout)
    runs = pd.read_csv(tmp_path / "results/small/tables/runs.csv")
    assert sorted(runs["status"]) == ["diverged", "diverged", "failed"]


def test_a_killed_runner_takes_its_workers_along(tmp_path):
    write_experiment(tmp_path / "small.yaml", repetitions=1)
    command = [sys.executable, str(ROOT / "run.py"), "run", "small.yaml", "train.epochs=5000"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("results/small/runs/*/checkpoint.pt")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    folders = [RunFolder(path) for path in (tmp_path / "results/small/runs").iterdir()]
    while any(folder.is_locked() for folder in folders):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "done" not in {folder.status() for folder in folders}


def test_ctrl_c_stops_and_the_next_run_continues_to_the_same_numbers(tmp_path, cli):
    write_experiment(tmp_path / "small.yaml")
    words = ["repetitions=1", "matrix.boxes.losses=[giou]", "matrix.masks.losses=[bce]", *TABLES]
    command = [sys.executable, str(ROOT / "run.py"), "run", "small.yaml", *words]
    command += ["train.epochs=8", "--results", "again"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("again/small/runs/*/checkpoint.pt")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "continues" in err
    assert "Traceback" not in err
    resumed = cli("run", "small.yaml", *words, "train.epochs=8", "--results", "again")
    assert resumed.returncode == 0, resumed.stderr
    whole = cli("run", "small.yaml", *words, "train.epochs=8", "--results", "whole")
    assert whole.returncode == 0
    for first in (tmp_path / "again/small/runs").glob("*/metrics.json"):
        second = tmp_path / "whole/small/runs" / first.parent.name / "metrics.json"
        assert json.loads(first.read_text())["metrics"] == json.loads(second.read_text())["metrics"]


def test_two_runs_at_once_share_the_work(tmp_path):
    write_experiment(tmp_path / "small.yaml", repetitions=1)
    command = [sys.executable, str(ROOT / "run.py"), "run", "small.yaml", "--workers", "1"]
    command += TABLES
    both = [
        subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    texts = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    folders = list((tmp_path / "results/small/runs").iterdir())
    assert len(folders) == 4
    for folder in folders:
        assert (folder / "metrics.json").exists()
        # Each epoch stands in the history once: nobody trained the cell a second time.
        assert list(pd.read_csv(folder / "history.csv")["epoch"]) == [0, 1, 2]
        assert (folder / "log.txt").read_text().count("Traceback") == 0
