"""One cell: build, train, log every epoch, evaluate; reads top to bottom.

Everything random comes from :mod:`benchmark.seeding`, so a run that was killed continues from
its checkpoint to the same final numbers, and all losses of a repetition see the same weights,
batches and augmentations.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmark.config import CellConfig
from benchmark.loading import EpochBatches, training_batches
from benchmark.models import MODELS
from benchmark.optimization import make_optimizer, make_schedule
from benchmark.seeding import stream_seed
from benchmark.store import RunFolder, write_atomically
from benchmark.tasks import TASKS, Task
from datasets.cache import CachedSplit
from losses import get as get_loss

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


@dataclass
class State:
    """All that changes while a run trains, besides the history file."""

    task: Task
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    epoch: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0

    def save(self, folder: RunFolder) -> None:
        content = {
            "loss": self.task.loss.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "counters": {
                "epoch": self.epoch,
                "train_seconds": self.train_seconds,
                "seconds": self.seconds,
            },
        }
        write_atomically(folder.checkpoint, lambda path: torch.save(content, path))

    def restore(self, content: dict[str, Any]) -> None:
        """Take up what :meth:`save` wrote."""
        self.task.loss.load_state_dict(content["loss"])
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.scaler.load_state_dict(content["scaler"])
        for name, value in content["counters"].items():
            setattr(self, name, value)


def train_cell(
    cell: CellConfig,
    splits: dict[str, CachedSplit],
    folder: RunFolder,
    device: torch.device,
    watch: Callable[[Progress], None] = lambda progress: None,
    loader_workers: int = 0,
    trivial: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Train one cell to its end, or to its divergence, and write what came of it.

    Args:
        splits: ``train``, ``val`` and ``test`` at the cell's image size.
        folder: gets the history after every epoch, a checkpoint, and the outcome.
        watch: called with the progress, a few times a second.
        loader_workers: processes that load the training samples; 0 loads in this one.
        trivial: test metrics of the trivial predictor, kept beside the model's.

    Returns:
        The outcome as written to ``metrics.json``: ``status`` is ``done`` (then ``metrics``
        holds the test metrics) or ``diverged`` (then ``diverged_at`` says where).
    """
    train = cell.train
    _make_deterministic()
    batches = training_batches(cell, splits["train"], loader_workers, device.type == "cuda")
    sampler = batches.batch_sampler
    assert isinstance(sampler, EpochBatches)
    state = _resume_or_start(cell, folder, splits["train"].classes, len(sampler), device)
    task = state.task
    measure = {name: task.evaluator(splits[name]) for name in ("val", "test")}

    def evaluate(split: str, model: nn.Module = state.model) -> dict[str, float]:
        with torch.no_grad():
            return measure[split](model.eval(), device, 2 * train.batch_size)

    def tell(fraction: float, loss: float | None = None, metric: float | None = None) -> None:
        watch(Progress(state.epoch, train.epochs, fraction, loss, metric))

    started = time.perf_counter()
    rows: list[dict[str, float]] = []
    if state.epoch:
        # The history is written before the checkpoint, so it may be one epoch ahead of it.
        rows = [row for row in folder.history() if row["epoch"] <= state.epoch]
        started -= state.seconds
    else:
        rows = [{"epoch": 0, "seconds": 0.0, **evaluate("val")}]
        folder.write_history(rows)

    while state.epoch < train.epochs:
        state.epoch += 1
        sampler.epoch = state.epoch
        torch.manual_seed(stream_seed(cell, "step", state.epoch))
        row, bad_step = _train_epoch(state, batches, train, device, tell)
        row["seconds"] = state.train_seconds
        if bad_step is not None:
            folder.write_history([*rows, row])
            at = {"epoch": state.epoch, "step": bad_step}
            return _finish(folder, started, {"status": "diverged", "diverged_at": at})
        if state.epoch % train.eval_every == 0 or state.epoch == train.epochs:
            row |= evaluate("val")
        rows.append(row)
        state.seconds = time.perf_counter() - started
        folder.write_history(rows)
        state.save(folder)
        tell(state.epoch / train.epochs, row["loss_total"], row.get(task.primary))

    # The test split is read here: by the weights that the last epoch left, and for comparison by
    # those before the first. Nothing is chosen by it.
    outcome = {
        "status": "done",
        "metrics": evaluate("test"),
        "untrained": evaluate("test", build_model(cell, len(task.classes), device)),
        "trivial": trivial or {},
        "train_seconds": state.train_seconds,
    }
    return _finish(folder, started, outcome)


