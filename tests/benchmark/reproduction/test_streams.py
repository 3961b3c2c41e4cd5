"""Every loss of a repetition starts from the same weights and is fed the same: by its record."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from torch import nn

from benchmark.models import find_model
from benchmark.reproduction.streams import HASHED_EPOCHS, Streams, differences
from benchmark.seeding import stream_seed
from benchmark.store import RunFolder
from benchmark.tasks import TASKS
from benchmark.training.loading import training_batches
from benchmark.training.loop import Progress
from benchmark.training.state import resume_or_start
from losses import BOX, MASK

CPU = torch.device("cpu")
AUGMENT = {"hflip": 0.5, "scale": [0.8, 1.2], "colour": 0.1}


@pytest.fixture
def streams_of(run):
    """Train a cell and give what its folder says that it was fed."""
    return lambda *args, **more: run(*args, **more)[1].streams()


@pytest.mark.parametrize(
    ("task", "losses", "settings"),
    [
        ("detection", ["giou", "smooth_l1"], {"epochs": 3}),
        ("segmentation", ["bce", "dice", "lovasz_hinge"], {"epochs": 3}),
        ("segmentation", ["bce", "dice"], {"epochs": 2, "multi_scale": [0.5, 1.5], "ema": 0.9}),
        ("instance", ["giou", "smooth_l1"], {"epochs": 2}),
    ],
)
def test_losses_of_a_repetition_agree_and_repetitions_differ(
    make_cell, streams_of, task, losses, settings
):
    found = {}
    for loss in losses:
        for repetition in range(2):
            cell = make_cell(task, loss, repetition=repetition, augment=AUGMENT, **settings)
            found[loss, repetition] = streams_of(cell, f"{loss}{repetition}")
    first, second = found[losses[0], 0], found[losses[0], 1]
    assert [row["epoch"] for row in first["epochs"]] == [1, HASHED_EPOCHS]
    for (_, repetition), streams in found.items():
        assert streams == (first, second)[repetition]
    assert first["weights"] != second["weights"]
    hashes = [row[key] for one in (first, second) for row in one["epochs"] for key in row]
    digests = [value for value in hashes if isinstance(value, str)]
    assert len(set(digests)) == len(digests) == 8


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        *(("detection", name) for name in sorted(BOX)),
        *(("segmentation", name) for name in sorted(MASK)),
    ],
)
def test_every_loss_starts_from_the_same_weights(make_cell, tmp_path, task, loss):
    cell = make_cell(task, loss)
    state = resume_or_start(cell, RunFolder(tmp_path), ["a", "b"], 2, CPU)
    plain = find_model(cell.model.name, "model")(**cell.model.options)
    torch.manual_seed(stream_seed(cell, "weights"))
    assert state.streams == Streams.of(plain.build(2))


class Stop(Exception):
    """The run is killed here."""


def test_a_run_that_is_taken_up_again_keeps_its_record(make_cell, streams_of):
    cell = make_cell(epochs=3, augment=AUGMENT)
    whole = streams_of(cell, "whole")

    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        streams_of(cell, "cut", watch=stop)
    assert streams_of(cell, "cut") == whole


def test_processes_that_load_the_samples_change_nothing(make_cell, shapes_splits):
    cell = make_cell(epochs=1, augment=AUGMENT)
    found = []
    for workers in (0, 2):
        streams, batches = Streams("-"), training_batches(cell, shapes_splits["train"], workers)
        assert len(list(streams.follow(1, batches))) == len(batches)
        found.append(streams)
    assert found[0] == found[1]


def test_the_hashes_are_those_of_what_the_loader_gives(make_cell, shapes_splits):
    cell = make_cell("segmentation", augment=AUGMENT)
    batches = training_batches(cell, shapes_splits["train"])
    streams = Streams("-")
    seen = list(streams.follow(1, batches))
    assert TASKS["segmentation"].truth == {"semantic"}
    order, images = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    for keys, batch in zip(batches.batch_sampler, seen, strict=True):
        order.update(repr([shapes_splits["train"].ids[i] for _, i in keys]).encode())
        images.update(b"(64, 64)")
        pixels = batch.images.permute(0, 2, 3, 1).contiguous().numpy()
        images.update(b"(4, 64, 64, 3)" + pixels.tobytes())
        images.update(b"(0, 4)" * 4 + b"(0,)" * 4)
        images.update(b"(4, 64, 64)" + batch.semantic.numpy().tobytes())
    assert streams.epochs == [
        {"epoch": 1, "batches": order.hexdigest(), "images": images.hexdigest()}
    ]


def test_later_epochs_pass_by_unseen(make_cell, shapes_splits):
    batches = training_batches(make_cell(), shapes_splits["train"])
    streams = Streams("-")
    assert len(list(streams.follow(HASHED_EPOCHS + 1, batches))) == len(batches)
    assert streams.epochs == []


@pytest.mark.parametrize("change", ["value", "name", "buffer", "shape"])
def test_all_that_a_model_starts_from_counts(change):
    def build(changed: str = "") -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
        if changed == "value":
            model[0].weight.data[1, 1] += 1e-7
        if changed == "buffer":
            model[1].running_mean[2] = 1e-7
        if changed == "shape":
            model[0].weight = nn.Parameter(model[0].weight.data.reshape(3, 1, 2, 1))
        return nn.ModuleDict({"other": model}) if changed == "name" else model

    assert Streams.of(build()) == Streams.of(build())
    assert Streams.of(build()) != Streams.of(build(change))


def test_differences_are_named():
    def record(weights: str, *epochs: tuple[str, str]) -> dict:
        rows = [{"epoch": n, "batches": b, "images": i} for n, (b, i) in enumerate(epochs, 1)]
        return json.loads(json.dumps(Streams(weights, rows).content()))

    one = record("w", ("a", "b"), ("c", "d"))
    assert differences(one, one) == []
    assert differences(one, record("w", ("a", "b"))) == []
    assert differences(one, None) == differences(None, one) == []
    assert differences(one, record("v", ("a", "x"), ("y", "d"))) == [
        "the initial weights",
        "the augmented images of epoch 1",
        "the order of the samples of epoch 2",
    ]
