"""From the files of a results folder to the data frames of its report."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from benchmark.config import CellConfig, Experiment
from benchmark.report.data import ReportData
from benchmark.statistics import PRIMARY, choose_settings
from benchmark.store import Store

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
    folders = {folder.path.name: folder for folder in store.run_folders()}
    configs = {name: folder.config() for name, folder in folders.items()}
    runs, history = collect(store, configs)
    ended = {name: folder.outcome() for name, folder in folders.items()}
    failures = {name: folder.failure() for name, folder in folders.items()}
    details = {name: folder.details() for name, folder in folders.items()}
    environments = {name: folder.environment() for name, folder in folders.items()}
    return ReportData(
        name=experiment.name if experiment else store.path.resolve().name,
        description=experiment.description if experiment else "",
        runs=runs,
        history=history,
        tuning=collect_tuning(store),
        details=_known(details),
        configs={name: cell.model_dump(mode="json") for name, cell in configs.items()},
        environments=_known(environments),
        outcomes=_known(ended),
        failures={name: found for name, found in _known(failures).items() if not ended[name]},
        folders={name: folder.path for name, folder in folders.items()},
        experiments={str(store.path): experiment.model_dump(mode="json") if experiment else {}},
        baselines=experiment.baselines() if experiment else {},
        targets=experiment.targets_by_table() if experiment else {},
        tune_metrics=_tune_metrics(experiment),
    )


def collect(
    store: Store, configs: dict[str, CellConfig] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The final runs (one row each) and their histories (one row an epoch).

    Columns of both: ``task, dataset, model, loss, repetition``. Runs add ``status``, ``seconds``,
    ``train_seconds``, ``cell``, what the run was set to (``weight``, ``lr``, ``setting``) and the
    test metrics, with ``untrained/`` and ``trivial/`` before those of the predictors to compare
    with; histories add what training logged. Metrics are fractions in 0..1, NaN where there is
    none.
    """
    runs: list[dict[str, Any]] = []
    histories: list[dict[str, Any]] = []
    for folder in store.run_folders():
        name = folder.path.name
        cell = configs[name] if configs else folder.config()
        outcome = folder.outcome() or {}
        compared = {
            f"{kind}/{metric}": value
            for kind in ("untrained", "trivial")
            for metric, value in (outcome.get(kind) or {}).items()
        }
        runs.append(
            {
                **_identity(cell),
                "status": outcome.get("status") or folder.status(),
                "seconds": outcome.get("seconds"),
                "train_seconds": outcome.get("train_seconds"),
                "cell": name,
                "weight": cell.loss.weight,
                "lr": cell.train.lr,
                "setting": cell.setting,
                **(outcome.get("metrics") or {}),
                **compared,
            }
        )
        histories.extend({**_identity(cell), **row} for row in folder.history())
    experiment = store.experiment()
    return _frame(runs, experiment), _frame(histories, experiment)


def collect_tuning(store: Store) -> pd.DataFrame:
    """The tuning runs, one row each, losses and settings in the order of the experiment.

    ``metric`` is the metric of the validation split that a loss's setting is chosen by, ``value``
    what the run reached after its last epoch; ``chosen`` marks the setting that
    :func:`benchmark.statistics.choose_settings` takes, where the loss's tuning is over;
    ``options`` is JSON.
    """
    experiment = store.experiment()
    metrics = _tune_metrics(experiment)
    rows = []
    for folder in store.run_folders("tuning"):
        cell = folder.config()
        identity = _identity(cell)
        outcome = folder.outcome() or {}
        metric = metrics.get((cell.task, cell.dataset.label, cell.model.label), PRIMARY[cell.task])
        rows.append(
            {
                **identity,
                "status": outcome.get("status") or folder.status(),
                "seconds": outcome.get("seconds"),
                "cell": folder.path.name,
                "weight": cell.loss.weight,
                "lr": cell.train.lr,
                "options": json.dumps(
                    {k: v for k, v in cell.tuned.items() if k not in ("weight", "lr")}
                ),
                "setting": cell.setting,
                "epochs": cell.train.epochs,
                "metric": metric,
                "value": (outcome.get("validation") or {}).get(metric),
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


def _identity(cell: CellConfig) -> dict[str, Any]:
    return {
        "task": cell.task,
        "dataset": cell.dataset.label,
        "model": cell.model.label,
        "loss": cell.loss.label,
        "repetition": cell.repetition,
    }


def _known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in found.items() if content is not None}


def _tune_metrics(experiment: Experiment | None) -> dict[tuple[str, str, str], str]:
    """The metric that the losses of each table are tuned by."""
    tuning = experiment.tuning_by_table() if experiment else {}
    return {table: tune.metric or PRIMARY[table[0]] for table, tune in tuning.items()}


def _frame(
    rows: list[dict[str, Any]], experiment: Experiment | None, then_by: list[str] | None = None
) -> pd.DataFrame:
    """Rows as a frame, losses in the experiment's order, with numbers as numbers."""
    frame = pd.DataFrame(rows, columns=None if rows else IDENTITY_COLUMNS)
    text = {*TEXT_COLUMNS, "options", "metric"}
    for column in frame.columns.difference(list(text)):
        frame[column] = pd.to_numeric(frame[column])
    order = [] if experiment is None else experiment.loss_labels()
    position = {label: i for i, label in enumerate(order)}
    rank = frame["loss"].map(lambda label: (position.get(label, len(order)), str(label)))
    by = ["task", "dataset", "model", "_rank", *(then_by or []), "repetition"]
    return (
        frame.assign(_rank=rank)
        .sort_values(by, kind="stable")
        .drop(columns="_rank")
        .reset_index(drop=True)
    )
