"""Every source of images becomes the same :class:`~datasets.sample.Sample`."""

import importlib
import pkgutil

from datasets.base import DATASETS, SPLITS, Dataset, Split, register
from datasets.sample import IGNORE, DatasetError, Sample

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "DATASETS",
    "IGNORE",
    "SPLITS",
    "Dataset",
    "DatasetError",
    "Sample",
    "Split",
    "register",
]
