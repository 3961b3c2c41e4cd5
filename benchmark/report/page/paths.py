"""How the page shows where files lie."""

from __future__ import annotations

from pathlib import Path


def relative(path: Path | str) -> str:
    """``path`` from the current folder where it lies in there, else whole; with slashes."""
    whole = Path(path).resolve()
    here = Path.cwd()
    return (whole.relative_to(here) if whole.is_relative_to(here) else whole).as_posix()
