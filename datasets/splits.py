"""Dividing samples into train, val and test: the data set's own lists, or a seeded split."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets.base import SPLITS, Dataset, Split
from datasets.sample import DatasetError

PLACEHOLDER = "{split}"


def split_ids(
    ids: Iterable[str],
    fractions: Mapping[Split, float],
    seed: int = 0,
    group: str | None = None,
) -> dict[Split, list[str]]:
    """Divide ids by fractions: the same on every machine, whatever the order of the files.

    Groups are taken in the order of a SHA-256 of seed and name, each going to the split that
    is furthest below its share; a group larger than the smallest share is placed first, while
    there is room for it. No split stays empty.

    Args:
        ids: names of the samples.
        fractions: share of each wanted split, relative to their sum.
        seed: another seed gives another division.
        group: regular expression searched for in each id. Ids whose match agrees (its first
            group, if it has one) stay together: ``^(.+)_`` for ``wall3_07`` and ``wall3_12``.

    Returns:
        Sorted ids by split.

    Raises:
        DatasetError: the pattern is wrong or does not match an id, or there are fewer groups
            than splits.
    """
    groups: dict[str, list[str]] = {}
    for sample_id in sorted(set(ids)):
        groups.setdefault(_group_key(sample_id, group), []).append(sample_id)
    if len(groups) < len(fractions):
        what = "samples" if group is None else f"groups by the pattern '{group}'"
        raise DatasetError(
            f"{len(groups)} {what} cannot be divided into {len(fractions)} splits "
            f"({', '.join(fractions)}) without leaving one empty"
        )
    scale = sum(map(len, groups.values())) / sum(fractions.values())
    room = {split: fraction * scale for split, fraction in fractions.items()}
    smallest = min(room.values())

    def place_in_order(key: str) -> tuple[bool, str]:
        digest = hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()
        return len(groups[key]) <= smallest, digest

    parts: dict[Split, list[str]] = {split: [] for split in fractions}
    order = sorted(groups, key=place_in_order)
    for position, key in enumerate(order):
        empty = [split for split in parts if not parts[split]]
        last_chance = len(order) - position <= len(empty)
        chosen = max(empty if last_chance else parts, key=room.__getitem__)
        parts[chosen].extend(groups[key])
        room[chosen] -= len(groups[key])
    return {split: sorted(members) for split, members in parts.items()}


def _group_key(sample_id: str, pattern: str | None) -> str:
    if pattern is None:
        return sample_id
    try:
        match = re.search(pattern, sample_id)
    except re.error as error:
        raise DatasetError(f"group: '{pattern}' is not a regular expression ({error})") from error
    if match is None:
        raise DatasetError(f"group: the pattern '{pattern}' does not match the id '{sample_id}'")
    return (match[1] or "") if match.re.groups else match[0]


def _is_text(name: str) -> bool:
    """Whether a name can be written down; one in another encoding reaches Python in pieces."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def draw_subset(ids: list[str], amount: int | float, seed: int) -> list[str]:
    """A part of the ids, the same wherever it is drawn; it depends on the ids and the seed alone.

    A plain draw, in which every sample has the same chance: shares of classes are kept on average
    but not made equal. With one seed, a smaller subset is a part of every larger one.

    Args:
        ids: of one split.
        amount: how many to keep (a whole number), or which share of them (between 0 and 1).
        seed: of the draw.

    Returns:
        The ids that are kept, in the order given.

    Raises:
        DatasetError: there are not so many, or the share is out of range.
    """
    if isinstance(amount, float) and 0 < amount < 1:
        count = max(1, round(amount * len(ids)))
    elif isinstance(amount, int) and 1 <= amount <= len(ids):
        count = amount
    else:
        raise DatasetError(
            f"subset: {amount} must be a whole number from 1 to {len(ids)}, the number of samples, "
            "or a share between 0 and 1"
        )
    order = sorted(ids, key=lambda each: hashlib.sha256(f"{seed}:subset:{each}".encode()).digest())
    kept = set(order[:count])
    return [each for each in ids if each in kept]


