"""How two trainings of one cell are held against each other."""

from __future__ import annotations

import math

import pytest

from benchmark.options import UserError
from benchmark.reproduction.comparison import (
    FIRST_LOSS,
    Tolerances,
    differing,
    family,
    gap,
    numbers,
    parting,
)
from benchmark.store import RunFolder


def test_numbers_are_all_that_a_run_measured(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_history([{"epoch": 0, "AP": 0.0}, {"epoch": 1, "loss_total": 2.5, "AP": 0.1}])
    outcome = {
        "status": "done",
        "metrics": {"AP": 0.5, "AP_large": None},
        "validation": {"AP": 0.4},
        "untrained": {"AP": 0.1},
        "trivial": {"AP": 0.2},
        "seconds": 9.0,
        "train_seconds": 8.0,
    }
    assert numbers(folder, outcome) == {
        "status": "done",
        "AP": 0.5,
        "AP_large": None,
        "validation AP": 0.4,
        "untrained AP": 0.1,
        "trivial AP": 0.2,
        FIRST_LOSS: 2.5,
    }


def test_numbers_of_a_run_that_diverged(tmp_path):
    outcome = {"status": "diverged", "diverged_at": {"epoch": 1, "step": 3}}
    assert numbers(RunFolder(tmp_path), outcome) == {
        "status": "diverged",
        "diverged at epoch": 1,
        "diverged at step": 3,
    }


def test_one_bit_is_a_difference_and_a_new_metric_is_none():
    then = {"a": 0.1, "b": 0.3, "c": None, "gone": 1.0}
    now = {"a": 0.1, "b": math.nextafter(0.3, 1), "c": None, "new": 2.0}
    assert differing(then, now) == ["b", "gone"]


def test_nan_is_nan():
    assert differing({"loss": math.nan, "AP": 0.5}, {"loss": math.nan, "AP": math.nan}) == ["AP"]
    diverged = [{"epoch": 1, "loss_total": math.nan}]
    assert parting(diverged, [{"epoch": 1, "loss_total": float("nan")}]) is None
    assert parting(diverged, [{"epoch": 1, "loss_total": 2.0}]) == "epoch 1, loss_total"


def test_histories_part_in_the_first_value_but_for_times():
    then = [{"epoch": 0, "AP": 0.0, "seconds": 1.0}, {"epoch": 1, "loss": 2.0, "AP": 0.5}]
    slower = [{"epoch": 0, "AP": 0.0, "seconds": 9.0, "new": 1.0}, {**then[1], "new": 2.0}]
    assert parting(then, slower) is None
    assert parting(then, [then[0], {"epoch": 1, "loss": 2.0, "AP": 0.6}]) == "epoch 1, AP"
    assert parting(then, [then[0]]) == "epoch 1, epoch"
    assert parting([], slower) is None
    assert parting([then[0]], slower) == "epoch 1, epoch"
    assert parting(then[1:], slower) == "epoch 0, epoch"


@pytest.mark.parametrize(
    ("name", "then", "now", "expected"),
    [
        ("AP", 0.5, 0.375, 0.125),
        ("AP", 0, 0.25, 0.25),
        (FIRST_LOSS, 4.0, 3.0, 0.25),
        (FIRST_LOSS, -2.0, -1.0, 0.5),
        (FIRST_LOSS, 0.0, 1.0, None),
        ("AP_large", None, 0.5, None),
        ("AP_large", 0.5, None, None),
        ("status", "done", "diverged", None),
    ],
)
def test_gap(name, then, now, expected):
    assert gap(name, then, now) == expected


def test_classes_share_a_limit():
    assert family("validation AP/red blood cell") == "validation AP/<class>"
    assert family("AP50") == "AP50"


def test_twice_the_largest_of_all_measurements_is_allowed_and_no_more(tmp_path):
    file = tmp_path / "tolerances.csv"
    file.write_text(
        "changed,value,compared,equal,largest\n"
        "threads,AP,5,1,0.0625\ntorch,AP,5,0,0.125\ntorch,AP/<class>,9,0,0.25\n"
        "torch,untrained AP,5,5,0.0\n"
    )
    tolerances = Tolerances.measured(["torch", "threads"], file)
    assert tolerances.unmeasured == ()
    assert tolerances.limits == {"AP": 0.25, "AP/<class>": 0.5, "untrained AP": 1e-6}
    assert tolerances.allow("AP", 0.5, 0.75)
    assert tolerances.allow("AP/cell", 0.0, 0.5)
    assert not tolerances.allow("AP", 0.5, math.nextafter(0.75, 1))
    assert not tolerances.allow("AP50", 0.5, 0.5000001)  # never measured
    assert not tolerances.allow("AP", None, 0.5)
    assert not tolerances.allow("status", "done", "diverged")


def test_what_was_measured_for_one_change_is_not_allowed_for_another(tmp_path):
    file = tmp_path / "tolerances.csv"
    file.write_text(
        "changed,value,compared,equal,largest\n"
        "threads,AP,5,1,0.0625\ntorch torchvision,AP,5,0,0.125\n"
    )
    for changed, limit in (
        (["threads"], 0.125),
        (["torch"], 0.25),
        (["torchvision", "torch"], 0.25),
        (["threads", "torch"], 0.25),
    ):
        assert Tolerances.measured(changed, file) == Tolerances({"AP": limit})
    assert Tolerances.measured(["cpu", "torch"], file) == Tolerances({}, ("cpu",))
    assert Tolerances.measured([], file) == Tolerances({})


def test_without_measurements_nothing_is_allowed(tmp_path):
    assert Tolerances.measured(["cpu"], tmp_path / "none.csv") == Tolerances({}, ("cpu",))


@pytest.mark.parametrize(
    "content",
    [
        "changed,value,largest\ncpu,AP,wide\n",
        "a,b\n1,2\n",
        "changed,value,largest\ncpu,AP\n",
        "value,largest,changed\nAP,0.5\n",
    ],
)
def test_damaged_measurements_are_named(tmp_path, content):
    file = tmp_path / "tolerances.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=r"tolerances\.csv: is damaged .*bench reproduction"):
        Tolerances.measured(["cpu"], file)
