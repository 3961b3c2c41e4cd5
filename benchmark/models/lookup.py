"""A model as an experiment names it: registered, or a class of the user's own by its path."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any, get_args

from torch import nn

from benchmark.attributes import find_attribute
from benchmark.experiment.train_settings import Train
from benchmark.models.base import (
    MODELS,
    DetectionModel,
    InstanceModel,
    Kind,
    ModelSpec,
    SegmentationModel,
)
from benchmark.models.weights import SUFFIXES
from benchmark.options import UserError, build, look_up, resolve_options

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
    if is_registered(name):
        return look_up(MODELS, name, "model", path)
    if name.endswith(".py"):
        raise UserError(f"{path}: model '{name}' names a file but no class; write {name}:MyModel")
    found = find_attribute(name, f"{path}: model")
    _check_class(found, f"{path}: model '{name}'")
    return found


def is_registered(name: str) -> bool:
    """Whether a name is to be looked up in the register, as no path to a class can be."""
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
    if task not in list(NETWORKS):  # which is no fault of a task that has no hash
        raise UserError(
            f"{where}: `task` must be a class variable, one of {', '.join(NETWORKS)}; got {task!r}"
        )
    places, kinds = found.places, get_args(Kind)
    if not isinstance(places, dict) or not all(kind in kinds for kind in places.values()):
        raise UserError(f"{where}: `places` must map places to {', '.join(kinds)}; got {places!r}")


def make_spec(name: str, given: dict[str, Any], path: str) -> tuple[dict[str, Any], ModelSpec]:
    """A model's options, all of them, and its spec.

    Args:
        name, path: as of :func:`find_model`.
        given: options that the experiment file says.

    Raises:
        UserError: there is no such model, or an option is wrong.
    """
    cls = find_model(name, path)
    try:
        options = resolve_options(cls, given, path)
        return options, build(cls, options, path)
    except UserError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        if is_registered(name):
            raise
        raise UserError(
            f"{path}: model '{name}': its options cannot be used: {reason_of(error)}"
        ) from error


def check_train(name: str, spec: ModelSpec, train: Train, path: str) -> None:
    """Ask the model whether it can be trained in that way.

    Raises:
        UserError: it cannot, or its own check failed.
    """
    try:
        spec.check_train(train)
    except ValueError as error:
        raise UserError(f"{path}: model '{name}': train.{error}") from None
    except Exception as error:  # a stranger's code may raise anything
        if is_registered(name):
            raise
        raise UserError(f"{path}: model '{name}': check_train: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """What a stranger's code raised, in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def outside_files(name: str, spec: ModelSpec) -> dict[str, str]:
    """Files outside the project that a model is made of: name -> start of the hash (SHA-256).

    They are the file that defines a class of the user's own, but not what it imports, and a file
    of weights. A run with another content of theirs is another run.
    """
    files = [] if is_registered(name) else [Path(inspect.getfile(type(spec)))]
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