@dataclass(kw_only=True)
class SeededSplits(Dataset):
    """Options and ids of a data set that is divided by a seeded split.

    A reader's ``__post_init__`` ends with ``self.use_splits(...)``.
    """

    root: str
    fractions: list[float] = field(default_factory=lambda: [0.6, 0.2, 0.2])
    split_seed: int = 0
    group: str | None = None

    def use_splits(self, listed: Mapping[Split, list[str]]) -> None:
        """Fix the ids of every split.

        Args:
            listed: ids by split, ``train`` at least. A split that is not listed gets its
                fraction of the training ids, by :func:`split_ids`.

        Raises:
            DatasetError: the fractions are not three positive numbers with the sum 1, a split
                is empty, a sample is in two splits, or a name is not text.
        """
        valid = len(self.fractions) == 3 and all(0 < share < 1 for share in self.fractions)
        if not valid or not math.isclose(sum(self.fractions), 1, abs_tol=1e-6):
            raise DatasetError(
                f"fractions: {self.fractions} must be three numbers above 0 (train, val, test) "
                "whose sum is 1"
            )
        for sample_id in (each for ids in listed.values() for each in ids):
            if not _is_text(sample_id):
                raise DatasetError(
                    f"{self.root}: the file name {sample_id!r} is not UTF-8 text; rename the file"
                )
        splits: dict[Split, list[str]] = {s: list(dict.fromkeys(ids)) for s, ids in listed.items()}
        for split, ids in splits.items():
            if not ids:
                raise DatasetError(f"{self.root}: the split '{split}' has no samples")
        missing = [split for split in SPLITS if split not in listed]
        if missing:
            shares = dict(zip(SPLITS, self.fractions, strict=True))
            wanted: dict[Split, float] = {s: shares[s] for s in ("train", *missing)}
            splits.update(split_ids(splits["train"], wanted, self.split_seed, self.group))
        owner: dict[str, Split] = {}
        for split, ids in splits.items():
            for sample_id in ids:
                if owner.setdefault(sample_id, split) != split:
                    raise DatasetError(
                        f"{self.root}: '{sample_id}' is in two splits, "
                        f"'{owner[sample_id]}' and '{split}'"
                    )
        self._ids = splits

    def ids(self, split: Split) -> list[str]:
        """Names of the samples of one split."""
        return list(self._ids[split])


@dataclass(kw_only=True)
class NamedSplits(SeededSplits):
    """Adds splits that have a folder or file of their own.

    ``train``, ``val`` and ``test`` are what ``{split}`` stands for in a path. One that is not
    given is looked for under its own name, unless that place was given to another split; if
    there is none, the split gets its fraction of the training samples.
    """

    train: str | None = None
    val: str | None = None
    test: str | None = None

    def split_names(self, root: Path, option: str, template: str) -> dict[Split, str]:
        """What ``{split}`` stands for, by split, for those whose path below ``root`` exists.

        A template without ``{split}`` means that all samples lie in one place; this place is
        listed as ``train``, with an empty name.

        Raises:
            DatasetError: a name was given and there is no such path, or there is none for the
                training split.
        """
        given = {split: getattr(self, split) for split in SPLITS}
        if PLACEHOLDER not in template:
            for split, name in given.items():
                if name is not None:
                    raise DatasetError(
                        f"{split}: '{name}' has no effect, as '{option}: {template}' "
                        f"has no '{PLACEHOLDER}' to put it in"
                    )
            return {"train": ""}
        names: dict[Split, str] = {}
        for split in SPLITS:
            if split != "train" and given[split] is None and split in given.values():
                continue  # `test: val` says that this place is another split's
            name = given[split] or split
            path = root / fill(template, name)
            if path.exists():
                names[split] = name
            elif given[split] is not None:
                raise DatasetError(f"{path}: no such file or folder (option '{split}: {name}')")
        if "train" not in names:
            raise DatasetError(
                f"{root / fill(template, 'train')}: no such file or folder; say what "
                f"'{PLACEHOLDER}' is for training with the option 'train'"
            )
        return names


def fill(template: str, name: str) -> str:
    """The template with the name of a split put in."""
    return template.replace(PLACEHOLDER, name)


def qualified(name: str, sample_id: str) -> str:
    """An id that is unique among the folders of several splits; unchanged for a single place."""
    return f"{name}/{sample_id}" if name else sample_id
