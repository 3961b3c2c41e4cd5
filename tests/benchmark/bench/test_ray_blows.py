"""An experiment on a cluster that loses a node, by the command line, beside a local one."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml

pytest.importorskip("ray", reason="Ray is not installed")
SHAPES = {"name": "shapes", "size": 32, "train": 64, "val": 4, "test": 4, "num_classes": 2}
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


@pytest.fixture
def local(cli, tmp_path) -> None:
    """``results/small``, trained on this machine."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    done = cli("run", "small.yaml", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_numbers_are_those_of_a_local_run_and_a_changed_one_is_noticed(local, cli, tmp_path):
    command = ("bench", "ray", "small.yaml", "--nodes", 2, "--against", "results/small")
    done = cli(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "results" / "bench_ray" / "small"
    events = pd.read_csv(out / "events.csv")
    assert list(events["event"]).count("node killed") == 1
    assert "retried" in set(events["event"])
    assert list(events["event"]).count("ended") == 2
    page = (out / "README.md").read_text()
    assert "numbers of the 2 runs in results/small came out the same, digit for digit" in page
    assert "other, or missing" not in page
    assert "python3" in page

    (one, _) = sorted((tmp_path / "results" / "small" / "runs").iterdir())
    metrics = json.loads((one / "metrics.json").read_text())
    metrics["metrics"]["AP"] += 1e-12
    (one / "metrics.json").write_text(json.dumps(metrics))
    done = cli(*command, "--kills", 0)  # nothing is left to train; the results are compared again
    assert done.returncode == 1
    page = (out / "README.md").read_text()
    assert page.count("other, or missing") == 1
    assert f"- other, or missing: {one.name}: metrics.json: metrics/AP\n" in page


def test_mistakes_are_named_before_a_cluster_starts(cli):
    done = cli("bench", "ray", "--nodes", 2, "--kills", 2)
    assert done.returncode == 2
    assert "--kills: must be less than --nodes (2), got 2" in done.stderr
    done = cli("bench", "ray", "--against", "nowhere")
    assert done.returncode == 2
    assert "nowhere: is no results folder" in done.stderr
