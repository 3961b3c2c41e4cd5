"""One page over all reports in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.options import UserError
from benchmark.report.page.index import write_index


def write_report(folder: Path, **changes: object) -> None:
    folder.mkdir()
    run = {"task": "detection", "dataset": "cells", "loss": "giou", "status": "done"}
    content = {
        "description": "What it is about",
        "headlines": [{"lead": "GIoU cannot be told from IoU."}],
        "runs": [
            {**run, "seconds": 1800.0},
            {**run, "loss": "iou", "status": "diverged", "seconds": None},
        ],
        "tuning": [{"seconds": 3600.0}],
        **changes,
    }
    (folder / "report.json").write_text(json.dumps(content))
    (folder / "report.html").write_text("<p>")


def test_every_report_is_named_linked_and_quoted(tmp_path):
    write_report(tmp_path / "b")
    write_report(tmp_path / "a b", headlines=[{"lead": "<b>bold</b>"}])
    page = write_index(tmp_path).read_text()
    assert page.index('href="a%20b/report.html"') < page.index('href="b/report.html"')
    assert page.count("What it is about") == 2
    assert "GIoU cannot be told from IoU." in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    # 2 losses, 2 runs, 1 not done, half an hour of runs and one of tuning
    cells = [">2</td>", ">2</td>", ">1</td>", ">1.5</td>"]
    place = 0
    for cell in cells:
        place = page.index(cell, place) + 1
    assert 'class="filter"' not in page


def test_a_folder_without_reports(tmp_path):
    with pytest.raises(UserError, match="no folder in it holds a report"):
        write_index(tmp_path)


def test_the_command(tmp_path, cli):
    write_report(tmp_path / "one")
    done = cli("index", ".")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").exists()
    assert cli("index", "one").returncode == 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"description": None}, "description"),
        ({"headlines": {}}, "headlines"),
        ({"runs": [{"seconds": 1.0}]}, "runs.task"),
        ({"tuning": [{}]}, "tuning.seconds"),
        ({"tuning": [{"seconds": "long"}]}, "tuning.seconds"),
    ],
)
def test_a_report_of_another_form_is_named(tmp_path, changes, named):
    write_report(tmp_path / "one", **changes)
    with pytest.raises(UserError, match=rf"one/report\.json: '{named}' is missing or of a wrong"):
        write_index(tmp_path)


def test_an_empty_report_is_named(tmp_path):
    write_report(tmp_path / "one")
    (tmp_path / "one" / "report.json").write_text("{}")
    with pytest.raises(UserError, match=r"one/report\.json: .*delete the file"):
        write_index(tmp_path)
