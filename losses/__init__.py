"""Losses for detection and segmentation: pure torch, one file a loss, built by name.

Every module below ``box``, ``mask`` and ``classification`` is imported here, so a new file is all
a new loss needs.
"""

import importlib
import pkgutil

from . import box, classification, mask
from .base import (
    BOX,
    CLASSIFICATION,
    MASK,
    BoxLoss,
    ClassificationLoss,
    MaskLoss,
    get,
    register_box,
    register_classification,
    register_mask,
)

for package in (box, mask, classification):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

__all__ = [
    "BOX",
    "CLASSIFICATION",
    "MASK",
    "BoxLoss",
    "ClassificationLoss",
    "MaskLoss",
    "get",
    "register_box",
    "register_classification",
    "register_mask",
]
