"""`.ci/audit.py`: a hole fails, nobody to ask does not; both are said."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / ".ci" / "audit.py"
HOLE = {"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": "bad"}
SAFE, OPEN = {"vulns": []}, {"vulns": [HOLE]}
SKIPPED = {"skip_reason": "not found"}


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    file = tmp_path / "constraints.txt"
    file.write_text("# Tested.\none==1.0\n\ntwo==2.0  # not 3\n")
    return file


class Programs:
    """Stand in for pip and pip-audit: what they know of each package, and with what they end."""

    def __init__(self, known: dict[str, Any], **ends: int) -> None:
        self.known, self.ends = known, ends
        self.asked: list[list[str]] = []

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        code = self.ends.get(words[0], 0)
        if words[0] == "pip_audit":
            lines = Path(words[words.index("--requirement") + 1]).read_text().split()
            self.asked.append(lines)
            listed = [
                dict(zip(("name", "version"), line.split("=="), strict=True)) for line in lines
            ]
            found = [{**one, **self.known.get(one["name"], SAFE)} for one in listed]
            if code != 3:
                Path(words[words.index("--output") + 1]).write_text(
                    json.dumps({"dependencies": found})
                )
            code = code or int(any(one.get("vulns") for one in found))
        return subprocess.CompletedProcess(words, code, "", "first\nno connection" if code else "")


def said(audit: ModuleType, pins: Path, programs: Programs, capsys: Any) -> tuple[int, str]:
    audit.run = programs
    return audit.main(pins), capsys.readouterr().out


def test_a_hole_fails(audit, pins, capsys):
    code, out = said(audit, pins, Programs({"two": OPEN}), capsys)
    assert code == 1
    assert out == (
        "two 2.0: PYSEC-1, mended in 2.1\n2 of 2 dependencies audited, 1 known hole(s)\n"
    )


def test_a_hole_in_the_first_fails(audit, pins, capsys):
    assert said(audit, pins, Programs({"one": OPEN}), capsys)[0] == 1


def test_none_is_well(audit, pins, capsys):
    programs = Programs({"two": SKIPPED})
    code, out = said(audit, pins, programs, capsys)
    assert (code, out) == (0, "1 of 2 dependencies audited, 0 known hole(s)\n")
    assert programs.asked == [["one==1.0"], ["one==1.0", "two==2.0"]]


def test_without_advisories_one_line_says_so(audit, pins, capsys):
    programs = Programs({"one": SKIPPED, "two": SKIPPED})
    code, out = said(audit, pins, programs, capsys)
    assert (code, out.count("\n")) == (0, 1)
    assert "not audited: what answers here has no advisories" in out
    assert programs.asked == [["one==1.0"]]


@pytest.mark.parametrize("ends", [{"pip": 1}, {"pip_audit": 3}])
def test_without_a_network_one_line_says_so(audit, pins, capsys, ends):
    code, out = said(audit, pins, Programs({}, **ends), capsys)
    assert (code, out.count("\n")) == (0, 1)
    assert "not audited" in out
    assert "no connection" in out


def test_who_does_not_answer_is_not_waited_for(audit, pins, capsys, monkeypatch):
    monkeypatch.setattr(audit, "ANSWERS_WITHIN", 0.01)
    assert audit.main(pins) == 0
    assert "pip had no answer within 0.01 s" in capsys.readouterr().out
