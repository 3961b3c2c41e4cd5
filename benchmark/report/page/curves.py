"""Charts of the recorded curves: the mean over the runs of a loss, with its interval."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from benchmark.report.page.svg import Axis, Chart
from benchmark.report.panels import Panel
from benchmark.report.tables.formats import percent
from benchmark.statistics import MIN_PAIRS

MOST_POINTS = 51  # of a line; more would not show
TIPS = 10  # points with a value to hover, where a curve has more than MOST_TIPS
MOST_TIPS = 20


def curve_chart(
    panel: Panel,
    frame: pd.DataFrame,
    x: str,
    y: str,
    title: str,
    whole: bool = False,
    marked: dict[str, float] | None = None,
) -> Markup:
    """One line a loss, with its t-interval as a band from :data:`MIN_PAIRS` runs on.

    Args:
        frame: what :func:`benchmark.report.breakdowns.curve` gives.
        x, y: labels of the axes; y is drawn in percent.
        title: the chart's accessible name.
        whole: the vertical axis runs from 0 to 100 %, whatever the values.
        marked: loss -> x to mark on its line.
    """
    banded = frame.where(frame["n"] >= MIN_PAIRS)
    values = 100 * pd.concat([frame["mean"], banded["low"], banded["high"]]).clip(0, 1)
    across = Axis(x, float(frame["x"].min()), float(frame["x"].max()))
    upright = Axis(y, 0, 100) if whole else Axis.around(y, values)
    chart = Chart(across, upright, title=title, description=_described(frame, y))
    for name, rows in frame.groupby("loss", sort=False):
        loss = str(name)
        _draw(chart, panel, loss, rows.reset_index(drop=True))
        if marked and loss in marked:
            _mark(chart, panel, loss, rows, marked[loss])
    return chart.markup()


def _draw(chart: Chart, panel: Panel, loss: str, rows: pd.DataFrame) -> None:
    style = panel.styles[loss]
    thinned = _every(rows, MOST_POINTS)
    certain = thinned[thinned["n"] >= MIN_PAIRS]
    xs, ys = thinned["x"].tolist(), (100 * thinned["mean"]).tolist()
    low, high = 100 * certain["low"], 100 * certain["high"]
    chart.band(certain["x"].tolist(), low.tolist(), high.tolist(), style, loss)
    if len(rows) <= MOST_TIPS:
        tips = [_tip(loss, row) for _, row in rows.iterrows()]
        chart.line(xs, ys, style, loss, tips=tips)
        return
    chart.line(xs, ys, style, loss, markers=False)
    for _, row in _every(rows, TIPS).iterrows():
        chart.dot(row["x"], 100 * row["mean"], style, loss, tip=_tip(loss, row), small=True)


def _every(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most about ``most`` rows, evenly spread, the last among them."""
    step = -(-len(rows) // most)
    return rows.iloc[sorted({*range(0, len(rows), step), len(rows) - 1})]


def _mark(chart: Chart, panel: Panel, loss: str, rows: pd.DataFrame, x: float) -> None:
    nearest = rows.iloc[int((rows["x"] - x).abs().argmin())]
    tip = f"{loss}: chosen threshold {x:.2f}, {percent(nearest['mean'])} % there"
    chart.dot(x, 100 * nearest["mean"], panel.styles[loss], loss, tip=tip, hollow=True)


def _tip(loss: str, row: pd.Series) -> str:
    text = f"{loss}\nat {row['x']:.2f}: {percent(row['mean'])} %"
    if row["n"] >= MIN_PAIRS:
        text += f" [{percent(row['low'])}, {percent(row['high'])}]"
    return f"{text}, n = {row['n']:.0f}"


def _described(frame: pd.DataFrame, y: str) -> str:
    """The two ends of each loss's line, in words."""
    ends = frame.groupby("loss", sort=False).agg(
        {"x": ["first", "last"], "mean": ["first", "last"]}
    )
    return "; ".join(
        f"{loss}: {y} {percent(row['mean', 'first'])} at {row['x', 'first']:.2f} and "
        f"{percent(row['mean', 'last'])} at {row['x', 'last']:.2f}"
        for loss, row in ends.iterrows()
    )
