"""The measuring of training: that it measures what it says, not how fast anything is."""

from __future__ import annotations

import json
import math
import time
from importlib.metadata import version
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from rich.console import Console

from benchmark.bench.rates import SIDES
from benchmark.bench.training import Plan, _per_epoch, _some, bench, parse_size
from benchmark.bench.utilisation import Utilisation
from benchmark.options import UserError
from datasets import DATASETS

SMALL = ["--size", "64x64", "--batch", 2, "--channels", 64, "--convolutions", 1]


def test_a_small_measurement_by_the_command(cli, tmp_path, write_voc):
    root = write_voc(tmp_path / "voc")
    words = ["--root", root, "--epochs", 1, "--rounds", 2, "--threads", 1, "--device", "cpu"]
    found = cli("bench", "training", *words, *SMALL, "--out", "out")
    assert found.returncode == 0, found.stderr
    frame = pd.read_csv(tmp_path / "out" / "training.csv")
    assert list(zip(frame["round"], frame["side"], strict=True)) == [
        (number, side) for number in (1, 2) for side in SIDES
    ]
    assert (frame["images"] > 0).all()
    assert (frame["training"] >= frame["images"]).all()
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "5 training and 3 validation images at 64x64" in page
    assert "channels 64, convolutions 1, finest_stride 16" in page
    assert f"run.py bench training --root {root}" in page
    assert "2 rounds" in page
    shown = [line.strip() for line in found.stdout.splitlines()]
    for name in (*SIDES, "harness / plain loop", "harness / bare steps"):
        assert sum(line.startswith(f"{name}  ") for line in shown) == 1
        assert page.count(f"| {name} |") == 1
    environment = json.loads((tmp_path / "out" / "environment.json").read_text())
    assert environment["packages"]["torch"] == version("torch")
    assert environment["threads"] == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"root": "nowhere"}, "root 'nowhere' is not a folder"),
        ({"evaluator": "fast"}, "unknown evaluator 'fast'"),
        ({"model": {"channels": 33}}, "channels must be a multiple of 32, got 33"),
        ({"model": {"finest_stride": 4}}, r"model\.finest_stride: should be 8, 16 or 32, got 4"),
        (
            {"batch_size": 1, "image_size": [32, 32]},
            "train.batch_size: 1 is too small for images of 32 x 32",
        ),
    ],
)
def test_mistakes_are_told(options, told):
    with pytest.raises(UserError, match=told):
        bench(Console(), Plan(**{"root": "", **options}), None, "")


def test_a_mistake_ends_the_command(cli):
    found = cli("bench", "training", "--size", "240")
    assert found.returncode == 2
    assert "--size: must be height x width, as in 240x320" in found.stderr


def test_the_help_says_what_is_measured(cli):
    found = cli("bench", "training", "--help")
    assert found.returncode == 0
    for word in ("plain loop", "--images", "--rounds", "--loaders"):
        assert word in found.stdout


def test_fewer_images_of_training_and_as_large_a_share_of_validation(tmp_path, write_voc):
    data = DATASETS["voc"](root=str(write_voc(tmp_path / "voc")))
    part = _some(data, 3, 2)
    assert part.ids("train") == data.ids("train")[:3]
    assert part.ids("val") == data.ids("val")[:2]  # 3 · 3 / 5
    assert _some(data, 0, 5).ids("train") == _some(data, 99, 5).ids("train") == data.ids("train")
    assert part.load("train0").boxes.tolist() == data.load("train0").boxes.tolist()
    assert part.files("train0") == data.files("train0")
    with pytest.raises(UserError, match="3 training images make no batch of 4"):
        _some(data, 3, 4)


def test_images_of_whole_batches():
    cell = Plan("x", batch_size=8).cell()
    assert [_per_epoch(cell, n) for n in (16, 23, 8)] == [16, 16, 8]


@pytest.mark.parametrize("text", ["x", "240x", "240x320x3", "16x16", "ax32"])
def test_sizes_that_are_none(text):
    assert parse_size("64x97") == [64, 97]
    with pytest.raises(UserError, match="--size"):
        parse_size(text)


def test_a_cpu_has_no_utilisation():
    with Utilisation(torch.device("cpu")) as gpu:
        pass
    assert math.isnan(gpu.mean())


def test_readings_of_the_gpu_are_averaged(tmp_path, monkeypatch):
    said = tmp_path / "said"
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho 20; echo 60; echo '[N/A]'; touch {said}; exec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    properties = SimpleNamespace(uuid="1")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    with Utilisation(torch.device("cuda")) as gpu:
        while not said.exists():
            time.sleep(0.01)
    assert gpu.mean() == pytest.approx(0.4)
