"""Texts of any origin in Markdown, LaTeX and CSV files."""

from __future__ import annotations

import re

import pandas as pd

from benchmark.report.tables.formatted import TextTable, spreadsheet

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "a\nb",
    "[x](http://x)",
    "[a",
    "*b",
    r"\input{x}",
    "|<i>",
]


def test_no_cell_is_markup_or_breaks_its_line() -> None:
    cells = pd.DataFrame({"loss": NASTY, "[value](x)": NASTY})
    table = TextTable("title\n# new", cells, "caption [x](y)")
    text = table.markdown()
    assert "](" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(NASTY) + 2
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "\n# new" not in text
    latex = table.latex().splitlines()
    body = latex[latex.index(r"\midrule") + 1 : latex.index(r"\bottomrule")]
    assert len(body) == len(NASTY)
    assert not [row for row in body if row.startswith(("[", "*")) or r"\input" in row]
    assert body[NASTY.index("[a")] == r"{}[a & {}[a \\"


def test_no_text_of_a_csv_file_is_a_formula() -> None:
    frame = pd.DataFrame({"loss": NASTY, "value": [-1.5] * len(NASTY), "=x": [None] * len(NASTY)})
    safe = spreadsheet(frame)
    assert safe["loss"].tolist() == [f"'{text}" for text in NASTY[:5]] + NASTY[5:]
    assert safe["value"].tolist() == frame["value"].tolist()
    assert list(safe) == ["loss", "value", "'=x"]
    assert safe["'=x"].isna().all()
    plain = frame.iloc[5:, :2]
    pd.testing.assert_frame_equal(spreadsheet(plain), plain)
