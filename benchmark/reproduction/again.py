"""Train a stored run again and hold what comes of it against what came of it then."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmark.console.display import shown_warnings
from benchmark.environment import differences, rounds_otherwise
from benchmark.executors import Event, Job
from benchmark.executors.local import LocalExecutor
from benchmark.experiment.cell import CellConfig, CellLoss
from benchmark.metrics.engines import ENGINES, PYCOCOTOOLS
from benchmark.options import UserError, look_up
from benchmark.reproduction.comparison import Tolerances, differing, family, gap, numbers, parting
from benchmark.reproduction.data_check import changed, seen_by
from benchmark.reproduction.streams import differences as stream_differences
from benchmark.runner import open_dataset, pick_device, prepare_splits, trivial_metrics
from benchmark.store import RunFolder
from benchmark.store.bounds import check_bounds
from datasets.cache import open_cached
from losses import BOX, CLASSIFICATION, MASK


def reproduce(console: Console, run_dir: Path, device: str, cache: Path | None) -> bool:
    """Run the cell of ``run_dir`` again in a temporary folder; True where the results agree.

    In the environment of then they must agree bit for bit. In another one, whose differences are
    printed, they may lie as far apart as was measured between environments that differ so; see
    :class:`benchmark.reproduction.comparison.Tolerances`. Where they do not agree, a table shows
    both values.

    Raises:
        UserError: the folder holds no ended run, or leads out of itself, one of its files is
            damaged, or the data are not those of then.
    """
    stored = Stored.read(run_dir)
    old, cell, environment = stored.folder, stored.cell, stored.environment
    with tempfile.TemporaryDirectory(prefix="lossbench-") as temporary:
        new = RunFolder(Path(temporary) / "run")
        found = _train_again(console, stored, new, device, cache or Path(temporary) / "cache")
        then, now = numbers(old, stored.outcome), numbers(new, found)
        parted = parting(stored.history, new.history())
        elsewhere = differences(environment, new.environment() or {})
        fed = stream_differences(stored.streams, new.streams())
    for key, (was, is_now) in elsewhere.items():
        console.print(escape(f"{key}: then {was}, now {is_now}"))
    comparison = Comparison(then, now, parted, rounds_otherwise(elsewhere))
    if not comparison.differing and parted is None:
        _print_identical(console, comparison)
        return True
    if fed:
        console.print(f"not trained on the same: {', '.join(fed)}")
    agrees = _print_differing(console, comparison, Tolerances.measured(comparison.excuses))
    _print_loss_version(console, cell)
    return agrees


@dataclass(frozen=True)
class Stored:
    """A run that has ended, with all of its files that are compared."""

    folder: RunFolder
    cell: CellConfig
    outcome: dict[str, Any]
    environment: dict[str, Any]
    history: list[dict[str, float]]
    streams: dict[str, Any] | None

    @classmethod
    def read(cls, run_dir: Path) -> Stored:
        """All at once, so that what cannot be read is said before anything is trained."""
        check_bounds(run_dir)
        folder = RunFolder(run_dir)
        cell, outcome, environment = folder.config(), folder.outcome(), folder.environment()
        if outcome is None:
            raise UserError(
                f"{run_dir}: this run has not ended, so there is nothing to compare with"
            )
        if environment is None:
            raise UserError(
                f"{run_dir}: has no environment.json, which says what it was trained on"
            )
        history, streams = folder.history(), folder.streams()
        return cls(folder, cell, outcome, environment, history, streams)


def _train_again(
    console: Console, stored: Stored, new: RunFolder, device: str, cache: Path
) -> dict[str, Any]:
    """Train a stored cell in another folder, on the same kind of device, and as many threads.

    Average precision is computed by the program that computed it then.

    Returns:
        The outcome.
    """
    cell, environment = stored.cell, stored.environment
    evaluator = environment.get("evaluator", PYCOCOTOOLS)
    where = str(stored.folder.path / "environment.json")
    look_up(ENGINES, evaluator, "evaluator", where)()  # says so if it is not installed
    if device == "auto":
        device = "cpu" if environment.get("device") == "cpu" else "cuda"
    device = pick_device(device)
    with shown_warnings(console):
        splits = prepare_splits(open_dataset(cell.dataset), cell.train.image_size, cache)
    _check_data(stored.folder, cell, splits)
    trivial = trivial_metrics(cell, splits) if cell.stage == "final" else {}
    threads = environment.get("threads", 1)
    job = Job(cell, new.path, splits, device, threads, trivial=trivial, evaluator=evaluator)
    _train(console, job, stored.folder.path.name)
    outcome = new.outcome()
    if outcome is None:
        raise UserError(f"the run failed: {(new.failure() or {}).get('error')}")
    return outcome


@dataclass(frozen=True)
class Comparison:
    """Two trainings of one cell.

    Attributes:
        then: values of the stored run by name.
        now: those of the new one.
        parted: where their histories part.
        excuses: what differs between the environments that rounding depends on.
    """

    then: dict[str, Any]
    now: dict[str, Any]
    parted: str | None
    excuses: list[str]

    @property
    def differing(self) -> list[str]:
        return differing(self.then, self.now)

    def beyond(self, tolerances: Tolerances) -> list[str]:
        """The values that are further apart than the environments explain."""
        if not self.excuses:
            return self.differing
        return [
            name
            for name in self.differing
            if not tolerances.allow(name, self.then[name], self.now.get(name))
        ]


def _check_data(old: RunFolder, cell: CellConfig, splits: dict[str, Path]) -> None:
    for split, then in seen_by(old).items():
        now = open_cached(splits[split]).fingerprint
        if now != then:
            raise UserError(
                f"{old.path}: {changed(cell.dataset.label, split, then, now)}; put the data back "
                "as they were, then reproduce"
            )


def _train(console: Console, job: Job, name: str) -> None:
    with console.status(escape(f"training {name} again")) as view:

        def watch(event: Event) -> None:
            if event.progress is not None:
                epoch = f"epoch {event.progress.epoch}/{event.progress.epochs}"
                view.update(escape(f"training {name} again: {epoch}"))

        LocalExecutor(1).run([job], watch)


def _print_identical(console: Console, comparison: Comparison) -> None:
    where = ", in another environment" if comparison.excuses else ""
    console.print(
        f"[green]reproduced[/]: all {len(comparison.then)} values and the history are "
        f"bit-identical{where}"
    )


def _print_differing(console: Console, comparison: Comparison, tolerances: Tolerances) -> bool:
    """Print the values that differ and the verdict; True where all are within the tolerance."""
    apart, beyond = comparison.differing, comparison.beyond(tolerances)
    table = Table("value", "then", "now", "difference", "tolerance", box=None)
    for name in apart:
        then, now = comparison.then[name], comparison.now.get(name)
        limit = tolerances.limits.get(family(name)) if comparison.excuses else 0.0
        cells = (name, repr(then), repr(now), _signed(name, then, now), _limit(limit))
        table.add_row(*map(escape, cells), style="red" if name in beyond else "")
    if apart:
        console.print(table)
    if comparison.parted:
        console.print(f"the histories part in {escape(comparison.parted)}")
    of = f"{len(apart)} of {len(comparison.then)} values differ"
    if not comparison.excuses:
        console.print(
            f"[red]not reproduced[/]: {of}, and nothing that rounding depends on is known to have "
            "changed; the code may have"
        )
    elif tolerances.unmeasured:
        kinds = escape(", ".join(tolerances.unmeasured))
        console.print(f"[red]not reproduced[/]: {of}, and no tolerance was measured for {kinds}")
    elif beyond:
        console.print(f"[red]not reproduced[/]: {of}, {len(beyond)} by more than the tolerance")
    else:
        console.print(
            f"[green]reproduced within the tolerance[/]: {of}, none by more than environments "
            f"were measured to explain; {escape(', '.join(comparison.excuses))} changed"
        )
    return bool(comparison.excuses) and not tolerances.unmeasured and not beyond


def _signed(name: str, then: Any, now: Any) -> str:
    apart = gap(name, then, now)
    return "" if apart is None else f"{apart if now >= then else -apart:+.2e}"


def _limit(limit: float | None) -> str:
    return "none measured" if limit is None else f"{limit:.2e}"


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
