"""How healthy the training was: gradients and steps by epoch, from the runs' histories."""

from __future__ import annotations

import pandas as pd

QUANTITIES = ("grad_norm", "grad_norm_max", "zero_gradient")
"""Columns of the history that are looked at by epoch."""
BY_EPOCH_COLUMNS = ["loss", "epoch", "mean", "min", "max", "n"]
TOTALS_COLUMNS = [
    *("loss", "grad_norm", "grad_norm_max", "zero_first", "zero_last"),
    *("nonfinite_steps", "nonfinite_runs", "runs"),
]


def by_epoch(history: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Mean, least and largest value of a quantity over the finished runs of each loss.

    Args:
        history: of one (task, data set, model), with the column ``status`` of the run.
        quantity: a column of it; where the history lacks it, nothing is returned.

    Returns:
        A frame with :data:`BY_EPOCH_COLUMNS`, without the epochs in which no run has a value.
    """
    if quantity not in history:
        return pd.DataFrame(columns=BY_EPOCH_COLUMNS)
    done = history[(history["status"] == "done") & history[quantity].notna()]
    values = done.groupby(["loss", "epoch"], sort=False)[quantity].agg(
        ["mean", "min", "max", "count"]
    )
    return values.rename(columns={"count": "n"}).reset_index()[BY_EPOCH_COLUMNS]


def totals(history: pd.DataFrame) -> pd.DataFrame:
    """A row a loss, all its runs together, those that diverged or failed included.

    Args:
        history: of one (task, data set, model).

    Returns:
        A frame with :data:`TOTALS_COLUMNS`: the mean over runs and epochs of the gradient norm
        and its largest value; the share of positives without gradient in each run's first and
        last trained epoch, mean over the runs; the sum of steps whose loss or gradient was not
        finite, and the number of ``runs`` with any. What was not recorded is NaN.
    """
    wanted = [*QUANTITIES, "nonfinite_steps"]
    frame = history.reindex(columns=["loss", "repetition", "epoch", *wanted])
    frame = frame[frame["epoch"] > 0].sort_values("epoch", kind="stable")
    rows = []
    for loss, own in frame.groupby("loss", sort=False):
        runs = own.groupby("repetition")
        steps = runs["nonfinite_steps"].sum(min_count=1)
        rows.append(
            {
                "loss": loss,
                "grad_norm": own["grad_norm"].mean(),
                "grad_norm_max": own["grad_norm_max"].max(),
                "zero_first": runs["zero_gradient"].first().mean(),
                "zero_last": runs["zero_gradient"].last().mean(),
                "nonfinite_steps": steps.sum(min_count=1),
                "nonfinite_runs": int((steps > 0).sum()),
                "runs": len(steps),
            }
        )
    return pd.DataFrame(rows, columns=TOTALS_COLUMNS)
