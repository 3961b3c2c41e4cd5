"""What a user's own code defines, found by module or file and by name."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.options import UserError, suggest

SHOWN = 8
"""Names that a message lists."""


def find_attribute(name: str, what: str) -> Any:
    """What ``module:attribute`` or ``module.attribute`` names.

    Args:
        name: the module is importable, also from the current folder, or (before a colon) a
            ``.py`` file.
        what: what it is to the user, for messages: ``loss``.

    Raises:
        UserError: there is no such module, file or attribute, or importing it fails.
    """
    source, _, attribute = name.rpartition(":" if ":" in name else ".")
    path = f"{what} '{name}'"
    module = _import(path, source)
    try:
        return reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise UserError(
            f"{path}: {source} has no '{attribute}'{_hint(attribute, module)}"
        ) from None


def _hint(attribute: str, module: ModuleType) -> str:
    """The name that was meant, or else what there is."""
    public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    close = suggest(attribute, public)
    if close:
        return close
    own = [key for key, value in public.items() if _is_defined_in(module, value)]
    more = f" and {len(own) - SHOWN} more" if len(own) > SHOWN else ""
    return f"; it defines {', '.join(own[:SHOWN])}{more}" if own else "; it defines nothing"


def _is_defined_in(module: ModuleType, value: Any) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _import(path: str, source: str) -> ModuleType:
    find: Callable[[str], ModuleType] = importlib.import_module
    if source.endswith(".py"):
        if not Path(source).is_file():
            raise UserError(f"{path}: there is no file {source}")
        find = _import_file
    # Last, so that nothing of ours is taken from there: the processes that train are started
    # without the current folder, and the command line may be called from anywhere.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return find(source)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path}: {source} cannot be imported: {reason}") from None


def _import_file(source: str) -> ModuleType:
    """Import a file once, so that what it registers is registered once."""
    path = Path(source).resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being imported
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
