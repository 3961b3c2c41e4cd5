"""Whether the runs of each table were trained and measured on the same data."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from benchmark.report.data import ReportData
from benchmark.statistics import groups


def data_notes(data: ReportData) -> list[str]:
    """A note on each table whose runs saw different data, as copied or merged folders may have.

    Runs that recorded no fingerprint of their data are passed over.
    """
    if not len(data.runs):
        return []
    return [
        f"the runs of {', '.join(table)} did not all see the same data ({split} split: "
        f"{_counted(kinds)}), so their differences are not those of the losses alone"
        for table, runs in groups(data.runs)
        for split, kinds in _fingerprints(data, runs).items()
        if len(kinds) > 1
    ]


def _fingerprints(data: ReportData, runs: pd.DataFrame) -> dict[str, Counter[str]]:
    """Split -> how many runs saw which data."""
    found: dict[str, Counter[str]] = {}
    for cell in runs["cell"]:
        seen = data.environments.get(cell, {}).get("data")
        for split, fingerprint in (seen if isinstance(seen, dict) else {}).items():
            found.setdefault(split, Counter())[str(fingerprint)] += 1
    return found


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{runs} run(s) {name[:12]}" for name, runs in kinds.most_common())
