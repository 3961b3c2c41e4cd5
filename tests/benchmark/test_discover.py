"""Modules are imported when what they register is asked for."""

from __future__ import annotations

import sys

import pytest

from benchmark._discover import LazyRegister, import_modules

MODULES = {
    "round": 'THINGS.add("round_ball", 1)\nTHINGS.add("wheel", 2)\n',
    "square": 'THINGS.add("square_box", 3)\n',
    "_help": "",
}


@pytest.fixture
def things(tmp_path, monkeypatch):
    """A register of two modules' things, which no other test has imported."""
    package = tmp_path / "lazy_things"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from benchmark._discover import LazyRegister\n"
        "THINGS = LazyRegister('things', 'lazy_things')\n"
    )
    for name, text in MODULES.items():
        (package / f"{name}.py").write_text(f"from lazy_things import THINGS\n{text}")
    monkeypatch.syspath_prepend(tmp_path)
    import lazy_things

    yield lazy_things.THINGS
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_things"]:
        del sys.modules[name]


def imported() -> set[str]:
    return {n.partition(".")[2] for n in sys.modules if n.startswith("lazy_things.")}


def test_a_name_imports_the_module_that_it_begins_with(things: LazyRegister[int]):
    assert imported() == set()
    assert things["round_ball"] == 1
    assert imported() == {"round"}


def test_another_name_is_found_in_all(things: LazyRegister[int]):
    assert "wheel" in things
    assert imported() == set(MODULES)


def test_a_list_has_all(things: LazyRegister[int]):
    assert dict(things) == {"round_ball": 1, "wheel": 2, "square_box": 3}
    assert len(things) == 3


def test_an_unknown_name_is_none_of_them(things: LazyRegister[int]):
    assert "triangle" not in things
    with pytest.raises(KeyError):
        things["triangle"]


def test_a_name_is_taken_once(things: LazyRegister[int]):
    things.add("mine", 4)
    with pytest.raises(ValueError, match="two things are registered as 'mine'"):
        things.add("mine", 5)
    things["mine"] = 6
    assert things["mine"] == 6
    del things["mine"]
    assert "mine" not in things


def test_only_the_modules_that_are_wanted(things: LazyRegister[int]):
    import_modules("lazy_things", those=lambda name: name.startswith("sq"))
    assert imported() == {"square"}
