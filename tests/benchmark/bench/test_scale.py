from __future__ import annotations

import math
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchmark.bench import scale
from benchmark.bench.processes import measure
from benchmark.bench.scale import SIZES, STEPS, bench, sizes_up_to
from benchmark.bench.scale_page import render
from benchmark.bench.scale_rows import Measurement, Weight, exponent, weigh
from benchmark.bench.synthetic import Content
from benchmark.options import UserError

ENVIRONMENT = {
    "cpu": "a CPU",
    "cores": 2,
    "system": "Linux",
    "python": "3.11",
    "packages": {"pandas": "3"},
}


def test_the_sizes_hold_the_runs_they_are_named_after() -> None:
    assert {size: content.runs for size, content in SIZES.items()} == {n: n for n in SIZES}
    assert list(SIZES) == [100, 1000, 10_000]


def test_sizes_up_to_the_one_asked_for() -> None:
    assert sizes_up_to(1000) == [100, 1000]
    with pytest.raises(UserError, match=r"--cells: must be one of 100, 1000, 10000, got 50"):
        sizes_up_to(50)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_found_whatever_the_start(power: float) -> None:
    sizes = [100, 1000, 10_000]
    values = [7 + 0.01 * size**power for size in sizes]
    assert exponent(sizes, values) == pytest.approx(power)
    assert exponent([10, *sizes], [99, *values]) == pytest.approx(power)  # of the last three


def test_no_exponent_without_three_rising_values() -> None:
    assert math.isnan(exponent([1, 10], [1, 2]))
    assert math.isnan(exponent([1, 10, 100], [1, 1, 2]))
    assert math.isnan(exponent([1, 10, 100], [1, 3, 2]))


def test_time_and_memory_of_a_process_and_what_it_starts(tmp_path: Path) -> None:
    inner = "x = bytearray(60_000_000); [None for _ in range(10**7)]"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    used = measure([sys.executable, "-c", outer], "a loop")
    assert used.seconds > 0.01
    assert used.cpu_seconds > 0.05
    assert 60e6 < used.peak_bytes < 2e9


def test_a_process_that_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(UserError, match=r"the thing failed:\nsorry"):
        measure([sys.executable, "-c", "import sys; sys.exit('sorry')"], "the thing")


def test_files_of_runs_and_of_the_report_are_counted_apart(tmp_path: Path) -> None:
    for name, length in {
        "runs/a/config.yaml": 1000,
        "runs/a/history.csv": 500,
        "runs/b/config.yaml": 1500,
        "tables/summary.csv": 20_000,
        "charts/metric.png": 30_000,
        "report.json": 10_000,
        "report.html": 40_000,
        "cells.txt": 5,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * length)
    found = weigh(tmp_path, 2)
    assert (found.cells, found.files, found.folders) == (2, 3, 2)
    assert found.content_mb == pytest.approx(0.003)
    assert found.disk_mb > 0
    assert found.page_mb == pytest.approx(0.04)
    assert found.report_mb == pytest.approx(0.06)


def test_the_page_shows_each_step_with_its_growth() -> None:
    found = [Measurement(n, "plan", 1 + n / 100, n / 50, 50 + n) for n in SIZES]
    found += [Measurement(n, "status", 5 + n / 10_000, 1, 1) for n in SIZES]
    weights = [Weight(n, 7 * n, n, 1.5, 2.5, math.nan, 0.5) for n in SIZES]
    page = render(found, weights, SIZES, ENVIRONMENT, "python3 run.py bench scale")
    assert "| plan | 2.0 | 11.0 | 101.0 | 1.00 |" in page  # seconds
    assert "| plan | 2.0 | 20.0 | 200.0 | 1.00 |" in page  # of the CPU
    assert "| status | 5.0 | 5.1 | 6.0 |  |" in page
    assert "| plan | 150 | 1,050 | 10,050 | 1.00 |" in page
    assert "| 10,000 | 10,000 | 70,000 | 1.5 | 2.5 |" in page
    text = "1,000 runs: 10 losses × 10 repetitions × 5 data set(s) × 1 model(s) × 2 tasks, 50 epo"
    assert text in page


def test_every_command_is_measured_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Content(("a", "b"), repetitions=2, epochs=2, tasks=("detection",), broken=False)
    monkeypatch.setattr(scale, "SIZES", {4: few})
    kept = ("plan", "status", "collect", "report: page")
    monkeypatch.setattr(scale, "STEPS", {name: STEPS[name] for name in kept})
    bench(Console(quiet=True), [4], tmp_path, "python3 run.py bench scale")
    found = pd.read_csv(tmp_path / "scale.csv")
    assert found["step"].tolist() == list(kept)
    assert set(found["cells"]) == {4}
    assert (found["cpu_seconds"] > 0.1).all()
    assert found["peak_mb"].between(30, 5000).all()
    store = pd.read_csv(tmp_path / "store.csv").iloc[0]
    assert store["folders"] == 4
    assert store["files"] >= 4 * 5
    assert "4 runs: 2 losses" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert store["page_mb"] > 0.01


def test_a_wrong_size_is_a_message(cli, tmp_path: Path) -> None:
    done = cli("bench", "scale", "--cells", "7", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "--cells: must be one of 100, 1000, 10000, got 7" in done.stderr
    assert not (tmp_path / "out").exists()
