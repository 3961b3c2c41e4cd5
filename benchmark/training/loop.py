"""One cell: build, train, log every epoch, evaluate; reads top to bottom.

Everything random comes from :mod:`benchmark.seeding`, so a run that was killed continues from
its checkpoint to the same final numbers, and all losses of a repetition see the same weights,
batches and augmentations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.train_settings import Train
from benchmark.metrics.breakdown import plain
from benchmark.metrics.engines import PYCOCOTOOLS
from benchmark.reproduction.streams import HASHED_EPOCHS
from benchmark.seeding import stream_seed
from benchmark.store import RunFolder
from benchmark.tasks import Batch
from benchmark.training.health import LateReading, StepSums
from benchmark.training.loading import EpochBatches, step_size, training_batches
from benchmark.training.samples import write_samples
from benchmark.training.state import State, amp_type, build_model, resume_or_start
from datasets.cache import CachedSplit

REPORT_EVERY = 0.5
"""Seconds between two messages to the progress display within an epoch."""


@dataclass(frozen=True)
class Progress:
    """Where a run is; sent to whoever watches."""

    epoch: int
    epochs: int
    fraction: float
    loss: float | None = None
    metric: float | None = None


class EpochLog(Protocol):
    """Takes what is logged of a run elsewhere as well."""

    def row(self, epoch: int, row: dict[str, float]) -> None:
        """The history's row of an epoch, 0 for the untrained model.

        A run that continues from a checkpoint tells the epochs after it, the first of them maybe
        for the second time.
        """

    def close(self, outcome: dict[str, Any]) -> None:
        """The run has ended with this outcome."""


def train_cell(
    cell: CellConfig,
    splits: dict[str, CachedSplit],
    folder: RunFolder,
    device: torch.device,
    watch: Callable[[Progress], None] = lambda progress: None,
    loader_workers: int = 0,
    trivial: dict[str, float] | None = None,
    loggers: Sequence[EpochLog] = (),
    evaluator: str = PYCOCOTOOLS,
) -> dict[str, Any]:
    """Train one cell to its end, or to its divergence, and write what came of it.

    Args:
        splits: ``train``, ``val`` and, but for a tuning run, ``test`` at the cell's image size.
        folder: gets the history after every epoch, a checkpoint, and the outcome; of a final run
            also the breakdowns of its test metrics and, of repetition 0, sample pictures.
        watch: called with the progress, a few times a second.
        loader_workers: processes that load the training samples; 0 loads in this one.
        trivial: test metrics of the trivial predictor, kept beside the model's.
        loggers: told of each epoch and of the end.
        evaluator: which of the engines computes average precision.

    Returns:
        The outcome as written to ``metrics.json``: ``status`` is ``done`` (then ``validation``
        holds the last epoch's metrics on the validation split and ``metrics``, empty for a tuning
        run, those on the test split) or ``diverged`` (then ``diverged_at`` says where).
    """
    _make_deterministic()
    run = _Run(cell, splits, folder, device, watch, loader_workers, loggers, evaluator)
    diverged_at = run.train()
    outcome: dict[str, Any] = {"status": "done" if diverged_at is None else "diverged"}
    if diverged_at is not None:
        outcome["diverged_at"] = diverged_at
    elif cell.stage == "tuning":
        outcome |= {"metrics": {}, "validation": run.validation()}
    else:
        outcome |= {**run.test(), "validation": run.validation(), "trivial": trivial or {}}
    outcome["train_seconds"] = run.state.train_seconds
    outcome["seconds"] = run.seconds()
    folder.finish(outcome)
    for log in loggers:
        log.close(outcome)
    return outcome


class _Run:
    """A cell at work; the arguments are those of :func:`train_cell`."""

    def __init__(
        self,
        cell: CellConfig,
        splits: dict[str, CachedSplit],
        folder: RunFolder,
        device: torch.device,
        watch: Callable[[Progress], None],
        loader_workers: int,
        loggers: Sequence[EpochLog],
        evaluator: str,
    ) -> None:
        self.cell, self.splits, self.folder, self.device = cell, splits, folder, device
        self.watch, self.loggers, self.evaluator = watch, loggers, evaluator
        pinned = device.type == "cuda"
        self.batches = training_batches(cell, splits["train"], loader_workers, pinned)
        sampler = self.batches.batch_sampler
        assert isinstance(sampler, EpochBatches)
        self.sampler = sampler
        classes = splits["train"].classes
        self.state = resume_or_start(cell, folder, classes, len(sampler), device)
        self.on_val = self.state.task.evaluator(splits["val"], evaluator)
        self.rows = self.state.rows
        if self.rows:  # the file may be one epoch ahead of the checkpoint, or damaged
            folder.write_history(self.rows)
            folder.write_streams(self.state.streams.content())
        self.started = time.perf_counter() - self.state.seconds

    def seconds(self) -> float:
        """What the run took so far, those before a restart included."""
        return time.perf_counter() - self.started

    def train(self) -> dict[str, int] | None:
        """Train to the last epoch; gives epoch and step of a divergence, or None."""
        state, train = self.state, self.cell.train
        if not state.epoch:
            self._log({"epoch": 0, "seconds": 0.0, **self._validate()})
        while state.epoch < train.epochs:
            state.epoch += 1
            self.sampler.epoch = state.epoch
            row, bad_step = _train_epoch(state, self.batches, self.cell, self.device, self._tell)
            if bad_step is not None:
                self._log(row)
                return {"epoch": state.epoch, "step": bad_step}
            if state.epoch % train.eval_every == 0 or state.epoch == train.epochs:
                row |= self._validate()
            self._log(row)
            state.seconds = self.seconds()
            state.save(self.folder)
            metric = row.get(state.task.primary)
            self._tell(state.epoch / train.epochs, row["loss_total"], metric)
        return None

    def validation(self) -> dict[str, float]:
        """The last epoch's metrics on the validation split, from the history."""
        metrics = self.rows[0].keys() - {"epoch", "seconds"}
        return {name: value for name, value in self.rows[-1].items() if name in metrics}

    @torch.no_grad()
    def test(self) -> dict[str, Any]:
        """Measure the last epoch's weights, and for comparison those before the first.

        The test split is read here alone, and nothing is chosen by it.
        """
        task, model, split = self.state.task, self.state.measured, self.splits["test"]
        how = (self.device, self._batch_size)
        on_test = task.evaluator(split, self.evaluator)
        chosen = self.on_val.choose(model, *how)
        metrics, details = on_test.breakdown(model, *how, chosen)
        self.folder.write_details(plain(details))
        if self.cell.repetition == 0:
            write_samples(self.folder, self.cell, task, split, model, self.device)
        first = build_model(self.cell, len(task.classes), self.device)
        return {"metrics": metrics, "untrained": on_test(first.eval(), *how)}

    @property
    def _batch_size(self) -> int:
        return 2 * self.cell.train.batch_size

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        return self.on_val(self.state.measured, self.device, self._batch_size)

    def _log(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        self.folder.write_history(self.rows)
        if row["epoch"] <= HASHED_EPOCHS:
            self.folder.write_streams(self.state.streams.content())
        for log in self.loggers:
            log.row(int(row["epoch"]), row)

    def _tell(
        self, fraction: float, loss: float | None = None, metric: float | None = None
    ) -> None:
        epochs = self.cell.train.epochs
        self.watch(Progress(self.state.epoch, epochs, fraction, loss, metric))


def _train_epoch(
    state: State,
    batches: DataLoader[Batch],
    cell: CellConfig,
    device: torch.device,
    tell: Callable[[float, float | None], None],
) -> tuple[dict[str, float], int | None]:
    """One pass over the training split.

    Sums stay on the device, so the loop itself waits for it at the end of the epoch only. (Models
    may wait in a step: detectors ask how many positives there are.)

    Returns:
        The epoch's row of the history, and the first step (from 1) whose loss or gradient was
        not finite, or None.
    """
    state.start_training()
    train, steps = cell.train, len(batches)
    sums, reading = StepSums(device, state.scaler.is_enabled()), LateReading(device)
    begun = told = time.perf_counter()
    images = 0
    for step, batch in enumerate(state.streams.follow(state.epoch, batches), start=1):
        state.task.loss.progress((state.epoch - 1 + (step - 1) / steps) / train.epochs)
        used_lr = state.optimizer.param_groups[0]["lr"]
        batch = batch.to(device).resized(*step_size(cell, state.epoch, step))
        # Each step anew: how much a step draws may depend on the loss, as where regions of
        # interest are sampled among the proposals that the model came to make.
        torch.manual_seed(stream_seed(cell, "step", state.epoch, step))
        loss = _train_step(state, batch, train, device, sums)
        images += len(batch.images)
        if time.perf_counter() - told > REPORT_EVERY:
            told = time.perf_counter()
            tell((state.epoch - 1 + step / steps) / train.epochs, reading(loss))

    means = sums.means()
    spent = time.perf_counter() - begun
    state.train_seconds += spent
    row = {
        "epoch": state.epoch,
        **means,
        "zero_gradient": state.watch.take(),
        "lr": used_lr,
        "images_per_second": images / spent,
        "seconds": state.train_seconds,
    }
    return row, sums.diverged_at()


def _train_step(
    state: State, batch: Batch, train: Train, device: torch.device, sums: StepSums
) -> torch.Tensor:
    """One step of the optimiser; gives its loss."""
    weights = [p for group in state.optimizer.param_groups for p in group["params"]]
    limit = float("inf") if train.grad_clip is None else train.grad_clip
    mixed = amp_type(train.amp, device)
    with nullcontext() if mixed is None else torch.autocast(device.type, mixed):
        parts = state.task.parts(state.model, batch)
        loss = torch.stack(list(parts.values())).sum()
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()
    state.scaler.unscale_(state.optimizer)
    norm = nn.utils.clip_grad_norm_(weights, limit)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.schedule.step()
    if state.average is not None:
        state.average.update()
    sums.add(loss, norm, parts)
    return loss.detach()


def _make_deterministic() -> None:
    """The same numbers on every run of one machine; operations that cannot do so warn."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling fresh memory costs time and hides nothing here: no code reads it before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
