"""Draw pictures into a folder: PNG, SVG and CSV of each, and a page that explains them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib
from rich.console import Console

from benchmark.curves.base import PICTURES, Picture
from benchmark.experiment.loss_spec import NamedLoss, load_loss
from benchmark.options import UserError, look_up
from benchmark.report.drawing import RC
from losses.adapters import Kind

PAGE_NAME = "README.md"
HEAD = """\
# What each loss does

Values and gradients of the losses in `losses/`, computed in float64 by automatic differentiation.
Each picture is there as PNG and SVG, and as CSV with the numbers it was drawn from. The page and
its pictures come from `python3 run.py curves`; `--loss 'module:attribute'` draws a loss of your own
beside ours.

- The target of the box losses is 32×32 pixels unless a picture says otherwise; their gradient is
  that in centre, width and height. Losses on encoded boxes, such as L1, get these relative to the
  target: offsets over its sides, logarithms of the ratios of the sides.
- Mask losses get one class and no ignored pixel.
- Where each registered loss has a panel, its options are the defaults, and every curve is divided
  by its largest value, which stands above the panel. Weighted sums are left out.
- A loss that depends on its batch or remembers earlier ones meets each prediction alone, as its
  first.
"""


def draw(
    console: Console, names: Sequence[str], specs: Sequence[str], kind: Kind | None, folder: Path
) -> None:
    """Draw the pictures ``names`` with the losses ``specs`` beside ours, and say where they lie.

    Raises:
        UserError: see :func:`plan`, or a loss fails on an ordinary prediction.
    """
    pictures, own = plan(names, specs, kind)
    for path in write_pictures(pictures, own, folder):
        console.print(str(path))


def plan(
    names: Sequence[str], specs: Sequence[str], kind: Kind | None
) -> tuple[list[Picture], list[NamedLoss]]:
    """Which pictures to draw, and which losses beside ours.

    Args:
        names: of the pictures; none means all of ``kind``, or else of the kinds of the losses.
        specs: losses as :func:`benchmark.experiment.loss_spec.load_loss` reads them.
        kind: of pictures and losses; None takes that of the pictures, if they are of one kind.

    Raises:
        UserError: a picture is unknown or not of ``kind``, a loss cannot be read or fits none of
            the pictures, or two have the same label.
    """
    pictures = [look_up(PICTURES, name, "picture", "curves") for name in dict.fromkeys(names)]
    for picture in pictures:
        if kind and picture.kind != kind:
            raise UserError(f"curves: '{picture.name}' shows {picture.kind} losses, not {kind}")
    kinds = {picture.kind for picture in pictures}
    if len(kinds) == 1:
        (kind,) = kinds
    own = [load_loss(spec, kind) for spec in specs]
    labels = [named.label for named in own]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"--loss: two losses are labelled '{label}'; give one a label: ...")
    if not pictures:
        kinds = {kind} if kind else {named.kind for named in own} or {"box", "mask"}
        pictures = [picture for picture in PICTURES.values() if picture.kind in kinds]
    return pictures, own


def write_pictures(
    pictures: Sequence[Picture], own: Sequence[NamedLoss], folder: Path
) -> Iterator[Path]:
    """Draw each picture into ``folder``, which is made, and then write the page.

    Yields:
        The PNG of each picture once its files are there, and at last the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        with matplotlib.rc_context(RC):
            yield _write(picture, [named for named in own if named.kind == picture.kind], folder)
    page = folder / PAGE_NAME
    page.write_text(_page(folder), encoding="utf-8")
    yield page


def _write(picture: Picture, own: list[NamedLoss], folder: Path) -> Path:
    drawing = picture.draw(own)
    drawing.figure.suptitle(picture.title, fontsize=8)
    drawing.data.to_csv(folder / f"{picture.name}.csv", index=False, float_format="%.5g")
    drawing.figure.savefig(folder / f"{picture.name}.svg", metadata={"Date": None})
    drawing.figure.savefig(folder / f"{picture.name}.png")
    return folder / f"{picture.name}.png"


def _page(folder: Path) -> str:
    """Every picture that lies in the folder, in the order of the register."""
    parts = [HEAD]
    for picture in PICTURES.values():
        name = picture.name
        if (folder / f"{name}.png").exists():
            parts.append(
                f"## {picture.title}\n\n![{picture.title}]({name}.png)\n\n"
                f"{fill(picture.caption, 100)}\n\n"
                f"[SVG]({name}.svg), [CSV]({name}.csv); again: `python3 run.py curves {name}`\n"
            )
    return "\n".join(parts)
