"""The experiment file: its schema, dotted overrides, and errors that name the key.

An experiment is a matrix of losses x data sets x models x repetitions. The pydantic models here
are what a YAML file may say; :mod:`benchmark.grid` turns an experiment into cells.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from benchmark.entries import Losses, Named
from benchmark.metrics.engines import ENGINES, PYCOCOTOOLS
from benchmark.optimization import OPTIMIZERS, SCHEDULES
from benchmark.options import UserError, explain, resolve_options, suggest
from benchmark.overrides import apply_override, one_line
from benchmark.protocol import Positive, Targets, Tune
from datasets.augment import Augment

SHIPPED = Path(__file__).parent / "configs"
SCHEMA_VERSION = 1
PATH_OPTIONS = frozenset({"root"})
"""Data set options that say where the files lie; they are no part of a cell's identity."""

ADDED_KEYS: dict[str, Any] = {
    "compile": False,
    "ema": None,
    "backbone_lr": 1.0,
    "freeze": "none",
    "multi_scale": None,
}
"""Train settings that came after the first published runs, with the values that those ran with."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Of YAML files; libyaml's, where PyYAML was built with it, is eight times as fast."""

RESERVED = frozenset({"reference", "inspect"})
"""Folders of ``results/`` that are no experiment's."""

Table = tuple[str, str, str]
"""Task, label of the data set, label of the model: whose losses are compared."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


def _image_size(value: Any) -> Any:
    """``128`` means ``[128, 128]``; what sides must divide by, the models say."""
    size = [value, value] if isinstance(value, int) else value
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(type(side) is int and side >= 32 for side in size)
    ):
        raise ValueError("must be one number or [height, width] in pixels, each at least 32")
    return list(size)


def _one_of(register: dict[str, Any]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in register:
            raise ValueError(f"must be one of {', '.join(register)}{suggest(value, register)}")
        return value

    return BeforeValidator(check)


def _augment(value: Any) -> Any:
    if not isinstance(value, dict | None):
        raise ValueError("must be a mapping of options")
    try:
        options = resolve_options(Augment, value or {}, "")
    except UserError as error:  # pydantic takes a ValueError and adds the path of the key
        raise ValueError(str(error)) from None
    Augment(**options)
    return options


def _amp(value: Any) -> Any:
    if not (isinstance(value, bool) or value in ("bf16", "fp16")):
        raise ValueError("must be false, true (the type that suits the device), bf16 or fp16")
    return value


def _multi_scale(value: Any) -> Any:
    low_high = value if isinstance(value, list | tuple) and len(value) == 2 else (0, 0)
    numbers = all(type(factor) in (int, float) for factor in low_high)
    if not numbers or not 0.25 <= low_high[0] <= low_high[1] <= 4:
        raise ValueError("must be [low, high], factors with 0.25 <= low <= high <= 4")
    return [float(factor) for factor in low_high]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Train(Strict):
    """How every run of a block is trained."""

    epochs: Positive = 8
    batch_size: Positive = 16
    image_size: Annotated[list[int], BeforeValidator(_image_size)] = [128, 128]
    optimizer: Annotated[str, _one_of(OPTIMIZERS)] = "adamw"
    lr: Annotated[Finite, Field(gt=0)] = 1e-3
    weight_decay: Annotated[Finite, Field(ge=0)] = 1e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Annotated[str, _one_of(SCHEDULES)] = "one_cycle"
    grad_clip: Annotated[Finite, Field(gt=0)] | None = 10.0
    augment: Annotated[dict[str, Any], BeforeValidator(_augment)] = Field(
        default_factory=lambda: _augment({})
    )
    eval_every: Positive = 1
    amp: Annotated[bool | Literal["bf16", "fp16"], BeforeValidator(_amp)] = False
    compile: bool = False
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    backbone_lr: Annotated[Finite, Field(gt=0)] = 1.0
    freeze: Literal["none", "norm", "backbone"] = "none"
    multi_scale: Annotated[list[float], BeforeValidator(_multi_scale)] | None = None

    @model_validator(mode="after")
    def _turned_images_fit(self) -> Train:
        height, width = self.image_size
        if self.augment["rotate90"] and height != width:
            raise ValueError(
                f"augment.rotate90 needs square images, but image_size is {self.image_size}"
            )
        return self

    @model_validator(mode="after")
    def _frozen_has_no_rate(self) -> Train:
        if self.freeze == "backbone" and self.backbone_lr != 1:
            raise ValueError(
                f"backbone_lr is {self.backbone_lr:g}, but freeze: backbone leaves nothing of the "
                "backbone to train; give one of the two"
            )
        return self


class Block(Strict):
    """One product of the matrix: every loss on every data set with every model."""

    task: Literal["detection", "segmentation", "instance"]
    losses: Losses
    datasets: Annotated[list[Named], Field(min_length=1)]
    models: Annotated[list[Named], Field(min_length=1)]
    repetitions: Positive | None = None
    baseline: str | None = None
    targets: Targets = {}
    train: dict[str, Any] = {}
    tune: dict[str, Any] | Literal[False] | None = None


class Experiment(Strict):
    """A whole experiment file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    description: str = ""
    seed: int = 0
    repetitions: Positive = 1
    train: Train = Train()
    tune: Tune | None = None
    targets: Targets = {}
    logging: list[str] = []
    evaluator: Annotated[str, _one_of(ENGINES)] = PYCOCOTOOLS
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


