"""Reading what a section of the page shows, and runs to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from benchmark.report.data import ReportData
from benchmark.report.page.context import PageContext
from benchmark.statistics import PRIMARY, summarise

SKIPPED = ("svg",)  # drawings have text of their own


@dataclass
class Table:
    """Text of the cells of one table."""

    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def column(self, name: str) -> list[str]:
        return [row[self.heads.index(name)] for row in self.rows]


class Reader(HTMLParser):
    """``text`` outside of drawings, ``tables`` by caption, and ``tags`` with their attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text = ""
        self.tables: dict[str, list[Table]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._table = Table()
        self._caption = self._head = False
        self._skipped = 0
        self._started = ""
        self.feed(markup)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._skipped += tag in SKIPPED
        if tag == "table":
            self._table = Table()
        elif tag == "thead":
            self._head = True
        elif tag == "tr" and not self._head:
            self._table.rows.append([])
        elif tag in ("th", "td", "caption"):
            self._started = self.text
        self.text += " "

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in SKIPPED
        said = self.text.removeprefix(self._started).strip()
        if tag == "caption":
            self.tables.setdefault(said, []).append(self._table)
        elif tag == "thead":
            self._head = False
        elif tag in ("th", "td"):
            (self._table.heads if self._head else self._table.rows[-1]).append(said)

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text += data

    def table(self, caption: str) -> Table:
        """The only table of this caption."""
        (found,) = self.tables[caption]
        return found


@pytest.fixture
def read() -> Callable[[Any], Reader]:
    """Parse what a section's builder returned."""

    def parse(markup: Any) -> Reader:
        assert markup is not None
        return Reader(str(markup))

    return parse


@pytest.fixture
def make_page() -> Callable[..., PageContext]:
    """A page on the runs given as ``{(data set, loss): values of the primary metric}``.

    A word in the place of a value is the status of a run without one. Further arguments are
    fields of :class:`ReportData`.
    """

    def make(
        values: dict[tuple[str, str], list[float | str]],
        task: str = "detection",
        history: pd.DataFrame | None = None,
        **fields: Any,
    ) -> PageContext:
        rows = [
            {"task": task, "dataset": dataset, "model": "m", "loss": loss, "repetition": i}
            | {"status": value if isinstance(value, str) else "done"}
            | {"cell": f"{dataset}-{loss}-{i}", "seconds": 10.0, "train_seconds": 8.0}
            | {PRIMARY[task]: float("nan") if isinstance(value, str) else value}
            for (dataset, loss), own in values.items()
            for i, value in enumerate(own)
        ]
        runs = pd.DataFrame(rows)
        none = pd.DataFrame() if history is None else history
        return PageContext(ReportData("x", "", runs, none, **fields), summarise(runs))

    return make
