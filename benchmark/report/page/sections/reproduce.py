"""Section: the command that trains a run again and compares, for every run."""

from __future__ import annotations

import shlex

from markupsafe import Markup

from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    Row,
    copyable,
    details,
    loss_name,
    panel_blocks,
    paragraph,
    table,
)
from benchmark.report.page.paths import relative
from benchmark.report.panels import Panel

ENDED = ("done", "diverged")
WHOLE = (
    "The whole experiment, into the folder again; a relative root of a data set is "
    "looked for in the folder that LOSSBENCH_DATA names:"
)
ONE = (
    "One run: trains it from its stored configuration, on the kind of device that it ran on, and "
    "compares every metric bit for bit. Paths start at the folder that the report was made in."
)


@section("reproduce", title="Run it again", order=95)
def build(page: PageContext) -> Markup | None:
    """Commands for the whole experiment and for each run; None where no folder is known."""
    commands = [
        copyable(
            f"python3 run.py run {shlex.quote(f'{relative(source)}/experiment.yaml')} "
            "--results again"
        )
        for source, experiment in page.data.experiments.items()
        if experiment
    ]
    runs = panel_blocks(page, lambda panel: _runs(page, panel))
    parts = [*([paragraph(WHOLE), *commands] if commands else [])]
    if runs:
        parts += [paragraph(ONE), runs]
    return Markup("\n").join(parts) if parts else None


def _runs(page: PageContext, panel: Panel) -> Markup | None:
    ended = panel.runs[panel.runs["status"].isin(ENDED)]
    rows: list[Row] = [
        [
            Cell(loss_name(page, run["task"], run["loss"]), run["loss"], loss=run["loss"]),
            Cell(str(run["repetition"]), float(run["repetition"])),
            copyable(reproduce_command(page, run["cell"])),
        ]
        for run in ended[["task", "loss", "repetition", "cell"]].to_dict("records")
        if run["cell"] in page.data.folders
    ]
    if not rows:
        return None
    columns = [Column("loss"), Column("repetition", "right"), Column("command", sort=False)]
    body = table(columns, rows, caption="Command of each run")
    return details(f"{len(rows)} runs", body)


def reproduce_command(page: PageContext, cell: str) -> str:
    """The command that trains the run in this folder again."""
    return f"python3 run.py reproduce {shlex.quote(relative(page.data.folders[cell]))}"
