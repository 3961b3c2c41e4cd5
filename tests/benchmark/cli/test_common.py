"""How a command ends when something is in its way."""

from __future__ import annotations

import errno

import pytest
import typer

from benchmark.cli.common import reports_user_errors
from benchmark.options import UserError

LONG = "a/folder/of/results/" * 10


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError(f"{LONG}: is no [folder]"), f"{LONG}: is no [folder]"),
        (FileNotFoundError(errno.ENOENT, "No such file", LONG), f"{LONG}: No such file"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("cannot identify image"), "cannot identify image"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_one_unbroken_line_and_exit_code_2(error, text, capsys):
    @reports_user_errors
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == f"error: {text}\n"


def test_a_reader_that_has_gone_is_no_error_of_the_user(capsys):
    @reports_user_errors
    def command() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        command()
    assert capsys.readouterr().err == ""
