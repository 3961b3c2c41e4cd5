"""The source files of this package that a module runs on: what its results may depend on."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = __name__.partition(".")[0]


@cache
def code_behind(*modules: str) -> tuple[Path, ...]:
    """Files of the given modules and of all of this package that they import, sorted.

    Found in the import statements, at any depth; what other packages contain is not followed.
    So a change of the augmentation, say, is no reason to decode a data set anew.

    Args:
        modules: names of modules that have been imported; one without a file counts for nothing.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if name in found or file is None or not file.endswith(".py"):
            continue
        found[name] = Path(file)
        waiting += [each for each in _imports(name, found[name]) if _is_ours(each)]
    return tuple(sorted(found.values()))


def _is_ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _imports(name: str, file: Path) -> Iterator[str]:
    """Names of the modules that a file imports, and of what it imports from them."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".") + ["__init__"] * (file.name == "__init__.py")
            parts = [*above[: -node.level], node.module] if node.level else [node.module]
            source = ".".join(part for part in parts if part)
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
