"""Charts of breakdowns, of the tuning, and of ranks over data sets."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from benchmark.report.charts import CHARTS, LeftOut, write_charts
from benchmark.report.charts.over_datasets import rank_diagrams
from benchmark.report.data import ReportData
from benchmark.report.panels import Panel, panels
from benchmark.statistics import mean_ranks, summarise

TABLE = {"task": "detection", "dataset": "d", "model": "m"}
GAINS = {"detection": {"iou": 0.0, "giou": 0.1}}


def details(ap: float) -> dict:
    """Breakdowns whose values all follow from ``ap``."""
    return {
        "by_iou": {"x": [0.5, 0.75], "y": [ap, ap / 2]},
        "by_size": {"group": ["small", "large"], "count": [12, 3400], "value": [ap, 2 * ap]},
        "precision_recall": {"IoU 0.50": {"x": [0.0, 1.0], "y": [1.0, ap]}},
        "localisation": {"edges": [0.5, 0.75, 1.0], "count": [1, 3]},
        "calibration": {
            "edges": [0.0, 0.5, 1.0],
            "count": [2, 0],
            "confidence": [0.25, 0.75],
            "accuracy": [ap, None],
        },
    }


@pytest.fixture
def panel(make) -> Panel:
    """AP of the three repetitions: 0.2, 0.3, 0.4 of iou, and 0.25, 0.36, 0.47 of giou."""
    runs, history = make(repetitions=3, epochs=2, gains=GAINS)
    (found,) = panels(runs, history, summarise(runs, "iou"))
    values = {"giou": (0.25, 0.36, 0.47), "iou": (0.2, 0.3, 0.4)}
    recorded = {loss: {i: details(ap) for i, ap in enumerate(aps)} for loss, aps in values.items()}
    return replace(found, details=recorded)


def lines(ax) -> list[list[list[float]]]:
    return [np.asarray(line.get_xydata()).round(6).tolist() for line in ax.lines]


def test_thresholds_are_means_over_the_runs(panel):
    left, right = CHARTS["thresholds"](panel).axes
    assert lines(left) == [[[0.5, 36], [0.75, 18]], [[0.5, 30], [0.75, 15]]]
    assert (left.get_xlabel(), left.get_ylabel()) == ("IoU threshold", "AP (%)")
    assert lines(right)[1] == [[0, 100], [100, 30]]
    assert right.get_xlabel() == "recall (%), IoU 0.50"


def test_groups_are_paired_differences_to_the_baseline(panel):
    (ax,) = CHARTS["groups"](panel).axes
    (bars,) = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    # Differences 5, 6, 7 in small, 10, 12, 14 in large: sd 1 and 2, t(0.975, 2) = 4.302653.
    assert np.asarray(bars.lines[0].get_ydata()) == pytest.approx([6, 12])
    low, high = bars.lines[2][0].get_segments()[0][:, 1]
    assert high - 6 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert 6 - low == pytest.approx(high - 6)
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels == ["small\nn = 12\n30.0 %", "large\nn = 3,400\n60.0 %"]
    assert ax.get_ylabel() == "minus iou (points)"


def test_more_than_eight_groups_are_the_largest(panel):
    names = [f"class {i}" for i in range(10)]
    for runs in panel.details.values():
        for run in runs.values():
            run.clear()
            run["by_class"] = {"group": names, "count": list(range(10)), "value": [0.5] * 10}
    (ax,) = CHARTS["groups"](panel).axes
    shown = [text.get_text().split("\n")[0] for text in ax.get_xticklabels()]
    assert shown == names[2:]
    assert ax.get_xlabel() == "class (the 8 largest of 10)"


def test_quality_shows_shares_of_matched_boxes_and_reliability(panel):
    left, right = CHARTS["quality"](panel).axes
    for step in left.patches:
        values, edges, _ = step.get_data()
        assert values.tolist() == [25, 75]
        assert list(edges) == [0.5, 0.75, 1.0]
    assert lines(right)[0] == [[0, 0], [100, 100]]
    assert lines(right)[2] == [[25, 30]]  # iou; nothing is known of the other scores


def test_runs_that_recorded_less_have_fewer_charts(panel):
    for runs in panel.details.values():
        for run in runs.values():
            for key in ("by_size", "calibration", "localisation"):
                del run[key]
    assert len(CHARTS["thresholds"](panel).axes) == 2
    for kind in ("groups", "quality"):
        with pytest.raises(LeftOut, match="the runs recorded no"):
            CHARTS[kind](panel)


def tuning(values: dict[tuple[str, float, float], float | None]) -> pd.DataFrame:
    """(loss, weight, lr) -> AP on the validation split, None where the run diverged."""
    return pd.DataFrame(
        [
            {**TABLE, "loss": loss, "repetition": 0, "weight": weight, "lr": lr, "options": "{}"}
            | {"setting": f"weight={weight} lr={lr}", "metric": "AP"}
            | {"status": "diverged" if value is None else "done", "value": value, "chosen": False}
            for (loss, weight, lr), value in values.items()
        ]
    )


def test_sensitivity_is_drawn_at_the_chosen_learning_rate(panel):
    tried = tuning(
        {
            ("iou", 1.0, 0.1): 0.3,
            ("iou", 2.0, 0.1): 0.5,
            ("iou", 4.0, 0.1): None,
            ("iou", 1.0, 0.2): 0.4,
            ("iou", 2.0, 0.2): 0.4,
            ("giou", 1.0, 0.2): 0.6,
        }
    )
    (ax,) = CHARTS["sensitivity"](replace(panel, tuning=tried)).axes
    drawn = lines(ax)
    assert [[1, 30], [2, 50]] in drawn
    assert [[2, 50]] in drawn  # the ring
    assert [[4, 0.04]] in drawn  # the cross of what diverged
    assert not any([1, 40] in line for line in drawn)
    assert ax.get_ylabel() == "AP on validation (%)"
    assert ax.get_xscale() == "log"


def test_a_tuning_without_a_value_is_left_out(panel):
    with pytest.raises(LeftOut, match="no tuning run is done"):
        CHARTS["sensitivity"](replace(panel, tuning=tuning({("iou", 1.0, 0.1): None})))


def many_datasets(number: int) -> pd.DataFrame:
    """Loss a always before b, b before c, on each of the data sets."""
    return pd.DataFrame(
        [
            {**TABLE, "dataset": f"d{i}", "loss": loss, "repetition": r, "status": "done"}
            | {"AP": ap + 0.01 * r, "cell": f"{loss}{i}{r}"}
            for i in range(number)
            for loss, ap in (("a", 0.5), ("b", 0.4), ("c", 0.3))
            for r in range(2)
        ]
    )


def test_ranks_are_drawn_with_their_critical_difference():
    ((name, figure),) = rank_diagrams(mean_ranks(many_datasets(8)), 0.95)
    assert name == "detection, m"
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"a (1.00)", "b (2.00)", "c (3.00)"} <= set(texts)
    # Demšar's q for 3 classifiers is 2.343: 2.343 sqrt(3 * 4 / (6 * 8)) = 1.17.
    assert "  critical difference 1.17 (95 %, 8 data sets)" in texts


def test_too_few_data_sets_have_no_diagram():
    assert list(rank_diagrams(mean_ranks(many_datasets(3)), 0.95)) == []


def test_all_kinds_become_files(make, tmp_path):
    runs, history = make(repetitions=2, epochs=2, gains=GAINS)
    runs["cell"] = [f"c{i}" for i in range(len(runs))]
    key = runs[["task", "dataset", "model"]].iloc[0].to_dict()
    recorded = {cell: details(0.5) for cell in runs["cell"][:-1]}
    tried = tuning({("iou", 1.0, 0.1): 0.3, ("giou", 1.0, 0.1): 0.3}).assign(**key)
    data = ReportData("test", "", runs, history, tried, recorded)
    paths, notes = write_charts(data, summarise(runs), tmp_path, ("svg",))
    assert notes == []
    assert {re.match(r"[a-z_]+", path.name)[0] for path in paths} == set(CHARTS)
    for path in paths:
        sizes = re.findall(r"font-size: ([\d.]+)px", path.read_text(encoding="utf-8"))
        assert min(map(float, sizes)) >= 7
