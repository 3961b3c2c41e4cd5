"""A run that was killed continues to the numbers that it would have had."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import losses
from benchmark.store import RunFolder
from benchmark.training import loop as training
from tests.benchmark.whole_runs import EAGER, Killed, history, kill_after

AUGMENT = {"hflip": 0.5, "scale": [0.8, 1.2]}


@pytest.mark.parametrize("task", ["detection", "segmentation"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "step"])
def test_a_killed_run_continues_to_the_same_numbers(make_cell, run, task, optimizer, schedule):
    cell = make_cell(
        task, epochs=4, optimizer=optimizer, schedule=schedule, augment=AUGMENT, **EAGER[task]
    )
    whole, whole_folder = run(cell, "whole")
    assert str(whole["metrics"]) != str(whole["untrained"])
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(2))
    parts_folder = RunFolder(whole_folder.path.with_name("parts"))
    assert parts_folder.checkpoint.exists()
    assert parts_folder.outcome() is None
    assert [row["epoch"] for row in parts_folder.history()] == [0, 1, 2]
    parts, _ = run(cell, "parts")
    for key in ("status", "metrics", "untrained"):
        assert json.dumps(parts[key]) == json.dumps(whole[key])
    assert str(history(parts_folder)) == str(history(whole_folder))


def remembering() -> type[losses.MaskLoss]:
    """BCE divided by its own running mean, which is state; notes the progress it is told."""

    @dataclass(frozen=True, kw_only=True)
    class Remembering(losses.MaskLoss):
        told: ClassVar[list[float]] = []
        mean: Tensor = field(default_factory=lambda: torch.ones(()), init=False, compare=False)

        def compute(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
            value = losses.get("bce").compute(logits, target, valid)
            if torch.is_grad_enabled():
                self.mean.lerp_(value.detach().mean(), 0.2)
            return value / self.mean

        def progress(self, fraction: float) -> None:
            self.told.append(fraction)

        def state_dict(self) -> dict[str, Tensor]:
            return {"mean": self.mean.clone()}

        def load_state_dict(self, state: dict[str, Tensor]) -> None:
            self.mean.copy_(state["mean"])

    return Remembering


RAMP = {"from": 0.01, "to": 1.0}
WITH_STATE: dict[str, list[dict[str, Any]]] = {
    "remembering": [{"name": "remembering"}],
    "scheduled": [
        {"name": "dice", "weight": {"from": 1.0, "to": 0.01}},
        {"name": "boundary", "weight": RAMP},
    ],
    "both": [{"name": "remembering", "weight": {**RAMP, "start": 0.4}}, {"name": "dice"}],
}


@pytest.mark.parametrize("terms", WITH_STATE.values(), ids=WITH_STATE)
def test_a_killed_run_takes_up_the_losss_state_and_its_place_in_the_schedule(
    make_cell, run, monkeypatch, terms
):
    loss = remembering()
    monkeypatch.setitem(losses.MASK, "remembering", loss)
    cell = make_cell("segmentation", "sum", options={"terms": terms}, epochs=4, lr=0.03)
    whole, whole_folder = run(cell, "whole")
    told = list(loss.told)
    loss.told.clear()
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(2))
    parts, folder = run(cell, "parts")
    assert parts["metrics"] == whole["metrics"]
    assert history(folder) == history(whole_folder)
    if told:
        # Once when the loss is built, then before each of 4 epochs of 2 steps.
        assert told == [0.0, *(step / 8 for step in range(8))]
        assert loss.told == [*told[:5], 0.0, *told[5:]]


def test_a_loss_that_forgets_would_be_noticed(make_cell, run, monkeypatch):
    """The test above can fail: without its state the continued run has other numbers."""
    loss = remembering()
    monkeypatch.setitem(losses.MASK, "remembering", loss)
    cell = make_cell("segmentation", "remembering", epochs=3, lr=0.03)
    whole_folder = run(cell, "whole")[1]
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(1))
    monkeypatch.setattr(loss, "load_state_dict", lambda self, state: None)
    folder = run(cell, "parts")[1]
    assert history(folder)[:2] == history(whole_folder)[:2]
    assert history(folder)[2] != history(whole_folder)[2]


def test_evaluation_leaves_the_loss_alone(make_cell, run, monkeypatch):
    calls = []
    loss = remembering()
    compute = loss.compute
    monkeypatch.setattr(loss, "compute", lambda *args: calls.append(1) or compute(*args))
    monkeypatch.setitem(losses.MASK, "remembering", loss)
    run(make_cell("segmentation", "remembering", epochs=2))
    assert len(calls) == len(loss.told) == 2 * 2


def test_a_state_that_does_not_fit_costs_time_but_no_number(make_cell, run, monkeypatch):
    """The state of the loss is taken up before the fault shows, and must be forgotten again."""
    loss = remembering()
    monkeypatch.setitem(losses.MASK, "remembering", loss)
    cell = make_cell("segmentation", "remembering", epochs=3, lr=0.03)
    whole, whole_folder = run(cell, "whole")
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(2))
    path = RunFolder(whole_folder.path.with_name("parts")).checkpoint
    content = torch.load(path, weights_only=True)
    content["schedule"] = None  # what is restored after the loss
    torch.save(content, path)
    parts, folder = run(cell, "parts")
    assert parts["metrics"] == whole["metrics"]
    assert history(folder) == history(whole_folder)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_an_unusable_checkpoint_costs_time_but_no_number(make_cell, run, content):
    cell = make_cell("segmentation", epochs=3)
    whole, whole_folder = run(cell, "whole")
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(2))
    folder = RunFolder(whole_folder.path.with_name("parts"))
    # None: cut short in the middle, as a full disk would leave it.
    cut = folder.checkpoint.read_bytes()[:2000] if content is None else content
    folder.checkpoint.write_bytes(cut)
    parts, _ = run(cell, "parts")
    assert parts["metrics"] == whole["metrics"]
    assert str(history(folder)) == str(history(whole_folder))


def test_a_run_killed_between_history_and_checkpoint_continues(make_cell, run, monkeypatch):
    cell = make_cell("segmentation", epochs=3)
    whole, whole_folder = run(cell, "whole")
    save = training.State.save

    def fail_in_the_second_epoch(state, folder):
        if state.epoch == 2:
            raise Killed
        save(state, folder)

    with monkeypatch.context() as patch:
        patch.setattr(training.State, "save", fail_in_the_second_epoch)
        with pytest.raises(Killed):
            run(cell, "parts")
    folder = RunFolder(whole_folder.path.with_name("parts"))
    assert [row["epoch"] for row in folder.history()] == [0, 1, 2]
    parts, _ = run(cell, "parts")
    assert json.dumps(parts["metrics"]) == json.dumps(whole["metrics"])
    assert str(history(folder)) == str(history(whole_folder))


def test_dropout_continues_too_whatever_the_loader(make_cell, run, recorder):
    cell = make_cell("segmentation", model="recorder", model_options={"dropout": 0.5}, epochs=3)
    whole, whole_folder = run(cell, "whole")
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(1), loader_workers=1)
    parts, folder = run(cell, "parts", loader_workers=1)
    assert parts["metrics"] == whole["metrics"]
    assert history(folder) == history(whole_folder)


def test_a_run_killed_before_its_test_has_the_same_outcome(make_cell, run):
    cell = make_cell("segmentation", epochs=2, eval_every=2)
    whole, whole_folder = run(cell, "whole")
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(2))
    parts, folder = run(cell, "parts")
    for key in ("metrics", "untrained", "validation"):
        assert parts[key] == whole[key]
    assert folder.details() == whole_folder.details()
