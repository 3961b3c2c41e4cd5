"""Section: runs that diverged, failed, or have not ended."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from benchmark.report.failing import FAILED, STAGES, UNFINISHED, Stopped, stopped_runs
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    Row,
    copyable,
    details,
    loss_name,
    paragraph,
    table,
)
from benchmark.report.tables.formats import UNKNOWN

DIVERGED = (
    "A diverged run has no value on the test split, so no mean holds it. Instead its loss ranks "
    "after all losses without diverged runs, and no verdict is given in its favour."
)
MISSING = (
    "Failed and unfinished runs are in no mean either, and do not count against their loss; "
    "the run command tries them again."
)


@section("failures", title="Failures", order=80)
def build(page: PageContext) -> Markup | None:
    """Diverged runs first, then failed ones with their errors, then those not ended."""
    runs = stopped_runs(page.data)
    if not runs:
        return _none(len(page.data.runs), len(page.data.tuning))
    diverged = [run for run in runs if run.status == "diverged"]
    failed = [run for run in runs if run.status in FAILED]
    unfinished = [run for run in runs if run.status in UNFINISHED]
    parts = [paragraph(_counts(diverged, failed, unfinished))]
    if diverged:
        parts.append(_diverged(page, diverged))
    if failed:
        parts.append(_failed(page, failed))
    if unfinished:
        parts.append(_unfinished(page, unfinished))
    if failed or unfinished:
        parts.append(paragraph(MISSING, "note"))
    return Markup("\n").join(parts)


def _none(finals: int, tuning: int) -> Markup | None:
    if finals:
        return paragraph(f"None: all {finals + tuning} runs are done.")
    if tuning:
        return paragraph(f"None so far: all {tuning} tuning runs are done; no final run yet.")
    return None


def _counts(*kinds: Sequence[Stopped]) -> str:
    names = ("diverged", "failed", "not ended")
    texts = [f"{_count(runs)} {name}" for runs, name in zip(kinds, names, strict=True) if runs]
    return f"{'; '.join(texts)}."


def _count(runs: Sequence[Stopped]) -> str:
    """How many final and how many tuning runs."""
    stages = [(sum(run.stage == stage for run in runs), name) for stage, name in STAGES.items()]
    return " and ".join(f"{n} {name}{'s' if n > 1 else ''}" for n, name in stages if n)


def _diverged(page: PageContext, runs: Sequence[Stopped]) -> Markup:
    columns = [*_columns(runs), Column("first bad epoch", "right"), Column("step", "right")]
    rows = [[*_cells(page, run, runs), *_place(run)] for run in runs]
    sentences = ["Where the loss or a gradient was first not finite."]
    if any(run.stage == "final" for run in runs):
        sentences.append(DIVERGED)
    if any(run.stage == "tuning" for run in runs):
        sentences.append("A setting with a diverged tuning run comes after all without one.")
    return table(columns, rows, caption="Diverged runs", note=" ".join(sentences))


def _place(run: Stopped) -> Row:
    if run.epoch is None:
        return [UNKNOWN, UNKNOWN]
    of = f" of {run.epochs}" if run.epochs else ""
    step = UNKNOWN if run.step is None else str(run.step)
    return [Cell(f"{run.epoch}{of}", float(run.epoch)), Cell(step, float(run.step or 0))]


def _failed(page: PageContext, runs: Sequence[Stopped]) -> Markup:
    columns = [*_columns(runs), Column("status"), Column("error")]
    rows = [[*_cells(page, run, runs), run.status, _first_line(run.error)] for run in runs]
    tracebacks = Markup("").join(_tracebacks(runs))
    return table(columns, rows, caption="Failed runs") + tracebacks


def _first_line(error: str) -> str:
    return error.strip().partition("\n")[0] or UNKNOWN


def _tracebacks(runs: Sequence[Stopped]) -> list[Markup]:
    """Each distinct traceback once, with the runs that ended in it."""
    alike: dict[str, list[Stopped]] = {}
    for run in runs:
        text = run.traceback or run.error
        if text:
            alike.setdefault(text, []).append(run)
    return [
        details(
            f"Traceback of {own[0].cell}" + (f" and {len(own) - 1} more" if own[1:] else ""),
            copyable(text),
        )
        for text, own in alike.items()
    ]


def _unfinished(page: PageContext, runs: Sequence[Stopped]) -> Markup:
    columns = [*_columns(runs), Column("status")]
    rows = [[*_cells(page, run, runs), run.status] for run in runs]
    return details(
        f"{_count(runs)} not ended", table(columns, rows, caption="Runs that have not ended")
    )


def _columns(runs: Sequence[Stopped]) -> list[Column]:
    """What says which run it is; its stage only where there are tuning runs among them."""
    names = ["loss", "task", "data set", "model", "repetition"]
    if any(run.stage == "tuning" for run in runs):
        names.append("stage")
    return [Column(name, "right" if name == "repetition" else "left") for name in names]


def _cells(page: PageContext, run: Stopped, runs: Sequence[Stopped]) -> list[Cell | str | Markup]:
    known = run.loss in page.losses.get(run.table[0], {})
    name = loss_name(page, run.table[0], run.loss) if known else run.loss
    cells: list[Cell | str | Markup] = [
        Cell(name, run.loss),
        *run.table,
        Cell(str(run.repetition), float(run.repetition)),
    ]
    if any(other.stage == "tuning" for other in runs):
        cells.append(", ".join(text for text in (STAGES[run.stage], run.setting) if text))
    return cells
