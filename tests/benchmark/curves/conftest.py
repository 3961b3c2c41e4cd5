"""Losses of a user's own, as files."""

from __future__ import annotations

from pathlib import Path

import pytest

BOX = """
def corners(pred, target):
    return (pred - target).abs().sum(-1) / 10
"""
MASK = """
from torch import nn

class Squares(nn.Module):
    def forward(self, logits, target):
        return (logits.sigmoid() - target).square().mean()
"""


@pytest.fixture
def box_file(tmp_path: Path) -> Path:
    """A box loss ``corners`` in a file: sum of the distances of the four numbers, over 10."""
    path = tmp_path / "my_box.py"
    path.write_text(BOX)
    return path


@pytest.fixture
def mask_file(tmp_path: Path) -> Path:
    """A mask loss ``Squares`` in a file: mean of (p - y)² over the batch."""
    path = tmp_path / "my_mask.py"
    path.write_text(MASK)
    return path
