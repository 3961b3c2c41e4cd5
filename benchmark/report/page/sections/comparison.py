"""Section: the table of the losses."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from benchmark.report.best import supported_best
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import Cell, Column, details, loss_name, panel_blocks, table
from benchmark.report.panels import Panel
from benchmark.report.tables import (
    CLAIMS,
    DIVERGED,
    NO_VALUE,
    REFERENCE_LABELS,
    UNKNOWN,
    WORDS,
    bootstrap_remarks,
    bootstrap_text,
    not_finished,
    paired,
    percent,
    plain,
    spread,
    used_settings,
)
from benchmark.statistics import MIN_PAIRS, REFERENCES, reference, scores

RUNS_FOR_IQM = 8  # of fewer, the middle half is too few to be worth a mean
NOT_CORRECTED = "The interval excludes 0, but not after Holm's correction for all comparisons."


@section("comparison", title="Comparison", order=20)
def build(page: PageContext) -> Markup | None:
    """A table for each (task, data set, model), best loss first."""
    return panel_blocks(page, lambda panel: _table(page, panel))


def _table(page: PageContext, panel: Panel) -> Markup:
    secondary = [m for m in WORDS[panel.key[0]].secondary if m in panel.runs and m != panel.metric]
    best = supported_best(panel.runs, panel.summary)
    columns = _columns(panel, secondary)
    rows = [
        [cells[name] for name in columns]
        for cells in (
            _cells(page, panel, row, secondary, best) for _, row in panel.summary.iterrows()
        )
    ]
    foot = [
        [cells.get(name, Cell("")) for name in columns]
        for cells in (_reference(panel, name, secondary) for name in REFERENCES)
    ]
    caption = f"{panel.metric} of the losses on the test split"
    made = table(list(columns.values()), rows, caption, _remarks(panel, best), foot)
    return Markup('<div id="{}">{}{}</div>').format(page.anchor(panel), made, _explanation(panel))


def _columns(panel: Panel, secondary: list[str]) -> dict[str, Column]:
    level = f"{100 * panel.summary['level'].iloc[0]:g} %"
    columns = {
        "loss": Column("loss"),
        "metric": Column(f"{panel.metric} (%)", "right", tip="mean ± standard deviation"),
        "difference": Column(
            "difference", "right", tip=f"to the baseline, percentage points, {level} t-interval"
        ),
        "bootstrap": Column(
            "bootstrap", "right", tip=f"percentile bootstrap of the difference, {level} interval"
        ),
        "verdict": Column("verdict"),
        "n": Column("n", "right", tip="finished runs, over which means are taken"),
        "not finished": Column("not finished"),
        "setting": Column("setting", tip="Chosen by tuning on the validation split."),
        "p": Column("p (Holm)", "right", tip="paired t-test, after Holm's correction"),
        "exact p": Column(
            "exact p (Holm)", "right", tip="exact sign-flip test, after Holm's correction"
        ),
        "improvement": Column(
            "runs won (%)",
            "right",
            tip=f"share of repetitions in which the loss beats the baseline, {level} interval for "
            "one comparison alone",
        ),
        **{name: Column(f"{name} (%)", "right") for name in secondary},
        "iqm": Column("IQM (%)", "right", tip="interquartile mean: of the middle half of the runs"),
        "seconds": Column("seconds", "right", tip="mean time of a finished run"),
    }
    for name in _empty(panel):
        del columns[name]
    return columns


def _empty(panel: Panel) -> Iterator[str]:
    """The columns in which this table would have nothing to say."""
    rows = panel.summary
    judged = bool((rows["n_pairs"] >= MIN_PAIRS).any())
    kept = {
        "bootstrap": "boot_low" in rows and judged,
        "not finished": any(not_finished(row) for _, row in rows.iterrows()),
        "setting": bool(used_settings(panel.runs).any()),
        "p": judged,
        "exact p": judged,
        "improvement": judged,
        "iqm": bool((rows["n"] >= RUNS_FOR_IQM).any()),
    }
    return (name for name, keep in kept.items() if not keep)


def _cells(
    page: PageContext, panel: Panel, row: pd.Series, secondary: list[str], best: str | None
) -> dict[str, Cell]:
    loss = str(row["loss"])
    runs = panel.runs[panel.runs["loss"] == loss]
    done = runs[runs["status"] == "done"]
    seconds = float(done["seconds"].mean()) if "seconds" in done else float("nan")
    mark = "best" if loss == best else ""
    iqm = float(row["iqm"]) if row["n"] >= RUNS_FOR_IQM else math.nan
    return {
        "loss": Cell(loss_name(page, panel.key[0], loss), loss, mark, loss=loss),
        "metric": Cell(spread(row["mean"], row["std"]), float(row["mean"]), mark),
        **_judged(row),
        "n": Cell(str(row["n"]), int(row["n"])),
        "not finished": Cell(not_finished(row), mark="warning"),
        "setting": Cell(", ".join(dict.fromkeys(used_settings(runs)))),
        **{name: _secondary(panel, name, loss) for name in secondary},
        "iqm": Cell(percent(iqm), iqm),
        "seconds": Cell(plain(seconds, 0), seconds),
    }


def _judged(row: pd.Series) -> dict[str, Cell]:
    """What is said of the difference; fewer than :data:`MIN_PAIRS` pairs carry the mean alone."""
    is_baseline = row["loss"] == row["baseline"]
    sure = row["n_pairs"] >= MIN_PAIRS
    return {
        "difference": Cell(
            UNKNOWN if is_baseline else paired(row), 0.0 if is_baseline else float(row["diff"])
        ),
        "bootstrap": Cell(
            bootstrap_text(row) or UNKNOWN,
            float(row.get("boot_low", math.nan)) if sure else math.nan,
            tip=str(row.get("boot_caution", "")) if sure else "",
        ),
        "verdict": _verdict(row),
        "p": _p_value(row.get("t_p_holm", math.nan) if sure else math.nan),
        "exact p": _p_value(row["p_holm"] if sure else math.nan, " *" if row["p_note"] else ""),
        "improvement": _improvement(row) if sure else Cell(UNKNOWN, math.nan),
    }


def _verdict(row: pd.Series) -> Cell:
    verdict = str(row["verdict"])
    if verdict in CLAIMS and not row["claim"]:
        return Cell(f"{verdict}, uncorrected", tip=NOT_CORRECTED)
    marks = {"better": "better", "worse": "worse", "diverged": "warning"}
    return Cell(verdict, mark=marks.get(verdict, "quiet"))


def _p_value(value: float, star: str = "") -> Cell:
    if pd.isna(value):
        return Cell(UNKNOWN, math.nan)
    text = "< 0.001" if value < 0.001 else f"{value:.3f}"
    return Cell(text + star, float(value))


def _improvement(row: pd.Series) -> Cell:
    shares = row[["improvement", "improvement_low", "improvement_high"]].astype(float)
    if shares.isna().any():
        return Cell(UNKNOWN, math.nan)
    share, low, high = (f"{100 * value:.0f}" for value in shares)
    return Cell(f"{share} [{low}, {high}]", float(row["improvement"]))


def _secondary(panel: Panel, metric: str, loss: str) -> Cell:
    values = scores(panel.runs, metric)[loss]
    return Cell(spread(values.mean(), values.std()), float(values.mean()))


def _reference(panel: Panel, name: str, secondary: list[str]) -> dict[str, Cell]:
    values = {m: reference(panel.runs, name, m) for m in (panel.metric, *secondary)}
    cells = {metric: Cell(percent(value)) for metric, value in values.items()}
    return {"loss": Cell(REFERENCE_LABELS[name]), "metric": cells[panel.metric], **cells}


def _remarks(panel: Panel, best: str | None) -> str:
    """What a reader must know of this very table."""
    rows = panel.summary
    level = f"{100 * rows['level'].iloc[0]:g} %"
    rule = (
        f"the first loss is set in bold only where the {level} interval of its paired difference "
        "to each other loss lies above 0"
    )
    sentences = []
    if (rows["n"] > 0).sum() > 1:
        sentences.append(f"Best: {rule}." if best else f"None is in bold: {rule}.")
    judged = rows[rows["n_pairs"] >= MIN_PAIRS]
    for note in sorted(set(judged["p_note"].fillna("")) - {""}):
        sentences.append(
            f"* The exact test, which assumes no normal distribution, {note}; better and worse "
            "rest on the t-test, which assumes it."
        )
    if "bootstrap" not in set(_empty(panel)):
        sentences += bootstrap_remarks(rows)
    if (rows["verdict"] == "diverged").any():
        sentences.append(DIVERGED)
    if rows["diverged"].any():
        sentences.append(
            "Losses with diverged runs rank after those without; as their means and differences "
            "cover only the runs that survived, no verdict is given in their favour."
        )
    if "no_value" in rows and rows["no_value"].any():
        sentences.append(NO_VALUE)
    return " ".join(sentences)


def _explanation(panel: Panel) -> Markup:
    first = panel.summary.iloc[0]
    level = f"{100 * first['level']:g} %"
    words = WORDS[panel.key[0]]
    sentences = (
        "Metrics on the test split in percent: mean ± standard deviation over the n finished runs.",
        words.describe(panel.runs.columns.tolist()),
        f"Difference: mean paired difference of {panel.metric} to the baseline "
        f"{first['baseline']} in percentage points, with its {level} t-interval in [ ] from "
        f"{MIN_PAIRS} pairs on, which is for one comparison alone.",
        "Better, worse: the interval excludes 0, and the paired t-test holds after Holm's "
        "correction for the comparisons of this table; uncorrected: only the interval does. "
        "Cannot tell does not mean that the losses are equal.",
        "p (Holm): the paired t-test, on which better and worse rest. Exact p (Holm): the exact "
        "sign-flip test of the same differences, which assumes no normal distribution. Both after "
        "Holm's correction.",
        "Runs won: share of repetitions in which the loss beats the baseline, with its "
        f"{level} Clopper-Pearson interval for one comparison alone; a diverged run has lost.",
        f"Untrained model: the same model before training. Trivial predictor: looks at no image "
        f"and {words.trivial}.",
    )
    body = Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(text) for text in sentences)
    )
    return details("How to read this table", body)
