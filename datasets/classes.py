"""Checking lists of class names and finding names in them."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence

from datasets.sample import IGNORE, DatasetError

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no name may hold: it would break lines of tables, drawings and terminals, or, as half of a
character, the writing of a file."""


def check_classes(classes: Sequence[str], where: str) -> list[str]:
    """Return the class names as a list.

    Args:
        classes: names, in the order of their labels.
        where: option or file they come from, for the message.

    Raises:
        DatasetError: there are none, one is empty, given twice or holds a line break or control
            character, or there are more than a semantic mask can hold beside background and
            ignored pixels (254).
    """
    if isinstance(classes, str):
        raise DatasetError(f"{where}: '{classes}' must be a list of names")
    names = list(classes)
    if not names:
        raise DatasetError(f"{where}: no class names; at least one is needed")
    for name, count in Counter(names).items():
        if not isinstance(name, str) or not name.strip():
            raise DatasetError(f"{where}: {name!r} is not a class name")
        if CONTROL.search(name):
            raise DatasetError(f"{where}: the class name {name!r} holds a control character")
        if name == "background":
            raise DatasetError(f"{where}: 'background' is implied; give the other classes alone")
        if count > 1:
            raise DatasetError(f"{where}: class '{name}' is given {count} times")
    if len(names) >= IGNORE:
        raise DatasetError(f"{where}: {len(names)} classes, at most {IGNORE - 1} are possible")
    return names


def find_class(name: str, classes: Sequence[str], where: str) -> int:
    """Index of ``name`` in ``classes``; :class:`DatasetError` with the closest match if absent."""
    if name in classes:
        return classes.index(name)
    close = difflib.get_close_matches(name, classes, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise DatasetError(f"{where}: class '{name}' is not in the list ({hint}allowed: {shown})")
