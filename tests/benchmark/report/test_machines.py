"""Environments: which are distinct, and which pairs of runs they break."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from benchmark.report.data import ReportData
from benchmark.report.machines import machines, mixtures, varying

HERE: dict[str, Any] = {"cpu": "A", "cores": 2, "packages": {"torch": "2.15.0"}}
THERE: dict[str, Any] = {"cpu": "B", "cores": 2, "packages": {"torch": "2.15.1"}}


def data(places: dict[tuple[str, int], dict[str, Any]]) -> ReportData:
    """Runs of one table, by (loss, repetition)."""
    rows = [
        {"task": "detection", "dataset": "d", "model": "m", "status": "done"}
        | {"loss": loss, "repetition": repetition, "cell": f"{loss}-{repetition}"}
        for loss, repetition in places
    ]
    found = {f"{loss}-{rep}": where for (loss, rep), where in places.items() if where}
    return ReportData("x", "", pd.DataFrame(rows), pd.DataFrame(), environments=found)


def test_distinct_environments_with_their_runs_commonest_first() -> None:
    report = data({("a", 0): HERE, ("a", 1): THERE, ("b", 1): dict(THERE)})
    found = machines(report)
    assert [machine.cells for machine in found] == [["a-1", "b-1"], ["a-0"]]
    assert found[1].properties == {"cpu": "A", "cores": "2", "packages.torch": "2.15.0"}
    assert varying(found) == ["cpu", "packages.torch"]
    assert varying(found[:1]) == []


def test_repetitions_made_in_one_place_each_keep_their_pairs() -> None:
    report = data({("a", 0): HERE, ("b", 0): HERE, ("a", 1): THERE, ("b", 1): THERE})
    (mixture,) = mixtures(report.runs, machines(report))
    assert (mixture.machines, mixture.broken, mixture.repetitions) == (2, [], 2)
    assert mixture.table == ("detection", "d", "m")


def test_a_pair_from_two_places_is_broken() -> None:
    report = data({("a", 0): HERE, ("b", 0): HERE, ("a", 1): HERE, ("b", 1): THERE})
    (mixture,) = mixtures(report.runs, machines(report))
    assert mixture.broken == [1]
    assert mixture.names == ["cpu", "packages.torch"]


@pytest.mark.parametrize("other", [HERE, {}], ids=["the same", "none recorded"])
def test_one_environment_is_no_mixture(other: dict[str, Any]) -> None:
    report = data({("a", 0): HERE, ("b", 0): other})
    assert mixtures(report.runs, machines(report)) == []
