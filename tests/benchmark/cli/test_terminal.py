"""What a terminal is sent."""

import io

import pytest
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from benchmark.cli.terminal import PlainConsole

TITLE = "\x1b]0;new title\x07"


@pytest.mark.parametrize("code", [*range(9), 11, 12, *range(14, 32), *range(127, 160)])
def test_control_characters_are_spelt_out_or_left_out(code: int) -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, width=80, highlight=False)
    table = Table("a", "b", box=None)
    table.add_row(f"x{chr(code)}y", Text(f"x{chr(code)}y"))
    console.print(f"x{chr(code)}y", table)
    assert chr(code) not in file.getvalue()


def test_colours_lines_and_letters_stay() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, width=80, highlight=False)
    console.print(f"[red]error:[/] {escape(TITLE)}\nα 日本 é")
    assert file.getvalue() == "\x1b[31merror:\x1b[0m \\x1b]0;new title\nα 日本 é\n"
