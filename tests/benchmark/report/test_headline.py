from __future__ import annotations

import math

import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower

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
    assert (headline.task, headline.dataset, headline.model) == ("detection", "cells", "net")
    assert headline.text == (
        "On cells with net, giou is better than the baseline iou in AP (difference in percentage "
        "points [95 % interval], 3 paired runs): +2.1 [+1.9, +2.3]. "
        "Better and worse rest on the paired t-test, which assumes normally distributed "
        "differences; the exact test, which does not, cannot reach significance with n = 3. "
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
        "On cells with net, compared with the baseline iou in AP (difference in percentage points "
        "[95 % interval], 3 paired runs; better and worse hold after Holm's correction for 3 "
        "comparisons): giou at +2.0 [+2.0, +2.0] is better; diou at −3.0 [−3.0, −3.0] is worse; "
        "and ciou at +0.3 [−4.8, +5.5] cannot be told apart from it."
    )


def test_it_says_when_it_cannot_tell_and_what_it_could_have_found():
    # Differences 1, 2, 3: mean 2, sd 1, half = 4.303 / sqrt(3) = 2.484. Power 0.8 with 3 pairs
    # needs an effect of 3.26 standard deviations (noncentral t); 1 sd takes 10 pairs.
    headline = only({"iou": BASE, "giou": plus(1, 2, 3)})
    assert headline.kind == "no claim"
    assert headline.text.startswith(
        "On cells with net, giou cannot be told apart from the baseline iou in AP (difference in "
        "percentage points [95 % interval], 3 paired runs): +2.0 [−0.5, +4.5]. With so many runs, "
        "a true difference is found with a probability of 80 % only if it is about 3.3 points or "
        "more. To find 1 point would take 10 repetitions. The highest"
    )


def test_what_could_have_been_found_counts_the_comparisons():
    # At 0.05 / 2 and n = 3, the power is 0.8 at 4.62 sd (the normal power integrated over the
    # chi-square distribution of the variance); the sds are 1 and 2.
    text = only({"iou": BASE, "giou": plus(1, 2, 3), "diou": plus(-2, 0, 2)}).text
    assert (
        "about 4.6 to 9.2 points or more, at the strictest step of Holm's "
        "correction for 2 comparisons."
    ) in text
    needed = math.ceil(TTestPower().solve_power(effect_size=0.5, alpha=0.025, power=0.8))
    assert f"To find 1 point would take {needed} repetitions." in text


def test_beside_a_claim_the_power_is_that_of_the_others():
    text = only({"iou": BASE, "giou": plus(2.0, 2.01, 2.02), "diou": plus(1, 2, 3)}).text
    assert (
        "a true difference of those that cannot be told apart is found with a probability of 80 % "
        "only if it is about 4.6 points or more"
    ) in text


def test_repetitions_that_find_a_point_are_not_asked_for_again():
    text = only({"iou": BASE, "giou": plus(0.1, -0.1, 0.1)}).text
    assert "is found with a probability of 80 %" in text
    assert "To find 1 point" not in text


def test_nothing_is_said_of_power_where_no_difference_varies():
    headline = only({"iou": BASE, "giou": BASE})
    assert "cannot be told apart" in headline.lead
    assert "probability" not in headline.text
    assert "The highest mean is that of iou (the baseline)" in headline.text  # equal: the first


def test_of_several_that_it_cannot_tell_it_names_the_extremes():
    text = only(
        {"iou": BASE, "giou": plus(1, 2, 3), "diou": plus(-1, 1, 0), "ciou": plus(-3, -1, -2)}
    ).text
    assert (
        "none of the 3 other losses can be told apart from the baseline iou in AP (difference in "
        "percentage points [95 % interval], 3 paired runs): the differences reach from ciou at "
        "−2.0 [−4.5, +0.5] to giou at +2.0 [−0.5, +4.5]."
    ) in text


def test_the_baseline_may_be_the_highest():
    text = only({"iou": BASE, "giou": plus(-2.0, -2.1, -2.2)}).text
    assert "giou is worse than the baseline iou in AP" in text
    assert "3 paired runs): −2.1 [−2.3, −1.9]." in text
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
        "giou at +1.5 [+0.3, +2.7] differs by its own interval, but not after correction."
    ) in headline.lead
    assert "Holm's correction for 6 comparisons" in headline.lead
    told_apart = headline.lead.split(": ", 1)[1].split("cannot be told apart")[0]
    assert "giou" not in told_apart


def test_one_loss_is_compared_with_nothing():
    text = only({"iou": BASE}).text
    assert text == (
        "On cells with net, iou has no other loss to be compared with. iou reaches 51.0 ± "
        "1.0 % (mean ± standard deviation, n = 3)."
    )


