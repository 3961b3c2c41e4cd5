"""The page of :mod:`benchmark.bench.scale`: what was measured, and how it grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.bench.scale_rows import Measurement, Weight, exponent
from benchmark.bench.synthetic import Content
from benchmark.environment import in_a_line


def render(
    found: Sequence[Measurement],
    weights: Sequence[Weight],
    contents: Mapping[int, Content],
    environment: dict[str, Any],
    command: str,
) -> str:
    """README.md of the measurements.

    Args:
        found: sizes and steps in the order of the page.
        weights: of the same sizes.
        contents: size -> what the folder held.
        environment: as :func:`benchmark.environment.describe` gives it.
        command: what repeats the measurement.
    """
    sizes = [weight.cells for weight in weights]
    lines = [
        "# Commands on folders of many runs",
        "",
        "Time and memory of each command in a fresh process, on results folders whose numbers are "
        "invented, with all their files. Seconds from the start of the process to its end; CPU "
        "seconds that it and those it started computed, which other programs on the machine change "
        "little; most resident memory of them together "
        "(10^6 bytes, shared pages counted for each). `collect` is what every report begins with: "
        "all files read into data frames. `run` finds every run done, and writes the whole report "
        "again, charts and `report.json` included.",
        "",
        *(_described(size, contents[size]) for size in sizes),
        "",
        "## CPU seconds",
        "",
        *_grown(found, sizes, "cpu_seconds", ".1f"),
        "",
        "## Seconds",
        "",
        *_grown(found, sizes, "seconds", ".1f"),
        "",
        "## Peak memory, MB",
        "",
        *_grown(found, sizes, "peak_mb", ",.0f"),
        "",
        "Growth is the power k of `start + b · runs^k` through the last three sizes: 1 is "
        "proportional to the number of runs, once the program is loaded. It is left out where ten "
        "times the runs do not take twice as much.",
        "",
        "## The folder",
        "",
        *_weights(weights),
        "",
        f"Measured once on {in_a_line(environment, ['pandas'])}. Again with",
        "",
        "```console",
        command,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _described(size: int, content: Content) -> str:
    return (
        f"- {size:,} runs: {len(content.losses)} losses × {content.repetitions} repetitions × "
        f"{len(content.datasets)} data set(s) × {content.models} model(s) × "
        f"{len(content.tasks)} tasks, {content.epochs} epochs each"
    )


def _grown(found: Sequence[Measurement], sizes: Sequence[int], column: str, form: str) -> list[str]:
    """A row a step, a column a size, and the growth."""
    values = {(one.step, one.cells): float(getattr(one, column)) for one in found}
    rows = []
    for step in dict.fromkeys(one.step for one in found):
        own = [values[step, size] for size in sizes]
        growth = exponent(sizes, own)
        last = "" if math.isnan(growth) or own[-1] < 2 * own[-2] else f"{growth:.2f}"
        rows.append(f"| {step} | {' | '.join(format(value, form) for value in own)} | {last} |")
    head = f"| | {' | '.join(f'{size:,} runs' for size in sizes)} | growth |"
    return [head, f"|---|{'--:|' * (len(sizes) + 1)}", *rows]


def _weights(weights: Sequence[Weight]) -> list[str]:
    rows = [
        f"| {w.cells:,} | {w.folders:,} | {w.files:,} | {w.content_mb:,.1f} | {w.disk_mb:,.1f} | "
        f"{w.page_mb:,.1f} | {w.report_mb:,.1f} |"
        for w in weights
    ]
    return [
        "| runs | folders | files | their content, MB | on the disk, MB | report.html, MB | "
        "rest of the report, MB |",
        f"|{'--:|' * 7}",
        *rows,
    ]
