from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import pytest
import torch

from benchmark.simulation.descent import Boxes, ExactSlope
from benchmark.simulation.experiment import (
    SOLVED,
    Course,
    Settings,
    follow,
    one_thread,
    simulate,
    slope_of,
    start_boxes,
    trace,
)
from benchmark.simulation.protocol import CASES_PER_POINT, anchor_centres, cases
from benchmark.simulation.published import PUBLISHED
from benchmark.simulation.workers import MemoryWatch, processes
from losses import get

SMALL = Settings(points=3, block=2)


def assert_same(one: Course, other: Course) -> None:
    for field in fields(Course):
        if field.name != "seconds":
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_blocks_cover_the_points():
    assert (SMALL.cases, SMALL.blocks) == (3 * 343, 2)
    assert Settings().blocks == 53
    assert Settings(device="cuda").blocks == 1


def test_two_processes_give_the_very_numbers_of_one():
    alone = {text: simulate(text, SMALL) for text in ("ciou", "giou")}
    with processes(2) as pool:
        shared = {text: simulate(text, SMALL, pool) for text in alone}
    for text, course in alone.items():
        assert_same(course, shared[text])


def test_one_process_needs_no_pool():
    with processes(1) as pool:
        assert pool is None


def test_blocks_move_the_sums_by_rounding_only():
    whole, split = (simulate("ciou", Settings(points=3, block=block)) for block in (3, 1))
    for name in ("error", "iou", "final"):
        np.testing.assert_allclose(getattr(whole, name), getattr(split, name), rtol=1e-6)


def test_every_block_is_told_of():
    told = []
    simulate("iou", SMALL, on_block=lambda: told.append(1))
    assert len(told) == SMALL.blocks


def test_what_a_loss_remembers_does_not_pass_from_run_to_run():
    text = "{name: wise_iou, form: v3}"
    assert_same(simulate(text, SMALL), simulate(text, SMALL))


def test_the_seed_and_the_steps_matter():
    base = simulate("diou", SMALL)
    for other in (Settings(points=3, block=2, seed=1), Settings(points=3, block=2, steps="xyxy")):
        assert simulate("diou", other).error[-1] != base.error[-1]


def test_a_course_by_hand():
    # One case many times over, which IoU cannot move: error .5 + 3, IoU 0.
    start = torch.tensor([13.0, 10, 1, 1.5])[:, None].repeat(1, CASES_PER_POINT)
    target = torch.tensor([10.0, 10, 1, 1])[:, None].repeat(1, CASES_PER_POINT)
    course = follow(Boxes(start, target), ExactSlope(get("iou")))
    assert course.error.tolist() == [3.5 * 343] * 201
    assert course.final.tolist() == [3.5 * 343]
    assert not course.iou.any()
    assert not course.solved.any()
    assert course.stuck == 0


def test_solved_counts_iou_above_the_bound():
    boxes = start_boxes(anchor_centres(1, 0), "cpu")
    course = follow(boxes, ExactSlope(get("ciou")))
    assert course.solved[-1] == (boxes.iou > SOLVED).sum() > 300
    assert course.solved[0] < course.solved[-1]
    assert course.iou[-1] == pytest.approx(boxes.iou.sum().item())
    assert course.final == pytest.approx(boxes.errors().sum().item())


@pytest.mark.parametrize("name", ["giou", "diou", "ciou"])
def test_float32_is_enough(name):
    centres = anchor_centres(8, seed=1)
    single = follow(start_boxes(centres, "cpu"), ExactSlope(get(name))).error
    double = follow(Boxes(*cases(centres)), ExactSlope(get(name))).error
    # Until boxes arrive, to a few digits; then single boxes jump about the target, and of two
    # thousand the sums differ by chance, which the bound sets beside the error at the start.
    np.testing.assert_allclose(single[:40], double[:40], rtol=1e-3)
    np.testing.assert_allclose(single, double, atol=3e-3 * double[0], rtol=0)
    assert single[-1] == pytest.approx(double[-1], rel=0.05)


def test_cases_left_without_a_finite_gradient_are_counted(tmp_path):
    (tmp_path / "nan_loss.py").write_text(
        "def loss(pred, target):\n"
        "    return (pred - target).abs().sum(1) * (pred[:, 0] - pred[:, 0]) / 0.0\n"
    )
    text = f"{{name: '{tmp_path}/nan_loss.py:loss', kind: box}}"
    course = simulate(text, Settings(points=1))
    assert course.stuck == 343
    assert course.error[-1] == course.error[0]


def test_published_gradients_are_taken_by_name():
    exact, published = (
        simulate("giou", Settings(points=1, gradient=gradient))
        for gradient in ("exact", "published")
    )
    assert exact.error[-1] != published.error[-1]


def test_trace_starts_and_ends_where_the_descent_does():
    boxes = start_boxes(anchor_centres(1, 0), "cpu")
    start = boxes.state.numpy().copy()
    states = trace(boxes, slope_of("giou", SMALL))
    assert states.shape == (201, 4, 343)
    assert np.array_equal(states[0], start)
    assert np.array_equal(states[-1], boxes.state.numpy())


def test_a_failing_block_ends_the_simulation(monkeypatch):
    def fail(boxes):
        raise RuntimeError("no such box")

    monkeypatch.setitem(PUBLISHED, "iou", fail)
    settings = Settings(points=3, block=1, gradient="published")
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="no such box"):
        simulate("iou", settings, pool)


def test_one_thread_gives_the_others_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_memory_of_this_process_is_seen():
    watch = MemoryWatch()
    watch.look()
    assert watch.peak > 50e6
    first = watch.peak
    watch.peak = 0
    watch.look()  # within the same second: no second look
    assert first > 0
    assert watch.peak == 0
