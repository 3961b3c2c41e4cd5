"""An experiment on a cluster that loses a node, by the command line, beside a local one."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

from benchmark.bench.ray.page import Plan
from benchmark.bench.ray.run import bench
from benchmark.commands import Machine, run_grid
from benchmark.executors.local import LocalExecutor
from benchmark.experiment.config import load_experiment
from benchmark.options import UserError
from benchmark.reporting import Choices
from benchmark.runner import plan_grid

pytest.importorskip("ray", reason="Ray is not installed")
SHAPES = {"name": "shapes", "size": 32, "train": 32, "val": 4, "test": 4, "num_classes": 2}
EXPERIMENT = {
    "name": "small",
    "repetitions": 2,
    "train": {"epochs": 16, "batch_size": 4, "image_size": 32},
    "matrix": {
        "boxes": {
            "task": "detection",
            "losses": ["giou"],
            "datasets": [SHAPES],
            "models": [{"name": "tiny_fcos", "width": 8}],
        },
    },
}


def test_the_numbers_are_those_of_a_local_run_but_for_one_that_was_changed(cli, tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(EXPERIMENT))
    grid = plan_grid(load_experiment(str(file), []), tmp_path / "results")
    machine = Machine(LocalExecutor(1), "cpu", 1, 0, tmp_path / "cache", False)
    assert run_grid(Console(quiet=True), grid, machine, Choices(only=["tables"])) == 0
    (one, _) = sorted((tmp_path / "results" / "small" / "runs").iterdir())
    metrics = json.loads((one / "metrics.json").read_text())
    metrics["metrics"]["AP"] += 1e-12
    (one / "metrics.json").write_text(json.dumps(metrics))

    done = cli("bench", "ray", "small.yaml", "--nodes", 2, "--against", "results/small")
    assert done.returncode == 1, done.stdout + done.stderr
    out = tmp_path / "results" / "bench_ray" / "small"
    events = pd.read_csv(out / "events.csv")
    assert list(events["event"]).count("node killed") == 1
    assert "retried" in set(events["event"])
    assert list(events["event"]).count("ended") == 2
    page = (out / "README.md").read_text()
    assert "numbers of the 2 runs in results/small came out the same, digit for digit" in page
    assert page.count("other, or missing") == 1
    assert f"- other, or missing: {one.name}: metrics.json: metrics/AP\n" in page
    assert "python3" in page


@pytest.mark.parametrize(
    ("plan", "against", "message"),
    [
        (Plan(2, 2, True), ".", r"--kills: must be less than --nodes \(2\), got 2"),
        (Plan(2, 1, True), "nowhere", "nowhere: is no results folder"),
    ],
)
def test_mistakes_are_named_before_a_cluster_starts(tmp_path, plan, against, message):
    with pytest.raises(UserError, match=message):
        bench(Console(quiet=True), "quickstart", [], plan, Path(against), tmp_path, "")
