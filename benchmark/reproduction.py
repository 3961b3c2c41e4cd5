"""Train a stored run again and hold the metrics against what it got then."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmark import environment
from benchmark.cell import CellConfig, CellLoss
from benchmark.display import shown_warnings
from benchmark.executors import Event, Job
from benchmark.executors.local import LocalExecutor
from benchmark.options import UserError, look_up
from benchmark.runner import open_dataset, pick_device, prepare_splits, trivial_metrics
from benchmark.store import RunFolder, read_json
from losses import BOX, CLASSIFICATION, MASK


def reproduce(console: Console, run_dir: Path, device: str, cache: Path | None) -> bool:
    """Run the cell of ``run_dir`` again in a temporary folder; True where all metrics agree.

    Every metric is compared bit for bit. Where some differ, the table shows both values, and
    below it stands how the two environments differ.

    Raises:
        UserError: the folder holds no ended run.
    """
    old = RunFolder(run_dir)
    cell = old.config()
    expected = old.outcome()
    if expected is None:
        raise UserError(f"{run_dir}: this run has not ended, so there is nothing to compare with")
    stored = read_json(run_dir / "environment.json")
    if device == "auto":
        device = "cpu" if stored.get("device") == "cpu" else "cuda"
    device = pick_device(device)
    with tempfile.TemporaryDirectory(prefix="lossbench-") as temporary:
        new = RunFolder(Path(temporary) / "run")
        with shown_warnings(console):
            splits = prepare_splits(
                open_dataset(cell.dataset),
                cell.train.image_size,
                cache or Path(temporary) / "cache",
            )
        trivial = trivial_metrics(cell, splits) if cell.stage == "final" else {}
        job = Job(cell, new.path, splits, device, stored.get("threads", 1), trivial=trivial)
        with console.status(f"training {run_dir.name} again") as view:

            def watch(event: Event) -> None:
                if event.progress is not None:
                    epoch = f"epoch {event.progress.epoch}/{event.progress.epochs}"
                    view.update(f"training {run_dir.name} again: {epoch}")

            LocalExecutor(1).run([job], watch)
        found = new.outcome()
        if found is None:
            raise UserError(f"the run failed: {(new.failure() or {}).get('error')}")
    differing = _print_comparison(console, _numbers(expected), _numbers(found))
    if differing:
        _print_loss_version(console, cell)
        _print_environments(console, run_dir, device)
    return not differing


def _numbers(outcome: dict[str, Any]) -> dict[str, Any]:
    """What must agree: the status and every metric; not the times."""
    return {
        "status": outcome["status"],
        **outcome.get("metrics", {}),
        **{f"validation {k}": v for k, v in outcome.get("validation", {}).items()},
        **{f"untrained {k}": v for k, v in outcome.get("untrained", {}).items()},
        **{f"trivial {k}": v for k, v in outcome.get("trivial", {}).items()},
        **{f"diverged at {k}": v for k, v in outcome.get("diverged_at", {}).items()},
    }


def _print_comparison(
    console: Console, expected: dict[str, Any], found: dict[str, Any]
) -> list[str]:
    """Print the verdict, and the values that differ; their names.

    What only the new run has was not yet measured when the old one was trained.
    """
    names = list(expected)
    differing = [name for name in names if expected[name] != found.get(name)]
    if not differing:
        console.print(f"[green]reproduced[/]: all {len(names)} values are bit-identical")
        return []
    table = Table("value", "then", "now", "difference", box=None)
    for name in differing:
        then, now = expected.get(name), found.get(name)
        gap = ""
        if isinstance(then, float) and isinstance(now, float):
            gap = f"{now - then:+.2e}"
        table.add_row(name, repr(then), repr(now), gap)
    console.print(table)
    console.print(f"[red]not reproduced[/]: {len(differing)} of {len(names)} values differ")
    return differing


def _print_loss_version(console: Console, cell: CellConfig) -> None:
    """Say that the code of the run's loss, or of a term of it, has changed, if it has."""
    register: dict[str, type[Any]] = {**BOX, **MASK, **CLASSIFICATION}
    versions = [pair for loss in cell.loss.singles().values() for pair in _versions(loss)]
    for name, version in versions:
        now = look_up(register, name, "loss", f"loss '{cell.loss.label}'").version
        if now != version:
            console.print(
                f"loss {name}: then version {version} of its code, now {now}; "
                "a change of rounding is enough to send a training another way"
            )


def _versions(loss: CellLoss) -> list[tuple[str, int]]:
    """Names and versions of a loss and, if it is a sum, of its terms."""
    names = [loss.name, *(term["name"] for term in loss.options.get("terms", []))]
    return list(zip(names, [loss.version, *loss.term_versions], strict=True))


def _print_environments(console: Console, run_dir: Path, device: str) -> None:
    """Say how the environment then and the one now differ."""
    then = _flat(read_json(run_dir / "environment.json"))
    now = _flat(environment.describe(torch.device(device)))
    # This process's thread count is not that of the run.
    changed = [k for k in then if k != "threads" and then[k] != now.get(k)]
    for key in changed:
        console.print(f"{key}: then {then[key]}, now {now.get(key)}")
    if not changed:
        console.print("the environments are the same; the code or the data may have changed")


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    packages = environment.pop("packages", {})
    return {**environment, **packages}
