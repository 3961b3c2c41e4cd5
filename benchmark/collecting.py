"""From the files of a results folder to the data frames of its report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.experiment.cell import CellConfig, Stage
from benchmark.experiment.config import Experiment
from benchmark.report.data import ReportData
from benchmark.statistics import PRIMARY, choose_settings
from benchmark.store import RunFolder, Store

LOSS = ["task", "dataset", "model", "loss"]
IDENTITY_COLUMNS = [*LOSS, "repetition"]
TEXT_COLUMNS = frozenset({"task", "dataset", "model", "loss", "status", "cell", "setting"})
TUNING_COLUMNS = [
    *IDENTITY_COLUMNS,
    *("status", "seconds", "cell", "weight", "lr", "options", "setting", "epochs"),
    *("metric", "value", "chosen"),
]


def report_data(store: Store) -> ReportData:
    """All that a store holds, read once.

    Raises:
        UserError: a file is damaged; the message names it.
    """
    experiment = store.experiment()
    finals, tuning = _read(store, "final"), _read(store, "tuning")
    both = [*finals, *tuning]
    failed = {run.name: run.folder.failure() for run in both if run.outcome is None}
    return ReportData(
        name=experiment.name if experiment else store.path.resolve().name,
        description=experiment.description if experiment else "",
        runs=_runs(finals, experiment),
        history=_history(finals, experiment),
        tuning=_tuning(tuning, experiment),
        details=_known({run.name: run.folder.details() for run in finals}),
        configs={run.name: run.cell.model_dump(mode="json") for run in both},
        environments=_known({run.name: run.folder.environment() for run in both}),
        outcomes=_known({run.name: run.outcome for run in both}),
        failures=_known(failed),
        folders={run.name: run.folder.path for run in both},
        experiments={str(store.path): experiment.model_dump(mode="json") if experiment else {}},
        baselines=experiment.baselines() if experiment else {},
        targets=experiment.targets_by_table() if experiment else {},
        tune_metrics=_tune_metrics(experiment),
    )


def collect(store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The final runs (one row each) and their histories (one row an epoch).

    Columns of both: ``task, dataset, model, loss, repetition``. Runs add ``status``, ``seconds``,
    ``train_seconds``, ``cell``, what the run was set to (``weight``, ``lr``, ``setting``) and the
    test metrics, with ``untrained/`` and ``trivial/`` before those of the predictors to compare
    with; histories add what training logged. Metrics are fractions in 0..1, NaN where there is
    none.
    """
    finals, experiment = _read(store, "final"), store.experiment()
    return _runs(finals, experiment), _history(finals, experiment)


def collect_tuning(store: Store) -> pd.DataFrame:
    """The tuning runs, one row each, losses in the order of the experiment.

    ``metric`` is the metric of the validation split that a loss's setting is chosen by, ``value``
    what the run reached after its last epoch; ``chosen`` marks the setting that
    :func:`benchmark.statistics.choose_settings` takes, where the loss's tuning is over;
    ``options`` is JSON.
    """
    return _tuning(_read(store, "tuning"), store.experiment())


