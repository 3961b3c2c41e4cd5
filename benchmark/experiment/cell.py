"""A cell: one training run, fully described, and what tells it from others."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel

from benchmark.experiment.train_settings import ADDED_KEYS, STRICT, Train
from datasets.classes import CONTROL

SCHEMA_VERSION = 1
PATH_OPTIONS = frozenset({"root"})
"""Data set options that say where the files lie; they are no part of a cell's identity."""

Stage = Literal["final", "tuning"]
REPETITION_LETTER: dict[Stage, str] = {"final": "r", "tuning": "t"}


def _plain(label: str) -> str:
    if CONTROL.search(label):
        raise ValueError("must hold no line break or control character")
    return label


class CellPart(BaseModel):
    """A loss, data set or model of one cell, with every option resolved."""

    model_config = STRICT

    name: str
    label: Annotated[str, AfterValidator(_plain)]
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


class CellConfig(BaseModel):
    """All that one training run depends on, and nothing else but where its data lie."""

    model_config = STRICT

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
