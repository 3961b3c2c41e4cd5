"""Whatever a file of a results folder or a cache holds: a report, or one message that names it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark.collecting import report_data
from benchmark.console.status import print_status
from benchmark.options import UserError
from benchmark.store import RunFolder, Store
from datasets.cache import prepare
from datasets.cached_split import CachedSplit
from datasets.shapes import Shapes
from tests.bad_input_worlds import experiment, fabricated
from tests.fuzz.mutations import FUZZ, damaged, spoiled


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    experiment()(folder)
    return fabricated(folder / "results", folder / "small.yaml")


def look(store: Store) -> str:
    """The message, or "" where status and report can be had."""
    try:
        print_status(Console(file=io.StringIO()), store)
        data = report_data(store)
    except UserError as error:
        return str(error)
    assert len(data.runs) == len(store.run_folders())
    return ""


def look_with(store: Store, file: Path, content: bytes) -> str:
    """:func:`look` while a file holds something else."""
    good = file.read_bytes()
    file.write_bytes(content)
    try:
        return look(store)
    finally:
        file.write_bytes(good)


NAMES = ["config.yaml", "metrics.json", "history.csv", "environment.json"]


def test_an_undamaged_store(store):
    assert look(store) == ""


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(data=st.data())
def test_damaged_bytes_of_a_run(store, name, data):
    file = store.run_folders()[0].path / name
    told = look_with(store, file, data.draw(damaged(file.read_bytes())))
    assert not told or name in told or "folder" in told


@pytest.mark.parametrize("name", ["config.yaml", "metrics.json", "environment.json"])
@FUZZ
@given(data=st.data())
def test_a_run_with_one_thing_changed(store, name, data):
    file = store.run_folders()[0].path / name
    content: Any = data.draw(spoiled(yaml.safe_load(file.read_text())))
    text = json.dumps(content) if name.endswith("json") else yaml.safe_dump(content)
    told = look_with(store, file, text.encode())
    assert not told or name in told or "folder" in told


@FUZZ
@given(data=st.data())
def test_a_damaged_experiment(store, data):
    file = store.path / "experiment.yaml"
    told = look_with(store, file, data.draw(damaged(file.read_bytes())))
    assert not told or "experiment.yaml" in told


@FUZZ
@given(content=st.binary(max_size=200))
def test_a_damaged_list_of_cells(store, content):
    file = store.path / "cells.txt"
    file.write_bytes(content)
    try:
        told = look(store)
    finally:
        file.unlink()
    assert not told or "cells.txt" in told


@FUZZ
@given(content=st.binary(max_size=60) | damaged(b'{"error": "killed", "traceback": ""}\n'))
def test_a_damaged_failure(store, content):
    folder: RunFolder = store.run_folders()[0]
    file, ended = folder.path / "failure.json", folder.path / "metrics.json"
    good = ended.read_bytes()
    ended.unlink()
    file.write_bytes(content)
    try:
        told = look(store)
    finally:
        file.unlink()
        ended.write_bytes(good)
    assert not told or "failure.json" in told


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CachedSplit, list[bytes]]:
    folder = tmp_path_factory.mktemp("cache")
    split = prepare(SHAPES, "train", (32, 32), folder, processes=1)
    return folder, split, [split.image(i).tobytes() for i in range(len(split))]


SHAPES = Shapes(size=32, train=4, val=1, test=1, num_classes=2)


@FUZZ
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:.*it is built anew")
def test_a_damaged_cache_gives_the_same_samples(cache, data):
    folder, split, images = cache
    place = split.folder
    kept = folder / "kept"
    if not kept.exists():
        shutil.copytree(place, kept)
    names = sorted(path.name for path in kept.iterdir() if path.stat().st_size)
    file = place / data.draw(st.sampled_from(names))
    file.write_bytes(data.draw(damaged((kept / file.name).read_bytes())))
    again = prepare(SHAPES, "train", (32, 32), folder, processes=1)
    assert [again.image(i).tobytes() for i in range(len(again))] == images
    for index in range(len(again)):
        assert np.array_equal(again.boxes(index), boxes_of(kept, index))


def boxes_of(folder: Path, index: int) -> np.ndarray:
    """The boxes of an undamaged copy."""
    return CachedSplit(folder).boxes(index)
