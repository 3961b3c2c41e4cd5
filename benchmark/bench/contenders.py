"""What races what: each of our losses, the public ones that are the same, and the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import yaml
from torch import Tensor

from benchmark.experiment.loss_spec import check_measured, load_loss
from benchmark.options import UserError, look_up
from benchmark.peers import PEERS, Peer, our_mean, public_mean
from losses import BOX, MASK, BoxLoss, MaskLoss
from losses.adapters import Kind

YARDSTICKS = {"boxes": "giou", "deltas": "l1", "masks": "bce"}
"""Our loss that stands beside those that no public project has."""

Mean = Callable[[BoxLoss | MaskLoss, Tensor, Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]]


@dataclass(frozen=True)
class Contender:
    """A loss in a race.

    Attributes:
        label: what tables call it.
        mean: what makes the batch's mean of it, see :func:`benchmark.peers.public_mean`.
        peer: its row in the table of public losses; None for one of ours.
    """

    label: str
    loss: BoxLoss | MaskLoss
    mean: Mean
    peer: Peer | None = None

    def takes(self, size: Size) -> bool:
        """Whether it is the same loss for as many classes."""
        if self.peer is None or size.kind == "box":
            return True
        one = size.shape[1] == 1
        return any((classes == 1) == one for classes in self.peer.classes)


@dataclass(frozen=True)
class Race:
    """One of our losses and what is measured beside it.

    Attributes:
        rivals: public losses, or the yardstick alone.
    """

    ours: Contender
    rivals: tuple[Contender, ...]
    kind: Kind

    @cached_property
    def public(self) -> bool:
        """Whether there is a public rival."""
        return any(rival.peer is not None for rival in self.rivals)


@dataclass(frozen=True)
class Size:
    """Shape of the predictions: ``[N, 4]`` boxes or ``[N, C, H, W]`` logits."""

    kind: Kind
    shape: tuple[int, ...]

    @property
    def label(self) -> str:
        if self.kind == "box":
            return f"{self.shape[0]:,} boxes"
        return "×".join(map(str, self.shape))

    @property
    def elements(self) -> int:
        """Number of boxes, or of pixels times classes."""
        return self.shape[0] if self.kind == "box" else torch.Size(self.shape).numel()


def parse_size(text: str) -> Size:
    """Read ``1000`` (boxes) or ``8x1x256x256`` (masks: images, classes, height, width).

    Raises:
        UserError: it is neither.
    """
    parts = text.lower().replace("×", "x").split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) not in (1, 4):
        raise UserError(
            f"--sizes: '{text}' is neither a number of boxes such as 1000 nor a mask's shape "
            "such as 8x1x256x256"
        )
    numbers = tuple(int(part) for part in parts)
    return Size("box", (*numbers, 4)) if len(numbers) == 1 else Size("mask", numbers)


def make_races(names: Sequence[str] | None) -> list[Race]:
    """A race for each of our losses, with the options that its public rivals use.

    Args:
        names: registered names to keep; None for all.

    Raises:
        UserError: a name is not registered.
    """
    known: dict[str, type[BoxLoss] | type[MaskLoss]] = {**BOX, **MASK}
    for name in names or ():
        check_measured(name, "--losses")
        look_up(known, name, "loss", "--losses")
    peers = _peers_of_ours()
    raced = {_name(text) for text in peers}
    rest: dict[str, list[Peer]] = {
        name: [] for name, cls in known.items() if name not in raced and _has_defaults(cls)
    }
    return [
        _race(text, rivals)
        for text, rivals in (peers | rest).items()
        if names is None or _name(text) in names
    ]


def _peers_of_ours() -> dict[str, list[Peer]]:
    """Public losses that can be run, by the text of ours."""
    found: dict[str, list[Peer]] = {}
    for peer in PEERS:
        if peer.ours and peer.importable:
            found.setdefault(peer.ours, []).append(peer)
    return found


def _name(text: str) -> str:
    """Registered name in the text of one of ours."""
    entry = yaml.safe_load(text)
    return entry if isinstance(entry, str) else entry.get("name", "sum")


def _has_defaults(cls: type) -> bool:
    try:
        cls()
    except TypeError:
        return False
    return True


def _race(text: str, peers: list[Peer]) -> Race:
    named = load_loss(text)
    ours = Contender(named.label, named.loss, our_mean)
    rivals = [
        Contender(
            f"{peer.package} {peer.name}", load_loss(peer.spec, peer.kind).loss, public_mean, peer
        )
        for peer in peers
    ]
    return Race(ours, tuple(rivals) or (_yardstick(named.loss),), named.kind)


def _yardstick(loss: BoxLoss | MaskLoss) -> Contender:
    name = YARDSTICKS[loss.space if isinstance(loss, BoxLoss) else "masks"]
    return Contender(f"{name} (yardstick)", load_loss(name).loss, our_mean)


def make_inputs(
    loss: BoxLoss | MaskLoss, size: Size, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Predictions and targets of a size: overlapping boxes, deltas, or logits and masks.

    The masks are blobs of 16 pixels, every class as frequent as the background and no two of
    them on one pixel.
    """
    generator = torch.Generator().manual_seed(0)
    if isinstance(loss, BoxLoss):
        pred, target = _boxes(size, generator, loss.space == "deltas")
    else:
        pred, target = _masks(size, generator)
    return pred.to(device), target.to(device)


def _boxes(size: Size, generator: torch.Generator, deltas: bool) -> tuple[Tensor, Tensor]:
    noise = torch.randn(size.shape, generator=generator)
    if deltas:
        return noise, torch.randn(size.shape, generator=generator)
    low, extent = 300 * torch.rand(2, size.shape[0], 2, generator=generator)
    target = torch.cat([low, low + extent + 20], 1)
    return target + 4 * noise, target


def _masks(size: Size, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    images, classes, height, width = size.shape
    coarse = (images, -(-height // 16), -(-width // 16))
    labels = torch.randint(0, classes + 1, coarse, generator=generator)
    labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :height, :width]
    target = torch.stack([labels == c for c in range(1, classes + 1)], 1)
    return torch.randn(size.shape, generator=generator), target.float()
