"""Frames as the store gives them, with plausible numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

GAINS = {
    "detection": {
        "smooth_l1": 0.0,
        "iou": 0.03,
        "giou": 0.034,
        "diou": 0.036,
        "ciou weight=2": 0.02,
    },
    "segmentation": {"bce": 0.0, "focal gamma=2": -0.03, "dice": 0.05},
}
CASES = {
    "detection": ("bccd", "tiny_fcos", "AP", 0.49, {"AP50": 0.3, "AP75": 0.06}),
    "segmentation": ("nuclei", "tiny_unet", "mIoU_fg", 0.78, {"mIoU": 0.08, "Dice_fg": 0.07}),
}
EPOCHS = 10


def make_frames(
    repetitions: int = 6, epochs: int = EPOCHS, gains: dict[str, dict[str, float]] = GAINS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and history of every loss in ``gains``, all done."""
    rng = np.random.default_rng(0)
    runs, history = [], []
    for task, losses in gains.items():
        dataset, model, metric, level, others = CASES[task]
        shared = rng.normal(0, 0.01, repetitions)
        for loss, gain in losses.items():
            for repetition in range(repetitions):
                run: dict[str, Any] = {"task": task, "dataset": dataset, "model": model}
                run |= {"loss": loss, "repetition": repetition}
                value = level + gain + shared[repetition] + rng.normal(0, 0.005)
                runs.append(
                    run
                    | {"status": "done", "seconds": 100.0, "cell": f"{loss}-{repetition}"}
                    | {metric: value, f"untrained/{metric}": 0.001, f"trivial/{metric}": 0.02}
                    | {name: value + extra for name, extra in others.items()}
                )
                for epoch in range(epochs + 1):
                    grown = value * (1 - np.exp(-4 * epoch / epochs)) if epochs else value
                    noise = rng.normal(0, 0.004)
                    seconds = epoch * (10 + rng.uniform(0, 0.5))
                    evaluated = epoch % 2 == 0 or epoch == epochs
                    history.append(
                        run
                        | {"epoch": epoch, "seconds": seconds, "loss_total": 2.0 / (1 + epoch)}
                        | {metric: grown + noise if evaluated else np.nan}
                    )
    return pd.DataFrame(runs), pd.DataFrame(history)


@pytest.fixture
def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return make_frames()


@pytest.fixture
def make():
    return make_frames


def set_status(runs: pd.DataFrame, loss: str, repetition: int, status: str) -> None:
    """Make one run not done, in place; its metrics are gone."""
    which = (runs["loss"] == loss) & (runs["repetition"] == repetition)
    metrics = [m for m in ("AP", "AP50", "AP75", "mIoU_fg", "mIoU", "Dice_fg") if m in runs]
    runs.loc[which, "status"] = status
    runs.loc[which, metrics] = np.nan


@pytest.fixture
def spoil():
    return set_status


@pytest.fixture(scope="module")
def make_once() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same frames as ``frames``, for charts that a whole module looks at."""
    return make_frames()
