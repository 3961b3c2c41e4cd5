"""One page over all reports in a folder: what each asked, and what it found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import NoneType
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from benchmark.options import UserError
from benchmark.report.page.html import Cell, Column, Row, paragraph, table
from benchmark.report.page.shell import render_shell
from benchmark.store import read_json, write_text

COLUMNS = [
    Column("Experiment"),
    Column("Task"),
    Column("Data sets"),
    Column("Losses", align="right"),
    Column("Runs", align="right"),
    Column("Not done", align="right"),
    Column("Hours of computing", align="right"),
]

RUN: dict[str, Any] = {"task": str, "dataset": str, "loss": str, "status": str}
SECONDS: dict[str, Any] = {"seconds": int | float | NoneType}
SHOWN = {"headlines": {"lead": str}, "runs": RUN | SECONDS, "tuning": SECONDS}
"""List in ``report.json`` -> what its entries hold that is shown here, by name -> type."""


def write_index(folder: Path) -> Path:
    """Write ``folder/index.html`` from the ``report.json`` of every folder directly inside.

    The reports are named by their folders, in the order of the alphabet, and linked.

    Raises:
        UserError: no folder inside holds a report, or one is damaged.
    """
    reports = {
        file.parent.name: _read(file)
        for file in sorted(folder.glob("*/report.json"))
        if (file.parent / "report.html").exists()
    }
    if not reports:
        raise UserError(f"{folder}: no folder in it holds a report; `run.py report` writes one")
    sections = [("all", "Experiments", _overview(reports))]
    sections += [(f"of-{i}", name, _one(name, r)) for i, (name, r) in enumerate(reports.items())]
    path = folder / "index.html"
    write_text(path, render_shell(f"{folder.resolve().name}: all reports", "", sections, {}))
    return path


def _read(file: Path) -> dict[str, Any]:
    """A ``report.json``, all of whose values that are shown here have their types."""
    if file.is_symlink() or not file.is_file():
        raise UserError(f"{file}: must be a plain file and no link; remove it to leave it out")
    report = read_json(file)
    faults = [] if isinstance(report.get("description"), str) else ["description"]
    faults += [
        f"{key}.{name}" if isinstance(report.get(key), list) else key
        for key, kinds in SHOWN.items()
        for name, kind in kinds.items()
        if not isinstance(report.get(key), list)
        or not all(isinstance(r, dict) and isinstance(r.get(name, ...), kind) for r in report[key])
    ]
    if faults:
        raise UserError(
            f"{file}: '{faults[0]}' is missing or of a wrong type; write the report again with "
            "`run.py report`, or delete the file to leave it out"
        )
    return report


def _overview(reports: dict[str, dict[str, Any]]) -> Markup:
    rows: list[Row] = []
    for name, report in reports.items():
        runs = report["runs"]
        ended = Counter(run["status"] for run in runs)
        seconds = sum(run["seconds"] or 0 for run in [*runs, *report["tuning"]])
        rows.append(
            [
                Cell(_link(name, name), sort_value=name),
                ", ".join(dict.fromkeys(run["task"] for run in runs)),
                ", ".join(dict.fromkeys(run["dataset"] for run in runs)),
                str(len({(run["task"], run["loss"]) for run in runs})),
                str(len(runs)),
                str(len(runs) - ended["done"]),
                f"{seconds / 3600:.1f}",
            ]
        )
    note = "Hours: from the start of each run to its end, tuning included, summed over all runs."
    return table(COLUMNS, rows, "All experiments", note)


def _one(name: str, report: dict[str, Any]) -> Markup:
    parts = [paragraph(report["description"])] if report["description"] else []
    parts += [paragraph(headline["lead"]) for headline in report["headlines"]]
    return Markup("").join([*parts, Markup("<p>{}</p>").format(_link(name, "The whole report"))])


def _link(name: str, text: str) -> Markup:
    return Markup('<a href="{}/report.html">{}</a>').format(quote(name), text)
