from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from benchmark.report.page.marks import SHAPES
from benchmark.report.page.svg import Axis, Chart, small_multiples, swatch
from benchmark.report.styles import MARKERS, PALETTE, loss_styles

HOSTILE = "<img src=x onerror=alert(1)> \"&'"
STYLES = loss_styles([f"loss{i}" for i in range(25)])


def chart(x=None, y=None, **options) -> Chart:
    x = x or Axis("epoch", 0, 10)
    y = y or Axis("AP (%)", 0, 100)
    return Chart(x, y, title="AP by epoch", **options)


def root(made: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(str(made.markup()))


def texts(element) -> list[str]:
    return [text.text for text in element.iter("text")]


def group_of(element, loss):
    return [g for g in element.iter("g") if g.get("data-loss") == loss]


def test_a_chart_has_a_name_a_description_and_its_axes():
    svg = root(chart(description="it rises"))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "AP by epoch"
    assert svg.find("desc").text == "it rises"
    assert svg.get("viewBox") == "0 0 420 280"
    assert {"epoch", "AP (%)", "0", "2", "10", "100"} <= set(texts(svg))


def test_values_lie_where_the_axes_say():
    made = chart()
    made.dot(0, 0, STYLES["loss0"], "loss0")
    made.dot(10, 100, STYLES["loss0"], "loss0")
    made.dot(5, 50, STYLES["loss0"], "loss0")
    places = [
        tuple(map(float, re.match(r"translate\(([\d.]+) ([\d.]+)\)", p.get("transform")).groups()))
        for g in group_of(root(made), "loss0")
        for p in g.iter("path")
    ]
    frame = made.frame
    assert places[0] == pytest.approx((frame.left, frame.bottom), abs=0.06)
    assert places[1] == pytest.approx((frame.right, frame.top), abs=0.06)
    middle = ((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
    assert places[2] == pytest.approx(middle, abs=0.06)


def test_the_first_category_is_at_the_top():
    made = chart(y=Axis.categories(["best", "worst"], losses=["best", "worst"]))
    heights = {
        t.text: float(t.get("y")) for t in root(made).iter("text") if t.text in ("best", "worst")
    }
    assert heights["best"] < heights["worst"]
    assert len(group_of(root(made), "best")) == 1  # its label goes with the loss


def test_a_line_carries_its_loss_its_colour_and_a_tip_a_point():
    made = chart()
    made.line([0, 5, 10], [10, 20, 30], STYLES["loss1"], "loss1", ["a", "b", "c"])
    (group,) = group_of(root(made), "loss1")
    assert group.get("class") == "c1"
    assert [c.get("data-tip") for c in group.iter("circle")] == ["a", "b", "c"]


def test_a_line_breaks_at_a_missing_value_and_the_missing_value_has_no_tip():
    made = chart()
    ys = [10, 20, math.nan, 40, 50]
    made.line([0, 2, 4, 6, 8], ys, STYLES["loss0"], "loss0", list("abcde"), markers=False)
    (group,) = group_of(root(made), "loss0")
    assert group.find("path").get("d").count("M") == 2
    assert [c.get("data-tip") for c in group.iter("circle")] == ["a", "b", "d", "e"]


def test_what_lies_outside_is_not_drawn():
    made = chart()
    made.dot(5, 200, loss="far")
    made.cross(-3, 5, loss="far")
    made.dot(math.nan, 5, loss="far")
    made.interval(math.nan, math.nan, 5, loss="far")
    made.interval(20, 30, 5, loss="far")
    made.bar(0, math.inf, 0, 1, loss="far")
    made.text(50, 50, "far", loss="far")
    made.rule(x=50, label="far")
    made.rule(y=-1, label="far")
    assert group_of(root(made), "far") == []
    assert "far" not in texts(root(made))


def test_an_interval_has_a_cap_at_each_end_that_is_on_the_axis():
    made = chart()
    made.interval(2, 8, 50, loss="whole")
    made.interval(-5, 8, 50, loss="cut")
    (whole,), (cut,) = group_of(root(made), "whole"), group_of(root(made), "cut")
    assert whole.find("path").get("d").count("v8") == 2
    assert cut.find("path").get("d").count("v8") == 1


def test_a_band_lies_between_its_curves_and_breaks_with_them():
    made = chart()
    made.band([0, 2, 4, 6, 8], [0, 0, math.nan, 0, 0], [9] * 5, STYLES["loss0"], "loss0")
    bands = [p for g in group_of(root(made), "loss0") for p in g.iter("path")]
    assert len(bands) == 2
    assert all(band.get("d").endswith("Z") for band in bands)


def test_a_band_of_one_point_is_none():
    made = chart()
    made.band([0], [0], [9], STYLES["loss0"], "loss0")
    assert group_of(root(made), "loss0") == []


def test_a_bar_has_the_size_of_its_values():
    made = chart()
    made.bar(0, 10, 0, 50, STYLES["loss0"], "loss0", "half")
    (bar,) = root(made).iter("rect")
    frame = made.frame
    assert float(bar.get("width")) == pytest.approx(frame.right - frame.left, abs=0.06)
    assert float(bar.get("height")) == pytest.approx((frame.bottom - frame.top) / 2, abs=0.06)
    assert bar.get("data-tip") == "half"


def test_a_rule_needs_one_place():
    with pytest.raises(ValueError, match="either x or y"):
        chart().rule()
    with pytest.raises(ValueError, match="either x or y"):
        chart().rule(x=1, y=1)


def test_a_rule_is_labelled():
    made = chart()
    made.rule(x=9, label="late")
    made.rule(y=50, label="level", dashed=True)
    assert {"late", "level"} <= set(texts(root(made)))
    (late,) = [t for t in root(made).iter("text") if t.text == "late"]
    assert late.get("text-anchor") == "end"  # there is no room to its right


def test_every_text_is_escaped():
    made = Chart(
        Axis(HOSTILE, 0, 1),
        Axis.categories([HOSTILE], losses=[HOSTILE]),
        title=HOSTILE,
        description=HOSTILE,
    )
    made.dot(0.5, 0, STYLES["loss0"], HOSTILE, HOSTILE)
    made.rule(x=0.5, label=HOSTILE)
    made.text(0.5, 0, HOSTILE)
    svg = root(made)  # not well-formed if it were not
    assert svg.get("aria-label") == HOSTILE
    assert svg.find("desc").text == HOSTILE
    assert {g.get("data-loss") for g in svg.iter("g")} == {HOSTILE, None}
    assert "<img" not in str(made.markup())


def test_every_style_has_a_shape_and_its_own_look():
    assert set(SHAPES) == set(MARKERS)
    looks = {(s.index % len(PALETTE), s.index // len(PALETTE), s.marker) for s in STYLES.values()}
    assert len(looks) == len(STYLES)


def test_colours_that_repeat_are_told_apart_by_dashes():
    classes = [
        re.search(r'<g class="([^"]*)"', str(swatch(STYLES[f"loss{i}"]))).group(1)
        for i in (0, 10, 20)
    ]
    assert classes == ["c0", "c0 d1", "c0 d2"]


def test_a_chart_without_a_loss_is_grey():
    made = chart()
    made.dot(5, 50)
    assert any(g.get("class") == "grey" for g in root(made).iter("g"))


def test_small_multiples_caption_each_chart_and_need_a_caption_each():
    made = small_multiples([chart().markup(), chart().markup()], ["<first>", "second"])
    div = ElementTree.fromstring(str(made))
    assert [p.text for p in div.iter("p")] == ["<first>", "second"]
    assert len(list(div.iter("svg"))) == 2
    with pytest.raises(ValueError, match="argument"):
        small_multiples([chart().markup()], [])
