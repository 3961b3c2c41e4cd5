"""What the runs took, a row a loss."""

from __future__ import annotations

import pandas as pd

from benchmark.report.costs import duration
from benchmark.report.tables.formats import plain
from benchmark.report.tables.formatted import TextTable
from benchmark.statistics import groups

CAPTION = (
    "Seconds of a run: wall time from its start to its end, evaluation included, mean over the "
    "done runs. Images a second: of training alone. Total: of all runs that ended."
)


def cost_tables(frame: pd.DataFrame) -> list[TextTable]:
    """One table for each (task, data set, model) of :func:`benchmark.report.costs.costs`."""
    return [
        TextTable(f"{', '.join(key)}: cost", _cells(rows), CAPTION) for key, rows in groups(frame)
    ]


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    cells = {
        "loss": rows["loss"].tolist(),
        "runs": [str(n) for n in rows["runs"]],
        "seconds of a run": [plain(s) for s in rows["seconds_mean"]],
        "images a second": [plain(s, 0) for s in rows["images_per_second"].astype(float)],
        "total": [duration(s) for s in rows["seconds"]],
    }
    if rows["tuning_runs"].any():
        cells["tuning runs"] = [str(n) for n in rows["tuning_runs"]]
        cells["tuning total"] = [duration(s) for s in rows["tuning_seconds"]]
    return pd.DataFrame(cells)
