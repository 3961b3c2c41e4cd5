"""Section: forest plots of the paired differences to the baseline."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import figure, panel_blocks
from benchmark.report.page.svg import Axis, Chart
from benchmark.report.panels import Panel
from benchmark.report.tables import difference, percent, points
from benchmark.statistics import MIN_PAIRS, scores

ROW = 34  # pixels of height that a loss takes


@section("differences", title="Differences to the baseline", order=30)
def build(page: PageContext) -> Markup | None:
    """A chart for each table in which a repetition is done by the baseline and another loss."""
    return panel_blocks(page, _forest)


def _forest(panel: Panel) -> Markup | None:
    others = panel.summary[panel.summary["loss"] != panel.baseline]
    if not others["n_pairs"].any():
        return None
    table = scores(panel.runs, panel.metric)
    pairs = table.sub(table[panel.baseline], axis=0)[others["loss"].tolist()]
    intervals = others.loc[others["n_pairs"] >= MIN_PAIRS, ["diff_low", "diff_high"]]
    shown = [0.0, *(100 * intervals).to_numpy().ravel(), *(100 * pairs).to_numpy().ravel()]
    labels = others["loss"].tolist()
    level = f"{100 * others['level'].iloc[0]:g} %"
    chart = Chart(
        x=Axis.around(f"{panel.metric} minus that of {_short(panel.baseline)} (points)", shown),
        y=Axis.categories(labels, losses=labels),
        width=470,
        height=64 + ROW * len(labels),
        title=f"Differences in {panel.metric} to {panel.baseline}: {panel.name}",
        description="; ".join(_said(row) for _, row in others.iterrows()),
    )
    chart.rule(x=0.0)
    for place, (_, row) in enumerate(others.iterrows()):
        _row(chart, panel, row, place, pairs[row["loss"]], table[panel.baseline])
    return figure(chart.markup(), _caption(panel, others, level))


def _row(
    chart: Chart, panel: Panel, row: pd.Series, place: int, pairs: pd.Series, baseline: pd.Series
) -> None:
    loss = str(row["loss"])
    style = panel.styles[loss]
    judged = row["n_pairs"] >= MIN_PAIRS
    both = pd.DataFrame({"difference": pairs, "baseline": baseline}).dropna()
    for repetition, value, own in zip(
        both.index, both["difference"], both["baseline"], strict=True
    ):
        tip = (
            f"{loss}, repetition {repetition}: {points(value)} "
            f"({percent(own + value)} against {percent(own)})"
        )
        # Below the interval, which would hide those near the mean.
        chart.dot(100 * value, place + (0.26 if judged else 0), style, loss, tip, small=True)
    if judged:
        low, high = 100 * row["diff_low"], 100 * row["diff_high"]
        chart.interval(low, high, place - 0.08, style, loss, _said(row))
        hollow = not row["claim"]
        chart.dot(100 * row["diff"], place - 0.08, style, loss, _said(row), hollow=hollow)


def _said(row: pd.Series) -> str:
    if not row["n_pairs"]:
        return f"{row['loss']}: no pairs"
    shown = difference(row["diff"], row["diff_low"], row["diff_high"])
    verdict = str(row["verdict"])
    if verdict in ("better", "worse") and not row["claim"]:
        verdict += ", uncorrected"
    return f"{row['loss']}: {shown} points, {row['n_pairs']} pairs, {verdict}"


def _caption(panel: Panel, others: pd.DataFrame, level: str) -> str:
    sentences = [
        f"Small marks: {panel.metric} of a repetition minus that of the baseline "
        f"{panel.baseline} in the same repetition, in percentage points on the test split."
    ]
    if (others["n_pairs"] >= MIN_PAIRS).any():
        sentences.append(
            f"Large marks: their mean with its {level} t-interval, each for one comparison alone; "
            "filled where better or worse holds after Holm's correction, hollow elsewhere."
        )
    if panel.summary["diverged"].any():
        sentences.append(
            "A diverged run has no value: repetitions in which either side diverged are missing."
        )
    return " ".join(sentences)


def _short(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:23]}…"
