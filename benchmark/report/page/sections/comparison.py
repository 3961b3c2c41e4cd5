"""Section: the table of the losses."""

from __future__ import annotations

import math

import pandas as pd
from markupsafe import Markup

from benchmark.report.best import supported_best
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import Cell, Column, details, loss_name, panel_blocks, table
from benchmark.report.panels import Panel
from benchmark.report.tables import (
    REFERENCE_LABELS,
    UNKNOWN,
    WORDS,
    bootstrap_remarks,
    difference,
    percent,
    plain,
    points,
    spread,
    used_settings,
)
from benchmark.statistics import MIN_PAIRS, REFERENCES, reference, scores

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
        "setting": Column("setting", tip="Chosen by tuning on the validation split."),
        "metric": Column(f"{panel.metric} (%)", "right", tip="mean ± standard deviation"),
        "iqm": Column("IQM (%)", "right", tip="interquartile mean: of the middle half of the runs"),
        "n": Column("n", "right", tip="finished runs, over which means are taken"),
        "not finished": Column("not finished"),
        "difference": Column(
            "difference", "right", tip=f"to the baseline, percentage points, {level} t-interval"
        ),
        "bootstrap": Column(
            "bootstrap", "right", tip=f"percentile bootstrap of the difference, {level} interval"
        ),
        "verdict": Column("verdict"),
        "p": Column("p (Holm)", "right", tip="exact sign-flip test, after Holm's correction"),
        "improvement": Column(
            "runs won (%)",
            "right",
            tip=f"share of repetitions in which the loss beats the baseline, {level} interval",
        ),
        **{name: Column(f"{name} (%)", "right") for name in secondary},
        "seconds": Column("seconds", "right", tip="mean time of a finished run"),
    }
    rows = panel.summary
    if "boot_low" not in rows:
        del columns["bootstrap"]
    if not used_settings(panel.runs).any():
        del columns["setting"]
    if not rows[["diverged", "failed", "unfinished"]].to_numpy().any():
        del columns["not finished"]
    return columns


def _cells(
    page: PageContext, panel: Panel, row: pd.Series, secondary: list[str], best: str | None
) -> dict[str, Cell]:
    loss = str(row["loss"])
    runs = panel.runs[panel.runs["loss"] == loss]
    is_baseline = loss == row["baseline"]
    done = runs[runs["status"] == "done"]
    seconds = float(done["seconds"].mean()) if "seconds" in done else float("nan")
    settings = ", ".join(dict.fromkeys(used_settings(runs)))
    improvement = _improvement(row)
    mark = "best" if loss == best else ""
    return {
        "loss": Cell(loss_name(page, panel.key[0], loss), loss, mark, loss=loss),
        "setting": Cell(settings),
        "metric": Cell(spread(row["mean"], row["std"]), float(row["mean"]), mark),
        "iqm": Cell(percent(row["iqm"]), float(row["iqm"])),
        "n": Cell(str(row["n"]), int(row["n"])),
        "not finished": Cell(
            ", ".join(f"{row[k]} {k}" for k in ("diverged", "failed", "unfinished") if row[k]),
            mark="warning",
        ),
        "difference": Cell(
            UNKNOWN if is_baseline else difference(row["diff"], row["diff_low"], row["diff_high"]),
            0.0 if is_baseline else float(row["diff"]),
        ),
        "bootstrap": _bootstrap(row),
        "verdict": _verdict(row),
        "p": _p_value(row),
        "improvement": Cell(improvement, float(row["improvement"])),
        **{name: _secondary(panel, name, loss) for name in secondary},
        "seconds": Cell(plain(seconds, 0), seconds),
    }


def _bootstrap(row: pd.Series) -> Cell:
    low, high = float(row.get("boot_low", math.nan)), float(row.get("boot_high", math.nan))
    text = UNKNOWN if math.isnan(low) else f"[{points(low)}, {points(high)}]"
    return Cell(text, low, tip=str(row.get("boot_caution", "")))


def _verdict(row: pd.Series) -> Cell:
    verdict = str(row["verdict"])
    if verdict in ("better", "worse") and not row["claim"]:
        return Cell(f"{verdict}, uncorrected", tip=NOT_CORRECTED)
    return Cell(verdict, mark={"better": "better", "worse": "worse"}.get(verdict, "quiet"))


def _p_value(row: pd.Series) -> Cell:
    value = float(row["p_holm"])
    if pd.isna(value):
        return Cell(UNKNOWN, value)
    text = "< 0.001" if value < 0.001 else f"{value:.3f}"
    return Cell(f"{text} *" if row["p_note"] else text, value)


def _improvement(row: pd.Series) -> str:
    shares = row[["improvement", "improvement_low", "improvement_high"]].astype(float)
    if shares.isna().any():
        return UNKNOWN
    share, low, high = (f"{100 * value:.0f}" for value in shares)
    return f"{share} [{low}, {high}]"


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
    sentences = [
        f"Best: {rule}." if best else f"None is in bold: {rule}.",
        *(f"* {note}." for note in sorted(set(rows["p_note"].fillna("")) - {""})),
    ]
    sentences += bootstrap_remarks(rows)
    if rows["diverged"].any():
        sentences.append(
            "Losses with diverged runs rank after those without; as their means and differences "
            "cover only the runs that survived, no verdict is given in their favour."
        )
    return " ".join(sentences)


def _explanation(panel: Panel) -> Markup:
    first = panel.summary.iloc[0]
    level = f"{100 * first['level']:g} %"
    words = WORDS[panel.key[0]]
    sentences = (
        "Metrics on the test split in percent: mean ± standard deviation over the n finished runs.",
        words.describe(panel.runs.columns.tolist()),
        f"Difference: mean paired difference of {panel.metric} to the baseline "
        f"{first['baseline']} in percentage points, with its {level} t-interval in [ ], which is "
        "for one comparison alone.",
        f"Better, worse: the interval excludes 0, over at least {MIN_PAIRS} pairs, and the paired "
        "t-test holds after Holm's correction for the comparisons of this table; uncorrected: "
        "only the interval does. Cannot tell does not mean that the losses are equal.",
        "p (Holm): exact sign-flip test of the paired differences, which assumes no normal "
        "distribution, after Holm's correction. Runs won: share of repetitions in which the loss "
        f"beats the baseline, with its {level} Clopper-Pearson interval; a diverged run has lost.",
        f"Untrained model: the same model before training. Trivial predictor: looks at no image "
        f"and {words.trivial}.",
    )
    body = Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(text) for text in sentences)
    )
    return details("How to read this table", body)
