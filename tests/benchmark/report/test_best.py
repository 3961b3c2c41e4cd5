from __future__ import annotations

import pandas as pd
import pytest

from benchmark.report.best import supported_best
from benchmark.statistics import summarise

BASE = [0.50, 0.51, 0.52, 0.53]


def best(values: dict[str, list]) -> str | None:
    runs = pd.DataFrame(
        {
            "task": "detection",
            "dataset": "cells",
            "model": "net",
            "loss": loss,
            "repetition": repetition,
            "status": value if isinstance(value, str) else "done",
            "AP": float("nan") if isinstance(value, str) else value,
        }
        for loss, own in values.items()
        for repetition, value in enumerate(own)
    )
    return supported_best(runs, summarise(runs))


def plus(*gains: float) -> list[float]:
    return [base + gain for base, gain in zip(BASE, gains, strict=True)]


CLEAR = plus(0.050, 0.051, 0.052, 0.051)


def test_the_first_is_best_where_it_beats_every_other():
    assert best({"iou": BASE, "giou": CLEAR, "diou": plus(0.02, 0.01, 0.02, 0.01)}) == "giou"


def test_a_loss_that_the_correction_leaves_no_claim_is_not_best():
    # Differences to iou 1, 2, 3, 3.5: t = 4.28, p = 0.023, enough alone but not as one of four.
    first = plus(0.01, 0.02, 0.03, 0.035)
    others = {f"loss{i}": [value - 0.03 - 0.001 * i for value in first] for i in range(3)}
    assert best({"iou": BASE, "giou": first}) == "giou"
    assert best({"iou": BASE, "giou": first, **others}) is None
    # With another baseline all of the same intervals carry it.
    assert best({**others, "giou": first, "iou": BASE}) == "giou"


def test_a_done_run_without_a_value_takes_the_title():
    assert best({"iou": BASE, "giou": CLEAR}) == "giou"
    assert best({"iou": BASE, "giou": [*CLEAR[:3], float("nan")]}) is None


def test_the_baseline_can_be_best():
    assert best({"iou": BASE, "giou": [value - 0.05 for value in CLEAR[:1] + BASE[1:]]}) is None
    assert best({"iou": CLEAR, "giou": BASE}) == "iou"


def test_beating_the_baseline_alone_is_not_enough():
    assert best({"iou": BASE, "giou": CLEAR, "diou": plus(0.049, 0.052, 0.05, 0.051)}) is None


@pytest.mark.parametrize(
    "values",
    [
        {"iou": BASE},
        {"iou": ["failed"] * 4, "giou": CLEAR},
        {"iou": BASE[:2], "giou": CLEAR[:2]},  # two pairs carry nothing
        {"iou": ["diverged"] * 4, "giou": ["diverged"] * 4},
    ],
)
def test_without_enough_to_compare_there_is_no_best(values):
    assert best(values) is None


def test_a_loss_with_a_diverged_run_is_not_best_and_one_without_values_is_not_in_the_way():
    assert best({"iou": ["diverged", *BASE[1:]], "giou": ["diverged", *CLEAR[1:]]}) is None
    assert best({"iou": BASE, "giou": CLEAR, "diou": ["diverged"] * 4}) == "giou"
