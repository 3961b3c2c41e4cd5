from __future__ import annotations

import numpy as np
import pytest

from benchmark.curves import box_arrows, box_placements
from benchmark.curves.box_paths import FAMILY, PATHS, SIDE, TARGET, follow
from benchmark.curves.lineup import each, pick
from benchmark.experiment.loss_spec import load_loss


def test_iou_on_each_path_is_the_overlap_of_squares():
    frames = {name: follow(path, [load_loss("iou")]) for name, path in PATHS.items()}
    offset = frames["slide"]["offset_px"].abs()
    common = (SIDE - offset).clip(lower=0)
    assert np.allclose(frames["slide"]["value"], 1 - common / (2 * SIDE - common))
    side = frames["grow"]["side_px"]
    smaller, larger = side.clip(upper=SIDE) ** 2, side.clip(lower=SIDE) ** 2
    assert np.allclose(frames["grow"]["value"], 1 - smaller / larger)
    # Equal areas A and aspect r >= 1: the overlap is A / √r.
    ratio = frames["turn"]["aspect_ratio"]
    common = 1 / np.sqrt(np.maximum(ratio, 1 / ratio))
    assert np.allclose(frames["turn"]["value"], 1 - common / (2 - common))


def test_gradient_length_is_that_of_finite_differences():
    path = PATHS["inside"]
    frame = follow(path, [load_loss("giou")])
    i = 40  # a disjoint place, away from kinks
    box, step = path.boxes(path.points)[i], 1e-4
    moved = np.concatenate([box + step * np.eye(4), box - step * np.eye(4)])
    low = np.minimum(moved[:, :2] - moved[:, 2:] / 2, TARGET[:2] - TARGET[2:] / 2)
    high = np.maximum(moved[:, :2] + moved[:, 2:] / 2, TARGET[:2] + TARGET[2:] / 2)
    hull = (high - low).prod(1)
    giou = 1 + (hull - moved[:, 2:].prod(1) - SIDE**2) / hull
    slope = (giou[:4] - giou[4:]) / (2 * step)
    assert frame["gradient_length"][i] == pytest.approx(np.linalg.norm(slope), rel=1e-6)


def test_placements_hold_the_values_worked_out_by_hand():
    data = box_placements.placement_values(pick("box", *FAMILY))
    values = data.pivot(index="loss", columns="placement", values="value")
    # Target 40×40, prediction 20×20. Near: hull 70×40, far: 130×40, union 2000.
    assert values.loc["GIoU", "disjoint, near"] == pytest.approx(1 + 800 / 2800)
    assert values.loc["GIoU", "disjoint, far"] == pytest.approx(1 + 3200 / 5200)
    assert values.loc["DIoU", "disjoint, near"] == pytest.approx(1 + 40**2 / (70**2 + 40**2))
    assert values.loc["DIoU", "enclosed, corner"] == pytest.approx(0.75 + 2 * 8**2 / (2 * 40**2))
    assert values.loc["CIoU", "enclosed, side"] == pytest.approx(0.75 + 8**2 / (2 * 40**2))
    assert np.allclose(values.loc["IoU"], [1, 1, 0.75, 0.75, 0.75])


def test_equal_numbers_are_joined_and_others_are_not():
    bars = [
        line.get_ydata()[0] for line in box_placements.textbook_placements([]).figure.axes[0].lines
    ]
    rows = {text.get_position()[1]: text.get_text() for text in _labels()}
    # Of two placements each bar joins one pair, of three it takes two bars.
    assert sorted(rows[y] for y in bars) == ["GIoU"] * 4 + ["IoU"] * 6


def _labels():
    texts = box_placements.textbook_placements([]).figure.axes[0].texts
    return [text for text in texts if text.get_text() in {entry[0] for entry in FAMILY}]


def test_arrows_are_the_descent_direction_of_the_centre():
    (frame,) = [box_arrows._pull(load_loss("iou"))]
    row = frame[(frame["cx_px"] == 18) & (frame["cy_px"] == 0)].iloc[0]
    # Overlap 4×12, union 1120; it shrinks by 12 a pixel to the right.
    assert row["value"] == pytest.approx(1 - 48 / 1120)
    assert row["pull_x"] == pytest.approx(-12 / 1120 - 48 * 12 / 1120**2)
    assert row["pull_y"] == pytest.approx(0)
    far = frame[frame["cx_px"].abs() > 22]
    assert np.allclose(far[["pull_x", "pull_y"]], 0, atol=1e-12)


@pytest.mark.parametrize("named", each("box"), ids=lambda named: named.label)
def test_every_box_loss_is_finite_on_every_path(named):
    for path in PATHS.values():
        frame = follow(path, [named])
        assert len(frame) == len(path.points)
        assert np.isfinite(frame[["value", "gradient_length"]]).all(axis=None)
