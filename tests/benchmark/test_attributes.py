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


def test_an_error_says_what_was_looked_for():
    with pytest.raises(UserError, match=r"^model 'math:sinn': math has no 'sinn' \(did you mean"):
        find_attribute("math:sinn", "model")
