"""Section: the machines and versions that the runs were made with."""

from __future__ import annotations

from markupsafe import Markup

from benchmark.report.machines import Machine, Mixture, machines, mixtures, varying
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import Cell, Column, Row, paragraph, table
from benchmark.report.tables.formats import UNKNOWN

CHANGED = "+changes"
"""What :mod:`benchmark.environment` puts behind a commit that the files differed from."""


@section("environment", title="Environment", order=90)
def build(page: PageContext) -> Markup | None:
    """What all runs ran on, and a row for each distinct environment where there are several."""
    found = machines(page.data)
    if not found:
        return None
    warnings = [
        paragraph(_warning(mixture), "warning" if mixture.broken else "note")
        for mixture in mixtures(page.data.runs, found)
    ]
    names = varying(found)
    runs = sum(len(machine.cells) for machine in found)
    parts = [*warnings, *_changed(found), _shared(found, names, runs)]
    if len(found) > 1:
        parts.append(_differing(found, names))
    return Markup("\n").join(parts)


def _changed(found: list[Machine]) -> list[Markup]:
    """A sentence on runs of code that no commit holds."""
    runs = sum(
        len(machine.cells)
        for machine in found
        if machine.properties.get("commit", "").endswith(CHANGED)
    )
    if not runs:
        return []
    return [
        paragraph(
            f"{runs} of the runs were made with code that no commit holds: some file differed "
            f"from the commit ({CHANGED}).",
            "note",
        )
    ]


def _shared(found: list[Machine], names: list[str], runs: int) -> Markup:
    shared = {k: v for k, v in found[0].properties.items() if k not in names}
    rows = [[_name(key), value] for key, value in _ordered(shared)]
    return table(["property", "value"], rows, caption=f"The same for all {runs} runs")


def _ordered(properties: dict[str, str]) -> list[tuple[str, str]]:
    """Machine first, then versions of packages."""
    return sorted(properties.items(), key=lambda item: ("." in item[0], item[0]))


def _name(key: str) -> str:
    return key.removeprefix("packages.")


def _differing(found: list[Machine], names: list[str]) -> Markup:
    columns = [
        Column("environment"),
        Column("runs", "right"),
        *(Column(_name(name)) for name in names),
    ]
    rows: list[Row] = [
        [
            Cell(str(number), float(number)),
            Cell(str(len(machine.cells)), float(len(machine.cells))),
            *(machine.properties.get(name, UNKNOWN) for name in names),
        ]
        for number, machine in enumerate(found, start=1)
    ]
    return table(columns, rows, caption="What differs between environments")


def _warning(mixture: Mixture) -> str:
    where = ", ".join(mixture.table)
    names = ", ".join(map(_name, mixture.names))
    made = f"{where}: the runs come from {mixture.machines} environments (they differ in {names})"
    if not mixture.broken:
        return (
            f"{made}, but all runs of a repetition come from the same one, so each paired "
            "difference is between runs of one environment."
        )
    return (
        f"{made}. In {len(mixture.broken)} of {mixture.repetitions} repetitions not all runs come "
        "from the same one, so the paired differences may hold what the environments differ in."
    )
