"""The page as a whole: its structure, that it is safe, and that its numbers are the data's."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.report.data import ReportData
from benchmark.report.page import render_page, write_page
from benchmark.report.page.context import SECTIONS, PageContext
from benchmark.report.page.shell import ASSETS
from benchmark.report.styles import PALETTE
from benchmark.statistics import summarise

VOID = {"meta", "link", "input", "img", "br", "hr", "col"}
LABEL = "<img src=x onerror=alert(1)>"
DATASET = '"><script>alert(2)</script>'
MODEL = "net' onclick='alert(3)"
DESCRIPTION = "</p></style><script>alert(4)</script>{{ 7 * 7 }}"
METRICS = ("AP", "AP50", "AP75")


class Page(HTMLParser):
    """Reads a page, and fails where an element is not closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def values(self, attribute: str) -> list[str | None]:
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]


def render(runs, history, baseline=None, **options) -> str:
    data = ReportData(
        **{"name": "test", "description": "", "runs": runs, "history": history} | options
    )
    return render_page(data, summarise(runs, baseline))


@pytest.fixture(scope="module")
def page(make_once) -> str:
    return render(*make_once)


@pytest.fixture(scope="module")
def parsed(page) -> Page:
    return Page(page)


def tables(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(t) for t in re.findall(r"<table.*?</table>", page, re.DOTALL)]


def named(page: str, caption: str) -> dict[str, list[str]]:
    """Rows of the body of the first table of that caption, by their head."""
    table = next(t for t in tables(page) if "".join(t.find("caption").itertext()) == caption)
    rows = table.findall("tbody/tr") + table.findall("tfoot/tr")
    cells = [["".join(cell.itertext()) for cell in row] for row in rows]
    return {row[0]: row[1:] for row in cells}


# Structure


def test_every_section_stands_on_the_page_in_order_and_in_the_contents(page, parsed):
    ids = [a["id"] for tag, a in parsed.tags if tag == "section" and a.get("class") == "part"]
    assert ids[:4] == ["headline", "comparison", "differences", "convergence"]
    assert ids == sorted(ids, key=lambda name: (SECTIONS[name].order, name))
    links = [a["href"] for tag, a in parsed.tags if tag == "a" and "href" in a]
    assert [f"#{name}" for name in ids] == [link for link in links if link[1:] in ids]


def test_ids_are_unique_and_links_lead_to_them(parsed):
    ids = parsed.values("id")
    assert len(set(ids)) == len(ids)
    assert all(href.startswith("#") and href[1:] in ids for href in parsed.values("href"))


def test_headings_go_down_one_level_at_a_time(parsed):
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_chart_is_well_formed_and_named(page):
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) > 20
    for chart in map(ElementTree.fromstring, charts):
        assert chart.get("aria-label") or chart.get("aria-hidden") == "true"


def test_every_table_has_a_caption_and_scopes(page):
    found = tables(page)
    assert len(found) >= 4
    for table in found:
        assert "".join(table.find("caption").itertext()).strip()
        assert all(head.get("scope") in ("col", "row") for head in table.iter("th"))


def test_each_loss_of_a_task_can_be_filtered(parsed):
    boxes = [a["value"] for tag, a in parsed.tags if tag == "input"]
    of_boxes = ["smooth_l1", "iou", "giou", "diou", "ciou weight=2"]
    assert boxes == [*of_boxes, "bce", "focal gamma=2", "dice"]
    assert set(parsed.values("data-loss")) == set(boxes)
    assert set(parsed.values("data-task")) == {"detection", "segmentation"}


def test_nothing_is_asked_of_the_network(page, parsed):
    assert parsed.values("src") == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|//[a-z]+\.", page)
    policy = next(a["content"] for tag, a in parsed.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")


def test_the_policy_allows_this_script_only(page, parsed):
    policy = next(a["content"] for tag, a in parsed.tags if a.get("http-equiv"))
    (script,) = parsed.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_colours_are_those_of_the_other_charts():
    css = (ASSETS / "page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(c\d): light-dark\((#\w+),", css))
    assert light == {f"c{i}": colour for i, colour in enumerate(PALETTE)}


