"""Files of every version are read; those of a version to come are refused.

``old_store`` holds two runs as the first published version of the program left them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark.collecting import collect
from benchmark.experiment.config import load_experiment
from benchmark.migrations import SCHEMA, STEPS, migrate, stamp
from benchmark.options import UserError
from benchmark.reporting import write_report
from benchmark.store import RunFolder, Store

OLD = Path(__file__).with_name("old_store")
KINDS = ["experiment", "config", "metrics"]


@pytest.fixture
def old(tmp_path) -> Store:
    """A copy of the old store that a test may change."""
    shutil.copytree(OLD, tmp_path / "old")
    return Store.existing(tmp_path / "old")


def test_an_old_store_is_read_whole(old):
    boxes, masks = old.run_folders()
    # The name's end is the start of the identity: what the cell is has not changed.
    assert boxes.config().slug == boxes.path.name
    assert masks.config().slug == masks.path.name
    assert boxes.config().loss.options == {"gate": False}
    assert boxes.outcome()["metrics"]["AP"] == 0.1733895532139924
    assert [row["epoch"] for row in boxes.history()] == list(range(9))
    assert (boxes.status(), masks.status()) == ("done", "done")
    experiment = old.experiment()
    assert (experiment.name, experiment.repetitions) == ("quickstart", 3)
    assert experiment.baselines() == {"detection": "smooth_l1", "segmentation": "bce"}


def test_an_old_store_is_reported(old):
    runs, history = collect(old)
    assert list(runs["loss"]) == ["ciou", "bce"]
    assert len(history) == 18
    write_report(Console(quiet=True), old)
    assert "17.3" in (old.path / "tables" / "summary.md").read_text()


def test_an_old_experiment_file_can_be_run_again():
    assert load_experiment(str(OLD / "experiment.yaml"), ["repetitions=1"]).repetitions == 1


def test_reading_leaves_old_files_as_they_are(old):
    before = {path: path.read_bytes() for path in old.path.rglob("*") if path.is_file()}
    cells = [folder.config() for folder in old.run_folders()]
    old.write_experiment(old.experiment(), cells)
    for path, content in before.items():
        if path.parent != old.path:  # the experiment's own files are those of the last `run`
            assert path.read_bytes() == content


def test_what_is_written_says_its_version_and_comes_back(old, make_cell, tmp_path):
    store = Store(tmp_path / "new")
    cell = make_cell()
    store.write_experiment(old.experiment(), [cell])
    folder = store.run_folder(cell)
    folder.finish({"status": "done", "metrics": {"AP": 0.5}})
    config = yaml.safe_load((folder.path / "config.yaml").read_text())
    experiment = yaml.safe_load((store.path / "experiment.yaml").read_text())
    metrics = json.loads((folder.path / "metrics.json").read_text())
    assert config["schema"] == experiment["schema"] == metrics["schema"] == SCHEMA
    assert "schema_version" not in config
    assert folder.config() == cell
    assert folder.outcome() == {"status": "done", "metrics": {"AP": 0.5}}
    assert store.experiment() == old.experiment()
    assert load_experiment(str(store.path / "experiment.yaml")) == old.experiment()


FILES = {
    "experiment": ("experiment.yaml", lambda store, run: store.experiment()),
    "config": ("runs/*/config.yaml", lambda store, run: run.config()),
    "metrics": ("runs/*/metrics.json", lambda store, run: run.outcome()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("version", "said"),
    [
        (SCHEMA + 1, f"schema is {SCHEMA + 1}, but this version of the program knows those up to"),
        (0, f"schema must be a whole number from 1 to {SCHEMA}, got 0"),
        ("new", f"schema must be a whole number from 1 to {SCHEMA}, got 'new'"),
        (True, f"schema must be a whole number from 1 to {SCHEMA}, got True"),
        (None, f"schema must be a whole number from 1 to {SCHEMA}, got None"),
    ],
)
def test_other_versions_are_refused_by_name(old, kind, version, said):
    pattern, read = FILES[kind]
    file = sorted(old.path.glob(pattern))[0]
    # JSON is YAML as well.
    file.write_text(json.dumps({**yaml.safe_load(file.read_text()), "schema": version}))
    run = RunFolder(file.parent)
    with pytest.raises(UserError) as error:
        read(old, run)
    assert str(error.value).startswith(f"{file}: {said}")


def test_each_step_leads_to_a_version_that_is_known():
    assert all(kind in KINDS and 1 <= version < SCHEMA for kind, version in STEPS)


CONTENT = st.dictionaries(st.text(max_size=5), st.integers(), max_size=4)


@given(CONTENT, st.sampled_from(KINDS))
def test_what_was_stamped_is_given_back(content, kind):
    content.pop("schema", None)
    assert migrate(kind, stamp(content), Path("x")) == content


@given(CONTENT)
def test_the_first_step_drops_one_key_and_changes_nothing_else(content):
    content.pop("schema", None)
    content.pop("schema_version", None)
    old = {**content, "schema_version": 1}
    assert migrate("config", old, Path("x")) == content
    assert old["schema_version"] == 1  # a pure function
    assert migrate("metrics", old, Path("x")) == old
