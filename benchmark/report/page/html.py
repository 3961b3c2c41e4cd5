"""Pieces of HTML that the sections are made of; all text given to them is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from benchmark.report.page.context import PageContext
from benchmark.report.page.svg import swatch
from benchmark.report.panels import Panel


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        align: "left" or "right" (numbers).
        sort: whether a reader can sort by it.
        tip: what the heading means, shown on hover and focus.
    """

    title: str | Markup
    align: str = "left"
    sort: bool = True
    tip: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it shows.
        sort_value: what it is sorted by instead of its text; NaN stays last in both directions.
        mark: CSS class, of "best", "better", "worse", "baseline", "warning", "quiet".
        loss: label of the loss that the whole row is about, so that filtering hides the row.
        tip: text shown on hover and focus.
    """

    text: str | Markup
    sort_value: float | str | None = None
    mark: str = ""
    loss: str | None = None
    tip: str = ""


Row = Sequence[Cell | str | Markup]


def table(
    columns: Sequence[Column | str],
    rows: Iterable[Row],
    caption: str | Markup,
    note: str | Markup = "",
    foot: Iterable[Row] = (),
    sortable: bool = True,
) -> Markup:
    """A table that scrolls inside its box where it is wider than the page.

    Args:
        columns: a plain string is a left-aligned column.
        rows: one cell a column; the first heads its row.
        caption: the title of the table; a few words.
        note: a paragraph below it that says what the cells mean.
        foot: rows that stay below the others however they are sorted.
        sortable: False for tables of a fixed order.

    Raises:
        ValueError: a row has not one cell a column.
    """
    heads = [c if isinstance(c, Column) else Column(c) for c in columns]
    parts = [
        Markup('<div class="scroll" tabindex="0" role="region" aria-label="{}">').format(
            Markup(caption).striptags() if isinstance(caption, Markup) else caption
        ),
        Markup('<table class="{}">').format("sortable" if sortable else "fixed"),
        Markup("<caption>{}</caption><thead><tr>").format(caption),
        *(_head(column, sortable) for column in heads),
        Markup("</tr></thead><tbody>"),
        *(_row(heads, row) for row in rows),
        Markup("</tbody>"),
    ]
    below = [_row(heads, row) for row in foot]
    if below:
        parts += [Markup("<tfoot>"), *below, Markup("</tfoot>")]
    parts.append(Markup("</table></div>"))
    if note:
        parts.append(Markup('<p class="note">{}</p>').format(note))
    return Markup("").join(parts)


def _head(column: Column, sortable: bool) -> Markup:
    return Markup('<th scope="col"{}{}{}>{}</th>').format(
        Markup(' class="right"') if column.align == "right" else "",
        "" if column.sort and sortable else Markup(' data-fixed=""'),
        Markup(' data-tip="{}"').format(column.tip) if column.tip else "",
        column.title,
    )


def _row(columns: list[Column], row: Row) -> Markup:
    cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
    if len(cells) != len(columns):
        raise ValueError(f"a row has {len(cells)} cells, but the table {len(columns)} columns")
    loss = next((cell.loss for cell in cells if cell.loss is not None), None)
    parts = [Markup("<tr{}>").format("" if loss is None else data_loss(loss))]
    for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        parts.append(_cell(column, cell, head=place == 0))
    parts.append(Markup("</tr>"))
    return Markup("").join(parts)


def _cell(column: Column, cell: Cell, head: bool) -> Markup:
    classes = [name for name in ("right" if column.align == "right" else "", cell.mark) if name]
    value = cell.sort_value
    missing = isinstance(value, float) and math.isnan(value)
    return Markup("<{tag}{scope}{classes}{sort}{tip}>{text}</{tag}>").format(
        tag="th" if head else "td",
        scope=Markup(' scope="row"') if head else "",
        classes=Markup(' class="{}"').format(" ".join(classes)) if classes else "",
        sort="" if value is None else Markup(' data-sort="{}"').format("" if missing else value),
        tip=Markup(' data-tip="{}" tabindex="0"').format(cell.tip) if cell.tip else "",
        text=cell.text,
    )


def data_loss(loss: str) -> Markup:
    """The attribute (with a space before it) by which the filter finds what shows a loss."""
    return Markup(' data-loss="{}"').format(loss)


def figure(svg: Markup, caption: str | Markup) -> Markup:
    """A chart, or what :func:`benchmark.report.page.svg.small_multiples` gives, and its caption."""
    return Markup(
        '<figure><div class="scroll" tabindex="0" role="region" aria-label="chart">{}</div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(svg, caption)


def panel_blocks(page: PageContext, build_one: Callable[[Panel], Markup | None]) -> Markup | None:
    """A block with a heading for each panel for which ``build_one`` has content; None if none.

    The filter of losses knows by the block's task which marks are meant.
    """
    blocks = []
    for panel in page.panels:
        body = build_one(panel)
        if body is not None:
            task = panel.summary["task"].iloc[0]
            blocks.append(
                Markup('<section class="panel" data-task="{}">{}{}</section>').format(
                    task, page.heading(panel), body
                )
            )
    return Markup("\n").join(blocks) if blocks else None


def loss_name(page: PageContext, task: str, loss: str) -> Markup:
    """A loss's colour and marker beside its label."""
    return Markup('<span class="loss">{}{}</span>').format(swatch(page.style(task, loss)), loss)


def legend(page: PageContext, task: str, losses: Sequence[str]) -> Markup:
    """The losses of a chart; filtering hides their entries as well."""
    entries = Markup("").join(
        Markup("<li{}>{}</li>").format(data_loss(loss), loss_name(page, task, loss))
        for loss in losses
    )
    return Markup('<ul class="legend">{}</ul>').format(entries)


def details(summary: str | Markup, body: str | Markup) -> Markup:
    """What opens on a click; print shows it open."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, body)


def copyable(text: str) -> Markup:
    """Text as it is to be pasted into a terminal or file, with a button that copies it."""
    return Markup(
        '<div class="copyable"><pre tabindex="0"><code>{}</code></pre>'
        '<button type="button" class="copy">Copy</button></div>'
    ).format(text)


def paragraph(text: str | Markup, kind: str = "") -> Markup:
    """A paragraph; ``kind`` is a CSS class such as "note" or "warning"."""
    attribute = Markup(' class="{}"').format(kind) if kind else ""
    return Markup("<p{}>{}</p>").format(attribute, escape(text))
