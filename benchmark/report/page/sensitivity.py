"""The charts of a tuning: the metric against the weight (or what else was tried) of each loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from benchmark.report.page.context import PageContext
from benchmark.report.page.html import data_loss, loss_name
from benchmark.report.page.svg import Axis, Chart, small_multiples, swatch
from benchmark.report.styles import MARKERS, Style
from benchmark.report.tables.formats import percent
from benchmark.report.tuned import Setting, level_axis, lines_of

LABELS = {"weight": "weight of the loss", "lr": "learning rate"}
LOG_FROM = 4.0  # how many times the smallest value the largest must be for a logarithmic axis
CROSSES = 0.04  # height of the crosses above the bottom, as a part of the axis


def sensitivity_charts(
    page: PageContext, task: str, settings: Mapping[str, Sequence[Setting]], metric: str
) -> Markup | None:
    """One small chart a loss, all with the same vertical axis; None where nothing has a value."""
    values = [100 * value for own in settings.values() for s in own for value in s.values]
    if not values:
        return None
    # Room at the bottom, so that crosses are not taken for values.
    y = Axis.around(f"{metric} on validation (%)", values, margin=0.12)
    charts, captions = [], []
    for loss, own in settings.items():
        style = page.style(task, loss)
        name = level_axis(own)
        draw = _by_number if name else _by_setting
        chart, curves = draw(own, name or "", y, style, loss)
        charts.append(Markup("<div{}>{}</div>").format(data_loss(loss), chart.markup()))
        caption = _legend(loss, curves) if len(curves) > 1 else loss_name(page, task, loss)
        captions.append(Markup("<span{}>{}</span>").format(data_loss(loss), caption))
    return small_multiples(charts, captions)


def _legend(loss: str, curves: Mapping[str, Style]) -> Markup:
    """The loss's label, then each of its curves; the first shows its marker."""
    entries = [
        Markup('<span class="loss">{}{}</span>').format(swatch(curve), text)
        for text, curve in curves.items()
    ]
    return Markup("{}: {}").format(loss, Markup(" ").join(entries))


def _by_number(
    settings: Sequence[Setting], name: str, y: Axis, style: Style, loss: str
) -> tuple[Chart, dict[str, Style]]:
    """The settings against one of their numbers; a curve for all that they have alike otherwise."""
    tried = sorted({getattr(setting, name) for setting in settings})
    log = tried[-1] >= LOG_FROM * tried[0]
    around = Axis.around(LABELS[name], tried, margin=0.08, log=log)
    x = Axis(around.label, around.low, around.high, tuple(tried), _ticks(tried), log=log)
    chart = _chart(x, y, loss)
    curves = {}
    for i, (text, own) in enumerate(lines_of(settings, name).items()):
        # The colour says which loss it is, so curves differ by marker and dashes.
        curve = Style(
            style.colour, MARKERS[(MARKERS.index(style.marker) + i) % len(MARKERS)], style.index
        )
        places = [getattr(setting, name) for setting in own]
        means = [100 * setting.mean for setting in own]
        chart.line(places, means, curve, loss, dashed=i % 2 == 1, markers=False)
        for place, setting in zip(places, own, strict=True):
            _mark(chart, y, place, setting, curve, loss)
        curves[text] = curve
    return chart, curves


def _by_setting(
    settings: Sequence[Setting], _: str, y: Axis, style: Style, loss: str
) -> tuple[Chart, dict[str, Style]]:
    """The settings side by side, where what was tried is no number."""
    chart = _chart(Axis.categories([setting.text for setting in settings]), y, loss)
    for place, setting in enumerate(settings):
        _mark(chart, y, place, setting, style, loss)
    return chart, {"": style}


def _chart(x: Axis, y: Axis, loss: str) -> Chart:
    title = f"{y.label} of {loss} by {x.label or 'setting'}"
    return Chart(x, y, title=title, width=320, height=220)


def _ticks(tried: Sequence[float]) -> tuple[str, ...]:
    """Texts of the values tried; of many only every other one and so on, so that none overlap."""
    step = math.ceil(len(tried) / 6)
    return tuple(f"{value:g}" if i % step == 0 else "" for i, value in enumerate(tried))


def _mark(chart: Chart, y: Axis, place: float, setting: Setting, style: Style, loss: str) -> None:
    """The mean, the single runs, and a cross where a run diverged."""
    text = f"{loss}, {setting.text}"
    if len(setting.values) > 1 or not setting.complete:
        for value in setting.values:
            tip = f"{text}: {percent(value)} % in one run"
            chart.dot(place, 100 * value, style, loss, tip, small=True)
    if setting.complete:
        tip = f"{text}: {percent(setting.mean)} %{', chosen' if setting.chosen else ''}"
        chart.dot(place, 100 * setting.mean, style, loss, tip, hollow=not setting.chosen)
    if setting.diverged:
        runs = setting.diverged + setting.failed + setting.unfinished + len(setting.values)
        bottom = y.low + CROSSES * (y.high - y.low)
        chart.cross(place, bottom, style, loss, f"{text}: {setting.diverged} of {runs} diverged")
