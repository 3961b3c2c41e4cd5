"""How far the results of the same runs lie apart between environments, as page and tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape

from benchmark.environment import differences, rounds_otherwise
from benchmark.options import UserError
from benchmark.reproduction.comparison import (
    FLOOR,
    MARGIN,
    MEASURED,
    differing,
    family,
    gap,
    numbers,
)
from benchmark.store import RunFolder, Store, write_text


@dataclass(frozen=True)
class Apart:
    """Two stores with runs in common.

    Attributes:
        changed: property -> its value in the first store and in the other, of those that numbers
            may depend on.
        runs: number of runs that ended in both.
        same: of them, those with not one value different.
        values: ``value`` (:func:`benchmark.reproduction.comparison.family`), ``compared``,
            ``equal`` and ``largest`` of each kind of value that is a number.
    """

    changed: dict[str, tuple[Any, Any]]
    runs: int
    same: int
    values: pd.DataFrame


def bench(console: Console, base: Path, others: Sequence[Path], out: Path, command: str) -> None:
    """Compare each of the other results folders with the first, and write what was found.

    Args:
        out: gets ``tolerances.csv``, which ``reproduce`` goes by where it lies in
            ``results/reference/reproduction``, and ``README.md``.
        command: what to type to write them again.

    Raises:
        UserError: a folder has no run in common with the first, or the same environment, or a
            run that ended otherwise.
    """
    first = Store.existing(base)
    found = [compare(first, Store.existing(other)) for other in others]
    rows = pd.concat(
        [one.values.assign(changed=" ".join(one.changed)) for one in found], ignore_index=True
    )
    columns = ["changed", "value", "compared", "equal", "largest"]
    write_text(out / MEASURED.name, rows[columns].to_csv(index=False))
    write_text(out / "README.md", _page(found, command))
    for one in found:
        console.print(escape(f"{', '.join(one.changed)}: {one.same} of {one.runs} runs the same"))
    console.print(f"tolerances: {escape(str(out / MEASURED.name))}", soft_wrap=True)


def compare(base: Store, other: Store) -> Apart:
    """Hold the runs that ended in both stores against each other."""
    elsewhere = {folder.path.name: folder for folder in other.run_folders()}
    gaps: list[tuple[str, float]] = []
    changed: dict[str, tuple[Any, Any]] = {}
    runs = same = 0
    for folder in base.run_folders():
        twin = elsewhere.get(folder.path.name)
        if twin is None or folder.outcome() is None or twin.outcome() is None:
            continue
        then, now = numbers(folder, folder.outcome() or {}), numbers(twin, twin.outcome() or {})
        runs, same = runs + 1, same + (not differing(then, now))
        changed |= _changed(folder, twin)
        gaps += _gaps(twin, then, now)
    if not runs:
        raise UserError(f"{other.path}: has no ended run in common with {base.path}")
    if not changed:
        raise UserError(
            f"{other.path}: its runs were made in the environment of those in {base.path}, so "
            "there is nothing to measure"
        )
    by_value = pd.DataFrame(gaps, columns=["value", "gap"]).groupby("value", sort=False)["gap"]
    values = pd.DataFrame(
        {
            "compared": by_value.size(),
            "equal": by_value.agg(lambda found: int((found == 0).sum())),
            "largest": by_value.max(),
        }
    )
    return Apart(changed, runs, same, values.reset_index())


def _changed(folder: RunFolder, twin: RunFolder) -> dict[str, tuple[Any, Any]]:
    found = differences(folder.environment() or {}, twin.environment() or {})
    return {key: found[key] for key in rounds_otherwise(found)}


def _gaps(twin: RunFolder, then: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, float]]:
    if then["status"] != now["status"]:
        raise UserError(
            f"{twin.path}: ended as {now['status']}, the run that it is compared with as "
            f"{then['status']}; no tolerance comes of that"
        )
    found = [(family(name), gap(name, then[name], now.get(name))) for name in then]
    return [(name, apart) for name, apart in found if apart is not None]


def _page(found: Sequence[Apart], command: str) -> str:
    lines = [
        "# How far reproduced results lie apart",
        "",
        "On one machine a run comes out bit for bit as before: with any number of workers, after "
        "a kill and in a fresh clone. In another environment sums are rounded otherwise in their "
        "last bits. The untrained model still measures the same to many digits; training carries "
        "the difference on, and after some hundred steps the same seed is in effect another one. "
        "Below, the same runs in two environments each, with the largest difference of any run. "
        f"`run.py reproduce` takes {MARGIN:g} times the largest of each kind of value, and no less "
        f"than {FLOOR:g}, as its tolerance where the environment differs in what was changed here "
        f"([{MEASURED.name}]({MEASURED.name})), and demands equality everywhere else. Metrics are "
        "fractions; the loss of the first epoch differs by a share of itself.",
        "",
        "| changed | from | to | runs | of them the same |",
        "|---|---|---|--:|--:|",
    ]
    for one in found:
        for place, (key, (then, now)) in enumerate(one.changed.items()):
            counts = f"{one.runs} | {one.same}" if place == 0 else " | "
            lines.append(f"| {key} | {_shown(then)} | {_shown(now)} | {counts} |")
    heads = [next(iter(one.changed)) for one in found]
    lines += [
        "",
        f"| value | {' | '.join(f'largest, {head}' for head in heads)} |",
        f"|---|{'--:|' * len(found)}",
    ]
    names = list(dict.fromkeys(name for one in found for name in one.values["value"]))
    moved = [name for name in names if any(_of(one, name) for one in found)]
    lines += [f"| {name.replace('<', '&lt;')} | {_largest(found, name)} |" for name in moved]
    still = len(names) - len(moved)
    lines += [
        "",
        f"{still} more kinds of value, of untrained models and of trivial predictors, were the "
        "same to the last bit in every run.",
        "",
        "The runs are few and short: a longer training may end further apart, so a difference "
        "beyond the tolerance asks for a look and is no proof of a fault; the loss of the first "
        "epoch and the values of the untrained model, which chance had no time to move, say more. "
        "Again: train the experiment in each environment into `--results` of its own (with fewer "
        "vector instructions by `ATEN_CPU_CAPABILITY=default`), then",
        "",
        "```console",
        command,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items()) or "none"
    return str(value)


def _largest(found: Sequence[Apart], name: str) -> str:
    cells = [_of(one, name) for one in found]
    return " | ".join("" if cell is None else f"{cell:.2g}" for cell in cells)


def _of(one: Apart, name: str) -> float | None:
    own = one.values.loc[one.values["value"] == name, "largest"]
    return float(own.item()) if len(own) else None
