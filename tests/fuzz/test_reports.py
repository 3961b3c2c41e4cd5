"""Whatever a results folder holds: `report` writes its page, or one message names the file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark.options import UserError
from benchmark.report.page.index import write_index
from benchmark.reporting import Choices, write_report
from benchmark.store import Store
from tests.fuzz.furnished import OF_A_RUN, content_of, furnished, holding, written
from tests.fuzz.mutations import FEW, FUZZ, damaged, spoiled

READ_BY_REPORT = [name for name in OF_A_RUN if name != "streams.json"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = furnished(tmp_path_factory.mktemp("store"))
    assert report(store) == ""
    return store


def report(store: Store) -> str:
    """The message, or "" where the page and the file for programs can be written."""
    quiet = Console(file=io.StringIO())
    try:
        write_report(quiet, store, Choices(only=["page", "json"]))
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", READ_BY_REPORT)
@FEW
@given(data=st.data())
def test_damaged_bytes_of_a_run(store, name, data):
    file = store.run_folders()[0].path / name
    with holding(file, data.draw(damaged(file.read_bytes()))):
        told = report(store)
    assert not told or name in told or "folder" in told


@pytest.mark.parametrize("name", [name for name in READ_BY_REPORT if name != "history.csv"])
@FEW
@given(data=st.data())
def test_a_run_with_one_thing_changed(store, name, data):
    file = store.run_folders()[0].path / name
    with holding(file, written(file, data.draw(spoiled(content_of(file))))):
        told = report(store)
    assert not told or name in told or "folder" in told


def index(store: Store) -> str:
    """The message, or "" where the page over all reports can be written."""
    try:
        page = write_index(store.path.parent)
    except UserError as error:
        return str(error)
    assert "small" in page.read_text(encoding="utf-8")
    return ""


def report_file(store: Store) -> Path:
    return store.path / "report.json"


def test_an_undamaged_report_is_listed(store):
    assert index(store) == ""


@FUZZ
@given(data=st.data())
def test_damaged_bytes_of_a_report(store, data):
    with holding(report_file(store), data.draw(damaged(report_file(store).read_bytes()))):
        told = index(store)
    assert not told or "report.json" in told


@FUZZ
@given(data=st.data())
def test_a_report_with_one_thing_changed(store, data):
    file = report_file(store)
    with holding(file, written(file, data.draw(spoiled(content_of(file))))):
        told = index(store)
    assert not told or "report.json" in told
