"""A model as an experiment names it: registered, or a class of the user's own by its path."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

from torch import nn

from benchmark.attributes import find_attribute
from benchmark.models.base import (
    MODELS,
    DetectionModel,
    InstanceModel,
    ModelSpec,
    SegmentationModel,
)
from benchmark.models.weights import SUFFIXES
from benchmark.options import UserError, look_up

NETWORKS: dict[str, type[nn.Module]] = {
    "detection": DetectionModel,
    "instance": InstanceModel,
    "segmentation": SegmentationModel,
}
"""Task -> what ``build`` of its models returns."""


def find_model(name: str, path: str) -> type[ModelSpec]:
    """The spec that is registered as ``name``, or that the user's own code defines.

    Args:
        name: a registered name, or ``module:Class``, ``module.Class`` or ``file.py:Class``, the
            module or file as seen from the current folder.
        path: of the key in the experiment file, for messages.

    Raises:
        UserError: there is no such model, or it is none.
    """
    if _is_registered(name):
        return look_up(MODELS, name, "model", path)
    if name.endswith(".py"):
        raise UserError(f"{path}: model '{name}' names a file but no class; write {name}:MyModel")
    found = find_attribute(name, f"{path}: model")
    _check_class(found, f"{path}: model '{name}'")
    return found


def _is_registered(name: str) -> bool:
    return not (":" in name or "." in name)


def _check_class(found: Any, where: str) -> None:
    """That it is a dataclass of options with all that :class:`ModelSpec` asks for."""
    a_spec = isinstance(found, type) and issubclass(found, ModelSpec)
    if not a_spec or "__dataclass_fields__" not in vars(found):
        raise UserError(
            f"{where}: must be a dataclass that derives from benchmark.models.ModelSpec and builds "
            f"the network, got {found!r}"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise UserError(f"{where}: lacks the method {missing}")
    task = getattr(found, "task", None)
    if task not in NETWORKS:
        raise UserError(
            f"{where}: `task` must be a class variable, one of {', '.join(NETWORKS)}; got {task!r}"
        )


def check_network(name: str, spec: ModelSpec, path: str) -> None:
    """Build a model of the user's own once, to see early what every run would end with.

    Raises:
        UserError: ``build`` fails or returns no network of the task.
    """
    if _is_registered(name):
        return
    try:
        network = spec.build(1)
    except Exception as error:  # a stranger's code may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path}: model '{name}': build(1) failed: {reason}") from error
    expected = NETWORKS[spec.task]
    if not isinstance(network, expected):
        raise UserError(
            f"{path}: model '{name}': build must return a benchmark.models.{expected.__name__}, "
            f"got {type(network).__name__}"
        )


def outside_files(name: str, spec: ModelSpec) -> dict[str, str]:
    """Files outside the project that a model is made of: name -> start of the hash (SHA-256).

    They are the file that defines a class of the user's own, but not what it imports, and a file
    of weights. A run with another content of theirs is another run.
    """
    files = [] if _is_registered(name) else [Path(inspect.getfile(type(spec)))]
    weights = getattr(spec, "weights", None)
    if isinstance(weights, str) and weights.endswith(SUFFIXES):
        files.append(Path(weights))
    return {file.name: _hash(file) for file in files}


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def check_unchanged(files: dict[str, str], name: str, spec: ModelSpec) -> None:
    """That the files of a model are those that a run was planned with.

    Raises:
        UserError: names the first that has changed.
    """
    now = outside_files(name, spec)
    for file, digest in files.items():
        if now.get(file) != digest:
            raise UserError(
                f"model '{name}': {file} has changed since the run was planned; `run` again plans "
                "runs with the new one"
            )
