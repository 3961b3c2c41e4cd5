"""Settings of the training at work in whole runs: averages, frozen parts, sizes, types, waiting."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.models import MODELS, ModelSpec, SegmentationModel
from benchmark.models.detection.tiny_fcos import TinyFCOS, TinyFCOSSpec
from benchmark.store import RunFolder
from benchmark.tasks import Batch
from benchmark.training import loop as training
from benchmark.training.loading import step_size, training_batches
from benchmark.training.state import State, amp_type, resume_or_start
from tests.benchmark.whole_runs import Killed, history, kill_after

CPU = torch.device("cpu")


class TwoParts(SegmentationModel):
    """A backbone and a head, each a convolution and a batch norm; notes what it gets."""

    backbone: ClassVar[tuple[str, ...]] = ("features",)
    shapes: ClassVar[list[tuple[int, ...]]] = []

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Sequential(
            nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, num_classes, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.shapes.append(tuple(images.shape))
        return self.head(self.features(images))


@dataclass
class TwoPartsSpec(ModelSpec):
    """A model for tests."""

    task: ClassVar[str] = "segmentation"

    def build(self, num_classes: int) -> nn.Module:
        return TwoParts(num_classes)


class FCOSWithBackbone(TinyFCOS):
    backbone: ClassVar[tuple[str, ...]] = ("stem", "stage8")


@dataclass(frozen=True)
class FCOSWithBackboneSpec(TinyFCOSSpec):
    """A detector for tests."""

    def build(self, num_classes: int) -> TinyFCOS:
        return FCOSWithBackbone(num_classes, self)


@pytest.fixture(autouse=True)
def _models(monkeypatch):
    monkeypatch.setitem(MODELS, "two_parts", TwoPartsSpec)
    monkeypatch.setitem(MODELS, "fcos_with_backbone", FCOSWithBackboneSpec)
    monkeypatch.setattr(TwoParts, "shapes", [])
    monkeypatch.setattr(training, "REPORT_EVERY", math.inf)


MODEL: dict[str, dict[str, Any]] = {
    "segmentation": {"model": "two_parts", "model_options": {}},
    "detection": {"model": "fcos_with_backbone", "model_options": {"width": 8}},
}


@pytest.fixture
def cell_of(make_cell):
    return lambda task, **settings: make_cell(task, **{"lr": 0.01, **MODEL[task], **settings})


def checkpoint(tmp_path, name: str) -> dict[str, Any]:
    return torch.load(RunFolder(tmp_path / name).checkpoint, weights_only=True)


def told(folder: RunFolder) -> str:
    """The history as text, in which NaN equals NaN."""
    return json.dumps(history(folder))


@pytest.mark.parametrize("task", ["detection", "segmentation"])
@pytest.mark.parametrize(
    "settings",
    [
        {"ema": 0.8},
        {"multi_scale": [0.5, 1.5]},
        {"freeze": "norm", "backbone_lr": 0.1},
        {"ema": 0.9, "multi_scale": [0.5, 1.0], "freeze": "backbone"},
        {"amp": "fp16", "ema": 0.9},
    ],
    ids=str,
)
def test_a_killed_run_continues_to_the_same_numbers(cell_of, run, task, settings):
    cell = cell_of(task, epochs=3, **settings)
    whole, whole_folder = run(cell, "whole")
    with pytest.raises(Killed):
        run(cell, "parts", watch=kill_after(1))
    parts, parts_folder = run(cell, "parts")
    assert json.dumps(parts["metrics"]) == json.dumps(whole["metrics"])
    assert told(parts_folder) == told(whole_folder)


def test_the_average_is_what_is_measured(cell_of, run, tmp_path, shapes_splits):
    """The metrics of an epoch are those of the averaged weights in its checkpoint."""
    cell = cell_of("segmentation", epochs=3, ema=0.5, eval_every=1)
    with pytest.raises(Killed):
        run(cell, watch=kill_after(2))
    content = checkpoint(tmp_path, "run")
    plain, averaged = TwoParts(2), TwoParts(2)
    plain.load_state_dict(content["model"])
    averaged.load_state_dict(content["average"]["model"])
    classes = shapes_splits["train"].classes
    state = resume_or_start(cell, RunFolder(tmp_path / "run"), classes, 2, CPU)
    on_val = state.task.evaluator(shapes_splits["val"])
    rows = RunFolder(tmp_path / "run").history()
    found, other = (on_val(m.eval(), CPU, 8) for m in (averaged, plain))
    assert found == {name: rows[2][name] for name in found}
    assert found != other
    with torch.no_grad():
        assert on_val(state.measured, CPU, 8) == found


def test_the_average_does_not_change_the_training(cell_of, run):
    plain, averaged = (
        run(cell_of("segmentation", epochs=2, **more), str(more))[1].history()
        for more in ({}, {"ema": 0.9})
    )
    for one, two in zip(plain, averaged, strict=True):
        assert one.get("loss_total") == two.get("loss_total")
    assert plain[-1]["mIoU"] != averaged[-1]["mIoU"]


NORM = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
NORM = {f"features.1.{name}" for name in NORM}


@pytest.mark.parametrize(
    ("freeze", "kept"),
    [
        ("none", set()),
        ("norm", NORM),
        ("backbone", NORM | {"features.0.weight", "features.0.bias"}),
    ],
)
def test_what_is_frozen_keeps_its_bits_and_the_rest_moves(cell_of, run, tmp_path, freeze, kept):
    cell = cell_of("segmentation", epochs=2, freeze=freeze)
    (tmp_path / "run").mkdir()
    before = resume_or_start(cell, RunFolder(tmp_path / "run"), ["a", "b"], 2, CPU).model
    before = {name: value.clone() for name, value in before.state_dict().items()}
    with pytest.raises(Killed):
        run(cell, watch=kill_after(1))
    after = checkpoint(tmp_path, "run")["model"]
    assert {name for name in after if torch.equal(after[name], before[name])} == kept


def test_the_sizes_are_those_that_were_drawn(cell_of, run):
    settings = {"epochs": 2, "multi_scale": [0.5, 1.5]}
    cell = cell_of("segmentation", **settings)
    run(cell, "one")
    drawn = [(4, 3, *step_size(cell, epoch, step)) for epoch in (1, 2) for step in (1, 2)]
    assert TwoParts.shapes == drawn
    assert len(set(drawn)) > 1
    TwoParts.shapes.clear()
    run(cell_of("segmentation", loss="dice", weight=3.0, **settings), "two")
    assert TwoParts.shapes == drawn


@pytest.mark.parametrize(
    ("amp", "expected"),
    [(False, None), (True, torch.bfloat16), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_types_of_mixed_precision_on_the_cpu(cell_of, run, tmp_path, amp, expected):
    assert amp_type(amp, CPU) == expected
    (tmp_path / "state").mkdir()
    state = resume_or_start(
        cell_of("segmentation", amp=amp), RunFolder(tmp_path / "state"), ["a", "b"], 2, CPU
    )
    assert state.scaler.is_enabled() == (amp == "fp16")
    outcome, folder = run(cell_of("segmentation", amp=amp))
    assert outcome["status"] == "done"
    assert math.isfinite(folder.history()[1]["loss_total"])


def state_of(cell, folder, device: torch.device = CPU, steps: int = 2) -> State:
    folder.mkdir()
    return resume_or_start(cell, RunFolder(folder), ["a", "b"], steps, device)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_compiled_parts_give_the_same_numbers(cell_of, run, monkeypatch, task):
    """Traced and run as it is; what a backend makes of it is not ours."""
    compiled = []
    compile_it = torch.compile

    def noted(function, **options):
        compiled.append(function.__self__)
        return compile_it(function, backend="eager", **options)

    plain = run(cell_of(task), "plain")[0]
    monkeypatch.setattr(torch, "compile", noted)
    torch.compiler.reset()
    traced = run(cell_of(task, compile=True), "traced")[0]
    assert [type(module) for module in compiled] == {
        "segmentation": [TwoParts],
        "detection": [nn.Sequential, nn.Sequential],
    }[task]
    assert json.dumps(traced["metrics"]) == json.dumps(plain["metrics"])


def test_a_step_draws_the_same_however_much_the_one_before_drew(cell_of, run, monkeypatch):
    """As where regions are sampled among proposals, whose number the loss has a say in."""
    drawn: dict[int, list[float]] = {1: [], 5: []}
    step = training._train_step
    for count, seen in drawn.items():

        def drawing(*arguments: Any, count: int = count, seen: list[float] = seen) -> Tensor:
            seen.append(torch.rand(count)[0].item())
            return step(*arguments)

        monkeypatch.setattr(training, "_train_step", drawing)
        run(cell_of("segmentation", batch_size=2), f"draws-{count}")
    assert drawn[1] == drawn[5]
    assert len(set(drawn[1])) == len(drawn[1]) > 2


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_step_on_the_cpu(cell_of, tmp_path):
    state, plain = (
        state_of(cell_of("segmentation", compile=on), tmp_path / str(on)) for on in (True, False)
    )
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    batch = Batch(images, [], [], torch.randint(0, 3, (2, 32, 32), dtype=torch.uint8))
    one, two = (s.task.parts(s.model, batch)["mask"] for s in (state, plain))
    one.backward()
    two.backward()
    assert one.item() == pytest.approx(two.item(), rel=1e-5)
    for a, b in zip(state.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6)


class Reads(TorchDispatchMode):
    """Counts the tensors whose value the host asks for, for which it waits for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(options or {}))


