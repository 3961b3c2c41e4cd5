from __future__ import annotations

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

from benchmark.options import UserError
from benchmark.simulation.page import rounded, write_page

ERRORS = {
    "exact-cxcywh": {"iou": 5.881, "giou": 0.02907, "diou": 0.0523, "ciou": 0.0074, "my": 0.1234},
    "exact-xyxy": {"iou": 5.882, "giou": 1.79, "diou": 1.69, "ciou": 1.41},
    "published-cxcywh": {"iou": 5.883, "giou": 1.51, "diou": 0.00413, "ciou": 0.00415},
}


def add_run(out: Path, name: str) -> None:
    folder = out / name
    folder.mkdir()
    gradient, steps = name.split("-")
    rows = [
        {"loss": loss, "final_error": error, "standard_error": 0.0213, "area": 291.6,
         "mean_iou": 0.5, "solved": 0.25, "stuck": 0, "seconds": 12.34}
        for loss, error in ERRORS[name].items()
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "summary.csv", index=False)
    texts = {loss: loss for loss in ERRORS[name]}
    if "my" in texts:
        texts["my"] = "{name: 'my_loss.py:MyLoss', label: my}"
    facts = {
        "gradient": gradient, "steps": steps, "points": 5000, "seed": 0, "losses": texts,
        "workers": 2, "seconds": 49.0, "peak_memory_mb": 900,
        "environment": {"cpu": "Some CPU", "device": "cpu"},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(facts))


def test_rounded():
    numbers = {5.881: "5.88", 0.02907: "0.0291", 1260.4: "1260", 0.004: "0.004", 0: "0"}
    assert {value: rounded(value) for value in numbers} == numbers
    assert rounded(7.14e-6, 2) == "0.0000071"
    assert rounded(float("nan")) == "nan"


def test_the_page_sets_all_runs_beside_the_paper(tmp_path):
    for name in ERRORS:
        add_run(tmp_path, name)
    text = write_page(tmp_path).read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
             if line.startswith("| ")]  # fmt: skip
    assert table[0] == ["loss", "exact, cxcywh", "exact, xyxy", "published, cxcywh",
                        "paper's figure, by eye"]  # fmt: skip
    assert table[2] == ["giou", "0.0291", "1.79", "1.51", "≈1.5"]
    assert table[5] == ["my", "0.123", "–", "–", "–"]
    assert "It ends at 0.0291 million, not\n  1.51" in text
    assert "GIoU 1.79, DIoU 1.69, CIoU\n  1.41 million" in text
    assert "1,715,000 cases a loss; 49 s in all with 2 process(es) on\nSome CPU" in text
    assert "25.0%" in text
    assert "| 0.021 " in text
    (command,) = [line for line in text.splitlines() if "label: my" in line]
    assert shlex.split(command)[2:8] == [
        "simulate", "iou", "giou", "diou", "ciou", "{name: 'my_loss.py:MyLoss', label: my}",
    ]  # fmt: skip
    assert command.endswith("--gradient exact --steps cxcywh --points 5000 --seed 0")
    assert "## Speed" not in text


def test_without_both_gradients_nothing_is_said_of_the_paper(tmp_path):
    add_run(tmp_path, "exact-cxcywh")
    text = write_page(tmp_path).read_text(encoding="utf-8")
    assert "## Exact, published, paper" not in text
    assert "exact, xyxy" not in text
    add_run(tmp_path, "published-cxcywh")
    text = write_page(tmp_path).read_text(encoding="utf-8")
    assert "## Exact, published, paper" in text
    assert "What is descended matters" not in text


def test_speed_is_shown_where_it_was_measured(tmp_path):
    add_run(tmp_path, "exact-cxcywh")
    speed = {"loss": ["giou"], "cases": [32585], "seconds": [0.5], "plain_seconds": [3.1]}
    pd.DataFrame(speed | {"ratio": [6.24]}).to_csv(tmp_path / "speed.csv", index=False)
    text = write_page(tmp_path).read_text(encoding="utf-8")
    assert "| giou   | 32,585  | 0.50            | 3.10             | 6.2×           |" in text


def test_a_damaged_run_is_named(tmp_path):
    add_run(tmp_path, "exact-xyxy")
    (tmp_path / "exact-xyxy" / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"exact-xyxy: cannot be read .* simulate it again"):
        write_page(tmp_path)
