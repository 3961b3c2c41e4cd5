"""TensorBoard event files in the run's folder: ``tensorboard --logdir results/<experiment>``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.experiment.cell import CellConfig
from benchmark.loggers.base import RunLogger, register_logger
from benchmark.statistics import PRIMARY
from benchmark.tasks import TASKS

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


@register_logger("tensorboard")
class TensorBoard(RunLogger):
    """Scalars by epoch under ``validation/`` and ``train/``; at the end ``test/`` and hparams.

    Each process writes a file of its own. One that continues a run tells TensorBoard to forget
    the epochs from its first on, so that none stands there twice.
    """

    def __init__(self, cell: CellConfig, folder: Path) -> None:
        super().__init__(cell, folder)
        self._writer: SummaryWriter | None = None

    @staticmethod
    def missing() -> str:
        if find_spec("tensorboard") is not None:
            return ""
        return 'the package tensorboard: pip install -e ".[tensorboard]"'

    def row(self, epoch: int, row: dict[str, float]) -> None:
        writer = self._open(epoch)
        task = TASKS[self.cell.task]
        for name, value in row.items():
            if name != "epoch":
                kind = "validation" if task.measures(name) else "train"
                writer.add_scalar(f"{kind}/{name}", value, epoch)
        writer.flush()  # a run that is killed keeps its epochs

    def close(self, outcome: dict[str, Any]) -> None:
        from torch.utils.tensorboard.summary import hparams

        epochs = self.cell.train.epochs
        writer = self._open(epochs + 1)
        tested = outcome.get("metrics") or {}
        for name, value in tested.items():
            writer.add_scalar(f"test/{name}", value, epochs)
        # Not `add_hparams`, which would make a run of its own in a folder below.
        primary = PRIMARY[self.cell.task]
        shown = {f"test/{primary}": tested[primary]} if primary in tested else {}
        for summary in hparams(self._settings(outcome), shown):
            writer._get_file_writer().add_summary(summary)
        writer.close()

    def _open(self, first: int) -> SummaryWriter:
        """The writer, made when the first epoch is known."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder / FOLDER), purge_step=first)
        return self._writer

    def _settings(self, outcome: dict[str, Any]) -> dict[str, Any]:
        """What told this run from others, as the plain values that hparams take."""
        cell = self.cell
        chosen = {
            "dataset": cell.dataset.label,
            "model": cell.model.label,
            "loss": cell.loss.label,
            "weight": cell.loss.weight,
            "lr": cell.train.lr,
            "repetition": cell.repetition,
            "status": outcome["status"],
            **{
                ".".join(["options", *[place] * bool(place), name]): value
                for place, loss in cell.loss.singles().items()
                for name, value in loss.options.items()
            },
        }
        plain = (bool, int, float, str)
        return {k: v if isinstance(v, plain) else str(v) for k, v in chosen.items()}
