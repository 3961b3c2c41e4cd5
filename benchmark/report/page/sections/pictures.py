"""Section: the same test images under every loss, side by side, errors marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from benchmark.report.page.box_tiles import NOTE as BOX_NOTE
from benchmark.report.page.box_tiles import box_tiles
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import data_loss, loss_name, panel_blocks, paragraph
from benchmark.report.page.instance_tiles import NOTE as INSTANCE_NOTE
from benchmark.report.page.instance_tiles import instance_tiles
from benchmark.report.page.mask_tiles import NOTE as MASK_NOTE
from benchmark.report.page.mask_tiles import mask_legend, mask_tiles
from benchmark.report.page.object_tiles import object_legend
from benchmark.report.page.tiles import Embedded, Tile, embedded
from benchmark.report.panels import Panel
from benchmark.report.samples import Sample, read_samples

MOST_CHARACTERS = 1_500_000  # of all pictures of a page, as it is written
WIDTHS = (360, 240, 160)  # of the pictures in pixels, tried in this order
FEWEST = 2  # images of a table that are worth smaller ones
NOTE = (
    "The same images for every loss, drawn by a seed that no loss has a part in, and the first "
    "repetition of each loss. A few images show what the numbers mean; they are too few to compare "
    "losses by."
)


@dataclass(frozen=True)
class Drawer:
    """How the pictures of a task are drawn.

    Attributes:
        tiles: of a sample: the truth's, then each loss's; the first holds the picture.
        legend: entries that say what the marks mean.
        note: when a prediction is right.
    """

    tiles: Callable[[Sample, Embedded], list[Tile]]
    legend: Callable[[list[Sample]], Markup]
    note: str


DRAWERS = {
    "detection": Drawer(box_tiles, object_legend, BOX_NOTE),
    "segmentation": Drawer(mask_tiles, mask_legend, MASK_NOTE),
    "instance": Drawer(instance_tiles, object_legend, INSTANCE_NOTE),
}


@section("pictures", title="Pictures", order=60)
def build(page: PageContext) -> Markup | None:
    """A block for each table whose runs kept pictures; all of them in a share of the budget."""
    kept = {panel.stem: read_samples(panel, page.data.folders) for panel in page.panels}
    share = MOST_CHARACTERS // max(1, sum(bool(samples) for samples in kept.values()))
    return panel_blocks(
        page,
        lambda panel: _block(page, panel, kept[panel.stem], share) if kept[panel.stem] else None,
    )


def _block(page: PageContext, panel: Panel, samples: list[Sample], share: int) -> Markup:
    drawer = DRAWERS[panel.key[0]]
    figures = _figures(page, panel, samples, drawer, share)
    notes = [NOTE, drawer.note]
    absent = [loss for loss in panel.losses if all(loss not in s.predicted for s in samples)]
    if absent:
        notes.append(f"Without pictures, for want of a finished run: {', '.join(absent)}.")
    if len(figures) < len(samples):
        notes.append(f"{len(figures)} of {len(samples)} images, to keep the page small.")
    legend = Markup('<ul class="legend">{}</ul>').format(drawer.legend(samples))
    return Markup("{}{}{}").format(
        paragraph(" ".join(notes), "note"), legend if figures else "", Markup("").join(figures)
    )


def _figures(
    page: PageContext, panel: Panel, samples: list[Sample], drawer: Drawer, share: int
) -> list[Markup]:
    """As many images as ``share`` characters hold, smaller ones where few would fit."""
    figures: list[Markup] = []
    for width in WIDTHS:
        figures, left = [], share
        for number, sample in enumerate(samples):
            drawn = _figure(page, panel, sample, drawer, width, f"{panel.stem}-{number}")
            left -= len(drawn)
            if left < 0:
                break
            figures.append(drawn)
        if len(figures) >= min(FEWEST, len(samples)):
            break
    return figures


def _figure(
    page: PageContext, panel: Panel, sample: Sample, drawer: Drawer, width: int, name: str
) -> Markup:
    """The truth and every loss over one picture, whose bytes stand in the page once."""
    picture = embedded(sample.path, width)
    own = Markup(
        '<image id="picture-{}" width="{}" height="{}" href="{}" preserveAspectRatio="none"/>'
    ).format(name, sample.width, sample.height, picture.uri())
    again = Markup('<use href="#picture-{}"/>').format(name)
    tiles = [
        _cell(page, panel.key[0], tile, again if place else own, sample)
        for place, tile in enumerate(drawer.tiles(sample, picture))
    ]
    return Markup(
        '<figure><div class="sides">{}</div><figcaption>Test image {}</figcaption></figure>'
    ).format(Markup("").join(tiles), sample.id)


def _cell(page: PageContext, task: str, tile: Tile, picture: Markup, sample: Sample) -> Markup:
    title = tile.title if tile.loss is None else loss_name(page, task, tile.loss)
    return Markup(
        '<div class="multiple"{}><p class="over">{}</p>{}<p class="note">{}</p></div>'
    ).format(
        "" if tile.loss is None else data_loss(tile.loss),
        title,
        tile.markup(picture, sample.width, sample.height),
        tile.caption,
    )