@dataclass(frozen=True)
class _Run:
    """A run's folder with what every part of a report needs of it, read once."""

    folder: RunFolder
    cell: CellConfig
    outcome: dict[str, Any] | None

    @property
    def name(self) -> str:
        return self.folder.path.name

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "task": self.cell.task,
            "dataset": self.cell.dataset.label,
            "model": self.cell.model.label,
            "loss": self.cell.loss.label,
            "repetition": self.cell.repetition,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What the tables of final and of tuning runs both say of a run."""
        outcome = self.outcome or {}
        return {
            **self.identity,
            "status": outcome.get("status") or self.folder.status(),
            "seconds": outcome.get("seconds"),
            "cell": self.name,
            "weight": self.cell.loss.weight,
            "lr": self.cell.train.lr,
            "setting": self.cell.setting,
        }


def _read(store: Store, stage: Stage) -> list[_Run]:
    return [_Run(f, f.config(), f.outcome()) for f in store.run_folders(stage)]


def _runs(finals: list[_Run], experiment: Experiment | None) -> pd.DataFrame:
    rows = []
    for run in finals:
        outcome = run.outcome or {}
        compared = {
            f"{kind}/{metric}": value
            for kind in ("untrained", "trivial")
            for metric, value in (outcome.get(kind) or {}).items()
        }
        rows.append(
            {
                **run.facts,
                "train_seconds": outcome.get("train_seconds"),
                **(outcome.get("metrics") or {}),
                **compared,
            }
        )
    return _frame(rows, experiment)


def _history(finals: list[_Run], experiment: Experiment | None) -> pd.DataFrame:
    """A row an epoch, put together column by column: as mappings they would fill the memory."""
    if not finals:
        return _frame([], experiment)
    rows = [{**run.identity, "_place": place} for place, run in enumerate(finals)]
    runs = _frame(rows, experiment)
    curves = [finals[place].folder.history_columns() for place in runs.pop("_place")]
    lengths = [len(curve.get("epoch", ())) for curve in curves]
    columns: dict[str, list[np.ndarray]] = {}
    for name in dict.fromkeys(name for curve in curves for name in curve):
        columns[name] = [
            curve[name] if name in curve else np.full(length, np.nan)
            for curve, length in zip(curves, lengths, strict=True)
            if length
        ]
    identity = runs.loc[np.repeat(runs.index, lengths)].reset_index(drop=True)
    return identity.join(pd.DataFrame({k: np.concatenate(v) for k, v in columns.items()}))


def _tuning(tuning: list[_Run], experiment: Experiment | None) -> pd.DataFrame:
    metrics = _tune_metrics(experiment)
    rows = []
    for run in tuning:
        cell = run.cell
        metric = metrics.get((cell.task, cell.dataset.label, cell.model.label), PRIMARY[cell.task])
        options = {k: v for k, v in cell.tuned.items() if k not in ("weight", "lr")}
        rows.append(
            {
                **run.facts,
                "options": json.dumps(options),
                "epochs": cell.train.epochs,
                "metric": metric,
                "value": ((run.outcome or {}).get("validation") or {}).get(metric),
            }
        )
    if not rows:
        return pd.DataFrame(columns=TUNING_COLUMNS)
    frame = _frame(rows, experiment, ["weight", "lr", "options"])
    return frame.assign(chosen=_chosen(frame))


def _chosen(tuning: pd.DataFrame) -> list[bool]:
    """Which rows have the setting that their loss's final runs use.

    None of a loss's while one of its runs has not ended: the choice would not be a fair one.
    """
    unended = tuning.loc[~tuning["status"].isin(["done", "diverged"]), LOSS]
    waiting = set(unended.itertuples(index=False, name=None))
    best = choose_settings(tuning)[[*LOSS, "setting"]].itertuples(index=False, name=None)
    chosen = {row for row in best if row[:-1] not in waiting}
    rows = tuning[[*LOSS, "setting"]].itertuples(index=False, name=None)
    return [row in chosen for row in rows]


def _known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in found.items() if content is not None}


def _tune_metrics(experiment: Experiment | None) -> dict[tuple[str, str, str], str]:
    """The metric that the losses of each table are tuned by."""
    tuning = experiment.tuning_by_table() if experiment else {}
    return {table: tune.metric or PRIMARY[table[0]] for table, tune in tuning.items()}


def _frame(
    rows: list[dict[str, Any]], experiment: Experiment | None, then_by: list[str] | None = None
) -> pd.DataFrame:
    """Rows as a frame in order, with numbers as numbers."""
    frame = pd.DataFrame(rows, columns=None if rows else IDENTITY_COLUMNS)
    text = {*TEXT_COLUMNS, "options", "metric"}
    for column in frame.columns.difference(list(text)):
        frame[column] = pd.to_numeric(frame[column])
    return _sorted(frame, experiment, then_by)


def _sorted(
    frame: pd.DataFrame, experiment: Experiment | None, then_by: list[str] | None = None
) -> pd.DataFrame:
    """Runs of a table together, losses in the experiment's order, others after them by name."""
    order = [] if experiment is None else experiment.loss_labels()
    position = {label: i for i, label in enumerate(order)}
    labels = sorted(set(frame["loss"]), key=lambda label: (position.get(label, len(order)), label))
    rank = frame["loss"].map({label: i for i, label in enumerate(labels)})
    by = ["task", "dataset", "model", "_rank", *(then_by or []), "repetition"]
    return (
        frame.assign(_rank=rank)
        .sort_values(by, kind="stable")
        .drop(columns="_rank")
        .reset_index(drop=True)
    )
