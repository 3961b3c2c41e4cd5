"""What a section of the page is made from, and the register of sections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchmark.report.data import ReportData
from benchmark.report.headline import Headline, headlines
from benchmark.report.panels import Panel, panels
from benchmark.report.styles import Style, loss_styles
from benchmark.statistics import Target, targets_of


@dataclass(frozen=True)
class PageContext:
    """What the sections of one page share.

    Attributes:
        data: all that the report is made of.
        summary: what :func:`benchmark.statistics.summarise` made of ``data.runs``.
    """

    data: ReportData
    summary: pd.DataFrame

    @cached_property
    def panels(self) -> list[Panel]:
        """One for each (task, data set, model), in the order of the runs."""
        return list(panels(self.data.runs, self.data.history, self.summary))

    @cached_property
    def baselines(self) -> dict[str, str]:
        """Task -> label of the loss that the others are compared with."""
        firsts = self.summary.drop_duplicates("task")
        return dict(zip(firsts["task"], firsts["baseline"], strict=True))

    @cached_property
    def losses(self) -> dict[str, dict[str, Style]]:
        """Task -> label -> how the loss looks: in the order of the runs, then those only tuned."""
        known = [f[["task", "loss"]] for f in (self.data.runs, self.data.tuning) if len(f)]
        if not known:
            return {}
        return {
            str(task): loss_styles(list(dict.fromkeys(map(str, rows["loss"]))))
            for task, rows in pd.concat(known).groupby("task", sort=False)
        }

    @cached_property
    def headlines(self) -> list[Headline]:
        """The sentences to quote."""
        return headlines(self.data, self.summary)

    @cached_property
    def targets(self) -> dict[tuple[str, str, str], Target]:
        """What the runs of each (task, data set, model) are timed to, where there is a target."""
        baselines = {
            str(t): str(own["baseline"].iloc[0]) for t, own in self.summary.groupby("task")
        }
        return targets_of(self.data.history, self.data.runs, baselines, self.data.targets)

    def style(self, task: str, loss: str) -> Style:
        """How a loss of a task looks.

        Raises:
            KeyError: no run is of that task and loss.
        """
        return self.losses[task][loss]

    def details(self, panel: Panel) -> dict[str, dict[int, dict[str, Any]]]:
        """Loss -> repetition -> breakdowns of its done run; the best loss comes first.

        Losses without a run that has breakdowns are absent.
        """
        return self.data.details_by_loss(panel.runs, panel.losses)

    def anchor(self, panel: Panel) -> str:
        """The id of the panel's comparison, to link to."""
        return f"table-{panel.stem}"

    def heading(self, panel: Panel, level: int = 3) -> Markup:
        """The panel's name as a heading of the given level (2 to 6)."""
        return Markup("<h{level}>{name}</h{level}>").format(level=level, name=panel.name)


Build = Callable[[PageContext], Markup | None]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: its id on the page.
        title: its heading and its entry in the contents.
        order: place on the page; sections of the same order stand by name.
        build: makes its content below the heading, or None where it has nothing to show.
    """

    name: str
    title: str
    order: int
    build: Build


SECTIONS: dict[str, Section] = {}


def section(name: str, *, title: str, order: int) -> Callable[[Build], Build]:
    """Register the decorated function as the builder of a section of the page.

    Raises:
        ValueError: another function has registered ``name``.
    """

    def register(build: Build) -> Build:
        known = SECTIONS.get(name)
        if known is not None and known.build.__qualname__ != build.__qualname__:
            raise ValueError(f"the section '{name}' is registered twice")
        SECTIONS[name] = Section(name, title, order, build)
        return build

    return register
