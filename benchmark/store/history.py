"""``history.csv``: one row an epoch, as rows for training and as columns for everything else.

A report of a large grid reads half a million rows; a column at a time they are numbers in a list,
not a mapping each.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from benchmark.options import UserError

NAN = float("nan")
TAKEN = frozenset({"task", "dataset", "model", "loss", "repetition"})
"""Columns that tables put beside those of the file."""
Read = TypeVar("Read")
Columns = dict[str, npt.NDArray[Any]]


def write_rows(file: Path, rows: list[dict[str, float]]) -> None:
    """Write rows that need not share all columns; what a row lacks is an empty field."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(file: Path) -> list[dict[str, float]]:
    """The rows without their empty fields, ``epoch`` a whole number; none without the file.

    Raises:
        UserError: the file is damaged; the message names it.
    """
    return _read(file, _rows, [])


def read_columns(file: Path) -> Columns:
    """Column -> its values (``epoch`` int64, the others float64), NaN for empty fields.

    Columns without any value are absent, all where there is no file or row.

    Raises:
        UserError: as :func:`read_rows`.
    """
    return _read(file, _columns, {})


def read_last_epoch(file: Path) -> int:
    """The epoch of the last row, 0 where there is none; the rows before are not looked at.

    Raises:
        UserError: as :func:`read_rows`.
    """
    return _read(file, _last_epoch, 0)


def _read(file: Path, parse: Callable[[str], Read], without: Read) -> Read:
    """What ``parse`` makes of the file's text; ``without`` where there is no file."""
    try:
        with file.open(newline="", encoding="utf-8") as handle:
            text = handle.read()
        if not text.endswith("\n"):
            raise ValueError("its last line is cut short")
        return parse(text)
    except FileNotFoundError:
        return without
    except (ValueError, TypeError, LookupError, OverflowError, StopIteration, csv.Error) as error:
        raise UserError(
            f"{file}: is damaged ({str(error) or 'it is empty'}); delete the file to leave its "
            "curve out, or the folder to train the run again"
        ) from None


def _check_names(names: list[str]) -> None:
    """A column with the name of another, or of what tells runs apart, would take its place."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"it has two columns '{name}'")
        if name in TAKEN:
            raise ValueError(f"no column of it can be called '{name}'")


def _check_epochs(epochs: Sequence[float]) -> None:
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        raise ValueError("its epochs do not rise")


def _rows(text: str) -> list[dict[str, float]]:
    columns, *lines = csv.reader(io.StringIO(text, newline=""))
    _check_names(columns)
    rows = [
        {key: float(value) for key, value in zip(columns, line, strict=True) if value}
        for line in lines
    ]
    numbered = [{**row, "epoch": int(row["epoch"])} for row in rows]
    _check_epochs([row["epoch"] for row in numbered])
    return numbered


def _columns(text: str) -> Columns:
    names, *lines = csv.reader(io.StringIO(text, newline=""))
    _check_names(names)
    if not lines:
        return {}
    columns: Columns = {
        name: np.array([float(value) if value else NAN for value in values])
        for name, values in zip(names, zip(*lines, strict=True), strict=True)
        if any(values)
    }
    epochs = [int(epoch) for epoch in columns["epoch"]]
    _check_epochs(epochs)
    return {**columns, "epoch": np.array(epochs, np.int64)}


def _last_epoch(text: str) -> int:
    reader = csv.reader(io.StringIO(text, newline=""))
    place = next(reader).index("epoch")
    last = deque(reader, maxlen=1)
    return int(float(last[0][place])) if last else 0
