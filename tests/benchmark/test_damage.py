"""Ended runs with damaged files are found, kept, and trained again."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmark.damage import damage, set_damaged_aside
from benchmark.migrations import NewerFile
from benchmark.runner import PlannedCell
from benchmark.store import RunFolder, write_json

ROWS = [{"epoch": epoch, "mIoU": 0.1 * epoch, "seconds": 1.0} for epoch in range(4)]
OUTCOME = {"status": "done", "metrics": {"mIoU": 0.3}, "seconds": 3.0, "train_seconds": 2.0}
ENVIRONMENT = {"python": "3.11", "packages": {}}


@pytest.fixture
def ended(tmp_path, make_cell):
    """A run of three epochs that has ended, as planned."""
    cell = make_cell("segmentation", epochs=3)
    folder = RunFolder(tmp_path / "runs" / cell.slug)
    folder.begin(cell, ENVIRONMENT)
    folder.write_history(ROWS)
    folder.write_details({"version": 1})
    folder.finish(OUTCOME)
    return PlannedCell(cell, folder, 9)


def look(planned: PlannedCell) -> str:
    console = Console(file=io.StringIO(), width=200)
    set_damaged_aside(console, [planned])
    return console.file.getvalue()


def cut(folder: RunFolder, name: str, by: int) -> None:
    file = folder.path / name
    file.write_bytes(file.read_bytes()[:-by])


def test_a_whole_run_stays_as_it_is(ended):
    assert damage(ended.folder, 3) == []
    assert look(ended) == ""
    assert ended.folder.status() == "done"


@pytest.mark.parametrize(
    "name", ["history.csv", "metrics.json", "details.json", "environment.json"]
)
@pytest.mark.parametrize("by", [3, 12])
def test_a_file_cut_short_is_damage(ended, name, by):
    cut(ended.folder, name, by)
    assert damage(ended.folder, 3) == [name]


def test_a_history_cut_between_two_lines_is_damage(ended):
    ended.folder.write_history(ROWS[:-1])
    assert damage(ended.folder, 3) == ["history.csv"]
    ended.folder.write_history([*ROWS, ROWS[-1]])  # an epoch twice
    assert damage(ended.folder, 3) == ["history.csv"]


def test_every_length_of_a_history_but_the_whole_is_damage(ended):
    file = ended.folder.path / "history.csv"
    whole = file.read_bytes()
    for length in range(1, len(whole)):
        file.write_bytes(whole[:length])
        assert damage(ended.folder, 3) == ["history.csv"], whole[:length]


def test_the_history_of_a_run_that_diverged_ends_where_it_did(ended):
    ended.folder.write_history(ROWS[:-1])
    ended.folder.finish({**OUTCOME, "status": "diverged", "diverged_at": {"epoch": 2, "step": 1}})
    assert damage(ended.folder, 3) == []


def test_what_was_deleted_is_no_damage(ended):
    (ended.folder.path / "history.csv").unlink()
    (ended.folder.path / "details.json").unlink()
    assert damage(ended.folder, 3) == []


def test_a_run_that_has_not_ended_has_none(ended):
    cut(ended.folder, "history.csv", 3)
    (ended.folder.path / "metrics.json").unlink()
    assert damage(ended.folder, 3) == []


def test_a_damaged_run_is_kept_beside_the_runs_and_planned_again(ended, tmp_path):
    cut(ended.folder, "metrics.json", 5)
    damaged = (ended.folder.path / "metrics.json").read_bytes()
    text = look(ended)
    assert "metrics.json" in text
    assert "trained again" in text
    assert ended.folder.status() == "pending"
    assert ended.folder.config() == ended.cell
    kept = tmp_path / "damaged" / ended.folder.path.name
    assert (kept / "metrics.json").read_bytes() == damaged
    assert RunFolder(kept).history() == ROWS
    assert str(kept) in text


def test_what_is_set_aside_later_lies_beside_what_was_before(ended, tmp_path):
    name = ended.folder.path.name
    contents = {name: "{", f"{name}-2": "{{", f"{name}-3": "{{{"}
    for place, content in contents.items():
        (ended.folder.path / "metrics.json").write_text(content)
        assert str(tmp_path / "damaged" / place) in look(ended)
    for place, content in contents.items():
        assert (tmp_path / "damaged" / place / "metrics.json").read_text() == content


def test_a_run_that_somebody_else_is_at_work_on_is_left_to_them(ended):
    cut(ended.folder, "metrics.json", 5)
    with ended.folder.lock() as mine:
        assert mine
        assert look(ended) == ""
    assert (ended.folder.path / "history.csv").exists()


def test_a_file_of_a_newer_version_is_no_damage(ended):
    write_json(ended.folder.path / "metrics.json", {"schema": 99, **OUTCOME})
    with pytest.raises(NewerFile, match="newer"):
        look(ended)
    assert json.loads((ended.folder.path / "metrics.json").read_text())["schema"] == 99
