"""The folder of an experiment: which runs belong to it, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from benchmark.experiment.cell import CellConfig, Stage
from benchmark.experiment.config import Experiment, read_yaml
from benchmark.migrations import migrate
from benchmark.options import UserError, explain
from benchmark.store.bounds import check_bounds
from benchmark.store.files import to_yaml, write_text
from benchmark.store.run_folder import RunFolder

STAGE_FOLDER: dict[Stage, str] = {"final": "runs", "tuning": "tuning"}


@dataclass(frozen=True)
class Store:
    """An experiment's folder."""

    path: Path

    @classmethod
    def existing(cls, path: Path) -> Store:
        """The store in a folder that must hold one, and nothing that leads out of it."""
        if not any((path / name).is_dir() for name in STAGE_FOLDER.values()):
            raise UserError(
                f"{path}: is no results folder (it has no 'runs' folder); "
                "give the folder that `run` named, such as results/quickstart"
            )
        check_bounds(path)
        return cls(path)

    def write_experiment(self, experiment: Experiment, cells: list[CellConfig]) -> None:
        """Keep the experiment as it was asked for, overrides included, and all its cells.

        Runs that lie here from the same experiment with other settings stay, but are no longer
        part of what is reported.
        """
        content = to_yaml(experiment)
        write_text(self.path / "experiment.yaml", content)
        for cell in cells:
            folder = self.run_folder(cell)
            if not folder.is_planned_as(cell):
                folder.plan(cell)
        names = [f"{_listed(cell.stage, cell.slug)}\n" for cell in cells]
        write_text(self.path / "cells.txt", "".join(names))

    def experiment(self) -> Experiment | None:
        """The experiment last run here, or None where only run folders were copied together."""
        file = self.path / "experiment.yaml"
        if not file.exists():
            return None
        try:
            return Experiment.model_validate(migrate("experiment", read_yaml(file), file))
        except ValidationError as error:
            lines = explain(error, Experiment)
            raise UserError("\n".join(f"{file}: {line}" for line in lines)) from None

    def run_folder(self, cell: CellConfig) -> RunFolder:
        """Where a cell's files lie, whether they exist yet or not."""
        return RunFolder(self.path / STAGE_FOLDER[cell.stage] / cell.slug)

    def run_folders(self, stage: Stage = "final") -> list[RunFolder]:
        """The runs of one stage of the experiment last run, by name.

        All that lie here, where only run folders were copied together.
        """
        found = self._found(stage)
        cells = self._cells()
        return (
            found if cells is None else [f for f in found if _listed(stage, f.path.name) in cells]
        )

    def left_out(self) -> int:
        """Number of runs here that are no part of the experiment last run."""
        return len(self._found("final")) - len(self.run_folders())

    def lost(self) -> list[str]:
        """Cells of the experiment last run whose folder or configuration is gone, by name."""
        found = {
            _listed(stage, folder.path.name)
            for stage in STAGE_FOLDER
            for folder in self._found(stage)
        }
        return sorted((self._cells() or set()) - found)

    def _found(self, stage: Stage) -> list[RunFolder]:
        files = sorted(self.path.glob(f"{STAGE_FOLDER[stage]}/*/config.yaml"))
        return [RunFolder(file.parent) for file in files]

    def _cells(self) -> set[str] | None:
        file = self.path / "cells.txt"
        if not file.exists():
            return None
        try:
            return set(file.read_text(encoding="utf-8").split("\n")) - {""}
        except UnicodeDecodeError:
            raise UserError(
                f"{file}: is not UTF-8 text; `run` the experiment again to write it anew, or "
                "delete it to report on all runs of the folder"
            ) from None


def _listed(stage: Stage, slug: str) -> str:
    """How ``cells.txt`` names a cell."""
    return slug if stage == "final" else f"{STAGE_FOLDER[stage]}/{slug}"
