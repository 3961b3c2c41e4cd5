"""The record of a submission: what it keeps, and whatever else may lie in its place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.executors.on_slurm.records import Submission, submissions, submitted
from benchmark.options import UserError
from benchmark.store import RunFolder


def test_a_record_is_read_as_it_was_written(tmp_path):
    submission = Submission.new(tmp_path, "lossbench-x")
    tasks = {"12_0": tmp_path / "runs" / "a", "12_1": tmp_path / "tuning" / "b"}
    submission.write(tasks)
    assert submissions(tmp_path) == [submission]
    assert submission.tasks() == tasks


def test_runs_that_have_not_ended_are_submitted(tmp_path):
    names = ["waits", "done", "failed"]
    folders = {str(i): tmp_path / "runs" / name for i, name in enumerate(names)}
    Submission.new(tmp_path, "lossbench-x").write(folders)
    RunFolder(folders["1"]).finish({"status": "done"})
    RunFolder(folders["2"]).fail("no")
    assert submitted(tmp_path) == {folders["0"]}


def test_a_record_that_another_command_removes_is_empty(tmp_path):
    assert Submission.new(tmp_path, "gone").tasks() == {}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{}", "'tasks' must be a mapping"),
        ('{"tasks": ["runs/a"]}', "'tasks' must be a mapping"),
        ('{"tasks": {"7": 3}}', "'tasks.7' must be a run folder such as 'runs/NAME', not 3"),
        ('{"tasks": {"7": "/etc/x"}}', "'tasks.7' must be a run folder"),
        ('{"tasks": {"7": "runs/.."}}', "'tasks.7' must be a run folder"),
        ('{"tasks": {"7": "../runs/x"}}', "'tasks.7' must be a run folder"),
        ('{"tasks": ', "cannot be read as JSON"),
        ("[]", "must hold a JSON object"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, content, part):
    submission = Submission.new(tmp_path, "lossbench-x")
    submission.files.mkdir(parents=True)
    submission.record.write_text(content)
    with pytest.raises(UserError) as caught:
        submission.tasks()
    assert str(caught.value).startswith(f"{submission.record}: {part}")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("runs/a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.one_of(ANY, st.builds(lambda tasks: {"tasks": tasks}, ANY)).map(json.dumps) | st.text())
def test_whatever_lies_there_is_read_or_named(content):
    with tempfile.TemporaryDirectory() as place:
        submission = Submission.new(Path(place), "lossbench-x")
        submission.files.mkdir(parents=True)
        submission.record.write_text(content, encoding="utf-8", errors="replace")
        refused, runs = "", []
        try:
            runs = list(submission.tasks().values())
        except UserError as error:
            refused = str(error)
        assert not refused or refused.startswith(f"{submission.record}: ")
        assert {run.parent for run in runs} <= {Path(place, "runs"), Path(place, "tuning")}