def test_two_repetitions_are_too_few():
    text = only({"iou": [50.0, 51.0], "giou": [55.0, 56.0]}).text
    assert (
        "nothing can be said about differences in AP to the baseline iou: there are 2 paired "
        "runs, and a verdict needs at least 3."
    ) in text
    one = only({"iou": [50.0], "giou": [55.0]}).text
    assert "there is 1 paired run, and a verdict needs at least 3." in one


def test_one_run_has_no_deviation():
    assert "is that of giou: 55.0 % (n = 1)." in only({"iou": [50.0], "giou": [55.0]}).text


def test_diverged_runs_are_named_and_nothing_is_claimed_for_their_loss():
    headline = only({"iou": [*BASE, 50.0], "giou": [*plus(5.0, 5.1, 5.2), "diverged"]})
    assert headline.lead.endswith(
        "3 paired runs): no verdict on giou at +5.1 [+4.9, +5.3]: 1 of its 4 runs diverged."
    )
    assert "cannot be told apart" not in headline.text
    assert "Diverged: giou in 1 of 4 runs." in headline.text
    assert "no claim is made in its favour" in headline.text


def test_a_clear_difference_to_a_baseline_that_diverged_is_no_verdict():
    worse = [*plus(-5.0, -5.1, -5.2), 40.0]
    lead = only({"iou": [*BASE, "diverged"], "giou": worse, "diou": [*plus(1, 0, 2), 50.0]}).lead
    assert "no verdict on giou at −5.1 [−5.3, −4.9]: 1 of the baseline's 4 runs diverged" in lead
    assert "diou at +1.0 [−1.5, +3.5] cannot be told apart from it" in lead


def test_a_loss_that_always_diverged_has_no_difference_and_survived_nowhere():
    text = only({"iou": BASE, "giou": plus(2.0, 2.1, 2.2), "diou": ["diverged"] * 3}).text
    assert "no verdict on diou: 3 of its 3 runs diverged." in text
    assert "Diverged: diou in 3 of 3 runs." in text
    assert "survived" not in text
    assert "too few paired runs" not in text


def test_many_losses_without_a_verdict_are_counted():
    lost = {f"loss{i}": [*plus(5, 5.1, 5.2 + i / 10), "diverged"] for i in range(6)}
    lead = only({"iou": [*BASE, 50.0], **lost}).lead
    assert lead.count("no verdict on loss") == 3
    assert lead.endswith("and no verdict on 3 more that lost runs.")


def test_done_runs_without_a_value_are_named_and_claim_nothing():
    headline = only({"iou": [*BASE, 50.0], "giou": [*plus(5.0, 5.1, 5.2), NAN]})
    assert headline.lead.endswith(
        "no verdict on giou at +5.1 [+4.9, +5.3]: 1 of its 4 runs has no value."
    )
    assert (
        "Done but without a value of AP, and missing from the means: giou in 1 of 4 runs."
    ) in headline.text


def test_the_exact_test_is_not_doubted_where_it_could_be_significant():
    base = [50.0, 51.0, 52.0, 50.0, 51.0, 52.0]
    better = [value + 2 + i / 100 for i, value in enumerate(base)]
    headline = only({"iou": base, "giou": better})
    assert headline.kind == "claim"
    assert "exact test" not in headline.text  # 2 / 2^6 = 0.031


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
    assert "no repetition has a value of both the baseline iou and another loss." in text


def test_a_data_set_without_the_baseline_says_so():
    runs = pd.concat(
        [make_runs({"iou": BASE, "giou": BASE}), make_runs({"giou": BASE, "diou": BASE}, "cars")],
        ignore_index=True,
    )
    cars = found(runs)[1]
    assert cars.lead == "On cars with net, the baseline iou has no run here."


def test_many_losses_are_counted_instead_of_named():
    losses = {f"loss{i}": plus(5.0, 5.0001, 5.0002 + i / 1e5) for i in range(7)}
    text = only({"iou": BASE, **losses}).text
    assert text.count("+5.0 [+5.0, +5.0]") == 3
    assert " and 4 more are better." in text


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
        "Over cells and cars with net, giou is better than the baseline iou in AP (difference in "
        "percentage points [95 % interval], 6 paired runs): +1.6 [+1.5, +1.7]."
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
    assert "each counted the same, for a loss over those on which it has pairs;" in pooled.text
    assert pooled.text.endswith("diou: without dogs, where it has no run.")


def pooled_of(**datasets: dict[str, list]):
    runs = [make_runs(values, dataset) for dataset, values in datasets.items()]
    return found(pd.concat(runs, ignore_index=True))[-1]


def test_a_data_set_that_lacks_pairs_is_named_with_the_reason():
    both = {"iou": BASE, "giou": plus(2.0, 2.1, 2.2), "diou": plus(1, 2, 3)}
    pooled = pooled_of(cells=both, cars=both, dogs=both | {"diou": ["diverged"] * 3})
    assert "diou: without dogs, for lack of pairs (3 of its runs diverged)." in pooled.text
    assert "no verdict on diou at +2.0 [+0.9, +3.1]: 3 of its runs diverged" in pooled.lead
    pooled = pooled_of(cells=both, cars=both, dogs=both | {"iou": ["diverged", "diverged", 50.0]})
    assert (
        "giou and diou: without dogs, for lack of pairs (2 of the baseline's diverged)."
    ) in pooled.text


