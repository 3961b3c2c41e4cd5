"""``status --watch``: what it shows of a grid at work, and when it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.console.watching import Watcher, seconds_left, watch_status
from benchmark.executors.on_slurm.records import Submission
from benchmark.options import UserError
from benchmark.store import RunFolder, Store
from benchmark.store.at_work import at_work as command_at_work

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(make_cell, tmp_path):
    """Six runs of 4 epochs: two done, one diverged, one failed, two pending."""
    store = Store(tmp_path / "grid")
    for i in range(6):
        cell = make_cell(repetition=i, epochs=4)
        store.run_folder(cell).plan(cell)
    folders = store.run_folders()
    for folder, seconds in zip(folders[:2], (30.0, 50.0), strict=True):
        folder.finish({"status": "done", "metrics": {"AP": 0.5}, "seconds": seconds})
    diverged_at = {"epoch": 1, "step": 1}
    folders[2].finish({"status": "diverged", "diverged_at": diverged_at, "seconds": 10.0})
    folders[3].fail("killed")
    return store


def at_work(folder: RunFolder, epochs: int, began: float, wrote: float, trained: float) -> None:
    """Files of a run that began and wrote its history at these times."""
    cell = folder.config()
    folder.begin(cell, {})
    rows = [{"epoch": 0, "seconds": 0.0, "AP": 0.01}]
    rows += [
        {"epoch": e, "seconds": trained * e / epochs, **({"AP": 0.1 * e} if e % 2 == 0 else {})}
        for e in range(1, epochs + 1)
    ]
    folder.write_history(rows)
    os.utime(folder.path / "environment.json", (began, began))
    os.utime(folder.path / "history.csv", (wrote, wrote))


def text(watcher: Watcher, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=100, height=height, color_system=None)
    watcher.look()
    console.print(watcher.shown(height))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_runs_are_counted_and_those_at_work_shown(store):
    now = time.time()
    folder = store.run_folders()[4]
    at_work(folder, epochs=3, began=now - 60, wrote=now, trained=40)
    watcher = Watcher(store)
    with folder.lock():
        first, heading, row = text(watcher).splitlines()
    assert first.startswith("grid: 2 done, 1 diverged, 1 failed, 1 running, 1 pending; about ")
    # 20 s an epoch, one to go; then the failed and the pending one, 30 s each as the three before.
    assert first.endswith("about 1 min 20 s left")
    assert heading.split() == ["run", "epoch", "validation", "left"]
    assert row.split() == [folder.path.name, "3/4", "AP", "20.0", "%", "0", "min", "20", "s"]
    assert text(watcher) == "grid: 2 done, 1 diverged, 1 failed, 2 pending\n"


def test_a_damaged_run_is_counted_as_such(store):
    (store.run_folders()[0].path / "metrics.json").write_text('{"status": "do')
    assert text(Watcher(store)).startswith("grid: 1 damaged, 1 done, 1 diverged")


def test_what_has_ended_is_read_once_and_again_when_it_is_cleared(store, monkeypatch):
    watcher = Watcher(store)
    text(watcher)
    reads = []
    outcome = RunFolder.outcome
    monkeypatch.setattr(RunFolder, "outcome", lambda f: reads.append(f.path) or outcome(f))
    text(watcher)
    done = store.run_folders()[0]
    assert done.path not in reads
    (done.path / "metrics.json").unlink()
    text(watcher)
    assert watcher.counts == {"pending": 3, "done": 1, "diverged": 1, "failed": 1}


@pytest.mark.parametrize(
    ("epochs", "began", "wrote", "trained", "expected"),
    [
        (2, 100.0, 160.0, 40.0, 60.0),  # 30 s an epoch with its evaluation, 2 to go
        (2, 130.0, 160.0, 40.0, 40.0),  # taken up again: the training time is more
        (4, 100.0, 160.0, 40.0, 0.0),
        (0, 100.0, 160.0, 0.0, None),
    ],
)
def test_seconds_left(store, epochs, began, wrote, trained, expected):
    folder = store.run_folders()[4]
    at_work(folder, epochs, began, wrote, trained)
    history = folder.history()
    assert seconds_left(folder, history, 4, now=160.0) == expected
    if expected:  # what has gone by since the last epoch is over
        assert seconds_left(folder, history, 4, now=170.0) == expected - 10
        assert seconds_left(folder, history, 4, now=9999.0) == 0.0


@pytest.mark.parametrize("height", [5, 6, 30])
def test_no_more_lines_than_the_terminal_has(store, height):
    folders = store.run_folders()[3:]
    with ExitStack() as locks:
        for folder in folders:
            folder.begin(folder.config(), {})
            locks.enter_context(folder.lock())
        lines = text(Watcher(store), height).splitlines()
    assert len(lines) < height
    assert len([line for line in lines if "0/4" in line]) == min(3, max(1, height - 4))
    assert ("3 at work, " in lines[1]) == (height < 7)


OVER = "no run is at work, and no `run` command or task of Slurm that may start one\n"


def watched(store: Store, monkeypatch, *after_look: Callable[[], object]) -> tuple[list[int], str]:
    """Watch to the end, with something done after each look.

    Gives the number of runs at work at each look, and what was printed at last.
    """
    looks: list[int] = []
    left = list(after_look)
    look = Watcher.look

    def go_on(watcher: Watcher) -> None:
        look(watcher)
        looks.append(len(watcher.running))
        if left:
            left.pop(0)()

    monkeypatch.setattr(Watcher, "look", go_on)
    console = Console(file=io.StringIO(), width=100)
    watch_status(console, store, every=0.0)
    return looks, console.file.getvalue()  # type: ignore[attr-defined]


def nothing() -> None:
    """Nothing happens between two looks."""


def test_it_ends_when_nothing_is_at_work(store, monkeypatch):
    folder = store.run_folders()[4]
    folder.begin(folder.config(), {})
    before = {path: path.stat().st_mtime_ns for path in store.path.rglob("*") if path.is_file()}
    with ExitStack() as held:
        held.enter_context(folder.lock())
        looks, told = watched(store, monkeypatch, nothing, nothing, held.close)
    assert looks == [1, 1, 1, 0]
    assert told.endswith(OVER)
    after = {path: path.stat().st_mtime_ns for path in store.path.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed <= {".lock"}


def test_it_goes_on_while_a_command_is_at_work_without_a_run(store, monkeypatch):
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(command_at_work(store.path))
        second.enter_context(command_at_work(store.path))
        _, line = text(Watcher(store)).splitlines()
        assert line == "`run` is at work: it prepares the data or the next runs, or reports"
        looks, told = watched(store, monkeypatch, nothing, first.close, nothing, second.close)
    assert looks == [0] * 5
    assert told.endswith(OVER)


def test_it_goes_on_while_tasks_wait_in_the_queue(store, monkeypatch):
    done, *_, failed, waiting, _ = store.run_folders()
    submission = Submission.new(store.path, "lossbench-x")
    submission.write({"1_0": done.path, "1_1": failed.path, "1_2": waiting.path})
    _, line = text(Watcher(store)).splitlines()
    assert line == "1 submitted to Slurm, not at work (see `squeue --me`)"

    def finish() -> None:
        waiting.finish({"status": "done", "seconds": 5.0})

    with ExitStack() as held:
        begin = partial(held.enter_context, waiting.lock())
        looks, told = watched(store, monkeypatch, nothing, begin, held.close, finish)
    assert looks == [0, 0, 1, 0, 0]
    assert told.endswith(OVER)


def test_a_damaged_record_is_named(store):
    submission = Submission.new(store.path, "lossbench-x")
    submission.files.mkdir(parents=True)
    submission.record.write_text("{}")
    with pytest.raises(UserError, match=r"lossbench-x/tasks\.json: 'tasks' must be a mapping"):
        Watcher(store).look()


def test_ctrl_c_ends_it_well(store, monkeypatch):
    folder = store.run_folders()[4]
    folder.begin(folder.config(), {})
    with folder.lock():
        looks, told = watched(
            store, monkeypatch, nothing, partial(signal.raise_signal, signal.SIGINT)
        )
    assert looks == [1, 1]
    assert "1 running" in told
    assert OVER not in told


def test_the_command_follows_a_grid_to_its_end(store):
    folder = store.run_folders()[4]
    folder.begin(folder.config(), {})
    with folder.lock():
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), "status", str(store.path), "--watch"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TTY_COMPATIBLE": "1", "COLUMNS": "120", "TERM": "xterm"},
        )
        assert process.stdout is not None
        while "1 running" not in (line := process.stdout.readline()):
            assert line, process.communicate()[1]
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    assert told.endswith(OVER)
