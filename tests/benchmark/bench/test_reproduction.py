"""The tolerance that is measured between two results folders."""

from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console

from benchmark.bench.reproduction import bench, compare
from benchmark.options import UserError
from benchmark.reproduction.comparison import Tolerances
from benchmark.store import Store

HERE = {"cpu": "A", "threads": 1, "packages": {"torch": "2.15"}}
THERE = {"cpu": "B", "threads": 1, "cores": 4, "packages": {"torch": "2.15"}}


@pytest.fixture
def store(tmp_path, make_cell):
    """Write a results folder: ``store(where, environment, AP of each repetition)``."""

    def make(where, environment, values, status="done") -> Store:
        for repetition, value in enumerate(values):
            cell = make_cell(repetition=repetition)
            folder = Store(tmp_path / where).run_folder(cell)
            folder.begin(cell, environment)
            folder.write_history([{"epoch": 1, "loss_total": 4.0 + value}])
            metrics = {"AP": value, "AP/a": value / 2, "AP/b": value / 4, "AP_large": None}
            folder.finish({"status": status, "metrics": metrics, "untrained": {"AP": 0.25}})
        return Store(tmp_path / where)

    return make


def test_the_largest_difference_of_each_kind_of_value(store):
    found = compare(store("a", HERE, [0.5, 0.5, 0.5]), store("b", THERE, [0.5, 0.625, 0.25]))
    assert (found.runs, found.same) == (3, 1)
    assert found.changed == {"cpu": ("A", "B")}
    rows = found.values.set_index("value")
    assert rows.loc["AP"].tolist() == [3, 1, 0.25]
    assert rows.loc["AP/<class>"].tolist() == [6, 2, 0.125]
    assert rows.loc["untrained AP"].tolist() == [3, 3, 0.0]
    assert rows.loc["loss of epoch 1", "largest"] == 0.25 / 4.5
    assert set(rows.index) == {"AP", "AP/<class>", "untrained AP", "loss of epoch 1"}


def test_what_is_written_is_what_reproduce_reads(store, tmp_path):
    a, b = store("a", HERE, [0.5]), store("b", THERE, [0.75])
    c = store("c", {**HERE, "threads": 2}, [0.5625])
    out = tmp_path / "out"
    bench(Console(quiet=True), a.path, [b.path, c.path], out, "python3 run.py bench x")
    assert Tolerances.measured(["threads"], out / "tolerances.csv").limits["AP"] == 2 * 0.0625
    limits = Tolerances.measured(["cpu"], out / "tolerances.csv").limits
    assert limits["AP"] == 2 * 0.25
    assert limits["untrained AP"] == 1e-6
    table = pd.read_csv(out / "tolerances.csv")
    assert list(table) == ["changed", "value", "compared", "equal", "largest"]
    assert set(table["changed"]) == {"cpu", "threads"}
    page = (out / "README.md").read_text()
    for line in (
        "| cpu | A | B | 1 | 0 |",
        "| threads | 1 | 2 | 1 | 0 |",
        "| AP | 0.25 | 0.062 |",
        "1 more kinds of value",
        "python3 run.py bench x",
    ):
        assert line in page


def test_what_tells_nothing_is_refused(store):
    a = store("a", HERE, [0.5])
    with pytest.raises(UserError, match=r"b: its runs were made in the environment of those in"):
        compare(a, store("b", {**HERE, "cores": 64}, [0.5]))
    with pytest.raises(UserError, match="c: has no ended run in common with"):
        compare(a, _empty(a))
    with pytest.raises(UserError, match="ended as diverged, the run that it is compared with as"):
        compare(a, store("d", THERE, [0.5], status="diverged"))


def _empty(beside: Store) -> Store:
    path = beside.path.with_name("c")
    (path / "runs").mkdir(parents=True)
    return Store.existing(path)
