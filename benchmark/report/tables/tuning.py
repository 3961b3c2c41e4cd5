"""What was tuned: every setting that a loss tried, a row a setting."""

from __future__ import annotations

import pandas as pd

from benchmark.report.tables.formats import UNKNOWN, percent
from benchmark.report.tables.formatted import TextTable
from benchmark.statistics import groups


def tuning_tables(settings: pd.DataFrame) -> list[TextTable]:
    """One table for each (task, data set, model) of :func:`benchmark.statistics.sensitivity`."""
    return [
        TextTable(f"{', '.join(key)}: tuning", _cells(rows), _caption(rows))
        for key, rows in groups(settings)
    ]


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    cells = {
        "loss": rows["loss"].tolist(),
        "setting": rows["setting"].tolist(),
        f"{rows['metric'].iloc[0]} (%)": [
            percent(mean) for mean in rows["mean"].where(rows["done"] == rows["runs"])
        ],
    }
    if (rows["runs"] > 1).any():
        cells["lowest (%)"] = [percent(low) for low in rows["min"]]
        cells["highest (%)"] = [percent(high) for high in rows["max"]]
    cells["done"] = [
        f"{done} of {runs}" for done, runs in zip(rows["done"], rows["runs"], strict=True)
    ]
    cells["chosen"] = ["yes" if chosen else "" for chosen in rows["chosen"]]
    return pd.DataFrame(cells)


def _caption(rows: pd.DataFrame) -> str:
    return (
        f"{rows['metric'].iloc[0]} on the validation split after the last epoch of the tuning "
        f"runs; {UNKNOWN} where not every run of the setting has a value. Chosen, for the final "
        "runs: the setting with the highest mean of those whose runs are all done; where there is "
        "none, the one with the fewest runs lacking."
    )
