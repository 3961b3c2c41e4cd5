from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchmark.bench.report import PARTS, SIZES, _measure, bench
from benchmark.bench.synthetic import Content
from benchmark.options import UserError


def test_sizes_are_those_that_the_project_promises() -> None:
    assert [content.runs for content in SIZES] == [100, 1000]
    assert {content.epochs for content in SIZES} == {50}


def test_every_part_is_measured_and_written_down(tmp_path: Path) -> None:
    console = Console(record=True, width=120)
    few = Content(("a", "b"), repetitions=2, epochs=2, tasks=("detection",), tuning=True)
    bench(console, [few], tmp_path, "python3 run.py bench report")
    found = pd.read_csv(tmp_path / "report.csv")
    assert found["part"].tolist() == list(PARTS)
    assert set(found["runs"]) == {4}
    assert set(found["tuning"]) == {6}
    assert (found["seconds"] > 0.2).all()
    assert found["peak_mb"].between(50, 5000).all()
    assert found["page_mb"].notna().tolist() == [False, True, True]
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "4 runs: 2 losses × 2 repetitions × 1 data sets × 1 tasks, 2 epochs each" in page
    assert "python3 run.py bench report" in page
    assert page.count("| everything |") == console.export_text().count("everything") == 1


def test_a_report_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the report failed:\nerror: "):
        _measure(tmp_path, ["tables"])
