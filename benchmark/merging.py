"""Several results folders as one: what may stand together, and what contradicts itself.

Folders come from several machines that shared the work, or from experiments that one wants to see
side by side. Whatever would make a table compare more than the losses is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.experiment.cell import PATH_OPTIONS, CellConfig
from benchmark.options import UserError
from benchmark.report.data import ReportData
from benchmark.report.settings import flat, shown
from benchmark.statistics import RUN
from benchmark.tuned_alike import check_tuning

Table = tuple[str, str, str]
"""Task, data set, model."""
BY_CELL = ("details", "configs", "environments", "outcomes", "failures", "folders")
"""Fields of :class:`ReportData` that map the folder name of a run to something of it."""
OUTCOME = ("status", "diverged_at", "metrics")
"""What two copies of one run must have alike; the time it took may differ."""


@dataclass(frozen=True)
class Run:
    """One final run of one of the folders."""

    source: int
    name: str
    folder: Path
    cell: CellConfig
    outcome: Mapping[str, Any] | None

    @property
    def table(self) -> Table:
        return self.cell.task, self.cell.dataset.label, self.cell.model.label


def merge(sources: list[ReportData], baseline_given: bool = False) -> tuple[ReportData, list[str]]:
    """The data of all folders as those of one.

    A run that lies in several folders counts once, a copy that has not ended giving way to one
    that has. Losses come in the order of the first folder, then those that the others add.

    Args:
        sources: one a folder, at least one.
        baseline_given: whether the report names its baseline itself, so that the experiments
            need not agree on one; a baseline they do not agree on is left out.

    Returns:
        The data, and a line for each kind of copy that was left out.

    Raises:
        UserError: one run with two results; runs of one table that differ by more than the loss;
            one label for two losses or two labels for one; one loss tuned to two settings, or
            losses of one table tuned in two ways; other baselines, targets or tuning metrics.
            The message names both folders, both values, and what to do.
    """
    runs = [run for place, data in enumerate(sources) for run in _runs(place, data)]
    check_tuning(sources)
    _check_tables(runs)
    _check_settings(runs)
    _check_losses(runs)
    kept, notes = _without_copies(runs)
    notes += [
        f"{data.source} holds no run yet"
        for data in sources
        if data.runs.empty and data.tuning.empty
    ]
    chosen = [{run.name for run in kept if run.source == place} for place in range(len(sources))]
    pairs = list(zip(sources, chosen, strict=True))
    with_runs = [(data, names) for data, names in pairs if len(data.runs)]
    frames = [data.runs[data.runs["cell"].isin(list(names))] for data, names in with_runs]
    epochs = [
        data.history.merge(frame[RUN], on=RUN)
        for (data, _), frame in zip(with_runs, frames, strict=True)
        if len(data.history)
    ]
    parts: dict[str, Any] = {
        field: {
            name: content
            for data, names in pairs
            for name, content in getattr(data, field).items()
            if name in names
        }
        for field in BY_CELL
    }
    baselines = _agreed(sources, "baselines", "baseline of", "give --baseline", baseline_given)
    data = ReportData(
        name=" + ".join(dict.fromkeys(data.name for data in sources)),
        description="\n".join(dict.fromkeys(d.description for d in sources if d.description)),
        runs=_joined(frames, ["repetition"]),
        history=_joined(epochs, ["repetition", "epoch"] if epochs else []),
        tuning=_tuning(sources),
        experiments={path: content for d in sources for path, content in d.experiments.items()},
        baselines=baselines,
        targets=_agreed(sources, "targets", "targets of", "give both the same"),
        tune_metrics=_agreed(sources, "tune_metrics", "metric to tune by of", "merge one of them"),
        **parts,
    )
    return data, notes


def _runs(source: int, data: ReportData) -> Iterator[Run]:
    for name in data.runs["cell"] if len(data.runs) else []:
        cell = CellConfig.model_validate(data.configs[name])
        yield Run(source, name, data.folders[name], cell, data.outcomes.get(name))


def _check_tables(runs: list[Run]) -> None:
    """All that a table will show side by side must differ by the loss and nothing else."""
    first: dict[Table, tuple[Run, dict[str, Any]]] = {}
    for run in runs:
        settings = _shared_settings(run.cell)
        other, expected = first.setdefault(run.table, (run, settings))
        tuned = {f"train.{name}" for name in run.cell.tuned if name in other.cell.tuned}
        for key in dict.fromkeys([*expected, *settings]):
            if key not in tuned and expected.get(key) != settings.get(key):
                raise UserError(
                    f"{other.folder} and {run.folder} would stand in one table "
                    f"({', '.join(run.table)}), but {key} is {shown(expected.get(key))} in the "
                    f"one and {shown(settings.get(key))} in the other; report on them by "
                    "themselves, or give the data set or model of one experiment another `label`"
                )


def _shared_settings(cell: CellConfig) -> dict[str, Any]:
    """Dotted key -> value of all that the losses of one table have alike."""
    content = cell.model_dump(mode="json", exclude={"loss", "repetition", "tuned", "stage"})
    options = content["dataset"]["options"]
    content["dataset"]["options"] = {k: v for k, v in options.items() if k not in PATH_OPTIONS}
    return flat(content)


def _check_settings(runs: list[Run]) -> None:
    """All runs of a loss in one table must have the same tuned setting."""
    first: dict[Any, Run] = {}
    for run in runs:
        other = first.setdefault((run.table, run.cell.loss.label), run)
        for key in dict.fromkeys([*other.cell.tuned, *run.cell.tuned]):
            before, after = _value_of(other.cell, key), _value_of(run.cell, key)
            if before != after:
                raise UserError(
                    f"'{run.cell.loss.label}' on {', '.join(run.table[1:])} has the tuned {key} "
                    f"{shown(before)} in {other.folder} and {shown(after)} in {run.folder}, which "
                    "would stand in one row; report on them by themselves, or give the loss of "
                    "one experiment another `label`"
                )


def _value_of(cell: CellConfig, key: str) -> Any:
    """What a run has for a key of its tuned setting, whether tuned itself or not."""
    known = {"weight": cell.loss.weight, "lr": cell.train.lr}
    return known[key] if key in known else cell.loss.options.get(key)


def _check_losses(runs: list[Run]) -> None:
    """In one table, a label is one loss, a loss has one label, and its code one version."""
    by_label: dict[Any, tuple[Run, dict[str, Any]]] = {}
    by_content: dict[Any, Run] = {}
    by_name: dict[Any, Run] = {}
    for run in runs:
        loss = run.cell.loss
        coded = by_name.setdefault((run.table, loss.name), run)
        if coded.cell.loss.version != loss.version:
            raise UserError(
                f"{coded.folder} and {run.folder} were trained with version "
                f"{coded.cell.loss.version} and {loss.version} of the loss '{loss.name}', whose "
                "code changed in between; train the older runs again"
            )
        content = flat(loss.identity())
        other, expected = by_label.setdefault((run.table, loss.label), (run, content))
        for key in dict.fromkeys([*expected, *content]):
            if expected.get(key) != content.get(key):
                raise UserError(
                    f"'{loss.label}' has {key} {shown(expected.get(key))} in {other.folder} and "
                    f"{shown(content.get(key))} in {run.folder}; give one of the two losses "
                    "another `label`"
                )
        same = by_content.setdefault((run.table, shown(content)), run)
        if same.cell.loss.label != loss.label:
            raise UserError(
                f"one loss is called '{same.cell.loss.label}' in {same.folder} and "
                f"'{loss.label}' in {run.folder}; give it the same `label` in both experiments"
            )


def _without_copies(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Each run once, and what was left out."""
    kept: dict[str, Run] = {}
    same = unended = 0
    for run in runs:
        identity = run.cell.identity()
        other = kept.get(identity)
        if other is None:
            kept[identity] = run
        elif run.outcome is None or other.outcome is None:
            unended += 1
            if run.outcome is not None:
                kept[identity] = run
        else:
            _check_same_outcome(other, run, other.outcome, run.outcome)
            same += 1
    notes = []
    if same:
        notes.append(
            f"{same} run(s) lie in more than one folder with the same result; each is counted once"
        )
    if unended:
        notes.append(
            f"{unended} copies of runs that have not ended are left out, as another "
            "folder has the run"
        )
    return list(kept.values()), notes


