from __future__ import annotations

import re
import warnings

import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from benchmark.report.charts import CHARTS, write_charts
from benchmark.report.data import ReportData
from benchmark.report.panels import Panel, panels
from benchmark.report.styles import loss_styles
from benchmark.statistics import summarise

DETECTION = "detection-bccd-tiny_fcos"
SEGMENTATION = "segmentation-nuclei-tiny_unet"
TWO = {"detection": {"iou": 0.0, "giou": 0.1}}
KINDS = ("convergence", "convergence_time", "metric", "difference")
OLDER = "charts of breakdowns left out: an older version made these runs and recorded none"


def draw(runs, history, folder, baseline=None):
    """Texts of the charts by name without suffix, and the notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = ReportData("test", "", runs, history)
        paths, notes = write_charts(data, summarise(runs, baseline), folder, ("png", "svg"))
    texts = {p.stem: p.read_text(encoding="utf-8") for p in paths if p.suffix == ".svg"}
    assert {p.stem for p in paths if p.suffix == ".png"} == set(texts)
    return texts, notes


def only_panel(runs, history, baseline=None) -> Panel:
    (panel,) = panels(runs, history, summarise(runs, baseline))
    return panel


def words(svg: str) -> list[str]:
    return [re.sub(r"\s+", " ", text).strip() for text in re.findall(r"<text[^>]*>([^<]*)<", svg)]


@pytest.fixture(scope="module")
def report(make_once, tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    runs, history = make_once
    return draw(runs, history, folder), folder


def test_every_chart_of_every_panel_is_drawn(report):
    (texts, notes), _ = report
    assert notes == [OLDER]
    assert set(texts) == {f"{k}-{p}" for k in KINDS for p in (DETECTION, SEGMENTATION)}
    assert tuple(CHARTS)[:4] == KINDS


@pytest.mark.parametrize(
    ("chart", "labels"),
    [
        ("convergence", ["AP on the validation split (%)", "epoch", "mean ± standard deviation"]),
        ("convergence_time", ["AP on the validation split (%)", "training time (s)"]),
        (
            "metric",
            [
                "AP on the test split (%)",
                "off the axis: untrained 0.1, trivial 2.0",
                "runs, joined by repetition",
                "mean and 95 % t-interval",
            ],
        ),
        (
            "difference",
            [
                "AP minus that of smooth_l1",
                "(percentage points; mean and 95 % t-interval)",
                "one repetition",
                "better or worse, corrected",
            ],
        ),
    ],
)
def test_axes_and_legend_are_named(report, chart, labels):
    (texts, _), _ = report
    shown = words(texts[f"{chart}-{DETECTION}"])
    losses = ["iou", "giou", "diou", "ciou weight=2"]
    for label in [*labels, *losses, "detection, bccd, tiny_fcos"]:
        assert label in shown
    assert ("smooth_l1" in shown) == (chart != "difference")


def hand_made() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Loss "a" with two finished runs and a diverged one, loss "b" with three finished runs."""
    keys = {"task": "detection", "dataset": "d", "model": "m"}
    aps = {"a": (0.40, 0.44, None), "b": (0.50, 0.51, 0.52)}
    runs = [
        {**keys, "loss": loss, "repetition": repetition, "AP": ap}
        | {"status": "diverged" if ap is None else "done"}
        for loss, values in aps.items()
        for repetition, ap in enumerate(values)
    ]
    epochs = [  # repetition, epoch, seconds, AP
        (0, 1, 10.0, 0.1),
        (0, 2, 20.0, 0.3),
        (1, 1, 12.0, 0.3),
        (1, 2, 22.0, 0.5),
        (2, 1, 50.0, 0.9),
    ]
    names = ("repetition", "epoch", "seconds", "AP")
    history = [{**keys, "loss": "a", **dict(zip(names, row, strict=True))} for row in epochs]
    return pd.DataFrame(runs), pd.DataFrame(history)


def lines(kind: str, panel: Panel) -> list[list[list[float]]]:
    """Points of every line of a chart, rounded."""
    axes = CHARTS[kind](panel).axes[0]
    return [np.asarray(line.get_xydata()).round(6).tolist() for line in axes.lines]


@pytest.mark.parametrize(
    ("kind", "times"), [("convergence", (1, 2, 1)), ("convergence_time", (11, 21, 50))]
)
def test_curves_are_means_of_the_finished_runs(kind, times):
    first, second, diverged = times
    drawn = lines(kind, only_panel(*hand_made()))
    assert [[first, 20], [second, 40]] in drawn  # (10 + 30) / 2, (30 + 50) / 2
    ends = [points for points in drawn if points and points[-1][0] == diverged and len(points) == 1]
    assert len(ends) == 2  # the line and the cross of the diverged run


