"""What charts and page show: the runs, epochs and summary of one (task, data set, model)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.styles import Style, loss_styles
from benchmark.report.tables import slug
from benchmark.statistics import GROUP, RUN, groups


@dataclass(frozen=True)
class Panel:
    """What one chart shows: the runs, epochs and summary of one (task, data set, model).

    ``stem`` is its part of the file names, not shared with another panel of the report.
    ``details`` are loss -> repetition -> ``details.json`` of the finished runs, best loss first,
    and ``tuning`` the tuning runs; both are empty where nothing was recorded or asked for.
    """

    name: str
    stem: str
    runs: pd.DataFrame
    history: pd.DataFrame
    summary: pd.DataFrame
    styles: dict[str, Style]
    details: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, data set, model."""
        task, dataset, model = self.summary[GROUP].iloc[0]
        return str(task), str(dataset), str(model)

    @property
    def metric(self) -> str:
        return str(self.summary["metric"].iloc[0])

    @property
    def losses(self) -> list[str]:
        """Labels, best first."""
        return self.summary["loss"].tolist()

    @property
    def baseline(self) -> str:
        return str(self.summary["baseline"].iloc[0])


def panels(runs: pd.DataFrame, history: pd.DataFrame, summary: pd.DataFrame) -> Iterator[Panel]:
    """What each (task, data set, model) has to draw; arguments as for :func:`write_charts`."""
    if summary.empty:
        return
    by_task = runs.groupby("task")["loss"]
    styles = {str(task): loss_styles(list(dict.fromkeys(losses))) for task, losses in by_task}
    if history.empty:
        history = runs.iloc[:0][RUN]
    # One panel's epochs at a time: those of a large grid fill the memory when copied at once.
    own_runs, epochs = dict(groups(runs)), history.groupby(GROUP, sort=False).indices
    stems: Counter[str] = Counter()
    for key, rows in groups(summary):
        name = ", ".join(key)
        stem = slug(name)
        stems[stem] += 1
        if stems[stem] > 1:
            stem = f"{stem}-{stems[stem]}"
        own = history.take(np.asarray(epochs.get(key, []), dtype=int))
        own = own.merge(own_runs[key][[*RUN, "status"]], on=RUN)
        yield Panel(name, stem, own_runs[key], own, rows, styles[key[0]])
