"""`run.py simulate`: what it accepts, in this process and as a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pandas as pd
import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.options import UserError
from benchmark.simulation import command, speed
from benchmark.simulation.command import SHOWN_CASE, check, shown_paths
from benchmark.simulation.experiment import Settings

ROOT = Path(__file__).parents[3]


def test_losses_go_by_their_labels():
    others = "{name: giou, label: mine}", "torchvision.ops:complete_box_iou_loss"
    texts = ["iou", "{name: ciou, gate: true}", *others]
    assert list(check(texts, Settings()).values()) == texts
    assert list(check(texts, Settings()))[2] == "mine"


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        (["ciuo"], Settings(), "unknown loss 'ciuo' .did you mean 'ciou'"),
        (["dice"], Settings(), "is a mask loss, not a box loss"),
        (["iou", "iou"], Settings(), "loss 'iou' is given twice"),
        (["eiou"], Settings(gradient="published"), "no gradient of 'eiou', only of iou, giou"),
        (["{name: ciou, gate: true}"], Settings(gradient="published"), "without options"),
        (["iou"], Settings(gradient="published", steps="xyxy"), "leave --steps at cxcywh"),
    ],
)
def test_what_cannot_be_simulated_is_refused(texts, settings, message):
    with pytest.raises(UserError, match=message):
        check(texts, settings)


def test_the_case_shown_step_by_step():
    paths = shown_paths({"g": "giou", "i": "iou"}, Settings())
    assert paths["g"].shape == (201, 4)
    assert abs(paths["g"][0] - SHOWN_CASE[0]).max() < 1e-6
    assert abs(paths["g"][-1] - SHOWN_CASE[1]).max() < 0.05
    assert (paths["i"] == paths["i"][0]).all()  # apart: IoU alone has no gradient


def test_the_command_writes_tables_charts_and_a_page(cli, tmp_path):
    (tmp_path / "my_loss.py").write_text(
        "def corners(pred, target):\n    return (pred - target).abs().sum(1)\n"
    )
    mine = "{name: 'my_loss.py:corners', kind: box, label: mine}"
    done = cli("simulate", "iou", mine, "--points", 2, "--workers", 2)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "686 cases a loss" in done.stdout
    out = tmp_path / "results" / "simulation"
    folder = out / "exact-cxcywh"
    assert {path.name for path in folder.iterdir()} == {
        *(f"{stem}.csv" for stem in ("curves", "surface", "summary")),
        *(f"{stem}.{kind}" for stem in ("error", "surface", "strip") for kind in ("png", "svg")),
        "run.json",
    }
    summary = pd.read_csv(folder / "summary.csv").set_index("loss")
    assert summary.loc["mine", "final_error"] < summary.loc["iou", "final_error"]
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "mine" in page
    assert "## Speed" not in page


def test_the_comparison_with_a_plain_loop_goes_onto_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "SETTINGS", Settings(points=1))
    monkeypatch.setattr(speed, "ROUNDS", 1)
    console = Console(file=StringIO(), width=150)
    command.run(console, ["iou"], Settings(points=1), workers=1, out=tmp_path, compare=True)
    assert "plain_seconds" in console.file.getvalue()
    assert "| iou    | 343     |" in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "error: loss 'nothing': unknown loss 'nothing'"),
        (["--points", "0"], "--points"),
        (["--gradient", "eye"], "--gradient"),
    ],
)
def test_a_mistake_ends_the_command_with_its_message(words, message):
    done = CliRunner().invoke(app, ["simulate", *words])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_no_process_behind(tmp_path):
    command = [sys.executable, str(ROOT / "run.py"), "simulate", "--points", "3000"]
    started = subprocess.Popen(
        [*command, "--workers", "2"], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        _wait_for(lambda: len(psutil.Process(started.pid).children(recursive=True)) >= 4)
        time.sleep(1)  # the two workers, their server and its tracker are there
        os.killpg(started.pid, signal.SIGINT)
        output, _ = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130, output
    _wait_for(lambda: not _group_lives(started.pid))


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_loss_without_gradient_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def constant(pred, target):\n    return (pred - target).detach().abs().sum(-1)\n"
    )
    text = f"{{name: '{tmp_path}/mine.py:constant', kind: box}}"
    with pytest.raises(UserError, match="gives no gradient of three boxes"):
        check([text], Settings(points=1))