Stage = Literal["final", "tuning"]
REPETITION_LETTER: dict[Stage, str] = {"final": "r", "tuning": "t"}


class CellPart(Strict):
    """A loss, data set or model of one cell, with every option resolved."""

    name: str
    label: str
    options: dict[str, Any] = {}


class CellModel(CellPart):
    files: dict[str, str] = {}
    """Files outside the project that the model is made of, and hashes of what they hold."""


class CellLoss(CellPart):
    weight: float = 1.0
    version: int = 1
    term_versions: list[int] = []
    parts: dict[str, CellLoss] = {}
    """Of a loss that is several: the loss at each place of the model."""

    def singles(self) -> dict[str, CellLoss]:
        """The losses by place; a loss that is not several by ``""``."""
        return self.parts or {"": self}

    def identity(self) -> dict[str, Any]:
        """What the numbers depend on: not the label, nor what a plain loss does not have."""
        content = self.model_dump(exclude={"label", "parts", "term_versions"})
        if self.term_versions:  # no sum; runs from before there were sums stay the same
            content["term_versions"] = self.term_versions
        if self.parts:
            content["parts"] = {place: part.identity() for place, part in self.parts.items()}
        return content


class CellConfig(Strict):
    """All that one training run depends on, and nothing else but where its data lie."""

    schema_version: int = SCHEMA_VERSION
    stage: Stage = "final"
    task: str
    loss: CellLoss
    dataset: CellPart
    model: CellModel
    repetition: int
    seed: int
    train: Train
    tuned: dict[str, Any] = {}
    """What the tuning set, by name; it stands in ``loss`` and ``train`` as well."""

    @property
    def setting(self) -> str:
        """What the tuning set, as people read it: ``weight=2 lr=0.003``."""
        return " ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.tuned.items()
        )

    def identity(self) -> str:
        """Hash (hex) of what the numbers depend on: no paths, and not the loss's label.

        The labels of the data set and the model stay. Random streams come from both, and two
        folders in one layout are told apart by nothing but their label.
        """
        content = self.model_dump()
        content["dataset"]["options"] = {
            key: value
            for key, value in content["dataset"]["options"].items()
            if key not in PATH_OPTIONS
        }
        content["loss"] = self.loss.identity()
        if not self.model.files:  # as all models were at first
            del content["model"]["files"]
        content["train"] = {
            key: value
            for key, value in content["train"].items()
            if key not in ADDED_KEYS or value != ADDED_KEYS[key]
        }
        del content["tuned"]
        if self.stage == "final":  # the only stage there was before there was tuning
            del content["stage"]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def slug(self) -> str:
        """Readable folder name of the cell; the end of it is the start of its identity."""
        repetition = f"{REPETITION_LETTER[self.stage]}{self.repetition}"
        setting = [self.setting] if self.stage == "tuning" else []
        parts = [self.dataset.label, self.model.label, self.loss.label, *setting, repetition]
        readable = re.sub(r"[^A-Za-z0-9_.=+-]+", "-", "-".join(parts)).strip("-")
        return f"{readable[:100]}-{self.identity()[:8]}"


def shipped_experiments() -> dict[str, Path]:
    """Name -> file of the experiments that come with the project."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping from a file; a :class:`UserError` names the file and the line otherwise."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a mapping of keys, got {type(content).__name__}")
    return content


def load_experiment(source: str, overrides: list[str] | None = None) -> Experiment:
    """Read an experiment by file or by shipped name, with dotted overrides on top.

    Args:
        source: path of a YAML file, or the name of a shipped experiment.
        overrides: ``key.path=value`` words; the value is parsed as YAML.

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
    content = read_yaml(path)
    for word in overrides or []:
        apply_override(content, word)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        lines = explain(error, Experiment)
        raise UserError("\n".join(f"{path}: {line}" for line in lines)) from None