def test_metric_chart_shows_every_run_in_its_row():
    drawn = lines("metric", only_panel(*hand_made()))
    assert [[50, 0], [51, 0], [52, 0]] in drawn  # b, ranked first
    assert [[51, 0.25]] in drawn  # its mean
    assert [[50, 0], [40, 1]] in drawn  # repetition 0 joined
    assert [[0.025, 1]] in drawn  # the cross of the diverged run of a, in parts of the axis


def test_difference_chart_shows_differences_and_their_interval():
    runs, history = hand_made()
    runs.loc[2, "status"], runs.loc[2, "AP"] = "done", 0.45
    drawn = lines("difference", only_panel(runs, history))
    assert [[10, 0], [7, 0], [7, 0]] in drawn
    assert [[8, 0.25]] in drawn
    # sd = sqrt(3), t(0.975, 2) = 4.302653: half = 4.302653, the caps lie at 8 -+ that.
    assert [[3.697347, 0.25]] in drawn
    assert [[12.302653, 0.25]] in drawn


def test_png_has_the_width_of_a_column_and_is_not_blank(report):
    _, folder = report
    for path in folder.glob("*.png"):
        image = matplotlib.image.imread(path)
        assert image.shape[1] == 680  # 3.4 inches at 200 dpi
        assert np.ptp(image[..., :3]) > 0.5


def test_text_is_not_smaller_than_7_points(report):
    (texts, _), _ = report
    for text in texts.values():
        sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", text)]
        assert sizes
        assert min(sizes) >= 7


def test_a_loss_has_one_colour_in_every_chart_of_its_task(report):
    (texts, _), _ = report
    styles = loss_styles(["smooth_l1", "iou", "giou", "diou", "ciou weight=2"])
    for kind in KINDS:
        for loss, style in styles.items():
            if (kind, loss) != ("difference", "smooth_l1"):
                assert to_hex(style.colour) in texts[f"{kind}-{DETECTION}"]


def test_colours_do_not_depend_on_which_losses_a_panel_has(make, tmp_path):
    runs, history = make(repetitions=3, epochs=4)
    runs = runs[(runs["task"] == "detection")]
    other = runs[runs["loss"].isin(["diou", "iou"])].assign(dataset="voc")
    both = pd.concat([runs, other], ignore_index=True)
    texts, _ = draw(both, history, tmp_path, baseline="iou")
    styles = loss_styles(list(dict.fromkeys(runs["loss"])))
    text = texts["metric-detection-voc-tiny_fcos"]
    assert to_hex(styles["diou"].colour) in text
    assert to_hex(styles["giou"].colour) not in text


def test_seventy_losses_look_different():
    styles = loss_styles([f"loss {i}" for i in range(70)])
    assert len({(s.colour, s.marker) for s in styles.values()}) == 70


def test_the_same_data_gives_the_same_bytes(make, tmp_path):
    runs, history = make(repetitions=3, epochs=4, gains=TWO)
    data, summary = ReportData("test", "", runs, history), summarise(runs)
    for name in "ab":
        write_charts(data, summary, tmp_path / name)
    files = sorted((tmp_path / "a").iterdir())
    assert {path.suffix for path in files} == {".png", ".svg", ".pdf"}
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_pdf_has_truetype_fonts_and_no_date(make, tmp_path):
    runs, history = make(repetitions=3, epochs=4, gains=TWO)
    paths, _ = write_charts(
        ReportData("test", "", runs, history), summarise(runs), tmp_path, ("pdf",)
    )
    assert len(paths) == 4
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/CIDFontType2" in content
        assert b"/Type3" not in content
        assert b"CreationDate" not in content


def test_many_charts_are_the_same_from_several_processes(make, tmp_path, monkeypatch):
    runs, history = make(repetitions=3, epochs=2, gains=TWO)
    data, summary = ReportData("test", "", runs, history), summarise(runs)
    for name, few in (("here", 24), ("pool", 1)):
        monkeypatch.setattr("benchmark.report.charts.write.FEW", few)
        monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
        write_charts(data, summary, tmp_path / name, ("svg",))
    here = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert here == {path.name: path.read_bytes() for path in (tmp_path / "pool").iterdir()}


def test_pyplot_keeps_no_figure(report):
    assert matplotlib.pyplot.get_fignums() == []


def test_diverged_runs_are_marked(make, spoil, tmp_path):
    gains = TWO | {"segmentation": {"bce": 0.0}}
    runs, history = make(repetitions=3, gains=gains)
    spoil(runs, "iou", 1, "diverged")
    ended = (history["loss"] == "iou") & (history["repetition"] == 1) & (history["epoch"] > 4)
    texts, _ = draw(runs, history[~ended], tmp_path)
    assert "diverged run" in words(texts[f"convergence-{DETECTION}"])
    assert "diverged (no value)" in words(texts[f"metric-{DETECTION}"])
    assert "diverged run" not in words(texts[f"convergence-{SEGMENTATION}"])
    assert "diverged (no value)" not in words(texts[f"metric-{SEGMENTATION}"])


