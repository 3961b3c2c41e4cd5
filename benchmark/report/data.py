"""All that a report is made of, read from files once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class ReportData:
    """What a results folder holds. A cell is named by its folder; tuning runs are cells too.

    Attributes:
        name: of the experiment, or of the experiments joined by " + ".
        description: as the experiment file has it.
        runs: one row a run; see :func:`benchmark.collecting.collect`. ``cell`` is the name of
            its folder.
        history: one row an epoch of a run.
        tuning: one row a tuning run; see :func:`benchmark.collecting.collect_tuning`.
            Empty where nothing was tuned.
        details: cell -> what :mod:`benchmark.metrics` broke down of its test predictions; lacks
            the runs that have none (made before there were any, or not done).
        configs: cell -> its ``config.yaml`` as a mapping.
        environments: cell -> its ``environment.json``.
        outcomes: cell -> its ``metrics.json``, of the runs that ended (done or diverged).
        failures: cell -> ``{"error": ..., "traceback": ...}`` of the failed runs.
        folders: cell -> its folder.
        experiments: source folder -> the experiment as a mapping (empty for copied runs).
        baselines: task -> label of the loss that the others are compared with.
        targets: (task, data set, model) -> metric -> value on the validation split to reach.
        tune_metrics: (task, data set, model) -> metric of the validation split tuned by.
    """

    name: str
    description: str
    runs: pd.DataFrame
    history: pd.DataFrame
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    details: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, str] = field(default_factory=dict)
    targets: dict[tuple[str, str, str], dict[str, float]] = field(default_factory=dict)
    tune_metrics: dict[tuple[str, str, str], str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The folders that the data come from, in a message."""
        return ", ".join(self.experiments) or self.name

    def details_by_loss(
        self, runs: pd.DataFrame, losses: list[str]
    ) -> dict[str, dict[int, dict[str, Any]]]:
        """Loss -> repetition -> details of its done run, in the order of ``losses``.

        ``runs`` are those of one (task, data set, model). Losses without a run that recorded
        details are absent.
        """
        done = runs[(runs["status"] == "done") & runs["cell"].isin(list(self.details))]
        found: dict[str, dict[int, dict[str, Any]]] = {loss: {} for loss in losses}
        for loss, repetition, cell in zip(
            done["loss"], done["repetition"], done["cell"], strict=True
        ):
            found[loss][int(repetition)] = self.details[cell]
        return {loss: own for loss, own in found.items() if own}
