"""The options of `run` that say how runs are executed, through the real command line."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from benchmark.cli import app

EXPERIMENT = {
    "name": "grid",
    "train": {"epochs": 5000, "image_size": 64, "batch_size": 4},
    "executor": {"name": "local", "timeout": "1h"},
    "matrix": {
        "masks": {
            "task": "segmentation",
            "losses": ["bce", "dice"],
            "datasets": [{"name": "shapes", "size": 64, "train": 8, "val": 4, "test": 4}],
            "models": [{"name": "tiny_unet", "width": 4}],
        }
    },
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT))
    return path


def test_a_run_over_its_time_fails_and_says_which_option_ended_it(cli, file, tmp_path):
    options = (
        "--workers",
        2,
        "--timeout",
        "1s",
        "--nice",
        1,
        "--memory",
        "1MB",
        "--report",
        "tables",
    )
    done = cli("run", file, *options, "--report", "tables")
    assert done.returncode == 1, done.stderr
    assert "2 to do on 2 worker(s), cpu" in done.stdout
    assert "2 run(s) without a result" in done.stdout
    failures = list((tmp_path / "results" / "grid" / "runs").glob("*/failure.json"))
    errors = [json.loads(path.read_text())["error"] for path in failures]
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("the run was ended after 1 s, the limit of --timeout")
        assert error in done.stdout
    # How runs are executed is kept with the experiment, but makes no other run of them.
    kept = yaml.safe_load((tmp_path / "results" / "grid" / "experiment.yaml").read_text())
    assert kept["executor"] == EXPERIMENT["executor"]
    again = cli("run", file, "--dry-run", "executor.nice=3")
    assert again.stdout.count("failed") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "rya"], "executor: unknown executor 'rya' (did you mean 'ray'?)"),
        (["--timeout", "soon"], "--timeout: must be a time such as"),
        (["--device", "cpu", "--gpus-per-run", "0.5"], "--gpus-per-run (executor.resources.gpu)"),
        (["executor.timeout=0", "--dry-run"], "executor.timeout: "),
    ],
)
def test_a_mistake_is_one_message_and_trains_nothing(file, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", str(file), *words])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()
