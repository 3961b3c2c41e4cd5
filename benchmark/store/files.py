"""Writing a file so that it is whole or not there, and reading it."""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment
from benchmark.migrations import stamp
from benchmark.options import UserError

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's where PyYAML was built with it."""
TEMPORARY = ".*." + "[0-9a-f]" * 32 + ".*"
"""How the files are called that :func:`write_atomically` has not yet moved to their place."""

ARRIVING = ".arriving-"
"""How the names of folders begin in which files from another machine wait for their place."""


def forget_arrivals(folder: Path) -> None:
    """Remove what a process that was killed left half delivered; the caller holds the lock."""
    for leftover in folder.glob(f"{ARRIVING}*"):
        shutil.rmtree(leftover)


def write_atomically(path: Path, write: Callable[[Path], object], durable: bool = False) -> None:
    """Let ``write`` fill a temporary file next to ``path``, then move it there in one step.

    Args:
        durable: have the content on the disk before the file gets its name, so that a machine
            that loses its power leaves the old file or the new one, and none that is empty. For
            what cannot be had again without training.

    Raises:
        OSError: it could not be written; names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: its files are the owner's alone, and results are shared.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{path.suffix}")
    try:
        write(temporary)
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # else nothing is left to remove, and asking costs a shared disk
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Write a UTF-8 text file atomically; ``durable`` as in :func:`write_atomically`."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write, durable)


def write_json(path: Path, content: dict[str, Any], durable: bool = False) -> None:
    """Write JSON atomically; NaN, which JSON lacks, becomes null."""
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n"
    write_text(path, text, durable)


def compact_json(content: dict[str, Any]) -> str:
    """JSON for machines: one line, NaN as null."""
    return json.dumps(_without_nan(content), separators=(",", ":"), allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_yaml(content: CellConfig | Experiment) -> str:
    """YAML with the version of its form."""
    # `schema_version` is of a cell's identity; what a file is written in, `stamp` says.
    dumped = content.model_dump(mode="json", exclude={"schema_version"})
    return yaml.dump(stamp(dumped), Dumper=DUMPER, sort_keys=False)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON mapping; a :class:`UserError` names the file otherwise."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a JSON object")
    return content
