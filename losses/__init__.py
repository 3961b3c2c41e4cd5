"""Losses for box regression and segmentation: pure torch, one file a loss, built by name.

Every module below ``box`` and ``mask`` is imported here, so a new file is all a new loss needs.
"""

import importlib
import pkgutil

from . import box, mask
from .base import BOX, MASK, BoxLoss, MaskLoss, get, register_box, register_mask

for package in (box, mask):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

__all__ = ["BOX", "MASK", "BoxLoss", "MaskLoss", "get", "register_box", "register_mask"]
