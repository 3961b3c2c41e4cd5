"""Whether several results folders tuned the losses of their common tables in the same way."""

from __future__ import annotations

from typing import Any

from benchmark.experiment.config import Experiment, Table
from benchmark.options import UserError
from benchmark.report.data import ReportData
from benchmark.report.settings import flat, shown
from benchmark.statistics import PRIMARY, groups


def check_tuning(sources: list[ReportData]) -> None:
    """The losses of a table must have been tuned over the same settings, or none of them.

    A folder of copied runs has no experiment, so what its losses were tuned over is not known.

    Args:
        sources: one a folder.

    Raises:
        UserError: two differ; it names both folders, the key of ``tune`` and its values.
    """
    first: dict[Table, tuple[ReportData, Experiment]] = {}
    for data in sources:
        for content in filter(None, data.experiments.values()):
            experiment = Experiment.model_validate(content)
            for table in _tables_with_runs(data):
                other, before = first.setdefault(table, (data, experiment))
                _check_tuned_alike(table, (other, before), (data, experiment))


def _tables_with_runs(data: ReportData) -> list[Table]:
    frames = [frame for frame in (data.runs, data.tuning) if len(frame)]
    return list(dict.fromkeys(table for frame in frames for table, _ in groups(frame)))


def _check_tuned_alike(
    table: Table, first: tuple[ReportData, Experiment], second: tuple[ReportData, Experiment]
) -> None:
    shared = _labels(first[1], table) & _labels(second[1], table)
    before = _tuned_over(first[1], table, shared)
    after = _tuned_over(second[1], table, shared)
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            raise UserError(
                f"the losses of {', '.join(table)} were tuned in different ways: {key} is "
                f"{shown(before.get(key))} in {first[0].source} and {shown(after.get(key))} in "
                f"{second[0].source}; tune both alike, or report on them by themselves"
            )


def _labels(experiment: Experiment, table: Table) -> set[str]:
    """Labels of the losses that the experiment compares in a table."""
    blocks = {key for key, own in experiment.tables() if own == table}
    return {loss.shown for key in blocks for loss in experiment.matrix[key].losses}


def _tuned_over(experiment: Experiment, table: Table, losses: set[str]) -> dict[str, Any]:
    """Key of `tune` -> what it says of a table and of ``losses``, defaults filled in.

    The order in which values are listed does not count.
    """
    tune = experiment.tuning_by_table().get(table)
    if tune is None:
        return {"tune": False}  # not tuned at all
    blocks = [key for key, own in experiment.tables() if own == table]
    content = tune.model_dump(mode="json")
    content["metric"] = tune.metric or PRIMARY[table[0]]
    content["epochs"] = tune.epochs or experiment.block_train(blocks[0]).epochs
    own = {k: v for k, v in content.pop("options").items() if k in losses}
    content |= {"options": own} if own else {}
    listed = {"tune": True} | {f"tune.{key}": value for key, value in flat(content).items()}
    return {k: sorted(v, key=repr) if isinstance(v, list) else v for k, v in listed.items()}
