"""What is shown of a grid at work."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.console.display import GridDisplay, shown_warnings
from benchmark.executors import Event, Job
from benchmark.runner import PlannedCell
from benchmark.store import RunFolder
from benchmark.training.loop import Progress


@pytest.fixture
def planned(make_cell, tmp_path: Path) -> list[PlannedCell]:
    cells = [make_cell(repetition=i) for i in range(2)]
    return [
        PlannedCell(cell, RunFolder(tmp_path / f"r{i}"), steps=10) for i, cell in enumerate(cells)
    ]


def job(one: PlannedCell) -> Job:
    return Job(one.cell, one.folder.path, {})


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def shown(display: GridDisplay) -> str:
    with display.console.capture() as capture:
        display.console.print(display._render())
    return capture.get()


def finish(one: PlannedCell, outcome: dict) -> None:
    one.folder.begin(one.cell, {})
    one.folder.finish(outcome)


@pytest.fixture
def earlier(make_cell, tmp_path: Path) -> list[PlannedCell]:
    """Three runs that had ended: two done, one diverged."""
    found = []
    for i, outcome in enumerate(
        [
            {"status": "done", "metrics": {"AP": 0.2}},
            {"status": "done", "metrics": {"AP": 0.3}},
            {"status": "diverged"},
        ]
    ):
        cell = make_cell(repetition=i, loss="iou")
        found.append(PlannedCell(cell, RunFolder(tmp_path / f"before{i}"), steps=10))
        finish(found[-1], {**outcome, "seconds": 1.0})
    return found


def test_a_terminal_sees_each_run_at_work(planned, earlier):
    display = GridDisplay(console(True), planned, earlier)
    display(Event(job(planned[0]), "started"))
    assert "3/5" in shown(display)
    assert "starting" in shown(display)
    display(Event(job(planned[0]), "progress", Progress(2, 4, 0.5, loss=1.25, metric=0.333)))
    display(Event(job(planned[0]), "progress", Progress(3, 4, 0.6, loss=1.125)))
    text = shown(display)
    assert "shapes / giou / repetition 0" in text
    assert "3/4" in text
    assert "1.125" in text
    assert "AP 33.3 %" in text  # of the last evaluation
    finish(planned[0], {"status": "done", "metrics": {"AP": 0.4}, "seconds": 2.0})
    display(Event(job(planned[0]), "ended"))
    assert "4/5" in shown(display)
    assert "repetition 0" not in shown(display)


def test_time_left_goes_by_the_work_done_here(planned):
    display = GridDisplay(console(True), planned, [])
    display.started -= 10
    # Taken up at the end of epoch 2 of 4, so a quarter of one run took these 10 seconds; a
    # quarter of it and the whole of the other are left: 5 quarters, 50 seconds.
    display(Event(job(planned[0]), "progress", Progress(3, 4, 0.75)))
    assert display._left() == "about 0 min 50 s left"


def test_a_log_gets_one_line_a_run(planned):
    display = GridDisplay(console(False), planned, [])
    with display:
        finish(planned[0], {"status": "done", "metrics": {"AP": 0.4}, "seconds": 2.0})
        display(Event(job(planned[0]), "ended"))
        planned[1].folder.fail("killed by SIGKILL")
        display(Event(job(planned[1]), "ended"))
    lines = display.console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith("1/2 r0 AP 40.0 %, 2 s;")
    assert lines[1] == "failed r1: killed by SIGKILL"


def test_a_failure_that_cannot_be_read_ends_nothing(planned):
    display = GridDisplay(console(False), planned, [])
    (planned[0].folder.path).mkdir()
    (planned[0].folder.path / "failure.json").write_text("{")
    display(Event(job(planned[0]), "ended"))
    told = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert told.startswith("failed r0: why it failed cannot be read: ")


def test_a_terminal_sees_how_the_losses_stand(planned, earlier):
    display = GridDisplay(console(True), planned, earlier)
    lines = shown(display).splitlines()
    assert lines[1].split() == ["loss", "runs", "lost", "mean", "on", "test"]
    assert lines[2].split("tiny_fcos / ")[1].split() == ["iou", "3/3", "1", "AP", "25.0", "%"]
    assert lines[3].split("tiny_fcos / ")[1].split() == ["giou", "0/2"]
    finish(planned[0], {"status": "done", "metrics": {"AP": 0.4}, "seconds": 2.0})
    display(Event(job(planned[0]), "started"))
    display(Event(job(planned[0]), "ended"))
    assert "giou" in shown(display)
    assert "AP 40.0 %" in shown(display)


def test_tuning_shows_the_best_on_validation(make_cell, tmp_path):
    cells = [
        make_cell(repetition=0).model_copy(update={"stage": "tuning", "tuned": {"weight": w}})
        for w in (1.0, 2.0)
    ]
    planned = [
        PlannedCell(cell, RunFolder(tmp_path / f"t{i}"), steps=10) for i, cell in enumerate(cells)
    ]
    display = GridDisplay(console(True), planned, [], title="tuning")
    for one, value in zip(planned, (0.3, 0.1), strict=True):
        finish(one, {"status": "done", "metrics": {}, "validation": {"AP": value}, "seconds": 1.0})
        display(Event(job(one), "ended"))
    text = shown(display)
    assert "tuning" in text
    assert "best on validation" in text
    assert "AP 30.0 %" in text


@pytest.mark.parametrize("height", [3, 5, 8, 30])
def test_the_panel_is_never_higher_than_the_terminal(make_cell, tmp_path, height):
    losses = ("iou", "giou", "diou", "ciou", "smooth_l1", "l1")
    planned = [
        PlannedCell(make_cell(loss=loss), RunFolder(tmp_path / loss), steps=10) for loss in losses
    ]
    small = Console(
        file=io.StringIO(), force_terminal=True, width=120, height=height, color_system=None
    )
    display = GridDisplay(small, planned, [])
    lines = shown(display).splitlines()
    assert len(lines) <= height
    assert (f"and {len(losses) - (height - 4)} more" in lines[-1]) == (height in (5, 8))
    assert ("smooth_l1" in "".join(lines)) == (height == 30)


def test_a_narrow_terminal_names_the_loss_alone(planned, earlier):
    narrow = Console(file=io.StringIO(), force_terminal=True, width=40, color_system=None)
    display = GridDisplay(narrow, planned, earlier)
    standing = shown(display).splitlines()[-2:]
    assert [line.split()[0] for line in standing] == ["iou", "giou"]
    assert all(len(line) <= 40 for line in standing)


def test_no_line_of_a_log_is_broken(planned, tmp_path, make_cell):
    name = "long-" * 60
    one = PlannedCell(make_cell(), RunFolder(tmp_path / name[:200]), steps=10)
    display = GridDisplay(console(False), [one], [])
    for outcome in ({"status": "done", "metrics": {"AP": 0.4}, "seconds": None}, None):
        if outcome is None:
            (one.folder.path / "metrics.json").unlink()
            one.folder.fail("a reason " * 30)
        else:
            finish(one, outcome)
        display(Event(job(one), "ended"))
    one.folder.finish({"status": "diverged"})
    display(Event(job(one), "ended"))
    with shown_warnings(display.console):
        warnings.warn("many words " * 30, UserWarning, stacklevel=1)
    lines = display.console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[0] for line in lines] == ["1/1", "failed", "diverged", "warning:"]


def test_a_terminal_sees_why_runs_wait_and_no_longer_than_they_do(planned):
    display = GridDisplay(console(True), planned, [])
    for one in planned:
        display(Event(job(one), "waiting", detail="no GPU is free"))
    assert "2 waiting: no GPU is free" in shown(display)
    display(Event(job(planned[0]), "started"))
    assert "1 waiting: no GPU is free" in shown(display)
    display(Event(job(planned[1]), "started"))
    assert "waiting" not in shown(display)


def test_a_log_says_once_for_each_reason_that_a_run_waits(planned):
    display = GridDisplay(console(False), planned, [])
    for _ in range(3):
        for one in planned:
            display(Event(job(one), "waiting", detail="no GPU is free"))
    display(Event(job(planned[1]), "waiting", detail="[memory] is short"))
    lines = display.console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == ["waiting r0: no GPU is free", "waiting r1: [memory] is short"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_that_is_tried_again_is_told_with_the_reason(planned, terminal):
    display = GridDisplay(console(terminal), planned, [])
    display(Event(job(planned[0]), "started"))
    display(Event(job(planned[0]), "progress", Progress(2, 4, 0.5)))
    display(Event(job(planned[0]), "retried", detail="its node was lost"))
    text = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert "again r0: its node was lost" in text
    assert "repetition 0" not in shown(display)  # it is not at work
    assert "0/2" in shown(display)  # nor has it ended


def test_work_done_before_a_retry_counts_for_the_time_left(planned):
    display = GridDisplay(console(True), planned, [])
    display.started -= 10
    for kind, progress in [
        ("started", None),
        ("progress", Progress(1, 4, 0.25)),
        ("progress", Progress(2, 4, 0.5)),
        ("retried", None),
        ("started", None),
        ("progress", Progress(2, 4, 0.25)),
    ]:
        display(Event(job(planned[0]), kind, progress))
    # A quarter of a run stands after 10 seconds; 7 quarters are left.
    assert display._left() == "about 1 min 10 s left"


@pytest.mark.parametrize("height", [6, 8, 30])
def test_reasons_to_wait_leave_the_panel_within_the_terminal(planned, earlier, height):
    small = Console(
        file=io.StringIO(), force_terminal=True, width=60, height=height, color_system=None
    )
    display = GridDisplay(small, planned, earlier)
    display(Event(job(planned[0]), "waiting", detail="a long reason " * 20))
    display(Event(job(planned[1]), "waiting", detail="another reason"))
    lines = shown(display).splitlines()
    assert len(lines) <= height
    assert sum("waiting" in line for line in lines) == 2
