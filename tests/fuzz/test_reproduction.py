"""Whatever a stored run holds: it is compared with its like, or one message names the file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark.executors import Event, Job
from benchmark.options import UserError
from benchmark.reproduction import again
from benchmark.runner import open_dataset, prepare_splits
from benchmark.store import RunFolder
from datasets.cache import open_cached
from tests.fuzz.furnished import OF_A_RUN, content_of, furnish, furnished, holding, written
from tests.fuzz.mutations import FUZZ, damaged, spoiled

READ = [name for name in OF_A_RUN if name not in ("details.json", "samples.json")]
Attempt = Callable[[], str]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Attempt]:
    """A stored run, and what reproducing it says; the training is a copy of the undamaged one."""
    folder = tmp_path_factory.mktemp("reproduce")
    run = furnished(folder).run_folders()[0]
    good, cache, cell = folder / "good", folder / "cache", run.config()
    splits = prepare_splits(open_dataset(cell.dataset), cell.train.image_size, cache)
    furnish(run, {split: open_cached(path).fingerprint for split, path in splits.items()})
    shutil.copytree(run.path, good)

    class Copying:
        def __init__(self, workers: int) -> None:
            assert workers == 1

        def run(self, jobs: Sequence[Job], on_event: Callable[[Event], None]) -> None:
            shutil.copytree(good, jobs[0].folder, dirs_exist_ok=True)

    def attempt() -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(again, "LocalExecutor", Copying)
            try:
                now = again.Stored.read(run.path).cell
                # Other data would have to be made first, and can be of any size.
                if (now.dataset, now.train.image_size) != (cell.dataset, cell.train.image_size):
                    return ""
                agrees = again.reproduce(quiet(), run.path, "cpu", cache)
            except UserError as error:
                return str(error)
        return "" if agrees else "not reproduced"

    return run, attempt


def quiet() -> Console:
    return Console(file=io.StringIO())


def told_of(file: Path, content: bytes, attempt: Attempt) -> str:
    with holding(file, content):
        return attempt()


def test_an_undamaged_one_is_reproduced(stored):
    _, attempt = stored
    assert attempt() == ""


@pytest.mark.parametrize("name", READ)
@FUZZ
@given(data=st.data())
def test_damaged_bytes(stored, name, data):
    run, attempt = stored
    file = run.path / name
    told = told_of(file, data.draw(damaged(file.read_bytes())), attempt)
    assert told in ("", "not reproduced") or name in told


@pytest.mark.parametrize("name", [name for name in READ if name != "history.csv"])
@FUZZ
@given(data=st.data())
def test_one_thing_changed(stored, name, data):
    run, attempt = stored
    file = run.path / name
    told = told_of(file, written(file, data.draw(spoiled(content_of(file)))), attempt)
    assert told in ("", "not reproduced") or name in told
