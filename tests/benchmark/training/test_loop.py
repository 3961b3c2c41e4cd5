"""A whole run: what it writes, and that losses are compared fairly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import losses
from benchmark.models.segmentation.tiny_unet import TinyUNet
from benchmark.seeding import stream_seed
from benchmark.store import RunFolder
from benchmark.tasks import TASKS
from benchmark.training.loop import Progress, train_cell
from losses.base import Space
from tests.benchmark.whole_runs import EAGER, Killed, history, kill_after

CPU = torch.device("cpu")
AUGMENT = {"hflip": 0.5, "scale": [0.8, 1.2]}
PICTURES = (".jpg", "-truth.png", "-predicted.png")


def test_the_same_cell_twice_gives_the_same_numbers_and_another_repetition_others(make_cell, run):
    one, two = (run(make_cell(epochs=2), name)[1] for name in ("one", "two"))
    other = run(make_cell(epochs=2, repetition=1), "other")[1]
    assert str(history(one)) == str(history(two))
    assert history(one)[1]["loss_total"] != history(other)[1]["loss_total"]


def test_all_losses_of_a_repetition_see_the_same_weights_and_batches(make_cell, run, recorder):
    for number, (loss, weight) in enumerate([("bce", 1.0), ("dice", 5.0)]):
        cell = make_cell(
            "segmentation",
            loss,
            weight,
            model="recorder",
            model_options={},
            epochs=2,
            augment=AUGMENT,
        )
        run(cell, str(number))
    # Each run builds the model twice: to train it, and to measure it untrained.
    assert len(recorder["weights"]) == 4
    assert len(set(recorder["weights"])) == 1
    first, second = recorder["batches"][:4], recorder["batches"][4:]
    assert first == second
    assert len(set(first)) == 4


def test_repetitions_start_from_other_weights(make_cell, run, recorder):
    for r in range(2):
        run(make_cell("segmentation", model="recorder", model_options={}, repetition=r), str(r))
    assert len(set(recorder["weights"])) == 2
    assert len(set(recorder["batches"])) == 4


def bad_loss(step_of_fault: int, value: float) -> type[losses.BoxLoss]:
    """L1, but for one call that gives ``value`` instead."""

    @dataclass(frozen=True, kw_only=True)
    class Bad(losses.BoxLoss):
        space: ClassVar[Space] = "boxes"
        calls: ClassVar[list[int]] = []

        def compute(self, pred: Tensor, target: Tensor) -> Tensor:
            self.calls.append(1)
            factor = value if len(self.calls) == step_of_fault else 1.0
            return (pred - target).abs().sum(-1) * factor

    return Bad


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("call", "epoch", "step"), [(1, 1, 1), (2, 1, 2), (4, 2, 2)])
def test_a_loss_that_is_not_finite_ends_the_run(
    make_cell, run, monkeypatch, value, call, epoch, step
):
    monkeypatch.setitem(losses.BOX, "bad", bad_loss(call, value))
    outcome, folder = run(make_cell(loss="bad", epochs=3))
    assert outcome["status"] == "diverged"
    assert outcome["diverged_at"] == {"epoch": epoch, "step": step}
    assert "metrics" not in outcome
    assert folder.status() == "diverged"
    rows = folder.history()
    assert [row["epoch"] for row in rows] == list(range(epoch + 1))
    # From the bad step on, no step of its epoch is sound: the weights are lost.
    assert [row["nonfinite_steps"] for row in rows[1:]] == [0] * (epoch - 1) + [3 - step]
    assert set(outcome) == {"status", "diverged_at", "train_seconds", "seconds"}
    assert not folder.checkpoint.exists()


def test_the_history_has_what_was_logged(make_cell, run):
    cell = make_cell("detection", epochs=3, eval_every=2, schedule="step", lr=0.01)
    outcome, folder = run(cell)
    rows = folder.history()
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert set(rows[0]) >= {"AP", "AP50", "AP/ellipse"}
    assert "loss_total" not in rows[0]
    terms = ["loss/box", "loss/classification", "loss/centreness"]
    for row in rows[1:]:
        assert row["loss_total"] == pytest.approx(sum(row[term] for term in terms), rel=1e-5)
        assert row["grad_norm_max"] >= row["grad_norm"] > 0
        assert row["nonfinite_steps"] == 0
        assert 0 <= row["zero_gradient"] <= 1
        assert row["images_per_second"] > 0
    # Evaluated every second epoch, and after the last.
    assert ["AP" in row for row in rows] == [True, False, True, True]
    # 6 steps: the rate falls before the fifth and the sixth; logged is the last one used.
    assert [row["lr"] for row in rows[1:]] == pytest.approx([1e-2, 1e-2, 1e-4])
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert outcome["train_seconds"] == pytest.approx(seconds[-1])


def test_the_weight_multiplies_the_logged_loss(make_cell, run):
    """With one step the weights are the first ones, so the terms differ by the weight alone."""
    first, second = (
        run(make_cell(weight=weight, batch_size=10), str(weight))[1].history()[1]
        for weight in (1.0, 3.0)
    )
    assert second["loss/box"] == pytest.approx(3 * first["loss/box"], rel=1e-6)
    assert second["loss/classification"] == pytest.approx(first["loss/classification"], rel=1e-6)


def test_the_outcome_is_what_the_folder_holds(make_cell, run):
    outcome, folder = run(make_cell("segmentation"), trivial={"mIoU_fg": 0.125})
    assert outcome["status"] == folder.status() == "done"
    assert folder.outcome() == json.loads(json.dumps(outcome))
    on_test = set(outcome["metrics"]) - set(outcome["untrained"])
    assert {name for name in on_test if "/" not in name} == {
        "mIoU_fg_tuned",
        "boundary_IoU",
        "boundary_F",
        "ECE",
    }
    last = folder.history()[-1]
    assert outcome["validation"] == {name: last[name] for name in outcome["untrained"]}
    assert outcome["trivial"] == {"mIoU_fg": 0.125}
    assert 0 <= outcome["metrics"]["mIoU_fg"] <= 1
    assert outcome["seconds"] >= outcome["train_seconds"] > 0
    assert not folder.checkpoint.exists()
    pictures = {f"sample-{i}{end}" for i in range(4) for end in PICTURES}
    files = {"history.csv", "metrics.json", "details.json", "samples.json", "streams.json"}
    assert {file.name for file in folder.path.iterdir()} == files | pictures


def test_a_detection_run_writes_its_breakdowns_too(make_cell, run):
    outcome, folder = run(make_cell(**EAGER["detection"]))
    details = folder.details()
    assert details is not None
    assert details["task"] == "detection"
    assert sum(details["by_iou"]["y"]) / 10 == pytest.approx(outcome["metrics"]["AP"], abs=1e-6)
    assert details["localisation"]["objects"] == sum(details["by_class"]["count"])
    assert {*outcome["validation"], "ECE"} == set(outcome["metrics"])


def test_only_the_first_repetition_keeps_pictures(make_cell, run):
    folder = run(make_cell("segmentation", repetition=1))[1]
    files = ["details.json", "history.csv", "metrics.json", "streams.json"]
    assert sorted(file.name for file in folder.path.iterdir()) == files


def test_the_thresholds_are_chosen_on_the_validation_split(make_cell, run, shapes_splits):
    cell = make_cell("segmentation", epochs=3, **EAGER["segmentation"])
    outcome, folder = run(cell)
    swapped = {**shapes_splits, "val": shapes_splits["test"]}
    other_folder = RunFolder(folder.path.with_name("other"))
    other_folder.path.mkdir()
    other = train_cell(cell, swapped, other_folder, CPU)
    found, on_test = (f.details()["thresholds"]["value"] for f in (folder, other_folder))
    # The same weights, other thresholds; those of the test split itself cannot be beaten there.
    assert outcome["metrics"]["mIoU_fg"] == other["metrics"]["mIoU_fg"]
    assert found != on_test
    assert outcome["metrics"]["mIoU_fg_tuned"] < other["metrics"]["mIoU_fg_tuned"]


def test_a_tuning_run_never_has_a_test_split(make_cell, shapes_splits, tmp_path):
    cell = make_cell("segmentation", epochs=2).model_copy(update={"stage": "tuning"})
    splits = {name: shapes_splits[name] for name in ("train", "val")}
    folder = RunFolder(tmp_path)
    outcome = train_cell(cell, splits, folder, CPU)
    last = folder.history()[-1]
    assert set(outcome) == {"status", "metrics", "validation", "train_seconds", "seconds"}
    assert outcome["status"] == "done"
    assert outcome["metrics"] == {}
    assert outcome["validation"]["mIoU_fg"] == last["mIoU_fg"]
    assert not {"epoch", "loss_total", "lr"} & set(outcome["validation"])
    files = ["history.csv", "metrics.json", "streams.json"]
    assert sorted(file.name for file in folder.path.iterdir()) == files


class Noted:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.outcomes: list[dict[str, Any]] = []

    def row(self, epoch: int, row: dict[str, float]) -> None:
        self.rows.append((epoch, dict(row)))

    def close(self, outcome: dict[str, Any]) -> None:
        self.outcomes.append(outcome)


def test_loggers_hear_every_row_and_the_end(make_cell, run):
    one, two = Noted(), Noted()
    outcome, folder = run(make_cell("segmentation", epochs=2), loggers=[one, two])
    assert [row for _, row in one.rows] == folder.history()
    assert [epoch for epoch, _ in one.rows] == [0, 1, 2]
    assert one.outcomes == [outcome]
    assert one.rows == two.rows


def test_a_continued_run_tells_loggers_the_rest(make_cell, run):
    cell = make_cell("segmentation", epochs=3)
    with pytest.raises(Killed):
        run(cell, watch=kill_after(2))
    log = Noted()
    run(cell, loggers=[log])
    assert [epoch for epoch, _ in log.rows] == [3]


@pytest.mark.parametrize(("loss", "share"), [("iou", 1.0), ("giou", 0.0)])
def test_positives_without_gradient_are_logged(make_cell, run, monkeypatch, loss, share):
    """Boxes that lie apart from their targets: the loss sees the prediction moved by 500."""

    @dataclass(frozen=True, kw_only=True)
    class Apart(losses.BoxLoss):
        space: ClassVar[Space] = "boxes"

        def compute(self, pred: Tensor, target: Tensor) -> Tensor:
            return losses.get(loss).compute(pred + 500, target)

    monkeypatch.setitem(losses.BOX, "apart", Apart)
    folder = run(make_cell(loss="apart"))[1]
    assert folder.history()[1]["zero_gradient"] == share


def test_the_first_weights_are_measured_before_training_and_as_untrained(
    make_cell, run, shapes_splits
):
    cell = make_cell("segmentation", epochs=4, **EAGER["segmentation"])
    outcome, folder = run(cell)
    torch.manual_seed(stream_seed(cell, "weights"))
    model = TinyUNet(2, 4).eval()
    task = TASKS["segmentation"](losses.get("bce"), 1.0, shapes_splits["test"].classes)
    with torch.no_grad():
        on_val, on_test = (
            task.evaluator(shapes_splits[split])(model, CPU, 8) for split in ("val", "test")
        )
    assert outcome["untrained"] == on_test
    assert outcome["metrics"] != on_test
    assert folder.history()[0] == {"epoch": 0, "seconds": 0.0, **on_val}


@pytest.mark.parametrize("schedule", ["one_cycle", "step", "constant"])
def test_a_run_of_one_step(make_cell, run, schedule):
    outcome, folder = run(make_cell(schedule=schedule, batch_size=10))
    assert outcome["status"] == "done"
    assert len(folder.history()) == 2


def test_gradients_are_clipped_to_the_limit(make_cell, run):
    """With plain SGD of rate 1, a step moves the weights by the clipped gradient's length."""
    moved = {}
    for limit in (1e-3, None):
        steps: list[Tensor] = []
        step = torch.optim.SGD.step

        def noted(self, *args, steps=steps, step=step, **more):
            grads = [p.grad for g in self.param_groups for p in g["params"] if p.grad is not None]
            steps.append(torch.stack([grad.norm() for grad in grads]).norm())
            return step(self, *args, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.SGD, "step", noted)
            _, folder = run(
                make_cell(optimizer="sgd", grad_clip=limit, batch_size=10), f"clip {limit}"
            )
        moved[limit] = steps[0].item()
        logged = folder.history()[1]["grad_norm"]
        assert logged > 1e-2
        assert moved[limit] == pytest.approx(limit or logged, rel=1e-3)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_mixed_precision_trains_on_the_cpu(make_cell, run, task):
    plain_folder = run(make_cell(task), "plain")[1]
    mixed, mixed_folder = run(make_cell(task, amp=True), "mixed")
    assert mixed["status"] == "done"
    one, two = (f.history()[1]["loss_total"] for f in (plain_folder, mixed_folder))
    assert one != two
    assert one == pytest.approx(two, rel=0.05)