def _finish(folder: RunFolder, started: float, outcome: dict[str, Any]) -> dict[str, Any]:
    """Write the outcome with the seconds the run took: from now on it counts as ended."""
    outcome["seconds"] = time.perf_counter() - started
    folder.finish(outcome)
    return outcome


def make_task(cell: CellConfig, classes: list[str]) -> Task:
    """The cell's task with its loss."""
    loss = get_loss(cell.loss.name, **cell.loss.options)
    return TASKS[cell.task](loss, cell.loss.weight, classes)


def build_model(cell: CellConfig, num_classes: int, device: torch.device) -> nn.Module:
    """The cell's model with the weights that every loss of its repetition starts from."""
    torch.manual_seed(stream_seed(cell, "weights"))
    model = MODELS[cell.model.name](**cell.model.options).build(num_classes)
    return model.to(device).to(memory_format=torch.channels_last)


def _resume_or_start(
    cell: CellConfig,
    folder: RunFolder,
    classes: list[str],
    steps_per_epoch: int,
    device: torch.device,
) -> State:
    """The state of the checkpoint; without a usable one, that before the first epoch."""

    def fresh() -> State:
        train = cell.train
        task = make_task(cell, classes)
        model = build_model(cell, len(classes), device)
        optimizer = make_optimizer(model, train)
        schedule = make_schedule(optimizer, train, train.epochs * steps_per_epoch)
        scaled = train.amp and _amp_type(device) == torch.float16
        scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        return State(task, model, optimizer, schedule, scaler)

    state = fresh()
    if folder.checkpoint.exists():
        try:
            state.restore(torch.load(folder.checkpoint, map_location=device, weights_only=True))
        except Exception as error:
            # Cut short, or of other code: training again from the start gives the same numbers.
            print(f"{folder.checkpoint} cannot be used ({error}); starting from epoch 1")
            folder.checkpoint.unlink()
            return fresh()
    return state


def _train_epoch(
    state: State,
    batches: Any,
    train: Any,
    device: torch.device,
    tell: Callable[[float, float], None],
) -> tuple[dict[str, float], int | None]:
    """One pass over the training split.

    Sums stay on the device, so nothing waits for it but a message to the display and the end
    of the epoch.

    Returns:
        The epoch's row of the history, and the first step (from 1) whose loss or gradient was
        not finite, or None.
    """
    state.model.train()
    weights = [p for group in state.optimizer.param_groups for p in group["params"]]
    steps = len(batches)
    never = float(steps + 1)
    autocast = partial(torch.autocast, device.type, _amp_type(device))
    sums: dict[str, torch.Tensor] = {}
    first_bad = torch.tensor(never, device=device)
    begun = told = time.perf_counter()
    images = 0
    for step, batch in enumerate(batches, start=1):
        batch = batch.to(device)
        state.task.loss.progress((state.epoch - 1 + (step - 1) / steps) / train.epochs)
        with autocast() if train.amp else nullcontext():
            parts = state.task.parts(state.model, batch)
            loss = torch.stack(list(parts.values())).sum()
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(loss).backward()
        state.scaler.unscale_(state.optimizer)
        limit = float("inf") if train.grad_clip is None else train.grad_clip
        norm = nn.utils.clip_grad_norm_(weights, limit)
        used_lr = state.optimizer.param_groups[0]["lr"]
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.schedule.step()

        images += len(batch.images)
        for name, value in [("loss_total", loss), ("grad_norm", norm), *_named(parts)]:
            sums[name] = sums.get(name, 0) + value.detach()
        # A loss scaler skips steps whose gradient is not finite, so there only the loss counts.
        sound = torch.isfinite(loss.detach())
        if not state.scaler.is_enabled():
            sound = sound & torch.isfinite(norm)
        here = torch.where(sound, never, float(step))
        first_bad = torch.minimum(first_bad, here)
        if time.perf_counter() - told > REPORT_EVERY:
            told = time.perf_counter()
            tell((state.epoch - 1 + step / steps) / train.epochs, float(loss.detach()))

    means = {name: float(total) / steps for name, total in sums.items()}
    spent = time.perf_counter() - begun
    state.train_seconds += spent
    row = {
        "epoch": state.epoch,
        **means,
        "lr": used_lr,
        "images_per_second": images / spent,
    }
    bad = float(first_bad)
    return row, None if bad == never else int(bad)


def _named(parts: dict[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    return [(f"loss/{name}", value) for name, value in parts.items()]


def _amp_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has it, since it needs no loss scaling; else float16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


def _make_deterministic() -> None:
    """The same numbers on every run of one machine; operations that cannot do so warn."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling fresh memory costs time and hides nothing here: no code reads it before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