def test_a_loss_with_pairs_on_one_data_set_is_not_pooled_and_named():
    both = {"iou": BASE, "giou": plus(2.0, 2.1, 2.2), "diou": plus(1, 2, 3)}
    pooled = pooled_of(cells=both, cars=both | {"diou": ["failed"] * 3})
    assert pooled.text.endswith("Not pooled, for lack of pairs on 2 data sets: diou.")
    assert "diou" not in pooled.lead


def test_a_pooled_claim_that_the_correction_takes_is_said_to_be_lost():
    both = {"iou": BASE, "giou": plus(0.2, 1.5, 2.0)}
    noise = {f"loss{i}": plus(1, -1, 0.5 * i) for i in range(5)}
    pooled = pooled_of(cells=both | noise, cars=both | noise)
    assert "giou at +1.2 [+0.2, +2.3] differs by its own interval, but not after" in pooled.lead


def tuned(statuses: dict[str, list[str]], dataset: str = "cells", chosen: tuple = ()):
    """Tuning runs of losses at lr 0.01, 0.02, ...; of those ``chosen``, the last is."""
    return pd.DataFrame(
        {
            "task": "detection",
            "dataset": dataset,
            "model": "net",
            "loss": loss,
            "repetition": 0,
            "status": status,
            "value": 0.01 * (place + 40) if status == "done" else NAN,
            "setting": f"lr={0.01 * (place + 1):g}",
            "lr": 0.01 * (place + 1),
            "weight": 1.0,
            "options": "{}",
            "chosen": loss in chosen and place == len(own) - 1,
        }
        for loss, own in statuses.items()
        for place, status in enumerate(own)
    )


def with_tuning(runs: pd.DataFrame, tuning: pd.DataFrame):
    data = ReportData("test", "", runs, pd.DataFrame(), tuning)
    return headlines(data, summarise(runs))


def test_a_loss_whose_tuning_is_not_over_is_named():
    runs = make_runs({"iou": BASE, "giou": plus(2.0, 2.1, 2.2)})
    losses = {"iou": ["done"], "diou": ["done", "running"], "ciou": ["done"]}
    (headline,) = with_tuning(runs, tuned(losses, chosen=("iou", "ciou")))
    assert headline.kind == "incomplete"
    assert headline.text.endswith(
        "Not in the comparison: diou, whose tuning is not over; and ciou, whose final runs are "
        "still to come."
    )


def test_tables_with_tuning_runs_alone_are_listed():
    runs = make_runs({"iou": BASE, "giou": plus(2.0, 2.1, 2.2)})
    tuning = tuned({"iou": ["done", "pending"], "giou": ["failed", "done"]}, "cars")
    first, second = with_tuning(runs, tuning)
    assert (first.dataset, first.kind) == ("cells", "claim")
    assert (second.dataset, second.kind) == ("cars", "incomplete")
    assert second.text == (
        "On cars with net, there is no final run yet: 3 of 4 tuning runs have ended."
    )
    none = make_runs({"iou": []}).reindex(columns=runs.columns)
    assert [line.text for line in with_tuning(none, tuning)] == [second.text]


def test_settings_at_an_end_of_what_was_tried_are_named():
    runs = make_runs({"iou": BASE, "giou": plus(2.0, 2.1, 2.2)})
    (headline,) = with_tuning(runs, tuned({"iou": ["done"] * 3}, chosen=("iou",)))
    assert (
        "Chosen at an end of what was tried, so that the best may lie outside: lr 0.03, the "
        "largest tried, for iou."
    ) in headline.text


def masks(fixed: dict[str, list], tuned_to: dict[str, list]) -> pd.DataFrame:
    own = make_runs(tuned_to)["AP"]
    runs = make_runs(fixed).rename(columns={"AP": "mIoU_fg"})
    return runs.assign(task="segmentation", mIoU_fg_tuned=own)


def test_what_another_threshold_changes_is_said():
    fixed = {"bce": BASE, "focal": plus(-5.0, -5.1, -5.2), "dice": plus(3.0, 3.01, 3.02)}
    (headline,) = found(masks(fixed, fixed | {"focal": plus(1, 0, 2)}))
    assert "focal at −5.1 [−5.3, −4.9] is worse" in headline.lead
    assert (
        "With thresholds chosen on the validation split, compared with bce, focal at +1.0 [−1.5, "
        "+3.5] cannot be told apart from it."
    ) in headline.text
    (same,) = found(masks(fixed, fixed))
    assert "thresholds" not in same.text
    (fewer,) = found(masks(fixed, fixed | {"focal": [50.0, NAN, NAN]}))
    assert "thresholds" not in fewer.text  # other runs, so another question
