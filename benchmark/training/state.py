"""What a run starts from and what changes while it trains: kept in a checkpoint, taken up again."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.experiment.cell import CellConfig, CellLoss
from benchmark.experiment.loss_parts import LossParts, Weighted
from benchmark.models import check_unchanged, find_model
from benchmark.reproduction.streams import Streams
from benchmark.seeding import stream_seed
from benchmark.store import RunFolder, write_atomically
from benchmark.tasks import TASKS, Task
from benchmark.training.averaging import MovingAverage
from benchmark.training.backbone import backbone_weights, compile_parts, freeze
from benchmark.training.health import Watch
from benchmark.training.optimization import make_optimizer, make_schedule
from losses import get as get_loss


@dataclass
class State:
    """All that changes while a run trains.

    Attributes:
        rows: the history; its file is written from them, and never read to train on.
        streams: hashes of what the run started from and was fed.
    """

    task: Task
    watch: Watch
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    streams: Streams
    frozen: list[nn.Module] = field(default_factory=list)
    average: MovingAverage | None = None
    rows: list[dict[str, float]] = field(default_factory=list)
    epoch: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def measured(self) -> nn.Module:
        """The model that is evaluated, in evaluation mode: the average where there is one."""
        model = self.model if self.average is None else self.average.model
        return model.eval()

    def start_training(self) -> None:
        """Put the model into training mode, but for what is frozen."""
        self.model.train()
        for module in self.frozen:
            module.eval()

    def save(self, folder: RunFolder) -> None:
        content: dict[str, Any] = {
            "loss": self.task.loss.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rows": self.rows,
            "streams": self.streams.content(),
            "counters": {
                "epoch": self.epoch,
                "train_seconds": self.train_seconds,
                "seconds": self.seconds,
            },
        }
        if self.average is not None:
            content["average"] = self.average.state_dict()
        write_atomically(
            folder.checkpoint, lambda path: write_checkpoint(path, content), durable=True
        )

    def restore(self, content: dict[str, Any]) -> None:
        """Take up what :meth:`save` wrote."""
        self.task.loss.load_state_dict(content["loss"])
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.scaler.load_state_dict(content["scaler"])
        if self.average is not None:
            self.average.load_state_dict(content["average"])
        self.rows = content["rows"]
        self.streams = Streams(**content["streams"])
        for name, value in content["counters"].items():
            setattr(self, name, value)


def make_task(cell: CellConfig, classes: list[str]) -> Task:
    """The cell's task with its loss."""
    places = find_model(cell.model.name, "model").places
    regressing = [place for place, kind in places.items() if kind == "box"]
    loss = build_loss(cell.loss, regressing)
    # The weight of several losses is in them: it is not that of the terms that none of them is.
    return TASKS[cell.task](loss, 1.0 if cell.loss.parts else cell.loss.weight, classes)


def build_loss(described: CellLoss, regressing: Sequence[str] = ()) -> Any:
    """The loss without its weight, or losses by place with theirs.

    Args:
        regressing: the model's places of box losses. Where these are several, each gets a loss of
            its own, whose running means are those of that place.
    """
    parts, weight = described.parts, described.weight
    if not parts and len(regressing) > 1:
        parts, weight = {"box": described.model_copy(update={"weight": 1.0})}, 1.0
    if not parts:
        return get_loss(described.name, **described.options)
    everywhere = {place: parts["box"] for place in regressing if "box" in parts}
    named = {place: part for place, part in parts.items() if place != "box"}
    return LossParts(
        {
            place: Weighted(build_loss(part), weight * part.weight)
            for place, part in {**everywhere, **named}.items()
        }
    )


def build_model(cell: CellConfig, num_classes: int, device: torch.device) -> nn.Module:
    """The cell's model with the weights that every loss of its repetition starts from."""
    torch.manual_seed(stream_seed(cell, "weights"))
    spec = find_model(cell.model.name, "model")(**cell.model.options)
    check_unchanged(cell.model.files, cell.model.name, spec)
    model = spec.build(num_classes)
    return model.to(device).to(memory_format=torch.channels_last)


def resume_or_start(
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
        watch = Watch(task.without_gradient)
        task.loss = watch.over(task.loss)
        model = build_model(cell, len(classes), device)
        streams = Streams.of(model)
        frozen = freeze(model, train.freeze)
        average = None if train.ema is None else MovingAverage(model, train.ema)
        optimizer = make_optimizer(model, train, backbone_weights(model))
        schedule = make_schedule(optimizer, train, train.epochs * steps_per_epoch)
        scaled = amp_type(train.amp, device) == torch.float16
        scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        for part in compile_parts(model) if train.compile else ():
            part.compile()
        return State(task, watch, model, optimizer, schedule, scaler, streams, frozen, average)

    state = fresh()
    if folder.checkpoint.exists():
        try:
            state.restore(read_checkpoint(folder.checkpoint, device))
        except Exception as error:
            # Cut short, or of other code: training again from the start gives the same numbers.
            print(f"{folder.checkpoint} cannot be used ({error}); starting from epoch 1")
            folder.checkpoint.unlink()
            return fresh()
    return state


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a file for :func:`read_checkpoint`.

    Raises:
        OSError: there is no room for it, or another reason of the system's.
    """
    try:
        with path.open("wb") as file:  # by its name torch would write it without the reason
            torch.save(content, file)
    except RuntimeError as error:  # torch then tries to end the file, and tells of that alone
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What :func:`write_checkpoint` was given, each part of it held against its checksum.

    torch writes the checksums and does not look at them again: a flipped bit would pass.

    Raises:
        ValueError, zipfile.BadZipFile, OSError: the file is damaged.
    """
    with zipfile.ZipFile(path) as parts:
        if damaged := parts.testzip():
            raise ValueError(f"its part '{damaged}' does not fit its checksum")
    content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return content


def amp_type(amp: bool | str, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision that ``train.amp`` asks for, or None.

    ``True`` is bfloat16 where the device has it, since it needs no loss scaling, else float16.
    """
    if amp is False:
        return None
    if amp is True:
        lacking = device.type == "cuda" and not torch.cuda.is_bf16_supported()
        return torch.float16 if lacking else torch.bfloat16
    return {"bf16": torch.bfloat16, "fp16": torch.float16}[amp]