WATCHED = {"optimizer": "sgd", "ema": 0.9, "multi_scale": [0.5, 1.5], "freeze": "norm"}


@pytest.fixture
def reads_of_an_epoch(cell_of, shapes_splits, tmp_path, monkeypatch):
    """How many values the host asks for in an epoch of so many steps."""
    # On a CPU alone the losses look whether any pixel is ignored.
    monkeypatch.setattr("losses.mask._blocks._all_true", lambda valid: False)

    def count(steps: int) -> int:
        cell = cell_of("segmentation", batch_size=10 // steps, **WATCHED)
        batches = training_batches(cell, shapes_splits["train"])
        assert len(batches) == steps
        state = state_of(cell, tmp_path / str(steps), steps=steps)
        state.epoch = 1
        with Reads() as reads:
            training._train_epoch(state, batches, cell, CPU, lambda *told: None)
        return reads.count

    return count


def test_no_step_asks_for_a_value(reads_of_an_epoch):
    """However many there are: the sums are read at the end."""
    assert reads_of_an_epoch(2) == reads_of_an_epoch(5) > 0


def test_the_display_would_be_counted(reads_of_an_epoch, monkeypatch):
    """The test above can fail: on a CPU a message to the display reads the loss at once."""
    monkeypatch.setattr(training, "REPORT_EVERY", -1.0)
    assert reads_of_an_epoch(5) == reads_of_an_epoch(2) + 3


@pytest.mark.cuda
@pytest.mark.parametrize("amp", [False, "bf16", "fp16"])
def test_no_step_waits_for_the_gpu(cell_of, shapes_splits, tmp_path, monkeypatch, amp):
    """torch's own watch over what waits: as often in five steps as in two, messages included."""
    monkeypatch.setattr(training, "REPORT_EVERY", -1.0)
    device = torch.device("cuda")
    counts = []
    for size in (4, 4, 2):  # the first warms up
        cell = cell_of("segmentation", batch_size=size, amp=amp, ema=0.9, multi_scale=[0.5, 1.5])
        batches = training_batches(cell, shapes_splits["train"], 0, pin_memory=True)
        state = state_of(cell, tmp_path / f"{len(counts)}", device, len(batches))
        state.epoch = 1
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                training._train_epoch(state, batches, cell, device, lambda *told: None)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        counts.append(sum("synchroniz" in str(w.message) for w in caught))
    assert counts[1] == counts[2]
