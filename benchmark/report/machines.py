"""What the runs ran on: the distinct environments, and whether pairs of runs share one."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.report.settings import flat, shown
from benchmark.statistics import groups


@dataclass(frozen=True)
class Machine:
    """One distinct environment.

    Attributes:
        properties: dotted name (``cpu``, ``packages.torch``) -> value as text.
        cells: the runs made in it, by the name of their folder.
    """

    properties: dict[str, str]
    cells: list[str]


def machines(data: ReportData) -> list[Machine]:
    """The distinct environments of all final and tuning runs, those of most runs first.

    The data that a run saw are no property of its machine, though it was noted there.
    """
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for cell, environment in data.environments.items():
        machine = {key: value for key, value in environment.items() if key != "data"}
        properties = {key: shown(value) for key, value in flat(machine).items()}
        found.setdefault(tuple(sorted(properties.items())), []).append(cell)
    alike = [Machine(dict(properties), cells) for properties, cells in found.items()]
    return sorted(alike, key=lambda machine: -len(machine.cells))


def varying(found: list[Machine]) -> list[str]:
    """Names of the properties that are not the same in all environments."""
    names = dict.fromkeys(name for machine in found for name in machine.properties)
    return [n for n in names if len({machine.properties.get(n) for machine in found}) > 1]


@dataclass(frozen=True)
class Mixture:
    """A table of losses whose runs come from more than one environment.

    Attributes:
        table: task, data set, model.
        machines: number of environments.
        names: the properties that differ between them.
        broken: repetitions whose runs come from more than one, so that the difference between
            two losses holds that of their environments too.
        repetitions: of the table.
    """

    table: tuple[str, str, str]
    machines: int
    names: list[str]
    broken: list[int]
    repetitions: int


def mixtures(runs: pd.DataFrame, found: list[Machine]) -> list[Mixture]:
    """The tables that mix environments; what left no environment is passed over."""
    number = {cell: i for i, machine in enumerate(found) for cell in machine.cells}
    mixed = []
    for table, own in groups(runs) if len(runs) else []:
        places = own.assign(machine=own["cell"].map(number)).dropna(subset=["machine"])
        used = sorted({int(i) for i in places["machine"]})
        if len(used) < 2:
            continue
        kinds = places.groupby("repetition")["machine"].nunique()
        mixed.append(
            Mixture(
                table=table,
                machines=len(used),
                names=varying([found[i] for i in used]),
                broken=[int(repetition) for repetition in kinds.index[kinds > 1]],
                repetitions=len(kinds),
            )
        )
    return mixed
