"""Whether the data are still those that the runs of a store were trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.options import UserError
from benchmark.runner import Grid, PlannedCell, part_key
from benchmark.store import RunFolder
from datasets import SPLITS, Dataset, DatasetError, Split
from datasets.cache import prepare


@dataclass(frozen=True)
class Seen:
    """What one run saw of one split.

    Attributes:
        folder: of the run.
        size: height and width that its images were brought to.
        fingerprint: see :mod:`datasets.fingerprint`.
    """

    folder: Path
    label: str
    dataset: str
    size: tuple[int, int]
    split: Split
    fingerprint: str


def check_data(
    grid: Grid,
    cells: list[PlannedCell],
    cache: Path,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> None:
    """Refuse to add runs on other data to those that lie in a store.

    Runs from before there were fingerprints are passed over; so is one that failed before its
    first epoch was over, as it starts anew.

    Raises:
        UserError: the data of a run that ended, or is to be continued, are not those found now;
            the message names the data set, its split, both fingerprints, and what to do.
    """
    first: dict[tuple[str, tuple[int, int], Split, str], Seen] = {}
    for planned in cells:
        for seen in _seen(planned):
            first.setdefault((seen.dataset, seen.size, seen.split, seen.fingerprint), seen)
    current: dict[tuple[str, tuple[int, int], Split], str] = {}
    for seen in first.values():
        key = (seen.dataset, seen.size, seen.split)
        if key not in current:

            def tell(done: int, total: int, what: str = f"{seen.label} {seen.split}") -> None:
                on_progress(what, done, total)

            current[key] = _fingerprint(grid.datasets[seen.dataset], seen, cache, tell)
        if current[key] != seen.fingerprint:
            raise UserError(
                f"{changed(seen.label, seen.split, seen.fingerprint, current[key])}; "
                f"{seen.folder} was trained on the former. Put the data back to go on; or train "
                "all runs anew with --fresh, or under another name (`name=...`)"
            )


def changed(label: str, split: str, then: str, now: str) -> str:
    """What a message says of data that are not those of a run."""
    return (
        f"data set '{label}': the samples of its {split} split are not those of before "
        f"(fingerprint then {then[:12]}, now {now[:12]}): a file, or what reads it, has changed"
    )


def _seen(planned: PlannedCell) -> Iterator[Seen]:
    height, width = planned.cell.train.image_size
    part = planned.cell.dataset
    stored = seen_by(planned.folder)
    for split in SPLITS:
        if split in stored:
            where = (planned.folder.path, part.label, part_key(part), (height, width))
            yield Seen(*where, split, stored[split])


def seen_by(folder: RunFolder) -> dict[str, str]:
    """Split -> fingerprint of what a run saw, as far as anything is left of it."""
    if folder.outcome() is None and not folder.checkpoint.exists():
        return {}
    return (folder.environment() or {}).get("data") or {}


def _fingerprint(
    dataset: Dataset, seen: Seen, cache: Path, tell: Callable[[int, int], None]
) -> str:
    try:
        return prepare(dataset, seen.split, seen.size, cache, tell).fingerprint
    except DatasetError as error:
        raise UserError(str(error)) from None
