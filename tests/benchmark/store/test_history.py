from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.options import UserError
from benchmark.store.history import read_columns, read_last_epoch, read_rows, write_rows

ROWS: list[dict[str, float]] = [
    {"epoch": 0, "AP": 0.25},
    {"epoch": 1, "AP": float("nan"), "lr": 1e-3},
    {"epoch": 3, "lr": 5e-4},
]


def test_rows_come_back_without_their_empty_fields(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    write_rows(file, ROWS)
    first, second, third = read_rows(file)
    assert first == {"epoch": 0, "AP": 0.25}
    assert math.isnan(second.pop("AP"))
    assert second == {"epoch": 1, "lr": 1e-3}
    assert third == {"epoch": 3, "lr": 5e-4}


def test_columns_are_aligned_and_unknown_is_nan(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    write_rows(file, ROWS)
    columns = read_columns(file)
    assert list(columns) == ["epoch", "AP", "lr"]
    assert columns["epoch"].dtype == np.int64
    np.testing.assert_array_equal(columns["epoch"], [0, 1, 3])
    np.testing.assert_array_equal(columns["AP"], [0.25, math.nan, math.nan])
    np.testing.assert_array_equal(columns["lr"], [math.nan, 1e-3, 5e-4])
    assert read_last_epoch(file) == 3


def test_a_column_without_any_value_is_absent(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text("epoch,AP,lr\r\n0,,1\r\n1,,2\r\n")
    assert list(read_columns(file)) == ["epoch", "lr"]
    assert [set(row) for row in read_rows(file)] == [{"epoch", "lr"}] * 2


@pytest.mark.parametrize("content", [None, "epoch,AP\r\n"])
def test_no_file_and_no_row_are_no_epochs(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "history.csv"
    if content is not None:
        file.write_text(content)
    assert (read_rows(file), read_columns(file), read_last_epoch(file)) == ([], {}, 0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "epoch,AP\r\n0,0.1\r\n1,0.",
        "epoch,AP\r\n0,0.1\r\n1,x\r\n",
        "epoch,AP\r\n0,0.1\r\n1\r\n",
        "epoch,AP\r\n0,0.1\r\n,0.2\r\n",
        "AP\r\n0.1\r\n",
        "epoch,AP\r\ninf,0.1\r\n",
    ],
)
def test_damage_is_told_with_the_name_of_the_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "history.csv"
    file.write_text(content)
    for read in (read_rows, read_columns):
        with pytest.raises(UserError, match=r"history\.csv: is damaged .*delete the file"):
            read(file)


@pytest.mark.parametrize("content", ["", "epoch,AP\r\n0,0.1\r\n1,0.", "AP\r\n0.1\r\n"])
def test_the_last_epoch_of_a_damaged_file_is_told_as_well(tmp_path: Path, content: str) -> None:
    file = tmp_path / "history.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=r"history\.csv: is damaged"):
        read_last_epoch(file)


VALUE = st.floats(allow_nan=False)
NAME = st.text(min_size=1).filter(lambda name: name != "epoch")


@given(
    st.lists(st.dictionaries(NAME, VALUE, max_size=3), min_size=1, max_size=5),
    st.integers(0, 1000),
)
def test_rows_and_columns_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, float]], start: int
) -> None:
    file = tmp_path_factory.mktemp("run") / "history.csv"
    rows = [{"epoch": start + place, **row} for place, row in enumerate(values)]
    write_rows(file, rows)
    assert read_rows(file) == rows
    columns = read_columns(file)
    assert set(columns) == {name for row in rows for name in row}
    for name, column in columns.items():
        np.testing.assert_array_equal(column, [row.get(name, math.nan) for row in rows])
    assert read_last_epoch(file) == rows[-1]["epoch"]
