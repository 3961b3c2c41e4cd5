"""What a run of the experiment found, as data frames and files.

One folder a run: ``curves.csv``, ``surface.csv``, ``summary.csv`` and ``run.json``, beside the
pictures that :mod:`benchmark.simulation.charts` draws from the same frames.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.simulation.experiment import Course, Settings
from benchmark.simulation.protocol import FULL, STEPS, anchor_centres

DIGITS = "%.6g"
"""Of the numbers in the files: float32 has no more."""


@dataclass(frozen=True)
class Outcome:
    """A run: the course of every loss, by its label."""

    settings: Settings
    courses: dict[str, Course]

    def curves(self) -> pd.DataFrame:
        """One row a loss and step.

        Columns: loss, step (0 to 200), error (sum over cases, in millions, scaled to the full
        1,715,000), mean_iou, solved (share of cases with an IoU above 0.9).
        """
        cases = self.settings.cases
        frames = [
            pd.DataFrame(
                {
                    "loss": label,
                    "step": np.arange(STEPS + 1),
                    "error": course.error * self._millions,
                    "mean_iou": course.iou / cases,
                    "solved": course.solved / cases,
                }
            )
            for label, course in self.courses.items()
        ]
        return pd.concat(frames, ignore_index=True)

    def surface(self) -> pd.DataFrame:
        """One row an anchor centre.

        Columns: anchor_x, anchor_y, and for each loss the sum of the final errors of 343 cases.
        """
        x, y = anchor_centres(self.settings.points, self.settings.seed).T
        finals = {label: course.final for label, course in self.courses.items()}
        return pd.DataFrame({"anchor_x": x, "anchor_y": y} | finals)

    def summary(self) -> pd.DataFrame:
        """One row a loss.

        Columns: loss, final_error, its standard_error (what another draw of as many centres may
        change; NaN for a single one) and area (the sum of the errors after steps 1 to 200), all in
        millions and scaled to the full number of cases, mean_iou and solved at the end, stuck
        (cases left without a finite gradient), seconds.
        """
        last = self.curves().query("step == @STEPS").set_index("loss")
        rows = [
            {
                "loss": label,
                "final_error": last.loc[label, "error"],
                "standard_error": _standard_error(course.final) * self._millions,
                "area": course.error[1:].sum() * self._millions,
                "mean_iou": last.loc[label, "mean_iou"],
                "solved": last.loc[label, "solved"],
                "stuck": course.stuck,
                "seconds": course.seconds,
            }
            for label, course in self.courses.items()
        ]
        return pd.DataFrame(rows)

    @property
    def _millions(self) -> float:
        return FULL / self.settings.cases / 1e6


def _standard_error(values: NDArray[np.float64]) -> float:
    """Of the sum of independent draws; NaN for a single one."""
    return float(values.std(ddof=1) * len(values) ** 0.5) if len(values) > 1 else float("nan")


def folder_name(settings: Settings) -> str:
    """Folder of a run inside the output folder, such as ``exact-cxcywh``."""
    return f"{settings.gradient}-{settings.steps}"


def write(outcome: Outcome, folder: Path, facts: dict[str, Any]) -> None:
    """Write the frames, and ``facts`` beside the settings into ``run.json``.

    Args:
        folder: is made where it does not exist.
        facts: what else is worth knowing of the run, such as its seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcome.curves().to_csv(folder / "curves.csv", index=False, float_format=DIGITS)
    outcome.surface().to_csv(folder / "surface.csv", index=False, float_format=DIGITS)
    outcome.summary().to_csv(folder / "summary.csv", index=False, float_format=DIGITS)
    run = asdict(outcome.settings) | facts
    (folder / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
