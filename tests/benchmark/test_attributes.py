"""What a user's own code defines, found from the current folder without disturbing ours."""

from __future__ import annotations

import sys

import pytest

import losses
from benchmark.attributes import find_attribute
from benchmark.options import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    return tmp_path


def test_nested_attributes_by_colon_and_by_dot():
    assert find_attribute("collections:OrderedDict.fromkeys", "loss")([1]) == {1: None}
    assert find_attribute("os.path.join", "loss")("a", "b") == "a/b"


def test_modules_of_the_current_folder_are_found_and_never_before_ours(folder):
    (folder / "attributes_of_mine.py").write_text("import losses\nvalue = losses.__file__")
    (folder / "losses.py").write_text("raise RuntimeError('taken for ours')")
    assert find_attribute("attributes_of_mine:value", "loss") == losses.__file__
    assert sys.path[-1] == str(folder)


def test_a_file_may_import_what_lies_in_the_current_folder(folder):
    (folder / "attributes_blocks.py").write_text("width = 7")
    (folder / "sub").mkdir()
    (folder / "sub" / "net.py").write_text("from attributes_blocks import width")
    assert find_attribute("sub/net.py:width", "model") == 7


def test_a_module_that_ends_the_program_is_refused(folder):
    (folder / "attributes_exit.py").write_text("import sys\nsys.exit(3)")
    with pytest.raises(UserError, match=r"attributes_exit.py cannot be imported: SystemExit: 3"):
        find_attribute("attributes_exit.py:Net", "model")


def test_where_no_name_is_close_those_of_the_module_are_told(folder):
    names = [f"net{i}" for i in range(10)]
    lines = [f"def {name}(): pass" for name in names]
    (folder / "attributes_many.py").write_text("from pathlib import Path\n" + "\n".join(lines))
    shown = ", ".join(names[:8])
    with pytest.raises(UserError, match=f"has no 'xyz'; it defines {shown} and 2 more$"):
        find_attribute("attributes_many.py:xyz", "model")
    (folder / "attributes_none.py").write_text("value = 3")
    with pytest.raises(UserError, match=r"has no 'xyz'; it defines nothing$"):
        find_attribute("attributes_none.py:xyz", "model")


def test_an_error_says_what_was_looked_for():
    with pytest.raises(UserError, match=r"^model 'math:sinn': math has no 'sinn' \(did you mean"):
        find_attribute("math:sinn", "model")
