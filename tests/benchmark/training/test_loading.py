"""Training batches follow from the cell alone."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.tasks import Batch
from benchmark.training.loading import (
    EpochBatches,
    TrainingSet,
    step_size,
    steps_per_epoch,
    training_batches,
)

AUGMENT = {"hflip": 0.5, "vflip": 0.5, "scale": [0.7, 1.4], "colour": 0.5}


def epochs(cell, split, count, workers=0):
    """The batches of the first epochs, as one list."""
    loader: Any = training_batches(cell, split, workers)
    found = []
    for epoch in range(1, count + 1):
        loader.batch_sampler.epoch = epoch
        found.append(list(loader))
    return found


def same(one: Batch, two: Batch) -> bool:
    pairs = [(one.images, two.images)]
    pairs += zip(one.boxes, two.boxes, strict=True)
    pairs += zip(one.labels, two.labels, strict=True)
    if one.semantic is not None and two.semantic is not None:
        pairs.append((one.semantic, two.semantic))
    if one.masks is not None and two.masks is not None:
        pairs += zip(one.masks, two.masks, strict=True)
    alike = (one.semantic is None, one.masks is None) == (two.semantic is None, two.masks is None)
    return alike and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("task", ["detection", "segmentation", "instance"])
def test_batches_do_not_depend_on_the_number_of_workers(make_cell, shapes_splits, task):
    cell = make_cell(task, augment=AUGMENT)
    alone, helped = (epochs(cell, shapes_splits["train"], 2, n) for n in (0, 2))
    for one, two in zip(alone, helped, strict=True):
        assert len(one) == 2
        assert all(same(a, b) for a, b in zip(one, two, strict=True))


def test_every_loss_gets_the_same_batches(make_cell, shapes_splits):
    split = shapes_splits["train"]
    one = epochs(make_cell(loss="giou", augment=AUGMENT), split, 2)
    two = epochs(make_cell(loss="l1", weight=7.0, augment=AUGMENT), split, 2)
    for a, b in zip(chain(*one), chain(*two), strict=True):
        assert same(a, b)


def test_repetitions_get_batches_of_their_own(make_cell, shapes_splits):
    split = shapes_splits["train"]
    one, two = (epochs(make_cell(repetition=r), split, 1)[0] for r in (0, 1))
    assert not any(same(a, b) for a, b in zip(one, two, strict=True))


def test_an_epoch_has_an_order_and_augmentation_of_its_own(make_cell, shapes_splits):
    cell = make_cell(augment=AUGMENT)
    sampler = EpochBatches(cell, 10)
    orders = []
    for sampler.epoch in (1, 2, 1):
        orders.append([index for batch in sampler for _, index in batch])
    assert orders[0] == orders[2] != orders[1]
    samples = TrainingSet(cell, shapes_splits["train"])
    assert np.array_equal(samples[1, 3][0], samples[1, 3][0])
    assert not np.array_equal(samples[1, 3][0], samples[2, 3][0])


def test_the_last_partial_batch_is_left_out(make_cell, shapes_splits):
    batches = epochs(make_cell(batch_size=4), shapes_splits["train"], 1)[0]
    assert [len(batch.images) for batch in batches] == [4, 4]


def test_a_batch_larger_than_the_split_is_the_whole_split(make_cell, shapes_splits):
    batches = epochs(make_cell(batch_size=64), shapes_splits["train"], 1)[0]
    assert [len(batch.images) for batch in batches] == [10]


@pytest.mark.parametrize(("n", "size", "steps"), [(10, 4, 2), (8, 4, 2), (3, 4, 1), (1, 1, 1)])
def test_steps_per_epoch(make_cell, n, size, steps):
    assert steps_per_epoch(n, size) == steps
    sampler = EpochBatches(make_cell(batch_size=size), n)
    assert len(sampler) == len(list(sampler)) == steps


def test_a_detector_gets_boxes_and_a_segmenter_masks(make_cell, shapes_splits):
    split = shapes_splits["train"]
    detection = epochs(make_cell("detection"), split, 1)[0][0]
    assert detection.semantic is None
    assert detection.images.dtype == torch.uint8
    assert detection.images.shape == (4, 3, 64, 64)
    assert sum(map(len, detection.boxes)) > 0
    assert [len(b) for b in detection.boxes] == [len(x) for x in detection.labels]
    segmentation = epochs(make_cell("segmentation"), split, 1)[0][0]
    assert segmentation.semantic.shape == (4, 64, 64)
    assert sum(map(len, segmentation.boxes)) == 0


def test_a_model_of_instances_gets_a_mask_for_each_box_and_what_a_detector_gets(
    make_cell, shapes_splits
):
    split = shapes_splits["train"]
    detection, instance = (
        epochs(make_cell(task, model="one", augment=AUGMENT), split, 1)[0][0]
        for task in ("detection", "instance")
    )
    assert detection.masks is None
    assert instance.semantic is None
    assert torch.equal(detection.images, instance.images)
    for boxes, own, masks in zip(detection.boxes, instance.boxes, instance.masks, strict=True):
        assert torch.equal(boxes, own)
        assert masks.dtype == torch.uint8
        assert masks.shape == (len(own), 64, 64)
        assert masks.sum((1, 2)).gt(0).all()
        assert masks.max() == 1


def test_without_augmentation_a_batch_holds_the_cached_samples(make_cell, shapes_splits):
    split = shapes_splits["train"]
    cell = make_cell(augment={"hflip": 0.0})
    keys = next(iter(EpochBatches(cell, len(split))))
    batch = epochs(cell, split, 1)[0][0]
    for row, (epoch, index) in enumerate(keys):
        assert epoch == 1
        assert np.array_equal(batch.images[row].permute(1, 2, 0).numpy(), split.image(index))
        assert np.array_equal(batch.boxes[row].numpy(), split.boxes(index))
        assert np.array_equal(batch.labels[row].numpy(), split.labels(index))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_draws_nothing_from_the_stream_of_the_model(make_cell, shapes_splits, workers):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    epochs(make_cell(), shapes_splits["train"], 2, workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_collate_keeps_the_layout_and_the_pairing():
    images = [np.full((2, 3, 3), value, np.uint8) for value in (1, 2)]
    boxes = [np.zeros((n, 4), np.float32) for n in (0, 2)]
    labels = [np.arange(n, dtype=np.int64) for n in (0, 2)]
    masks = [np.full((2, 3), value, np.uint8) for value in (0, 255)]
    instances = [np.full((n, 2, 3), n, np.uint8) for n in (0, 2)]
    batch = Batch.collate(list(zip(images, boxes, labels, masks, instances, strict=True)))
    moved = batch.to(torch.device("cpu"))
    for found in (batch, moved):
        assert found.images.shape == (2, 3, 2, 3)
        assert found.images.is_contiguous(memory_format=torch.channels_last)
        assert found.images[1].eq(2).all()
        assert [len(b) for b in found.boxes] == [0, 2]
        assert found.labels[1].tolist() == [0, 1]
        assert found.semantic is not None
        assert found.semantic[1].eq(255).all()
        assert found.masks is not None
        assert [m.shape for m in found.masks] == [(0, 2, 3), (2, 2, 3)]


def sizes(cell, epochs=2, steps=20):
    return [step_size(cell, e, s) for e in range(1, 1 + epochs) for s in range(1, 1 + steps)]


def test_without_multi_scale_every_step_has_the_cells_size(make_cell):
    assert set(sizes(make_cell(image_size=[48, 64]))) == {(48, 64)}


def test_sizes_of_the_steps_lie_in_the_range_and_differ(make_cell):
    cell = make_cell(image_size=[128, 256], multi_scale=[0.5, 1.5])
    found = sizes(cell, steps=100)
    assert {height for height, _ in found} == {64, 96, 128, 160, 192}
    assert {width for _, width in found} == set(range(128, 385, 32))
    # One factor for both sides, so they differ from 1 to 2 by rounding alone.
    assert all(abs(width - 2 * height) <= 32 + 16 for height, width in found)
    assert sizes(cell)[:20] != sizes(cell)[20:]


def test_sides_are_multiples_of_16_where_the_cells_are_and_never_too_small(make_cell):
    cell = make_cell(image_size=[48, 64], multi_scale=[0.25, 1.0])
    found = sizes(cell)
    assert {height for height, _ in found} == {32, 48}
    assert {width for _, width in found} == {32, 48, 64}


def test_all_losses_train_at_the_same_sizes_and_repetitions_at_their_own(make_cell):
    def of(**more):
        return sizes(make_cell(multi_scale=[0.5, 2.0], **more))

    assert of() == of(loss="l1", weight=3.0)
    assert of() != of(repetition=1)
    assert of() != of(seed=1)
