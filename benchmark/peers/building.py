"""Rows of mask losses, their specification written as YAML."""

from __future__ import annotations

from typing import Any

import yaml

from benchmark.peers.peer import Agreement, Peer

ONE_CLASS = (1,)


def mask_row(
    package: str,
    name: str,
    ours: str,
    target: str,
    options: dict[str, Any] | None = None,
    *,
    value: Agreement = "equal",
    note: str = "",
    classes: tuple[int, ...] = (1, 3),
    differs_on: tuple[str, ...] = (),
    factor: float = 1.0,
) -> Peer:
    """A row whose public side is ``target`` (``module:attribute``) with ``options``."""
    spec = yaml.safe_dump(
        {"name": target, **(options or {})}, default_flow_style=True, sort_keys=False, width=1000
    ).strip()
    return Peer(
        package=package,
        name=name,
        kind="mask",
        ours=ours,
        spec=spec,
        value=value,
        note=note,
        classes=classes,
        differs_on=differs_on,
        factor=factor,
    )
