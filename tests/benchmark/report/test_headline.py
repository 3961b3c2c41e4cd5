from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmark.report.data import ReportData
from benchmark.report.headline import headlines
from benchmark.statistics import summarise

NAN = math.nan


def make_runs(values: dict[str, list], dataset: str = "cells") -> pd.DataFrame:
    """Runs of losses by repetition; AP in percent, or the status of a run that has none."""
    return pd.DataFrame(
        {
            "task": "detection",
            "dataset": dataset,
            "model": "net",
            "loss": loss,
            "repetition": repetition,
            "status": value if isinstance(value, str) else "done",
            "AP": NAN if isinstance(value, str) else value / 100,
        }
        for loss, own in values.items()
        for repetition, value in enumerate(own)
    )


def found(runs: pd.DataFrame, **options):
    data = ReportData("test", "", runs, pd.DataFrame())
    return headlines(data, summarise(runs, **options))


def only(values: dict[str, list], **options):
    (headline,) = found(make_runs(values), **options)
    return headline


BASE = [50.0, 51.0, 52.0]


def plus(*gains: float) -> list[float]:
    return [base + gain for base, gain in zip(BASE, gains, strict=True)]


def test_no_runs_have_no_headline():
    runs = pd.DataFrame(columns=["task", "dataset", "model", "loss", "repetition", "status"])
    assert found(runs) == []


def test_a_better_loss_is_claimed_with_its_interval_pairs_and_mean():
    # Differences 2.0, 2.1, 2.2: mean 2.1, sd 0.1, t(0.975, 2) = 4.303, half = 0.248.
    headline = only({"iou": BASE, "giou": plus(2.0, 2.1, 2.2)})
    assert headline.kind == "claim"
    assert headline.text.startswith(headline.lead)
    assert headline.lead.endswith("3 paired runs).")
    assert (headline.task, headline.dataset, headline.model) == ("detection", "cells", "net")
    assert headline.text == (
        "On cells with net, giou (+2.1 [+1.9, +2.3]) is better than the baseline iou in AP "
        "(percentage points with 95 % intervals, 3 paired runs). "
        "The highest mean is that of giou: 53.1 ± 1.1 % (mean ± standard deviation, n = 3)."
    )


def test_a_claim_among_several_names_the_correction_and_those_it_cannot_tell():
    text = only(
        {
            "iou": BASE,
            "giou": plus(2.0, 2.01, 2.02),
            "diou": plus(-3.0, -3.01, -3.02),
            "ciou": plus(1, 2, -2),
        }
    ).text
    assert text.startswith(
        "On cells with net, giou (+2.0 [+2.0, +2.0]) is better than the baseline iou in AP; diou "
        "(−3.0 [−3.0, −3.0]) is worse than it; and ciou (+0.3 [−4.8, +5.5]) cannot be told apart "
        "from it (percentage points with 95 % intervals, 3 paired runs; claims hold after Holm's "
        "correction for 3 comparisons)."
    )


def test_it_says_when_it_cannot_tell_and_what_it_could_have_found():
    # Differences 1, 2, 3: mean 2, sd 1, half = 4.303 / sqrt(3) = 2.484. Power 0.8 with 3 pairs
    # needs an effect of 3.26 standard deviations (noncentral t).
    headline = only({"iou": BASE, "giou": plus(1, 2, 3)})
    assert headline.kind == "no claim"
    assert headline.text.startswith(
        "On cells with net, giou cannot be told apart from the baseline iou in AP: giou (+2.0 "
        "[−0.5, +4.5]) (percentage points with 95 % intervals, 3 paired runs). With so many runs, "
        "a true difference is found with a probability of 80 % only if it is about 3.3 points or "
        "more."
    )


def test_of_several_that_it_cannot_tell_it_names_the_extremes():
    text = only(
        {"iou": BASE, "giou": plus(1, 2, 3), "diou": plus(-1, 1, 0), "ciou": plus(-3, -1, -2)}
    ).text
    assert (
        "none of the 3 other losses can be told apart from the baseline iou in AP: the differences "
        "reach from ciou (−2.0 [−4.5, +0.5]) to giou (+2.0 [−0.5, +4.5])"
    ) in text


def test_the_baseline_may_be_the_highest():
    text = only({"iou": BASE, "giou": plus(-2.0, -2.1, -2.2)}).text
    assert "giou (−2.1 [−2.3, −1.9]) is worse than the baseline iou in AP" in text
    assert "The highest mean is that of iou (the baseline): 51.0 ± 1.0 %" in text


def test_the_best_of_several_is_named_only_where_every_interval_says_so():
    clear = {"iou": BASE, "giou": plus(5.0, 5.1, 5.2), "diou": plus(2.0, 2.1, 2.2)}
    assert "giou is the best of the 3" in only(clear).text
    unclear = clear | {"diou": plus(5.0, 5.2, 5.0)}
    assert "is the best" not in only(unclear).text
    two = {"iou": BASE, "giou": plus(5.0, 5.1, 5.2)}
    assert "is the best" not in only(two).text  # the comparison has said it


