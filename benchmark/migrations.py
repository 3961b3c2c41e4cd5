"""Versions of the stored files' form, and what brings an older file to the one of today.

``experiment.yaml``, ``config.yaml`` and ``metrics.json`` say ``schema: N``; those written before
they did are of version 1. A file is never rewritten for its form alone: it is read through the
steps that follow its version. So a new version is one more entry of :data:`STEPS` for each kind
of file that it changes, and :data:`SCHEMA` raised by one.

- 2: ``schema`` itself; ``config.yaml`` no longer holds ``schema_version``. That is a part of what
  a cell's name is hashed from, stays 1, and said nothing about the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from benchmark.options import UserError

SCHEMA = 2
"""What is written now."""
KEY = "schema"

Content = dict[str, Any]


class NewerFile(UserError):
    """A file is sound, but of a form that this code does not know."""


Kind = Literal["experiment", "config", "metrics"]


def _config_1_to_2(content: Content) -> Content:
    return {key: value for key, value in content.items() if key != "schema_version"}


STEPS: dict[tuple[Kind, int], Callable[[Content], Content]] = {("config", 1): _config_1_to_2}
"""(kind of file, version) -> the step from there to the next; none where nothing changed."""


def stamp(content: Content) -> Content:
    """What is to be written, with the version of its form in front."""
    return {KEY: SCHEMA, **content}


def migrate(kind: Kind, content: Content, file: Path) -> Content:
    """The content of a file in today's form, without its version.

    Args:
        kind: which of the store's files it is.
        content: as the file holds it.
        file: named in messages.

    Raises:
        NewerFile: the version is newer than this code knows.
        UserError: it is none.
    """
    version = content.get(KEY, 1)
    if type(version) is not int or version < 1:
        raise UserError(f"{file}: {KEY} must be a whole number from 1 to {SCHEMA}, got {version!r}")
    if version > SCHEMA:
        raise NewerFile(
            f"{file}: {KEY} is {version}, but this version of the program knows those up to "
            f"{SCHEMA}: the file was written by a newer one; use that one to read it"
        )
    content = {key: value for key, value in content.items() if key != KEY}
    for older in range(version, SCHEMA):
        step = STEPS.get((kind, older))
        content = content if step is None else step(content)
    return content
