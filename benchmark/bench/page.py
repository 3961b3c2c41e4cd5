"""The measured speed of the losses, on the terminal and as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmark.bench.rows import NOISE, Row, read_rows, summary_line, write_rows
from benchmark.options import UserError
from benchmark.peers.catalogue import catalogue_page

CSV = "speed.csv"
ENVIRONMENT = "environment.json"
KINDS = {"box": "Box losses", "mask": "Mask losses"}


def print_summary(console: Console, rows: list[Row]) -> None:
    """A table a setting, and a last line with what was slower than a public loss."""
    for setting in dict.fromkeys(row.setting for row in rows):
        columns = ("loss", "beside", "size", "ms", "theirs / ours", "MB", "note")
        table = Table(*columns, title=setting, box=SIMPLE_HEAD)
        for row in rows:
            if row.setting != setting:
                continue
            shown = (_number(row.ours_ms), _number(row.speedup), _memory(row), row.note)
            cells = (row.loss, row.beside, row.size, *shown)
            table.add_row(*map(escape, cells), style="red" if row.slower else "")
        console.print(table)
    console.print(escape(summary_line(rows)))


def write_results(folder: Path, rows: list[Row], environment: dict[str, Any]) -> None:
    """Write the CSV, the environment and the pages made of them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / CSV, rows)
    (folder / ENVIRONMENT).write_text(json.dumps(environment, indent=1) + "\n", encoding="utf-8")
    write_pages(folder)


def write_pages(folder: Path) -> None:
    """Write ``README.md`` and ``catalogue.md`` from the CSV in ``folder``.

    Raises:
        UserError: there are no measurements in ``folder``.
    """
    if not ((folder / CSV).exists() and (folder / ENVIRONMENT).exists()):
        raise UserError(f"{folder}: no {CSV} and {ENVIRONMENT}; measure first, without --page-only")
    environment = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    page = speed_page(read_rows(folder / CSV), environment)
    (folder / "README.md").write_text(page, encoding="utf-8")
    (folder / "catalogue.md").write_text(catalogue_page(), encoding="utf-8")


def speed_page(rows: list[Row], environment: dict[str, Any]) -> str:
    """The page as Markdown."""
    lines = [*_introduction(environment), *_slower(rows), ""]
    public = [row for row in rows if row.value]
    for setting in dict.fromkeys(row.setting for row in public):
        lines += [f"## Beside public losses: {setting}", ""]
        for kind, title in KINDS.items():
            part = [row for row in public if row.setting == setting and row.kind == kind]
            if part:
                lines += [f"### {title}", "", *_ratio_table(part), ""]
    lines += _own_tables(rows)
    return "\n".join(lines).rstrip() + "\n"


def _slower(rows: list[Row]) -> list[str]:
    """Which of our losses is slower than a public one, and where it is worst."""
    late = [row for row in rows if row.slower]
    compared = sum(row.compared for row in rows)
    if not late:
        return [f"Ours is slower in none of {compared} comparisons."]
    lines = [f"Ours is slower in {len(late)} of {compared} comparisons:", ""]
    for name in dict.fromkeys(row.loss.split(" ")[0] for row in late):
        own = [row for row in late if row.loss.split(" ")[0] == name]
        worst = min(own, key=lambda row: row.speedup or 0.0)
        count = f"{len(own)} comparison{'s' * (len(own) > 1)}"
        lines.append(
            f"- `{name}`, {count}; least {worst.speedup:.2f}: beside {worst.beside}, {worst.size}, "
            f"{worst.setting}"
        )
    return lines


def _introduction(environment: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return [
        "# Speed of the losses",
        "",
        "Forward and backward of the batch's mean, each of ours beside the public loss that is the "
        "same ([catalogue](catalogue.md)). What is compared takes turns in one process; a number "
        "is theirs / ours, the median of the rounds: above 1, ours is faster. Where ours is "
        f"slower by more than the rounds vary (upper quartile below {NOISE}) it is **bold**. The "
        "public losses get their inputs ready-made in the layout that they want, and reduce by "
        "themselves where they can. ≠ marks those that differ in a constant or an average. Memory "
        "is what torch allocates on top of the inputs, at the largest size.",
        "",
        f"Measured on {environment['cpu']} ({environment['cores']} cores; device: "
        f"{environment['device']}), {environment['system']}, Python {environment['python']}: "
        f"{packages}. It took {environment['minutes']} minutes. All numbers with their quartiles "
        f"are in [{CSV}]({CSV}). Again with",
        "",
        "```console",
        environment["command"],
        "```",
        "",
    ]


def _ratio_table(part: list[Row]) -> list[str]:
    """Rows: pairs; columns: sizes; then the memory at the largest size where both were counted."""
    sizes = _sizes(part)
    weighed = any(row.ours_mb is not None for row in part)
    heads = ["ours", "public", *sizes, *["MB, ours / theirs"] * weighed]
    lines = [f"| {' | '.join(heads)} |", f"|---|---|{'--:|' * (len(heads) - 2)}"]
    for loss, beside in dict.fromkeys((row.loss, row.beside) for row in part):
        pair = {row.size: row for row in part if (row.loss, row.beside) == (loss, beside)}
        largest = max(pair.values(), key=lambda row: (row.theirs_mb is not None, row.elements))
        sign = " ≠" if largest.value == "differs" else ""
        cells = [_ratio(pair[size]) if size in pair else "" for size in sizes]
        cells += [_memory(largest)] * weighed
        lines.append(f"| `{loss}` | {beside}{sign} | {' | '.join(cells)} |")
    return lines


def _ratio(row: Row) -> str:
    if row.speedup is None:
        return f"– ({row.note})"
    return f"**{row.speedup:.2f}**" if row.slower else f"{row.speedup:.2f}"


def _own_tables(rows: list[Row]) -> list[str]:
    """Milliseconds of every loss of ours, in the first setting."""
    first = [row for row in rows if row.setting == rows[0].setting]
    lines = [
        "## Every loss of ours",
        "",
        f"Milliseconds for forward and backward: {first[0].setting}.",
        "",
    ]
    for kind, title in KINDS.items():
        part = [row for row in first if row.kind == kind]
        if not part:
            continue
        sizes = _sizes(part)
        lines += [f"### {title}", "", f"| loss | {' | '.join(sizes)} |"]
        lines.append(f"|---|{'--:|' * len(sizes)}")
        times = {(row.loss, row.size): row.ours_ms for row in part}
        for loss in sorted({row.loss for row in part}):
            cells = [_number(times.get((loss, size))) for size in sizes]
            lines.append(f"| `{loss}` | {' | '.join(cells)} |")
        lines.append("")
    return lines


def _sizes(rows: list[Row]) -> list[str]:
    """Labels of the sizes, ascending."""
    return list(dict.fromkeys(row.size for row in sorted(rows, key=lambda row: row.elements)))


def _memory(row: Row) -> str:
    return f"{_number(row.ours_mb)} / {_number(row.theirs_mb)}"


def _number(value: float | None) -> str:
    """Three significant digits, ``–`` for what was not measured."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
