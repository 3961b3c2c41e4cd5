"""What is noted of the place a run is trained in, and which of it may change numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmark import environment
from benchmark.environment import describe, differences, rounds_otherwise

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def test_it_is_plain_json_and_of_this_process():
    found = describe(CPU)
    assert json.loads(json.dumps(found)) == found
    assert found["threads"] == torch.get_num_threads()
    assert found["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert found["device"] == "cpu"
    assert "cuda" not in found


def test_instructions_that_a_variable_forbids_are_noted():
    code = "import json, torch; from benchmark.environment import describe; "
    code += "print(json.dumps(describe(torch.device('cpu'))))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
        check=True,
    )
    other = json.loads(done.stdout)
    assert other["variables"]["ATEN_CPU_CAPABILITY"] == "default"
    here = describe(CPU)
    assert other["capability"] != here["capability"]
    changed = differences(here, other)
    assert changed["capability"] == (here["capability"], other["capability"])
    assert {"capability", "variables"} <= set(rounds_otherwise(changed))


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A repository of two files, of which one is code."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    for name in ("run.py", "notes.md"):
        (tmp_path / name).write_text("one\n")
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def state() -> tuple[str | None, str | None]:
    found = describe(CPU)
    return found["commit"], found["changes"]


def test_changes_of_the_code_have_a_hash_of_their_own(clone):
    commit, changes = state()
    assert len(commit) == 40
    assert changes is None
    (clone / "run.py").write_text("two\n")
    dirty, first = state()
    assert dirty == f"{commit}+changes"
    (clone / "run.py").write_text("three\n")
    second = state()[1]
    assert len(first) == len(second) == 12
    assert first != second
    (clone / "run.py").write_text("two\n")
    assert state() == (dirty, first)


def test_a_change_of_what_is_no_code_has_no_hash(clone):
    (clone / "notes.md").write_text("two\n")
    commit, changes = state()
    assert commit.endswith("+changes")
    assert changes is None


def test_outside_of_a_clone_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert state() == (None, None)


def test_differences_look_at_what_was_recorded_then():
    then = {
        "cpu": "A",
        "cores": 2,
        "commit": "c",
        "packages": {"torch": "2.6", "numpy": "2"},
        "data": {"train": "x"},
    }
    now = {
        "cpu": "B",
        "cores": 4,
        "commit": "d",
        "capability": "AVX2",
        "packages": {"torch": "2.15", "numpy": "2"},
        "data": {"train": "y"},
    }
    found = differences(then, now)
    assert found == {
        "cpu": ("A", "B"),
        "cores": (2, 4),
        "commit": ("c", "d"),
        "torch": ("2.6", "2.15"),
    }
    assert rounds_otherwise(found) == ["cpu", "torch"]
    assert differences(then, then) == {}
