"""Every bad input gets one message and exit code 2, and ``docs/bad_input.md`` shows them all.

With ``LOSSBENCH_WRITE_DOCS=1`` the page is written; otherwise it must be what would be written.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import pytest
import typer

from benchmark.cli import app
from tests.bad_input.cases import SECTIONS
from tests.bad_input.worlds import Case

PAGE = Path(__file__).parents[2] / "docs" / "bad_input.md"
HEAD = """# Bad input

What each mistake is answered with. Every command ends with one message, which names the file, the
key and the value that are at fault and what would be right, and with exit code 2; no mistake in an
input ends in a traceback, and none is trained on. The tables are written by
`LOSSBENCH_WRITE_DOCS=1 python3 -m pytest tests/bad_input` from what the commands really
say; `tests/bad_input/cases.py` and `tests/bad_input/data_cases.py` hold the inputs. `DATA` stands
for the folder that `LOSSBENCH_DATA` names.

"""


def answer(case: Case, folder: Path) -> tuple[int, str]:
    """Exit code and message of the case's command, run in its folder."""
    folder.mkdir()
    case.make(folder)
    stderr = io.StringIO()
    command = typer.main.get_command(app)
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stderr(stderr),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        code = command.main(list(case.words), prog_name="run.py", standalone_mode=False)
    said = stderr.getvalue().strip()
    data = os.environ["LOSSBENCH_DATA"]
    said = said.replace(data, "DATA").replace(f"{folder}/", "").replace(str(folder), ".")
    return code or 0, said


def table(title: str, place: Path) -> str:
    """The section of the page, once every case in it is known to end as it must."""
    lines = [f"## {title}", "", "| What is wrong | Message |", "|---|---|"]
    for number, case in enumerate(SECTIONS[title]):
        code, said = answer(case, place / str(number))
        assert code == 2, f"{case.name}: {said}"
        assert said.startswith("error: "), f"{case.name}: {said}"
        assert "Traceback" not in said
        assert len(said) < 1000, f"{case.name}: the message is too long"
        lines.append(f"| {case.name} | {cell(said.removeprefix('error: '))} |")
    return "\n".join(lines) + "\n"


def cell(message: str) -> str:
    """A message as code in a cell of a Markdown table, its lines one below the other."""
    lines = (line.replace("|", "\\|").replace("`", "'") for line in message.splitlines())
    return "<br>".join(f"`{line}`" for line in lines)


def sections() -> dict[str, str]:
    """The page's sections by title."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    parts = page.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part.strip()}\n" for part in parts}


def write(title: str, section: str) -> None:
    """Put a section in its place on the page."""
    found = {**sections(), title: section}
    PAGE.parent.mkdir(exist_ok=True)
    ordered = [found[each] for each in SECTIONS if each in found]
    PAGE.write_text(HEAD + "\n".join(ordered), encoding="utf-8")


@pytest.mark.parametrize("title", SECTIONS)
def test_bad_inputs_get_the_messages_that_the_page_shows(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBENCH_DATA", str(tmp_path / "sets"))
    for name in ("LOSSBENCH_CACHE", "LOSSBENCH_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    section = table(title, tmp_path)
    if os.environ.get("LOSSBENCH_WRITE_DOCS"):
        write(title, section)
    assert section == sections().get(title)


def test_the_page_has_all_sections_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == HEAD + "\n".join(sections()[title] for title in SECTIONS)


def test_no_path_of_the_machine_stands_on_the_page() -> None:
    """It would be another one in the next run."""
    assert re.findall(r"(?<![\w.>])/\w[^`]*", PAGE.read_text(encoding="utf-8")) == []


def test_each_case_is_named_once() -> None:
    for cases in SECTIONS.values():
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)
    assert sum(map(len, SECTIONS.values())) >= 60
