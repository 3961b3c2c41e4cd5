"""The measuring command: that it measures everything it names, not how fast anything is."""

from __future__ import annotations

import re

from rich.console import Console

from benchmark.bench import harness
from benchmark.experiment.config import Experiment

NUMBER = r"\s(\d+\.?\d*(?:e[+-]\d+)?)\b"


def test_every_line_has_both_sides_and_their_ratio(monkeypatch):
    monkeypatch.setattr(harness, "ROUNDS", 1)
    monkeypatch.setattr(harness, "STARTS", 2)
    experiment = Experiment.model_validate(
        {
            "name": "x",
            "train": {"epochs": 4, "batch_size": 4, "image_size": 64},
            "matrix": {
                "one": {
                    "task": "segmentation",
                    "losses": ["bce", "dice"],
                    "datasets": [{"name": "shapes", "size": 64, "train": 8, "val": 2, "test": 2}],
                    "models": [{"name": "tiny_unet", "width": 4}],
                }
            },
        }
    )
    console = Console(width=120, record=True)
    harness.bench(console, experiment, None, None)
    text = console.export_text()
    for name in ("whole cell / bare loop", "1 worker / 2 workers", "start of a run / fresh import"):
        (line,) = (line for line in text.splitlines() if name in line)
        first, second, ratio = (float(x) for x in re.findall(NUMBER, line.split(name)[1]))
        assert first > 0
        assert second > 0
        assert abs(ratio - first / second) < 0.02 * ratio + 0.01
    megabytes = [float(x) for x in re.findall(r"(\d+) MB", text)]
    assert megabytes[0] >= megabytes[1] > 0
