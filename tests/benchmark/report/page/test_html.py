from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from benchmark.report.data import ReportData
from benchmark.report.page.context import SECTIONS, PageContext, section
from benchmark.report.page.html import (
    Cell,
    Column,
    copyable,
    details,
    figure,
    legend,
    loss_name,
    panel_blocks,
    paragraph,
    table,
)
from benchmark.statistics import summarise

HOSTILE = "<img src=x onerror=alert(1)> \"&'"


def parse(html: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(f"<root>{html}</root>")


def said(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@pytest.fixture
def page(frames) -> PageContext:
    runs, history = frames
    return PageContext(ReportData("test", "", runs, history), summarise(runs))


def test_a_table_has_caption_scopes_and_its_cells():
    made = parse(
        table(
            [Column("loss"), Column("AP", "right", tip="average precision")],
            [[Cell("giou", loss="giou"), Cell("51.2", 0.512, "best")], ["iou", "50.1"]],
            "The losses",
            note="n = 6",
            foot=[["untrained", "0.1"]],
        )
    )
    assert made.find(".//caption").text == "The losses"
    heads = made.findall(".//thead/tr/th")
    assert [h.get("scope") for h in heads] == ["col", "col"]
    assert heads[1].get("data-tip") == "average precision"
    rows = made.findall(".//tbody/tr")
    assert [row.get("data-loss") for row in rows] == ["giou", None]
    assert [row[0].get("scope") for row in rows] == ["row", "row"]
    assert rows[0][1].attrib == {"class": "right best", "data-sort": "0.512"}
    assert said(made.find(".//tfoot")) == "untrained0.1"
    assert made.find("p").text == "n = 6"
    assert made.find("div").get("tabindex") == "0"  # what scrolls can be reached by keyboard


def test_a_missing_value_is_sorted_as_missing():
    made = parse(table(["a"], [[Cell("–", math.nan)], [Cell("x")]], "t"))
    first, second = made.findall(".//tbody/tr")
    assert first[0].get("data-sort") == ""
    assert second[0].get("data-sort") is None


def test_tables_of_a_fixed_order_say_so():
    made = parse(table(["a"], [["1"]], "t", sortable=False))
    assert made.find(".//table").get("class") == "fixed"
    assert parse(table(["a"], [], "t")).find(".//table").get("class") == "sortable"


def test_a_row_needs_a_cell_for_each_column():
    with pytest.raises(ValueError, match="a row has 1 cells, but the table 2 columns"):
        table(["a", "b"], [["1"]], "t")


def test_every_text_is_escaped(page):
    pieces = [
        table([HOSTILE], [[Cell(HOSTILE, HOSTILE, "", HOSTILE, HOSTILE)]], HOSTILE, HOSTILE),
        figure(Markup("<svg/>"), HOSTILE),
        details(HOSTILE, HOSTILE),
        copyable(HOSTILE),
        paragraph(HOSTILE),
    ]
    for piece in pieces:
        assert HOSTILE in said(parse(piece))
        assert "<img" not in piece
    cell = parse(pieces[0]).find(".//tbody/tr")
    assert (cell.get("data-loss"), cell[0].get("data-tip")) == (HOSTILE, HOSTILE)


def test_a_loss_is_named_beside_its_swatch(page):
    made = parse(loss_name(page, "detection", "giou"))
    assert said(made) == "giou"
    assert made.find(".//svg").get("aria-hidden") == "true"
    assert made.find(".//svg/g").get("class") == "c2"  # the third of the task's losses


def test_a_legend_is_filtered_with_its_losses(page):
    made = parse(legend(page, "detection", ["iou", "giou"]))
    assert [li.get("data-loss") for li in made.iter("li")] == ["iou", "giou"]


def test_blocks_are_headed_and_say_their_task(page):
    made = parse(panel_blocks(page, lambda panel: Markup("<p>x</p>")))
    assert [s.get("data-task") for s in made] == ["detection", "segmentation"]
    assert made[0][0].tag == "h3"
    assert made[0][0].text == "detection, bccd, tiny_fcos"


def test_panels_without_content_have_no_block(page):
    only = panel_blocks(page, lambda p: Markup("x") if p.key[0] == "detection" else None)
    assert len(parse(only)) == 1
    assert panel_blocks(page, lambda panel: None) is None


def test_two_sections_of_one_name_are_refused():
    def first(page):
        return None

    def second(page):
        return None

    try:
        section("same", title="x", order=1)(first)
        with pytest.raises(ValueError, match="section 'same' is registered twice"):
            section("same", title="x", order=1)(second)
    finally:
        del SECTIONS["same"]


def test_details_come_by_loss_and_repetition_best_first(frames):
    runs, history = frames
    known = {"giou-0": {"version": 1}, "giou-3": {"version": 1}, "iou-1": {"version": 1}}
    page = PageContext(ReportData("test", "", runs, history, details=known), summarise(runs))
    found = page.details(page.panels[0])
    assert {loss: set(own) for loss, own in found.items()} == {"giou": {0, 3}, "iou": {1}}
    ranks = [page.panels[0].losses.index(loss) for loss in found]
    assert ranks == sorted(ranks)
    assert page.details(page.panels[1]) == {}
