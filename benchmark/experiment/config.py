"""The experiment file: its schema, dotted overrides, and errors that name the key.

An experiment is a matrix of losses x data sets x models x repetitions. The pydantic models here
are what a YAML file may say; :mod:`benchmark.experiment.grid` turns an experiment into cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from benchmark.experiment.entries import Chosen, Losses, Named
from benchmark.experiment.overrides import apply_override, one_line
from benchmark.experiment.plain_words import NUMBER, shown
from benchmark.experiment.protocol import Repetitions, Targets, Tune
from benchmark.experiment.train_settings import STRICT, Train, one_of
from benchmark.metrics.engines import ENGINES, PYCOCOTOOLS
from benchmark.migrations import migrate
from benchmark.options import UserError, explain, suggest
from datasets.yaml_text import parse_yaml

SHIPPED = Path(__file__).parents[1] / "configs"

RESERVED = frozenset({"reference", "inspect"})
"""Folders of ``results/`` that are no experiment's."""

Table = tuple[str, str, str]
"""Task, label of the data set, label of the model: whose losses are compared."""


class Block(BaseModel):
    """One product of the matrix: every loss on every data set with every model."""

    model_config = STRICT

    task: Literal["detection", "segmentation", "instance"]
    losses: Losses
    datasets: Annotated[list[Named], Field(min_length=1)]
    models: Annotated[list[Named], Field(min_length=1)]
    repetitions: Repetitions | None = None
    baseline: str | None = None
    targets: Targets = {}
    train: dict[str, Any] = {}
    tune: dict[str, Any] | Literal[False] | None = None


class Experiment(BaseModel):
    """A whole experiment file."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    description: str = ""
    seed: Annotated[int, NUMBER] = 0
    repetitions: Repetitions = 1
    train: Train = Train()
    tune: Tune | None = None
    targets: Targets = {}
    logging: list[str] = []
    evaluator: Annotated[str, one_of(ENGINES)] = PYCOCOTOOLS
    executor: Chosen | None = None
    matrix: Annotated[dict[str, Block], Field(min_length=1)]

    def block_train(self, key: str) -> Train:
        """The train settings of one block: the experiment's, with the block's own on top."""
        own = self.matrix[key].train
        merged = {**self.train.model_dump(), **own}
        if isinstance(own.get("augment"), dict):
            merged["augment"] = {**self.train.augment, **own["augment"]}
        try:
            return Train.model_validate(merged)
        except ValidationError as error:
            raise UserError("\n".join(explain(error, Train, f"matrix.{key}.train"))) from None

    def block_tune(self, key: str) -> Tune | None:
        """The tuning of one block: the experiment's, with the block's own keys on top.

        A block that says ``false`` is not tuned.
        """
        own = self.matrix[key].tune
        if own is None:
            return self.tune
        if own is False:
            return None
        shared = {} if self.tune is None else self.tune.model_dump(exclude_unset=True)
        try:
            return Tune.model_validate({**shared, **own})
        except ValidationError as error:
            raise UserError("\n".join(explain(error, Tune, f"matrix.{key}.tune"))) from None

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Each block's key with each (task, data set, model) that it adds runs to."""
        for key, block in self.matrix.items():
            for dataset in block.datasets:
                for model in block.models:
                    yield key, (block.task, dataset.label or dataset.name, model.shown)

    def targets_by_table(self) -> dict[Table, Targets]:
        """Values to reach; a block's take the place of the experiment's."""
        found: dict[Table, Targets] = {}
        for key, table in self.tables():
            found[table] = {**self.targets, **found.get(table, {}), **self.matrix[key].targets}
        return found

    def tuning_by_table(self) -> dict[Table, Tune]:
        """How the losses of each table are tuned; tables that are not are absent."""
        found = {table: self.block_tune(key) for key, table in self.tables()}
        return {table: tune for table, tune in found.items() if tune is not None}

    def loss_labels(self) -> list[str]:
        """Labels of all losses in the order of the file."""
        blocks = self.matrix.values()
        return list(dict.fromkeys(loss.shown for block in blocks for loss in block.losses))

    def baselines(self) -> dict[str, str]:
        """Task -> label of the loss that the others are compared with; the first by default."""
        return {
            block.task: block.baseline or block.losses[0].shown
            for block in reversed(self.matrix.values())
        }

    @model_validator(mode="after")
    def _name_and_blocks(self) -> Experiment:
        if self.name in RESERVED:
            raise ValueError(f"name '{self.name}' is a folder of the results that is taken")
        for key in self.matrix:
            self.block_train(key)
        seen: dict[Table, tuple[str, Tune | None]] = {}
        for key, table in self.tables():
            tune = self.block_tune(key)
            other, first = seen.setdefault(table, (key, tune))
            if tune != first:
                raise ValueError(
                    f"matrix.{key} and matrix.{other} compare losses on {', '.join(table[1:])}, so "
                    "their `tune` must be the same"
                )
        return self


def shipped_experiments() -> dict[str, Path]:
    """Name -> file of the experiments that come with the project."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def read_yaml(path: Path, parse: Callable[[str], Any] = parse_yaml) -> dict[str, Any]:
    """A YAML mapping from a file; a :class:`UserError` names the file and the line otherwise."""
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML: {one_line(error)}") from None
    if not isinstance(content, dict):
        got = "nothing" if content is None else shown(content)
        raise UserError(f"{path}: must hold a mapping of keys, got {got}")
    return content


def load_experiment(
    source: str, overrides: list[str] | None = None, executor: str | None = None
) -> Experiment:
    """Read an experiment by file or by shipped name, with dotted overrides on top.

    Args:
        source: path of a YAML file, or the name of a shipped experiment.
        overrides: ``key.path=value`` words; the value is parsed as YAML.
        executor: name of the executor; the file's options for it hold if it names the same.

    Raises:
        UserError: whatever is wrong, one line a fault, each with the key's path and what is
            allowed.
    """
    shipped = shipped_experiments()
    path = shipped.get(source, Path(source))
    if not path.is_file():
        raise UserError(
            f"no experiment '{source}'{suggest(source, shipped)}: give a YAML file, or one of "
            f"{', '.join(shipped)}"
        )
    content = migrate("experiment", read_yaml(path), path)
    _choose_executor(content, executor)
    for word in overrides or []:
        apply_override(content, word)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        lines = explain(error, Experiment)
        raise UserError("\n".join(f"{path}: {line}" for line in lines)) from None


def _choose_executor(content: dict[str, Any], name: str | None) -> None:
    """Write ``executor`` as a mapping, so that overrides can set its options."""
    asked = content.get("executor")
    if isinstance(asked, str):
        asked = {"name": asked}
    if name is not None and not (isinstance(asked, dict) and asked.get("name") == name):
        asked = {"name": name}
    if asked is not None:
        content["executor"] = asked
