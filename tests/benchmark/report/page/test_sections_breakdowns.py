"""Sections that say where a loss helps: every number comes from what the runs recorded."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from benchmark.report.page.compared import Judge
from benchmark.report.page.context import PageContext
from benchmark.report.page.sections import (
    breakdowns,
    calibration,
    health,
    localisation,
    thresholds,
)

EVIL = '<img src=x onerror="alert(1)">'


def detection(gain: float = 0.0, large: int = 60) -> dict[str, Any]:
    """A run whose numbers are ``gain`` above the plainest."""
    curve = {"x": [k / 100 for k in range(101)], "y": [0.5 + gain] * 101}
    bins = {"edges": [0, 0.5, 1], "count": [30, 10], "confidence": [0.2, 0.8]}
    boxes = {"edges": [0.5, 0.75, 1.0], "count": [2, 6], "matched": 8, "objects": 10}
    return {
        "by_iou": {"x": [0.5, 0.75, 0.95], "y": [0.6 + gain, 0.4 + gain, None]},
        "by_size": {
            "group": ["small", "large", "huge"],
            "count": [100, large, 0],
            "value": [0.2 + gain, 0.5, None],
        },
        "by_class": {"group": [f"{EVIL}{k}" for k in range(9)], "count": [60] * 9}
        | {"value": [0.3] * 9},
        "precision_recall": {"IoU 0.50": curve, "IoU 0.75": curve},
        "localisation": boxes | {"mean": 0.8 + gain},
        "calibration": bins | {"accuracy": [0.1, 0.9], "ece": 0.2 - gain},
    }


def segmentation(threshold: float, classes: int = 1) -> dict[str, Any]:
    xs = [k / 100 for k in range(1, 100)]
    names = [f"class {k}" for k in range(classes)]
    return {
        "by_share": {"group": ["0.0 to 2.1 %", "2.1 to 9.0 %"], "count": [5, 40]}
        | {"value": [0.4, 0.6]},
        "by_class": {"group": names, "count": [5000] * classes, "value": [0.5] * classes},
        "by_threshold": {"x": xs, "y": [1 - abs(x - threshold) for x in xs]},
        "thresholds": {"group": names, "value": [threshold] * classes},
    }


Build = Callable[..., PageContext]


@pytest.fixture
def page(make_page: Build) -> PageContext:
    """Four repetitions of iou (first, so the baseline) and giou, whose small AP is 10 above."""
    noise = [0.0, 0.01, -0.01, 0.0]
    details = {f"d-iou-{i}": detection(own) for i, own in enumerate(noise)}
    details |= {f"d-giou-{i}": detection(0.1 + own / 2) for i, own in enumerate(noise)}
    values = {("d", "iou"): [0.4 + n for n in noise], ("d", "giou"): [0.5 + n for n in noise]}
    return make_page(values, details=details)


def svgs(markup: Any) -> list[ET.Element]:
    """Every drawing of the page, which must be well-formed."""
    parts = str(markup).split("<svg")[1:]
    return [ET.fromstring("<svg" + part.split("</svg>")[0] + "</svg>") for part in parts]


def tips(markup: Any, loss: str) -> list[str]:
    """What the marks of a loss tell; line breaks are blanks, as XML reads attributes."""
    return [
        mark.attrib["data-tip"]
        for svg in svgs(markup)
        for group in svg.iter("g")
        if group.get("data-loss") == loss
        for mark in group.iter()
        if "data-tip" in mark.attrib
    ]


def test_differences_by_group(page: PageContext, read: Callable) -> None:
    shown = read(breakdowns.build(page))
    table = shown.table("AP by object size: difference to iou, percentage points")
    assert table.heads == ["loss", "small (100 objects)", "large (60 objects)"]
    # Differences 0.1, 0.095, 0.105, 0.1: mean 10, sd 0.408 and t = 3.182 with 3 degrees: 0.65
    assert table.rows[0] == ["giou", "+10.0 [+9.4, +10.6] ▲", "+0.0 [+0.0, +0.0]"]
    assert table.rows[1] == ["iou (baseline): AP (%)", "20.0", "50.0"]
    assert "Of 13 such intervals about 0.7 would exclude it by chance" in shown.text
    assert "not how the numbers would change with other test images" in shown.text


def test_differences_at_some_overlaps(page: PageContext, read: Callable) -> None:
    shown = read(breakdowns.build(page))
    table = shown.table("AP by IoU a detection needs: difference to iou, percentage points")
    assert table.heads == ["loss", "0.50", "0.75"]  # no run recorded 0.90
    assert table.rows == [
        ["giou", "+10.0 [+9.4, +10.6] ▲", "+10.0 [+9.4, +10.6] ▲"],
        ["iou (baseline): AP (%)", "60.0", "40.0"],
    ]


def test_curves_and_groups_are_drawn_with_values_to_hover(page: PageContext) -> None:
    drawn = breakdowns.build(page)
    own = tips(drawn, "giou")
    assert "giou at 0.50: 70.0 % [69.4, 70.6], n = 4" in own
    assert "giou, small: 30.0 % [29.4, 30.6], n = 4" in own
    assert not any("huge" in tip or "0.95" in tip for tip in own)
    assert len([tip for tip in own if "at 0.00: 60.0 %" in tip]) == 2  # two curves of precision
    labels = [svg.get("aria-label") for svg in svgs(drawn) if svg.get("role") == "img"]
    assert labels[0] == "AP by IoU threshold, detection, d, m"


def test_small_groups_are_warned_of(make_page: Build, read: Callable) -> None:
    values = {("d", "iou"): [0.4, 0.5]}
    details = {f"d-iou-{i}": detection(large=49) for i in range(2)}
    text = read(breakdowns.build(make_page(values, details=details))).text
    assert "By object size, fewer than 50 objects in the test split: large (49)." in text
    enough = {f"d-iou-{i}": detection(large=50) for i in range(2)}
    assert "fewer than" not in read(breakdowns.build(make_page(values, details=enough))).text


def test_two_runs_give_no_intervals_and_no_marks(make_page: Build, read: Callable) -> None:
    values = {("d", "iou"): [0.4, 0.5], ("d", "giou"): [0.4, 0.5]}
    details = {f"d-iou-{i}": detection(0.01 * i) for i in range(2)}
    details |= {f"d-giou-{i}": detection(0.1 + 0.01 * i) for i in range(2)}
    page = make_page(values, details=details)
    table = read(breakdowns.build(page)).table(
        "AP by object size: difference to iou, percentage points"
    )
    assert table.rows[0][1] == "+10.0"
    assert not any("[" in tip for tip in tips(breakdowns.build(page), "giou"))


def test_labels_are_escaped(make_page: Build) -> None:
    values = {(EVIL, EVIL): [0.4, 0.5, 0.6], (EVIL, "b"): [0.4, 0.5, 0.6]}
    details = {f"{EVIL}-{name}-{i}": detection() for name in (EVIL, "b") for i in range(3)}
    page = make_page(values, details=details)
    for module in (breakdowns, localisation, calibration):
        drawn = str(module.build(page))
        assert "<img" not in drawn
        assert "&lt;img" in drawn
        assert svgs(drawn)


def test_many_groups_are_folded_and_the_largest_drawn(make_page: Build) -> None:
    many = {"group": [f"c{k}" for k in range(20)], "count": list(range(1, 21))}
    details = {f"d-iou-{i}": {"by_class": many | {"value": [0.5] * 20}} for i in range(3)}
    drawn = breakdowns.build(make_page({("d", "iou"): [0.1, 0.2, 0.3]}, details=details))
    assert "<details>" in drawn
    assert "AP by class, the 12 largest of 20" in drawn
    named = {tip.split(", ")[1].split(":")[0] for tip in tips(drawn, "iou")}
    assert named == {f"c{k}" for k in range(8, 20)}


def test_old_runs_get_one_sentence(make_page: Build) -> None:
    page = make_page({("d", "iou"): [0.1, 0.2]})
    assert str(breakdowns.build(page)) == f"<p>{breakdowns.NONE_RECORDED}</p>"
    for module in (thresholds, localisation, calibration, health):
        assert module.build(page) is None


def test_without_a_finished_run_there_is_no_section(make_page: Build) -> None:
    assert breakdowns.build(make_page({("d", "iou"): ["diverged", "pending"]})) is None


@pytest.mark.parametrize(
    ("low", "high", "pairs", "mark"),
    [
        (0.1, 0.2, 3, "better"),
        (-0.2, -0.1, 3, "worse"),
        (-0.1, 0.2, 3, ""),
        (0.1, 0.2, 2, ""),
        (math.nan, math.nan, 0, ""),
        (0.0003, 0.0006, 3, ""),
        (0.0004, 0.0008, 3, "better"),
    ],
)
def test_marks(page: PageContext, low: float, high: float, pairs: int, mark: str) -> None:
    row = pd.Series(
        {
            "loss": "giou",
            "diff": (low + high) / 2,
            "diff_low": low,
            "diff_high": high,
            "n_pairs": pairs,
        }
    )
    (panel,) = page.panels
    assert Judge(panel).mark(row) == mark
    turned = {"better": "worse", "worse": "better"}
    assert Judge(panel, more_is_better=False).mark(row) == turned.get(mark, "")


def test_no_mark_in_favour_of_what_diverged(make_page: Build) -> None:
    up = pd.Series({"loss": "b", "diff": 0.1, "diff_low": 0.05, "diff_high": 0.15, "n_pairs": 3})
    down = pd.Series({**up, "diff": -0.1, "diff_low": -0.15, "diff_high": -0.05})
    runs: list[float | str] = [0.1, 0.2, 0.3, "diverged"]
    (own,) = make_page({("d", "a"): [0.1] * 4, ("d", "b"): runs}).panels
    assert (Judge(own).mark(up), Judge(own).mark(down)) == ("", "worse")
    (base,) = make_page({("d", "a"): runs, ("d", "b"): [0.1] * 4}).panels
    assert (Judge(base).mark(up), Judge(base).mark(down)) == ("better", "")


def test_fit_of_the_boxes(page: PageContext, read: Callable) -> None:
    table = read(localisation.build(page)).table(
        "Fit of the matched boxes, and how many objects they find"
    )
    wanted = ["giou", "90.0", "+10.0 [+9.4, +10.6] ▲", "80.0", "+0.0 [+0.0, +0.0]", "4"]
    assert table.rows[0] == wanted
    assert table.rows[1] == ["iou", "80.0", "baseline", "80.0", "baseline", "4"]
    assert "iou IoU 0.750 to 1.000: 75.0 %" in tips(localisation.build(page), "iou")


def test_a_run_that_matched_nothing(make_page: Build, read: Callable) -> None:
    none = {"edges": [0.5, 1.0], "count": [0], "matched": 0, "objects": 10, "mean": None}
    details = {"d-iou-0": {"localisation": none}}
    table = read(localisation.build(make_page({("d", "iou"): [0.0]}, details=details))).table(
        "Fit of the matched boxes, and how many objects they find"
    )
    assert table.rows == [["iou", "–", "baseline", "0.0", "baseline", "1"]]


def test_calibration_is_sorted_by_its_error_and_less_is_better(
    page: PageContext, read: Callable
) -> None:
    table = read(calibration.build(page)).table("Expected calibration error")
    # giou's error is 0.1 below iou's 0.2, by the same gains as above
    assert table.rows[0] == ["giou", "10.0 [9.4, 10.6]", "−10.0 [−10.6, −9.4] ▲", "4"]
    assert table.rows[1] == ["iou", "20.0 [18.7, 21.3]", "baseline", "4"]
    wanted = "iou scores from 0.5 to 1.0: mean 80.0 %, right 90.0 %, 40 predictions"
    assert wanted in tips(calibration.build(page), "iou")


def test_bins_with_few_predictions_are_not_drawn(make_page: Build) -> None:
    details = {"d-iou-0": detection()}  # 30 and 10 predictions
    page = make_page({("d", "iou"): [0.5]}, details=details)
    assert len(tips(calibration.build(page), "iou")) == 1


def masks(make_page: Build, classes: int) -> PageContext:
    values = {("d", "bce"): [0.5, 0.51, 0.52], ("d", "dice"): [0.4, 0.42, 0.41]}
    details = {f"d-bce-{i}": segmentation(0.5, classes) for i in range(3)}
    details |= {f"d-dice-{i}": segmentation(0.8, classes) for i in range(3)}
    page = make_page(values, task="segmentation", details=details)
    runs = page.data.runs
    runs["mIoU_fg_tuned"] = runs["mIoU_fg"] + [0.01, 0.01, 0.01, 0.11, 0.13, 0.12]
    return PageContext(page.data, page.summary)


def test_what_tuned_thresholds_change(make_page: Build, read: Callable) -> None:
    table = read(thresholds.build(masks(make_page, 1))).table(
        "Mean foreground IoU with the usual and with tuned thresholds"
    )
    assert table.rows[0][:4] == ["bce", "51.0", "52.0", "+1.0 [+1.0, +1.0]"]
    assert table.rows[0][4] == "baseline"
    # dice gains 11, 13, 12: mean 12, sd 1, t = 4.303 with 2 degrees: 2.5; tuned 51, 55, 53
    # against 52: 51 - 51, 55 - 52, 53 - 53: mean 1, sd sqrt(3): 4.3
    assert table.rows[1] == ["dice", "41.0", "53.0", "+12.0 [+9.5, +14.5]", "+1.0 [−3.3, +5.3]"]


def test_the_chosen_threshold_is_marked_where_there_is_one_class(
    make_page: Build, read: Callable
) -> None:
    drawn = thresholds.build(masks(make_page, 1))
    assert "dice: chosen threshold 0.80, 100.0 % there" in tips(drawn, "dice")
    assert thresholds.MARK in drawn
    several = thresholds.build(masks(make_page, 2))
    assert not any("chosen" in tip for tip in tips(several, "dice"))
    table = read(several).table("Thresholds chosen on the validation split, mean over the runs")
    assert table.heads == ["loss", "class 0", "class 1"]
    assert table.rows == [["bce", "0.50", "0.50"], ["dice", "0.80", "0.80"]]


def history(**columns: list[float]) -> pd.DataFrame:
    base = {"task": "detection", "dataset": "d", "model": "m", "loss": "iou"}
    rows = pd.DataFrame({"repetition": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], **columns})
    return rows.assign(**base)


def test_health_tells_gradients_and_bad_steps(make_page: Build, read: Callable) -> None:
    epochs = history(
        grad_norm=[4.0, 2.0, 8.0, math.nan],
        grad_norm_max=[9.0, 3.0, 99.0, math.nan],
        zero_gradient=[0.5, 0.25, 0.5, math.nan],
        nonfinite_steps=[0, 0, 0, 2],
    )
    page = make_page({("d", "iou"): [0.4, "diverged"]}, history=epochs)
    drawn = health.build(page)
    shown = read(drawn)
    # The share at last: 0.25 of the first run, 0.5 of the other, whose last epoch has none
    wanted = ["iou", "4.67", "99", "50.0", "37.5", "2 in 1 of 2 runs"]
    assert shown.table("Gradients and steps").rows == [wanted]
    assert "Dashed lines: runs that diverged" in shown.text
    assert "iou epoch 2: 25, n = 1" in tips(drawn, "iou")
    assert 'class="line dashed"' in drawn


def test_share_without_gradient_that_is_zero_is_not_drawn(make_page: Build) -> None:
    page = make_page(
        {("d", "iou"): [0.4, 0.5]}, history=history(zero_gradient=[0.0] * 4, grad_norm=[1.0] * 4)
    )
    labels = [svg.get("aria-label") for svg in svgs(health.build(page)) if svg.get("aria-label")]
    assert labels == ["Gradient norm, mean of the epoch's steps, detection, d, m"]


def test_health_of_an_old_history(make_page: Build, read: Callable) -> None:
    page = make_page({("d", "iou"): [0.4, 0.5]}, history=history(grad_norm=[1.0, 2.0, 3.0, 4.0]))
    rows = read(health.build(page)).table("Gradients and steps").rows
    assert rows == [["iou", "2.5", "–", "–", "–", "–"]]
    plain = make_page({("d", "iou"): [0.4, 0.5]}, history=history(AP=[0.1] * 4))
    assert health.build(plain) is None
