"""Official lists of training and test images, with a validation split cut from the former."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from datasets.base import Dataset, Split
from datasets.download.source import Source
from datasets.sample import DatasetError
from datasets.splits import split_ids


@dataclass(kw_only=True)
class OfficialSplits(Dataset):
    """Options and ids of a data set with an official test list."""

    source: ClassVar[Source]

    root: str = ""
    val_fraction: float = 0.1
    split_seed: int = 0

    def use_official(self, training: Sequence[str], test: Sequence[str]) -> None:
        """Fix the ids: ``val_fraction`` of the official training list becomes ``val``."""
        if not 0 < self.val_fraction < 1:
            raise DatasetError(f"val_fraction: {self.val_fraction} must lie between 0 and 1")
        both = sorted({*training} & {*test})
        if both:
            raise DatasetError(f"{self.root}: '{both[0]}' is in the lists of training and of test")
        shares: dict[Split, float] = {"train": 1 - self.val_fraction, "val": self.val_fraction}
        self._ids = {**split_ids(training, shares, self.split_seed), "test": list(test)}

    def ids(self, split: Split) -> list[str]:
        """Names of the samples of one split."""
        return list(self._ids[split])
