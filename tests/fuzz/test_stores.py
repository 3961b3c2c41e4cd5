"""Whatever a file of a results folder or a cache holds: a report, or one message that names it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
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
from tests.fuzz.furnished import OF_A_RUN, content_of, furnished, holding, written
from tests.fuzz.mutations import FUZZ, damaged, spoiled


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return furnished(tmp_path_factory.mktemp("store"))


def look(store: Store) -> str:
    """The message, or "" where status and report can be had."""
    try:
        print_status(Console(file=io.StringIO()), store)
        data = report_data(store)
    except UserError as error:
        return str(error)
    assert len(data.runs) == len(store.run_folders())
    assert len(data.tuning) == len(store.run_folders("tuning"))
    return ""


def look_with(store: Store, file: Path, content: bytes) -> str:
    """:func:`look` while a file holds something else."""
    with holding(file, content):
        return look(store)


def test_an_undamaged_store(store):
    assert look(store) == ""
    assert len(store.run_folders("tuning")) == 4


FILES = [
    *(("final", name) for name in OF_A_RUN if name not in ("samples.json", "streams.json")),
    *(("tuning", name) for name in ("config.yaml", "metrics.json")),
]


@pytest.mark.parametrize(("stage", "name"), FILES)
@FUZZ
@given(data=st.data())
def test_damaged_bytes_of_a_run(store, stage, name, data):
    file = store.run_folders(stage)[0].path / name
    told = look_with(store, file, data.draw(damaged(file.read_bytes())))
    assert not told or name in told or "folder" in told


@pytest.mark.parametrize(("stage", "name"), [f for f in FILES if f[1] != "history.csv"])
@FUZZ
@given(data=st.data())
def test_a_run_with_one_thing_changed(store, stage, name, data):
    file = store.run_folders(stage)[0].path / name
    content = written(file, data.draw(spoiled(content_of(file))))
    told = look_with(store, file, content)
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
    told = look_with(store, store.path / "cells.txt", content)
    assert not told or "cells.txt" in told


@FUZZ
@given(content=st.binary(max_size=60) | damaged(b'{"error": "killed", "traceback": ""}\n'))
def test_a_damaged_failure(store, content):
    folder: RunFolder = store.run_folders()[0]
    with holding(folder.path / "metrics.json", None):
        told = look_with(store, folder.path / "failure.json", content)
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