def test_the_watcher_hears_of_every_epoch(make_cell, run):
    heard: list[Progress] = []
    folder = run(make_cell("segmentation", epochs=3, eval_every=2), watch=heard.append)[1]
    ends = [p for p in heard if p.fraction == p.epoch / 3]
    assert [p.epoch for p in ends] == [1, 2, 3]
    rows = folder.history()
    assert [p.loss for p in ends] == [row["loss_total"] for row in rows[1:]]
    assert [p.metric for p in ends] == [None, rows[2]["mIoU_fg"], rows[3]["mIoU_fg"]]
    assert all(0 < p.fraction <= 1 for p in heard)


def test_the_test_split_is_looked_at_only_after_the_last_epoch(
    make_cell, run, shapes_splits, monkeypatch
):
    read: list[str] = []
    epochs: list[int] = []
    image = type(shapes_splits["test"]).image

    def noted(self, index):
        if self.folder == shapes_splits["test"].folder:
            read.append(str(epochs))
        return image(self, index)

    monkeypatch.setattr(type(shapes_splits["test"]), "image", noted)
    run(make_cell("segmentation", epochs=2), watch=lambda p: epochs.append(p.epoch))
    # Once by the trained weights, once by the untrained ones, and four as sample pictures: what
    # is predicted there, and the picture itself.
    assert len(read) == 2 * len(shapes_splits["test"]) + 2 * 4
    assert all("2" in epochs for epochs in read)