def test_the_same_data_give_the_same_bytes_and_replace_the_file(make_once, page, tmp_path):
    runs, history = make_once
    path = tmp_path / "report.html"
    path.write_text("old")
    data = ReportData("test", "", runs, history)
    assert write_page(data, summarise(runs), path) == path
    assert path.read_text(encoding="utf-8") == page
    assert list(tmp_path.iterdir()) == [path]


# Numbers


def minus(number: float) -> str:
    return f"{number:+.1f}".replace("-", "−")


def test_the_comparison_shows_what_the_runs_give(page, make_once):
    runs, _ = make_once
    values = 100 * runs[runs["task"] == "detection"].pivot(
        index="repetition", columns="loss", values="AP"
    )
    shown = named(page, "AP of the losses on the test split")
    for loss in values:
        assert shown[loss][0] == f"{values[loss].mean():.1f} ± {values[loss].std():.1f}"
        assert shown[loss][3] == "6"
        if loss == "smooth_l1":
            assert shown[loss][1:3] == ["–", "baseline"]
            continue
        test = stats.ttest_rel(values[loss], values["smooth_l1"])
        low, high = test.confidence_interval(0.95)
        mean = (values[loss] - values["smooth_l1"]).mean()
        assert shown[loss][1] == f"{minus(mean)} [{minus(low)}, {minus(high)}]"
        wins = (values[loss] > values["smooth_l1"]).mean()
        assert shown[loss][6].startswith(f"{100 * wins:.0f} [")
    assert shown["untrained model"][0] == "0.1"
    assert shown["trivial predictor"][0] == "2.0"


def test_losses_are_listed_best_first(page, make_once):
    runs, _ = make_once
    means = runs[runs["task"] == "detection"].groupby("loss")["AP"].mean()
    listed = [loss for loss in named(page, "AP of the losses on the test split") if loss in means]
    assert listed == means.sort_values(ascending=False).index.tolist()


def test_the_best_is_bold_only_where_it_is_supported(make):
    gains = {"detection": {"iou": 0.0, "giou": 0.1, "diou": 0.02}}
    bold = re.findall(r'<th scope="row" class="best"[^>]*>.*?</th>', render(*make(gains=gains)))
    assert len(bold) == 1
    assert "giou" in bold[0]
    close = {"detection": {"iou": 0.0, "giou": 0.1, "diou": 0.1}}
    assert "best" not in render(*make(gains=close)).split("</style>")[1].split("None is in bold")[0]


def test_every_repetition_is_a_mark_of_the_forest_plot(page, make_once):
    runs, _ = make_once
    table = runs[runs["task"] == "detection"].set_index(["loss", "repetition"])["AP"]
    for loss in ("iou", "giou"):
        for repetition in range(6):
            diff = 100 * (table[loss, repetition] - table["smooth_l1", repetition])
            assert f"{loss}, repetition {repetition}: {minus(diff)} (" in page


def test_curves_tell_mean_deviation_and_number(page, make_once):
    _, history = make_once
    epoch = history[(history["loss"] == "giou") & (history["epoch"] == 6)]["AP"]
    tip = f"giou, epoch 6: {100 * epoch.mean():.1f} ± {100 * epoch.std():.1f} % (n = 6)"
    assert f'data-tip="{tip}"' in page


def test_the_area_under_a_curve_is_that_of_the_trapezoids(page, make_once):
    _, history = make_once
    known = history.dropna(subset=["AP"])
    giou = known[known["loss"] == "giou"].sort_values("epoch")
    areas = [
        np.trapezoid(run["AP"], run["epoch"]) / 10 * 100 for _, run in giou.groupby("repetition")
    ]
    shown = named(page, "How fast the losses learn")["giou"]
    assert shown[0] == f"{np.mean(areas):.1f} ± {np.std(areas, ddof=1):.1f}"


def test_times_are_those_to_a_given_target(make):
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0, "giou": 0.05}})
    key = ("detection", "bccd", "tiny_fcos")
    target = 0.4
    page = render(runs, history, targets={key: {"AP": target}})
    assert "Target: AP of 40.0 %, given in the experiment." in page
    reached = history[(history["AP"] >= target) & (history["loss"] == "giou")]
    epochs = reached.groupby("repetition")["epoch"].min().median()
    assert named(page, "How fast the losses learn")["giou"][2:4] == ["3 of 3", f"{epochs:.0f}"]


