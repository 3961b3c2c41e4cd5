"""Whatever an experiment file or an override says: cells, or one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.experiment.config import load_experiment, shipped_experiments
from benchmark.experiment.grid import plan
from benchmark.options import UserError
from datasets.yaml_text import parse_yaml
from tests.fuzz.mutations import FUZZ, VALUES, damaged, spoiled

# Planning those of the shipped experiments that build large networks takes seconds each.
SMALL = ("quickstart", "bccd", "nuclei_cracks")
MOST_CELLS = 200
"""An example with more would only take long."""
CONTENTS: dict[str, Any] = {
    name: yaml.safe_load(path.read_text())
    for name, path in shipped_experiments().items()
    if name in SMALL
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments") / "fuzzed.yaml"


def planned(file: Path, *words: str) -> int | str:
    """The number of cells, or the message."""
    try:
        experiment = load_experiment(str(file), list(words))
        blocks = experiment.matrix.values()
        if max(block.repetitions or experiment.repetitions for block in blocks) > MOST_CELLS:
            return MOST_CELLS
        cells = plan(experiment)
    except UserError as error:
        return str(error)
    # What is planned can be written down and read again as the same.
    for cell in cells[:2]:
        again = type(cell).model_validate(parse_yaml(yaml.safe_dump(cell.model_dump(mode="json"))))
        assert again.identity() == cell.identity()
    return len(cells)


@FUZZ
@given(content=VALUES)
def test_any_structure(file, content):
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert isinstance(planned(file), str)


@pytest.mark.parametrize("name", SMALL)
@FUZZ
@given(data=st.data())
def test_a_shipped_experiment_with_one_thing_changed(file, name, data):
    content = data.draw(spoiled(CONTENTS[name]))
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert planned(file)


@FUZZ
@given(data=st.data())
def test_a_shipped_experiment_with_damaged_bytes(file, data):
    file.write_bytes(data.draw(damaged(shipped_experiments()["quickstart"].read_bytes())))
    assert planned(file)


@FUZZ
@given(
    content=st.binary(max_size=40) | st.text(alphabet="[]{}:-?*&!|>'\"#%@, \n\tab01<", max_size=40)
)
def test_any_text(file, content):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert isinstance(planned(file), str)


KEYS = st.sampled_from(
    [
        *("train.epochs", "train.lr", "train.image_size", "train.augment.hflip", "train.amp"),
        *("repetitions", "name", "tune", "tune.weights", "targets", "seed", "executor", "matrix"),
        *("matrix.boxes.losses.0", "matrix.boxes.datasets.0", "matrix.boxes.models.0.width"),
        *("matrix.boxes.losses", "matrix.boxes.train.epochs", "matrix.boxes.tune", "logging"),
    ]
)


@FUZZ
@given(key=KEYS, value=VALUES)
def test_any_value_in_an_override(key, value):
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True)
    text = text.removesuffix("...\n")  # how the dumper ends a single value
    assert planned(Path("quickstart"), f"{key}={text}")


@FUZZ
@given(word=st.text(alphabet="abmtrix.0129=[]{}: ", max_size=25))
def test_any_override(word):
    assert planned(Path("quickstart"), word)


@pytest.mark.parametrize(
    "key",
    ["train.epochs", "train.lr", "train.batch_size", "repetitions", "seed"],
)
def test_true_is_never_taken_for_one(key):
    assert "must be a number, not true or false" in str(planned(Path("quickstart"), f"{key}=true"))