def test_reference_near_the_runs_is_a_line(make, tmp_path):
    gains = {"segmentation": {"bce": 0.0, "focal gamma=2": -0.03}}
    runs, history = make(repetitions=3, epochs=2, gains=gains)
    runs["trivial/mIoU_fg"] = 0.74
    texts, _ = draw(runs, history, tmp_path)
    shown = words(texts[f"metric-{SEGMENTATION}"])
    assert "trivial" in shown
    assert "off the axis: untrained 0.1" in shown


def test_what_is_no_claim_is_hollow(make, tmp_path):
    runs, history = make(repetitions=3, epochs=2, gains={"detection": {"iou": 0.0, "giou": 0.0}})
    runs["AP"] = [0.50, 0.51, 0.52, 0.51, 0.50, 0.53]
    texts, _ = draw(runs, history, tmp_path)
    shown = words(texts[f"difference-{DETECTION}"])
    assert "neither" in shown
    assert "better or worse, corrected" not in shown


def test_a_verdict_that_falls_to_the_correction_is_hollow(make, tmp_path):
    # Differences of 1.0, 1.2, 1.4 points have p = 0.0092: with nine of them it is 0.083.
    gains = {"detection": {f"l{i}": 0.0 for i in range(10)}}
    runs, history = make(repetitions=3, epochs=2, gains=gains)
    runs["AP"] = [0.50, 0.51, 0.52] + 9 * [0.510, 0.522, 0.534]
    texts, _ = draw(runs, history, tmp_path)
    shown = words(texts[f"difference-{DETECTION}"])
    assert "neither" in shown
    assert "better or worse, corrected" not in shown


def test_one_repetition_and_one_epoch(make, tmp_path):
    runs, history = make(repetitions=1, epochs=1)
    texts, notes = draw(runs, history, tmp_path)
    assert notes == [OLDER]
    assert len(texts) == 8
    assert "mean ± standard deviation" not in words(texts[f"convergence-{DETECTION}"])
    assert "mean and 95 % t-interval" not in words(texts[f"metric-{DETECTION}"])
    assert "(percentage points)" in words(texts[f"difference-{DETECTION}"])


def test_one_loss_has_no_difference(make, tmp_path):
    runs, history = make(repetitions=2, gains={"detection": {"iou": 0.0}})
    texts, notes = draw(runs, history, tmp_path)
    assert set(texts) == {f"{k}-{DETECTION}" for k in KINDS[:3]}
    assert notes == [
        "chart difference of detection, bccd, tiny_fcos left out: "
        "no repetition is done by iou and by another loss",
        OLDER,
    ]


def test_no_finished_run(make, tmp_path):
    runs, history = make(repetitions=2, gains=TWO)
    texts, notes = draw(runs.assign(status="running", AP=np.nan), history, tmp_path)
    assert texts == {}
    assert len(notes) == 4
    assert "no finished run was evaluated on the validation split" in notes[0]
    assert "there is no finished run" in notes[2]


def test_no_history(make, tmp_path):
    runs, _ = make(repetitions=2)
    texts, notes = draw(runs, pd.DataFrame(), tmp_path)
    assert {name.split("-")[0] for name in texts} == {"metric", "difference"}
    assert "the epochs record no AP by epoch" in notes[0]


def test_a_loss_with_no_value_keeps_its_row(make, spoil, tmp_path):
    runs, history = make(repetitions=2, gains=TWO)
    for repetition in range(2):
        spoil(runs, "giou", repetition, "failed")
    texts, _ = draw(runs, history, tmp_path)
    assert "giou" in words(texts[f"metric-{DETECTION}"])
    assert "giou" not in words(texts[f"convergence-{DETECTION}"])


def test_many_losses_take_the_width_of_the_page(make, tmp_path):
    gains = {"detection": {f"smooth_l1 beta={i / 10} weight=2": i / 100 for i in range(12)}}
    runs, history = make(repetitions=3, epochs=4, gains=gains)
    draw(runs, history, tmp_path)
    for path in tmp_path.glob("*.png"):
        assert matplotlib.image.imread(path).shape[1] == 1400


def test_panels_whose_names_look_alike_have_their_own_files(make, tmp_path):
    runs, _ = make(repetitions=2, gains=TWO)
    both = pd.concat([runs.assign(dataset="a b"), runs.assign(dataset="a-b")], ignore_index=True)
    texts, _ = draw(both, pd.DataFrame(), tmp_path)
    assert "metric-detection-a-b-tiny_fcos-2" in texts
    assert "detection, a-b, tiny_fcos" in words(texts["metric-detection-a-b-tiny_fcos-2"])
