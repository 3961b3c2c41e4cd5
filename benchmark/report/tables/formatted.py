"""A table of strings, and how it looks in Markdown, LaTeX and a terminal."""

from __future__ import annotations

from dataclasses import dataclass

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
        cells = _translated(self.cells, MARKDOWN)
        alignment = ["right" if right else "left" for right in self._right_aligned()]
        body = cells.to_markdown(index=False, disable_numparse=True, colalign=alignment)
        title, caption = (text.translate(MARKDOWN) for text in (self.title, self.caption))
        return f"## {title}\n\n{body}\n\n{caption}\n"

    def latex(self) -> str:
        """The table as a LaTeX float; needs the package ``booktabs``."""
        cells = _translated(self.cells, LATEX)
        columns = "".join("r" if right else "l" for right in self._right_aligned())
        lines = [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{self.title.translate(LATEX)}. {self.caption.translate(LATEX)}}}",
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


def _translated(cells: pd.DataFrame, characters: dict[int, str]) -> pd.DataFrame:
    def translate(text: str) -> str:
        return text.translate(characters)

    return cells.map(translate).rename(columns=translate)
