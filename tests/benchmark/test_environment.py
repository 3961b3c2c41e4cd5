"""What is noted of the place a run is trained in, and which of it may change numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
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
    code += f"torch.set_num_threads({torch.get_num_threads()}); "
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
    assert rounds_otherwise(changed) == ["capability"]


def test_a_variable_whose_effect_is_not_seen_elsewhere_is_a_difference():
    one, other = {"MKL_CBWR": "AVX2"}, {"MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    found = differences({"variables": one}, {"variables": other})
    assert found == {"variables": (one, other)}
    assert rounds_otherwise(found) == ["variables"]


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


def test_code_that_git_does_not_know_of_counts(clone):
    commit, _ = state()
    (clone / "losses").mkdir()
    new = clone / "losses" / "own.py"
    new.write_text("one\n")
    dirty, first = state()
    assert dirty == f"{commit}+changes"
    new.write_text("two\n")
    second = state()[1]
    new.rename(clone / "losses" / "other.py")
    third = state()[1]
    (clone / "run.py").write_text("two\n")
    assert len({first, second, third, state()[1]}) == 4
    (clone / ".gitignore").write_text("other.py\n")
    (clone / "notes.txt").write_text("no code\n")
    (clone / "run.py").write_text("one\n")
    assert state() == (commit, None)


def test_of_a_large_file_that_git_does_not_know_of_the_size_counts(clone, monkeypatch):
    monkeypatch.setattr(environment, "LARGEST", 3)
    (clone / "datasets").mkdir()
    found = []
    for content in ("1234", "4321", "12345"):
        (clone / "datasets" / "archive").write_text(content)
        found.append(state()[1])
    assert found[0] == found[1] != found[2]


def test_a_pipe_that_git_does_not_know_of_is_not_waited_on(clone):
    (clone / "losses").mkdir()
    os.mkfifo(clone / "losses" / "pipe")
    (clone / "losses" / "gone.py").symlink_to("nowhere")
    assert state()[1] is not None


def test_what_is_installed_beyond_the_least_is_noted(monkeypatch):
    installed = {"pillow", "safetensors", "timm", "torch"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return f"1 of {name}"

    monkeypatch.setattr(environment, "version", version)
    assert describe(CPU)["packages"] == {name: f"1 of {name}" for name in installed}
    installed |= {"faster-coco-eval", "segmentation-models-pytorch"}
    assert set(describe(CPU)["packages"]) == installed


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
