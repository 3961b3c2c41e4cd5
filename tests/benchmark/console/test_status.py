from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.bench.synthetic import Content, build_store
from benchmark.console import status
from benchmark.console.status import print_status
from benchmark.store import Store

CONTENT = Content(("a", "b", "c"), repetitions=3, epochs=4, tasks=("detection",))
"""A diverged run (of c), one that failed (of b), seven that are done."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The failed run is as if it had not begun."""
    store = build_store(tmp_path / "runs", CONTENT)
    for folder in store.run_folders():
        folder.forget_failure()
    return store


def told(store: Store) -> tuple[list[str], int]:
    """The lines that the status is told in, and the number of failed runs."""
    text = io.StringIO()
    failed = print_status(Console(file=text, width=200), store)
    return text.getvalue().splitlines(), failed


def test_each_run_has_a_line_with_its_epochs(store: Store) -> None:
    lines, failed = told(store)
    assert failed == 0
    rows = {line.split()[0]: line.split()[1:3] for line in lines[1:10]}
    assert sorted(map(tuple, rows.values())) == sorted(
        [("done", "4/4")] * 7 + [("diverged", "1/4"), ("pending", "0/4")]
    )
    assert lines[10:] == ["7 done, 1 pending, 1 diverged"]


def test_a_failure_that_cannot_be_read_hides_no_other_run(store: Store) -> None:
    pending = next(one for one in store.run_folders() if one.status() == "pending")
    (pending.path / "failure.json").write_text('{"error": "killed by SIG')
    lines, failed = told(store)
    assert failed == 1
    assert "7 done, 1 failed, 1 diverged" in lines
    row, reason = [line for line in lines if line.startswith(pending.path.name)]
    assert row.split()[1:3] == ["failed", "0/4"]
    assert reason.startswith(f"{pending.path.name}: why it failed cannot be read: ")


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml", "history.csv"])
def test_a_damaged_run_hides_no_other_run(store: Store, name: str) -> None:
    done = next(one for one in store.run_folders() if one.status() == "done")
    (done.path / name).write_bytes(b"\xff{")
    lines, failed = told(store)
    assert failed == 1
    (counts,) = (line for line in lines if " done, " in line)
    assert set(counts.split(", ")) == {"6 done", "1 damaged", "1 pending", "1 diverged"}
    row, reason = [line for line in lines if line.startswith(done.path.name)]
    assert row.split()[1] == "damaged"
    assert name in reason
    assert lines[-1] == "`run` trains the damaged runs again"


def test_of_many_runs_only_those_with_a_remark_are_listed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "MANY", 8)
    lines, _ = told(store)
    assert len(lines) == 4
    assert "diverged" in lines[1]
    assert "not finite in epoch 1, step 7" in lines[1]
    assert lines[2:] == [
        "8 runs that are done or pending are not listed",
        "7 done, 1 pending, 1 diverged",
    ]


def test_no_heading_without_a_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "MANY", 1)
    for folder in store.run_folders():
        if folder.status() == "diverged":
            (folder.path / "metrics.json").unlink()
    lines, _ = told(store)
    assert lines == ["9 runs that are done or pending are not listed", "7 done, 2 pending"]