def _check_same_outcome(
    first: Run, second: Run, one: Mapping[str, Any], other: Mapping[str, Any]
) -> None:
    before = flat({key: one.get(key) for key in OUTCOME})
    after = flat({key: other.get(key) for key in OUTCOME})
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            raise UserError(
                f"{first.folder} and {second.folder} are the same run with two results: {key} is "
                f"{shown(before.get(key))} and {shown(after.get(key))}; leave one of them out"
            )


def _joined(frames: list[pd.DataFrame], last: list[str]) -> pd.DataFrame:
    """The frames as one: tables and losses as they first appear, then by the columns ``last``."""
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=RUN)
    ranks = {f"_{column}": pd.factorize(frame[column])[0] for column in RUN[:-1]}
    ordered = frame.assign(**ranks).sort_values([*ranks, *last], kind="stable")
    return ordered.drop(columns=list(ranks)).reset_index(drop=True)


def _tuning(sources: list[ReportData]) -> pd.DataFrame:
    """The tuning runs of all folders, each once, copies that have ended before others."""
    frames = [data.tuning for data in sources if len(data.tuning)]
    if not frames:
        return pd.DataFrame()
    found = pd.concat(frames, ignore_index=True)
    ended = found["status"].isin(["done", "diverged"])
    for cell, copies in found[ended].groupby("cell", sort=False):
        values = copies["value"].astype(float).drop_duplicates()
        if len(values) > 1:
            raise UserError(
                f"the tuning run {cell} has two results: {values.iloc[0]} and {values.iloc[1]}; "
                "leave one of the folders out"
            )
    found["chosen"] = found.groupby("cell")["chosen"].transform("any")
    once = found[~found.assign(waits=~ended).sort_values("waits", kind="stable").duplicated("cell")]
    return _joined([once], [])


def _agreed(
    sources: list[ReportData], field: str, what: str, remedy: str, drop: bool = False
) -> dict[Any, Any]:
    """The mappings of all folders as one; where two differ, refused or, if asked, left out."""
    found: dict[Any, Any] = {}
    disputed: set[Any] = set()
    owner: dict[Any, str] = {}
    for data in sources:
        for key, value in getattr(data, field).items():
            if found.setdefault(key, value) != value:
                disputed.add(key)
                if drop:
                    continue
                name = key if isinstance(key, str) else ", ".join(key)
                raise UserError(
                    f"the {what} {name} is {shown(found[key])} in {owner[key]} and "
                    f"{shown(value)} in {data.source}; {remedy}"
                )
            owner.setdefault(key, data.source)
    return {key: value for key, value in found.items() if key not in disputed}
