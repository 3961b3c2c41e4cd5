"""A table of strings, and how it looks in Markdown, LaTeX and a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from benchmark.report.tables.formats import slug

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\|*<`"})
BREAKS = dict.fromkeys((*range(32), 127, 133, 8232, 8233), " ")
"""Line breaks and control characters -> what stands for them in the cell of a table."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
VERDICT_STYLES = {"better": "green", "worse": "red"}


TEXT_COLUMNS = frozenset(
    {"loss", "setting", "not finished", "verdict", "status", "data sets", "target", "reached"}
)
"""Columns that align left; numbers align right."""


@dataclass(frozen=True)
class TextTable:
    """A table as people read it.

    Attributes:
        title: what it is about.
        cells: strings as they are shown.
        caption: what the cells mean.
        last_in_terminal: name of the last column that a terminal shows; None for all.
    """

    title: str
    cells: pd.DataFrame
    caption: str
    last_in_terminal: str | None = None

    def markdown(self) -> str:
        """The table as a section of a Markdown page."""
        cells = _translated(self.cells, markdown)
        alignment = ["right" if right else "left" for right in self._right_aligned()]
        body = cells.to_markdown(index=False, disable_numparse=True, colalign=alignment)
        title, caption = markdown(self.title), markdown(self.caption)
        return f"## {title}\n\n{body}\n\n{caption}\n"

    def latex(self) -> str:
        """The table as a LaTeX float; needs the package ``booktabs``."""
        cells = _translated(self.cells, latex)
        columns = "".join("r" if right else "l" for right in self._right_aligned())
        lines = [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{latex(self.title)}. {latex(self.caption)}}}",
            rf"\label{{tab:{slug(self.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            rf"{' & '.join(map(str, cells))} \\",
            r"\midrule",
            *(rf"{' & '.join(row)} \\" for row in cells.itertuples(index=False)),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def rich(self) -> Table:
        """The table for the terminal."""
        # Text, not str: rich reads a str like "[+0.4, +2.0]" as markup.
        table = Table(
            title=Text(self.title),
            caption=Text(self.caption),
            caption_justify="left",
            box=SIMPLE_HEAD,
        )
        cells = self.cells.loc[:, : self.last_in_terminal]
        for name, right in zip(map(str, cells), self._right_aligned(), strict=False):
            table.add_column(Text(name), justify="right" if right else "left", no_wrap=right)
        for row in cells.itertuples(index=False):
            table.add_row(
                *(Text(cell, style=VERDICT_STYLES.get(cell.rstrip("*"), "")) for cell in row)
            )
        return table

    def _right_aligned(self) -> list[bool]:
        return [name not in TEXT_COLUMNS for name in self.cells]


def markdown(text: str) -> str:
    """A text that Markdown shows as it is: in one line, no markup, no link."""
    return text.translate(BREAKS).translate(MARKDOWN).replace("](", "]\\(")


def latex(text: str) -> str:
    """A text that LaTeX sets as it is, in one line."""
    escaped = text.translate(BREAKS).translate(LATEX)
    # After the end of a row, a bracket or a star would be taken for an option of it.
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """Data whose texts no spreadsheet takes for a formula: an apostrophe stands before those.

    A label such as ``=HYPERLINK(...)`` would otherwise be run when the CSV file is opened.
    """

    def quoted(value: Any) -> Any:
        risky = isinstance(value, str) and value.startswith(FORMULA_STARTS)
        return f"'{value}" if risky else value

    texts = frame.select_dtypes(exclude=["number", "bool"])
    safe = frame.assign(**{str(column): texts[column].map(quoted) for column in texts})
    return safe.rename(columns=quoted)


def _translated(cells: pd.DataFrame, translate: Callable[[str], str]) -> pd.DataFrame:
    return cells.map(translate).rename(columns=translate)
