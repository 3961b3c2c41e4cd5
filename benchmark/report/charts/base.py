"""What every chart has in common."""

from __future__ import annotations


class LeftOut(Exception):
    """A chart has nothing to show; the message says why."""