def test_a_target_out_of_reach_is_never_reached(make):
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0}})
    page = render(runs, history, targets={("detection", "bccd", "tiny_fcos"): {"AP": 0.99}})
    assert named(page, "How fast the losses learn")["iou"][2:] == ["0 of 3", "never", "never"]


# Hostile, partial and empty data


def test_no_name_becomes_markup(make):
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0, LABEL: 0.05}})
    for frame in (runs, history):
        frame["dataset"], frame["model"] = DATASET, MODEL
    runs["cell"] = [f"{LABEL}-{i}" for i in range(len(runs))]
    spoiled = runs["repetition"] == 2
    runs.loc[spoiled, "status"] = "failed"
    runs.loc[spoiled, list(METRICS)] = math.nan
    page = render(
        runs,
        history,
        name=LABEL,
        description=DESCRIPTION,
        failures={cell: {"error": DESCRIPTION, "traceback": LABEL} for cell in runs["cell"]},
    )
    parsed = Page(page)
    assert "onclick" not in {name for _, attrs in parsed.tags for name in attrs}
    assert "onerror" not in {name for _, attrs in parsed.tags for name in attrs}
    assert len(parsed.scripts) == 1
    assert "alert" not in parsed.scripts[0]
    for text in (LABEL, DATASET, MODEL, DESCRIPTION):
        assert text in parsed.text
    assert LABEL in parsed.values("data-loss")
    assert LABEL in parsed.values("value")


def test_old_and_partial_stores_have_a_page(make, spoil):
    runs, history = make(repetitions=3)
    history = history.drop(columns=["seconds", "loss_total"])
    spoil(runs, "iou", 0, "diverged")
    spoil(runs, "giou", 1, "failed")
    spoil(runs, "dice", 2, "pending")
    page = render(runs, history)
    Page(page)
    shown = named(page, "AP of the losses on the test split")
    assert shown["iou"][4] == "1 diverged"
    assert shown["giou"][4] == "1 failed"
    assert "Losses with diverged runs rank after those without" in page
    assert list(shown)[4] == "iou"
    assert "iou, repetition 0: diverged after epoch 10" in page


@pytest.mark.parametrize("status", ["pending", "failed", "diverged"])
def test_a_page_without_any_result_says_so(make, status):
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0, "giou": 0.1}})
    runs["status"] = status
    runs[[*METRICS]] = math.nan
    page = render(runs, history.iloc[:0])
    assert "no run" in Page(page).text


def test_a_page_without_runs_says_so():
    runs = pd.DataFrame(columns=["task", "dataset", "model", "loss", "repetition", "status"])
    page = render(runs, pd.DataFrame())
    assert "There are no runs yet." in Page(page).text


def test_one_loss_and_one_repetition_have_a_page(make):
    runs, history = make(repetitions=1, gains={"detection": {"iou": 0.0}})
    page = render(runs, history)
    Page(page)
    assert 'id="differences"' not in page
    assert "iou has no other loss to be compared with" in page


def test_the_chosen_settings_are_shown_where_losses_were_tuned(make):
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0, "giou": 0.1}})
    page = render(runs.assign(setting="weight=2"), history)
    assert named(page, "AP of the losses on the test split")["iou"][4] == "weight=2"


def test_a_baseline_asked_for_is_the_baseline_everywhere(make):
    runs, history = make(repetitions=3, gains={"detection": {"iou": 0.0, "giou": 0.1}})
    page = render(runs, history, baseline="giou")
    assert "than the baseline giou in AP" in page
    assert "median of giou after its last epoch" in page
    assert "giou minus" not in page
    assert "AP minus that of giou (points)" in page


def test_a_page_of_100_runs_is_small(make):
    losses = {f"loss{i}": i / 100 for i in range(10)}
    runs, history = make(repetitions=10, epochs=50, gains={"detection": losses})
    assert len(render(runs, history)) < 1_000_000


def test_the_context_gives_the_colour_of_a_loss_by_its_place_in_the_task(make_once):
    runs, history = make_once
    context = PageContext(ReportData("test", "", runs, history), summarise(runs))
    assert context.style("detection", "giou").index == 2
    with pytest.raises(KeyError):
        context.style("segmentation", "giou")
