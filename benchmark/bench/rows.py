"""What is written down of a race of losses: one row for a pair at a size."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

NOISE = 0.95
"""Ours counts as slower where the upper quartile of theirs / ours is below this."""


@dataclass(frozen=True)
class Row:
    """One of ours beside one other, at one size; times in milliseconds, memory in MB.

    Attributes:
        value: whether the two are said to give the same value (``equal``, ``differs``), empty for
            the yardstick.
        speedup, speedup_low, speedup_high: theirs over ours, median and quartiles of the rounds.
        note: what was left out and why; then the numbers are missing.
    """

    kind: str
    loss: str
    beside: str
    value: str
    size: str
    elements: int
    threads: int
    device: str
    mode: str
    ours_ms: float | None = None
    theirs_ms: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    ours_mb: float | None = None
    theirs_mb: float | None = None
    rounds: int = 0
    note: str = ""

    @property
    def compared(self) -> bool:
        """Whether a public loss was measured beside ours."""
        return self.value != "" and self.speedup is not None

    @property
    def slower(self) -> bool:
        """Whether the public loss was faster by more than the rounds vary."""
        return self.compared and self.speedup_high is not None and self.speedup_high < NOISE

    @property
    def setting(self) -> str:
        """How it was run, as a heading."""
        return f"{self.mode}, {self.threads} thread{'s' * (self.threads > 1)}, {self.device}"


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write a CSV with a header; four significant digits."""
    pd.DataFrame([asdict(row) for row in rows]).to_csv(path, index=False, float_format="%.4g")


def read_rows(path: Path) -> list[Row]:
    """Read what :func:`write_rows` wrote."""
    numbers = {field.name: [""] for field in fields(Row) if "float" in str(field.type)}
    frame = pd.read_csv(path, keep_default_na=False, na_values=numbers)
    records: list[dict[str, Any]] = [
        {str(key): None if pd.isna(value) else value for key, value in record.items()}
        for record in frame.to_dict("records")
    ]
    return [Row(**record) for record in records]


def summary_line(rows: list[Row]) -> str:
    """In which comparisons ours was slower, by pair."""
    late: dict[str, list[str]] = {}
    for row in rows:
        if row.slower:
            pair = f"{row.loss} beside {row.beside} ({row.setting})"
            late.setdefault(pair, []).append(f"{row.size} {row.speedup:.2f}")
    compared = sum(row.compared for row in rows)
    if not late:
        return f"slower than a peer in: none of {compared} comparisons"
    names = "; ".join(f"{pair}: {', '.join(ratios)}" for pair, ratios in late.items())
    number = sum(map(len, late.values()))
    return f"slower than a peer in: {number} of {compared} comparisons: {names}"