def test_an_interval_that_does_not_survive_the_correction_is_no_claim():
    # One difference of p = 0.036 among six comparisons.
    others = {f"loss{i}": plus(1, -1, 0.5 * i) for i in range(5)}
    headline = only({"iou": BASE, "giou": plus(1.0, 1.5, 2.0), **others})
    assert headline.kind == "no claim"
    assert (
        "Taken alone, the interval of giou (+1.5 [+0.3, +2.7]) excludes 0, but not after Holm's "
        "correction"
    ) in headline.text


def test_one_loss_is_compared_with_nothing():
    text = only({"iou": BASE}).text
    assert text == (
        "On cells with net, iou has no other loss to be compared with. The highest mean is that "
        "of iou: 51.0 ± 1.0 % (mean ± standard deviation, n = 3)."
    )


def test_two_repetitions_are_too_few():
    text = only({"iou": [50.0, 51.0], "giou": [55.0, 56.0]}).text
    assert (
        "nothing can be said about differences in AP to the baseline iou: there are 2 paired "
        "runs, and a verdict needs at least 3."
    ) in text


def test_one_run_has_no_deviation():
    assert "is that of giou: 55.0 % (n = 1)." in only({"iou": [50.0], "giou": [55.0]}).text


def test_diverged_runs_are_named_and_nothing_is_claimed_for_their_loss():
    headline = only({"iou": [*BASE, 50.0], "giou": [*plus(5.0, 5.1, 5.2), "diverged"]})
    assert "is better" not in headline.text
    assert "Diverged: giou in 1 of 4 runs." in headline.text
    assert "no claim is made in its favour" in headline.text


def test_failed_runs_are_named():
    text = only({"iou": [*BASE, "failed"], "giou": [*plus(1, 2, 3), "timed out"]}).text
    assert (
        "Failed with an error and missing from the means: giou in 1 of 4 runs and iou in 1 of 4 "
        "runs." in text
    )


def test_unfinished_runs_make_it_incomplete():
    headline = only({"iou": [*BASE, "pending"], "giou": [*plus(2.0, 2.1, 2.2), "running"]})
    assert headline.kind == "incomplete"
    assert "Not final: 2 of 8 runs are still to come." in headline.text


@pytest.mark.parametrize(
    ("status", "said"),
    [("pending", "no run is finished yet."), ("failed", "no run has a result.")],
)
def test_without_any_result_it_says_so(status, said):
    text = only({"iou": [status] * 3, "giou": [status] * 3}).text
    assert text.startswith(f"On cells with net, {said}")
    assert "highest" not in text


def test_a_baseline_without_runs_leaves_nothing_to_compare():
    text = only({"iou": ["diverged"] * 3, "giou": BASE}).text
    assert "no repetition is done by both the baseline iou and another loss." in text


def test_many_losses_are_counted_instead_of_named():
    losses = {f"loss{i}": plus(5.0, 5.0001, 5.0002 + i / 1e5) for i in range(7)}
    text = only({"iou": BASE, **losses}).text
    assert text.count("+5.0 [+5.0, +5.0]") == 3
    assert " and 4 more are better than the baseline iou" in text


def test_data_sets_are_pooled_in_a_line_of_its_own():
    first = {"iou": BASE, "giou": plus(2.0, 2.1, 2.2)}
    second = {"iou": BASE, "giou": plus(1.0, 1.1, 1.2)}
    runs = pd.concat([make_runs(first), make_runs(second, "cars")], ignore_index=True)
    cells, cars, pooled = found(runs)
    assert [h.kind for h in (cells, cars, pooled)] == ["claim", "claim", "pooled"]
    assert pooled.dataset == "cells, cars"
    # (2.1 + 1.1) / 2 = 1.6; standard error sqrt(0.01 / 3 + 0.01 / 3) / 2 = 0.0408 with 4 degrees
    # of freedom: half = 2.776 x 0.0408 = 0.113.
    assert pooled.text.startswith(
        "Over cells and cars with net, giou (+1.6 [+1.5, +1.7]) is better than the baseline iou "
        "in AP (percentage points with 95 % intervals, 6 paired runs)."
    )
    assert "no statement about other data sets" in pooled.text


def test_losses_run_on_fewer_data_sets_are_pooled_over_those():
    both = {"iou": BASE, "giou": plus(2.0, 2.1, 2.2), "diou": plus(1, 2, 3)}
    third = {"iou": BASE, "giou": plus(2.0, 2.1, 2.2)}
    runs = pd.concat(
        [make_runs(both), make_runs(both, "cars"), make_runs(third, "dogs")], ignore_index=True
    )
    pooled = found(runs)[-1]
    assert pooled.text.startswith("Over cells, cars and dogs with net, ")
    assert "or those of them that a loss was run on" in pooled.text
