"""Training health by epoch and in sum, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchmark.report.health import BY_EPOCH_COLUMNS, by_epoch, totals

NAN = math.nan
HISTORY = pd.DataFrame(
    [
        # loss, repetition, status, epoch, mean norm, largest norm, without gradient, not finite
        ("a", 0, "done", 0, NAN, NAN, NAN, NAN),
        ("a", 0, "done", 1, 4.0, 9.0, 0.4, 0),
        ("a", 0, "done", 2, 2.0, 3.0, 0.2, 1),
        ("a", 1, "done", 1, 6.0, 8.0, 0.2, 0),
        ("a", 1, "done", 2, 4.0, 5.0, 0.0, 0),
        ("a", 2, "diverged", 1, 90.0, 99.0, 0.3, 5),
        ("b", 0, "done", 1, 1.0, 1.5, NAN, 0),
    ],
    columns=[
        "loss",
        "repetition",
        "status",
        "epoch",
        "grad_norm",
        "grad_norm_max",
        "zero_gradient",
        "nonfinite_steps",
    ],
)


def test_by_epoch_is_over_the_finished_runs() -> None:
    found = by_epoch(HISTORY, "grad_norm")
    assert list(found.columns) == BY_EPOCH_COLUMNS
    wanted = [["a", 1, 5.0, 4.0, 6.0, 2], ["a", 2, 3.0, 2.0, 4.0, 2], ["b", 1, 1.0, 1.0, 1.0, 1]]
    assert found.to_numpy().tolist() == wanted


def test_by_epoch_of_what_was_not_recorded_is_empty() -> None:
    old = HISTORY.drop(columns="zero_gradient")
    assert list(by_epoch(old, "zero_gradient").columns) == BY_EPOCH_COLUMNS
    assert by_epoch(old, "zero_gradient").empty
    assert by_epoch(HISTORY.assign(zero_gradient=np.nan), "zero_gradient").empty


def test_totals_have_all_runs() -> None:
    found = totals(HISTORY).set_index("loss")
    a = found.loc["a"]
    assert a["grad_norm"] == (4 + 2 + 6 + 4 + 90) / 5
    assert a["grad_norm_max"] == 99
    assert math.isclose(a["zero_first"], 0.3)
    assert math.isclose(a["zero_last"], (0.2 + 0 + 0.3) / 3)
    assert (a["nonfinite_steps"], a["nonfinite_runs"], a["runs"]) == (6, 2, 3)
    b = found.loc["b"]
    assert math.isnan(b["zero_first"])
    assert b["nonfinite_steps"] == 0


def test_totals_of_an_old_history_are_unknown() -> None:
    found = totals(HISTORY[["loss", "repetition", "status", "epoch", "grad_norm"]])
    assert found["nonfinite_steps"].isna().all()
    assert (found["nonfinite_runs"] == 0).all()
    assert found["grad_norm"].notna().all()
