"""What the tuning tried and chose, for the page; all values are of the validation split."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.report.failing import FAILED, UNFINISHED
from benchmark.report.settings import shown

SWEPT = ("weight", "lr")
"""Numbers that a tuning may vary, in the order in which a chart takes one as its level axis."""


@dataclass(frozen=True)
class Setting:
    """A setting of a loss, over the repetitions of the tuning.

    Attributes:
        text: as people read it, such as ``weight=2 lr=0.003``.
        weight, lr: of the loss and the optimizer; NaN where not recorded.
        options: of the loss that the setting changes, as text.
        values: metric of the done runs, fractions.
        diverged, failed, unfinished: number of runs without a value.
        chosen: whether the final runs use it.
    """

    text: str
    weight: float
    lr: float
    options: str
    values: tuple[float, ...]
    diverged: int
    failed: int
    unfinished: int
    chosen: bool

    @property
    def complete(self) -> bool:
        """Every run of it has a value; only such settings are compared by their means."""
        return bool(self.values) and not (self.diverged or self.failed or self.unfinished)

    @property
    def mean(self) -> float:
        """Mean of :attr:`values`; NaN unless :attr:`complete`."""
        return sum(self.values) / len(self.values) if self.complete else math.nan


def settings_of(tuning: pd.DataFrame) -> dict[str, list[Setting]]:
    """Loss -> its settings, both in the order of the rows.

    Args:
        tuning: rows of :attr:`ReportData.tuning` of one (task, data set, model).
    """
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in tuning.to_dict("records"):
        named = {str(name): value for name, value in row.items()}
        alike.setdefault((str(row["loss"]), str(row["setting"])), []).append(named)
    found: dict[str, list[Setting]] = {}
    for (loss, text), runs in alike.items():
        found.setdefault(loss, []).append(_setting(text, runs))
    return found


def _setting(text: str, runs: list[dict[str, Any]]) -> Setting:
    statuses = Counter(run["status"] for run in runs)
    values = (float(run["value"]) for run in runs if run["status"] == "done")
    return Setting(
        text=text,
        weight=float(runs[0].get("weight", math.nan)),
        lr=float(runs[0].get("lr", math.nan)),
        options=_options(runs[0].get("options")),
        values=tuple(value for value in values if not math.isnan(value)),
        diverged=statuses["diverged"],
        failed=sum(statuses[status] for status in FAILED),
        unfinished=sum(statuses[status] for status in UNFINISHED),
        chosen=any(bool(run["chosen"]) for run in runs),
    )


def _options(text: object) -> str:
    """Options as ``gamma=2 alpha=0.5``, or "" where a setting changes none."""
    options = json.loads(text) if isinstance(text, str) and text else {}
    return " ".join(f"{name}={shown(value)}" for name, value in options.items())


def level_axis(settings: Iterable[Setting]) -> str | None:
    """The number that a chart of the settings is drawn against: the first of :data:`SWEPT` that
    takes several values; None where none does.
    """
    known = list(settings)
    for name in SWEPT:
        if len(tried(known, name)) > 1:
            return name
    return None


def lines_of(settings: Iterable[Setting], axis: str) -> dict[str, list[Setting]]:
    """The curves of a chart: what apart from ``axis`` the settings have -> those, by ``axis``.

    The text of a curve names only what varies; it is "" where there is but one.
    """
    known = list(settings)
    others = [name for name in SWEPT if name != axis and len(tried(known, name)) > 1]
    curves: dict[str, list[Setting]] = {}
    for setting in sorted(known, key=lambda s: getattr(s, axis)):
        parts = [f"{name}={getattr(setting, name):g}" for name in others]
        curves.setdefault(" ".join([*parts, setting.options]).strip(), []).append(setting)
    return dict(sorted(curves.items()))


def at_edge(settings: Iterable[Setting]) -> list[str]:
    """How the chosen setting lies at an end of what was tried: ``weight 8, the largest tried``.

    Nothing is said of a setting that was chosen for want of a complete one.
    """
    known = list(settings)
    texts = []
    for setting in (s for s in known if s.chosen and s.complete):
        for name in SWEPT:
            values = tried(known, name)
            value = getattr(setting, name)
            if len(values) > 1 and value in (values[0], values[-1]):
                end = "smallest" if value == values[0] else "largest"
                texts.append(f"{name} {value:g}, the {end} tried")
    return texts


def unsupported(settings: Iterable[Setting]) -> str:
    """Why the chosen setting is none that the tuning found best; "" where it is."""
    known = list(settings)
    if not any(s.chosen and not s.complete for s in known):
        return ""
    lacking = "diverged run" if all(s.diverged for s in known) else "run without a value"
    return (
        f"every setting has a {lacking}; the final runs use the one with the fewest (the first "
        "of equals)"
    )


def tried(settings: Iterable[Setting], name: str) -> list[float]:
    """Distinct values of ``weight`` or ``lr``, ascending."""
    values = {getattr(setting, name) for setting in settings}
    return sorted(value for value in values if not math.isnan(value))


@dataclass(frozen=True)
class Choice:
    """What the tuning of a loss came to.

    Attributes:
        chosen: None until every run of the tuning has ended.
        tried: number of settings.
        diverged: settings with a diverged run.
        over_worst: mean of the chosen setting minus the lowest mean; NaN where unknown.
        over_unit: minus that of weight 1 with all else as chosen; NaN where that was not tried.
    """

    chosen: Setting | None
    tried: int
    diverged: int
    over_worst: float
    over_unit: float


def choice(settings: Iterable[Setting]) -> Choice:
    """Sum up the settings of one loss."""
    known = list(settings)
    chosen = next((s for s in known if s.chosen), None)
    means = [s.mean for s in known if s.complete]
    best = chosen.mean if chosen else math.nan
    at_one = [
        s.mean
        for s in known
        if chosen and s.weight == 1 and (s.lr, s.options) == (chosen.lr, chosen.options)
    ]
    return Choice(
        chosen=chosen,
        tried=len(known),
        diverged=sum(s.diverged > 0 for s in known),
        over_worst=best - min(means) if means else math.nan,
        over_unit=best - at_one[0] if at_one else math.nan,
    )


def untuned(data: ReportData) -> str:
    """At which weights losses that were not tuned are compared, as a sentence.

    Reads the weights of the runs, or of their configurations where the runs have none.
    """
    weights: dict[str, set[float]] = {}
    for row in data.runs.to_dict("records"):
        config = data.configs.get(row["cell"], {}).get("loss", {})
        weight = float(row.get("weight", math.nan))
        weight = float(config.get("weight", 1.0)) if math.isnan(weight) else weight
        weights.setdefault(str(row["loss"]), set()).add(weight)
    others = [
        f"{loss} at {' and '.join(f'{weight:g}' for weight in sorted(own))}"
        for loss, own in weights.items()
        if own != {1.0}
    ]
    which = "Every loss ran at weight 1"
    if others:
        which = f"The losses ran at weight 1, except {', '.join(others)}"
    if len(others) == len(weights):
        which = f"The losses ran at the weights of the experiment ({', '.join(others)})"
    return (
        f"{which}, and none was tuned: this compares the losses at these weights, not each at "
        "its best."
    )
