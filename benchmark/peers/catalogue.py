"""The table of public losses for people: on the terminal and as a page."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from benchmark.peers import PEERS, UNRELATED, Peer
from benchmark.peers.building import ONE_CLASS

TITLES = {
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "segmentation_models_pytorch": "segmentation_models.pytorch",
    "monai": "MONAI",
    "kornia": "kornia",
    "mmdetection": "mmdetection",
    "ultralytics": "ultralytics",
    "paddledetection": "PaddleDetection",
    "detectron2": "detectron2, fvcore",
    "seglossodyssey": "SegLossOdyssey",
}


def peers_table() -> Table:
    """For the terminal: what each public loss is called here."""
    table = Table("project", "public loss", "ours", "value", "note", box=None, padding=(0, 2, 1, 0))
    for peer in PEERS:
        cells = (TITLES[peer.package], peer.name, peer.ours or "–", _value(peer), _note(peer))
        table.add_row(*map(escape, cells))
    return table


def catalogue_page() -> str:
    """The table as Markdown."""
    lines = [
        "# Public losses and ours",
        "",
        "What public projects call their losses, and the entry of an experiment file that gives "
        "the same here. *equal* means the same value and gradient of the batch's mean; for the "
        "projects of which the tests install a version (PyTorch, torchvision, "
        "segmentation_models.pytorch, MONAI, kornia) a test holds every such row to 1e-5, for "
        "the others it is what their code says. *differs* means the same loss up to what the note "
        "names. `python3 run.py list peers` prints this table.",
        "",
    ]
    for package, title in TITLES.items():
        rows = [peer for peer in PEERS if peer.package == package]
        lines += [f"## {title}", "", "| public loss | ours | value | note |", "|---|---|---|---|"]
        for peer in rows:
            ours = f"`{peer.ours}`" if peer.ours else "–"
            lines.append(f"| `{peer.name}` | {ours} | {_value(peer)} | {_note(peer)} |")
        reasons = _reasons(package)
        lines += ["", *([f"No losses of boxes or masks: {reasons}.", ""] if reasons else [])]
    return "\n".join(lines).rstrip() + "\n"


def _value(peer: Peer) -> str:
    return peer.value or "none here"


def _note(peer: Peer) -> str:
    parts = [peer.note] if peer.note else []
    if peer.kind == "mask" and peer.classes == ONE_CLASS and peer.spec:
        parts.append("Compared with one class.")
    if peer.factor != 1:
        parts.append(f"Ours is {peer.factor:g} times the public value.")
    return " ".join(parts)


def _reasons(package: str) -> str:
    """Names without a row, by the reason why."""
    grouped: dict[str, list[str]] = {}
    for name, reason in UNRELATED.get(package, {}).items():
        grouped.setdefault(reason, []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in grouped.items())
