"""The report of one loss: every check, its speed beside torchvision's, and a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torchvision import ops

from benchmark.experiment.loss_spec import NamedLoss, load_loss
from losses import BoxLoss
from losses.adapters import AdaptedBoxLoss, AdaptedMaskLoss, Kind
from losses.conformance import Finding, check

VIOLATION_COLOURS = {"hard": "red", "soft": "yellow", "information": "yellow"}
ROUNDS = 15
CALLS = 4
BOXES = 1000
IMAGES = (8, 1, 128, 128)

Function = Callable[[Tensor, Tensor], Tensor]


def check_loss(
    console: Console, text: str, kind: Kind | None, *, speed: bool, csv: Path | None
) -> bool:
    """Print a table of all findings on a loss; False if it violates a hard property.

    Args:
        text: the loss, see :func:`benchmark.experiment.loss_spec.load_loss`.
        kind: what it is a loss of, where that cannot be seen.
        speed: also time it beside torchvision's losses.
        csv: file that gets the table as well.

    Raises:
        UserError: ``text`` is no loss.
    """
    named = load_loss(text, kind)
    found: list[Finding] = []
    with console.status("checking") as status:
        for finding in _findings(named, speed):
            found.append(finding)
            status.update(f"checking: {len(found)} done")
    console.print(f"[bold]{escape(named.label)}[/], a {named.kind} loss")
    console.print(_table(found))
    if csv is not None:
        csv.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame([vars(finding) for finding in found]).to_csv(csv, index=False)
        console.print(f"table: {escape(str(csv))}")
    console.print(_verdict(found))
    return not violated(found, "hard")


def violated(found: list[Finding], level: str) -> list[str]:
    """Names of the violated checks of a level."""
    return [finding.check for finding in found if finding.violated and finding.level == level]


def _findings(named: NamedLoss, speed: bool) -> Iterator[Finding]:
    yield from check(named.loss)
    if speed:
        yield speed_beside_torchvision(named)


def _table(found: list[Finding]) -> Table:
    table = Table("check", "result", "measured", box=SIMPLE_HEAD)
    for finding in found:
        table.add_row(finding.check, _result(finding), escape(finding.detail))
    return table


def _result(finding: Finding) -> str:
    """The status in its colour; a violation with its level, a mere property as ``-``."""
    if finding.violated:
        return f"[{VIOLATION_COLOURS[finding.level]}]violated, {finding.level}[/]"
    return "-" if finding.level == "information" else f"[green]{finding.status}[/]"


def _verdict(found: list[Finding]) -> str:
    hard, soft = violated(found, "hard"), violated(found, "soft")
    weak = f"; weak in: {', '.join(soft)}" if soft else ""
    if hard:
        return f"[red]violates what no loss may[/]: {', '.join(hard)}{weak}"
    return f"[green]holds every hard property[/]{weak}"


def speed_beside_torchvision(named: NamedLoss) -> Finding:
    """Time of forward and backward in units of torchvision's or torch's losses of that kind."""
    deltas = isinstance(named.loss, BoxLoss) and named.loss.space == "deltas"
    pred, target = _boxes() if named.kind == "box" else _masks()
    peers = DELTA_PEERS if deltas else PEERS[named.kind]
    calls = {"": _total(named), **peers}
    try:
        seconds = _fastest(calls, pred, target)
    except Exception as error:  # a stranger's loss may raise anything
        return Finding("speed", "information", "violated", f"raised {error!r:.160}")
    own = seconds.pop("")
    ratios = ", ".join(f"{own / peer:.2f} × {name}" for name, peer in seconds.items())
    size = f"{BOXES:,} boxes" if named.kind == "box" else "×".join(map(str, IMAGES)) + " pixels"
    detail = f"{1e6 * own:,.0f} µs = {ratios} ({size}, {torch.get_num_threads()} thread(s))"
    return Finding("speed", "information", "ok", detail)


def _fastest(calls: dict[str, Function], pred: Tensor, target: Tensor) -> dict[str, float]:
    """Least seconds of one forward and backward of each, in rounds that take turns."""
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, function in calls.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                leaf = pred.clone().requires_grad_()
                torch.autograd.grad(function(leaf, target), leaf)
            least[name] = min(least[name], (time.perf_counter() - start) / CALLS)
    return least


def _total(named: NamedLoss) -> Function:
    """The loss as one number; that of another project with its own reduction, if it has one."""
    loss = named.loss
    if isinstance(loss, AdaptedBoxLoss | AdaptedMaskLoss):
        original = loss.original
        return lambda pred, target: original(pred, target).sum()
    if isinstance(loss, BoxLoss):
        return lambda pred, target: loss(pred, target).sum()
    valid = torch.ones(IMAGES[0], 1, *IMAGES[2:], dtype=torch.bool)
    return lambda pred, target: loss(pred, target, valid).sum()


def _boxes() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    low = 600 * torch.rand(BOXES, 2, generator=random)
    target = torch.cat([low, low + 4 + 100 * torch.rand(BOXES, 2, generator=random)], 1)
    return target + torch.rand(BOXES, 4, generator=random), target


def _masks() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(IMAGES, generator=random)
    return logits, (logits + torch.randn(IMAGES, generator=random) > 0).float()


PEERS: dict[Kind, dict[str, Function]] = {
    "box": {
        "torchvision's GIoU": lambda p, t: ops.generalized_box_iou_loss(p, t, reduction="sum"),
        "DIoU": lambda p, t: ops.distance_box_iou_loss(p, t, reduction="sum"),
        "CIoU": lambda p, t: ops.complete_box_iou_loss(p, t, reduction="sum"),
    },
    "mask": {
        "torchvision's focal loss": lambda p, t: ops.sigmoid_focal_loss(p, t, reduction="sum"),
        "torch's BCE": lambda p, t: F.binary_cross_entropy_with_logits(p, t, reduction="sum"),
    },
}
"""Functions to set a loss's speed beside."""

DELTA_PEERS: dict[str, Function] = {
    "torch's smooth L1": lambda p, t: F.smooth_l1_loss(p, t, reduction="sum"),
}
"""The same for losses on encoded boxes."""
