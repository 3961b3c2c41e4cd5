"""The generated data set: same bytes, exact annotation, options that do what they say."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from scipy import ndimage

from datasets.base import DATASETS, Split
from datasets.sample import DatasetError
from datasets.shapes import MIN_SIDE, PALETTE, Shapes
from datasets.silhouettes import SILHOUETTES, Draws, value_noise


class Fixed(Draws):
    """Draws that were decided beforehand."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def integer(self, low: int, high: int) -> int:
        number = self.numbers.pop(0)
        assert low <= number <= high
        return number


def pixel_grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    x = 2 * np.arange(width, dtype=np.int64)[None, :] + 1 - width
    y = 2 * np.arange(height, dtype=np.int64)[:, None] + 1 - height
    return x, y


def inside(corners: list[tuple[float, float]], width: int, height: int) -> np.ndarray:
    """Pixels of a box whose centres lie in a polygon; corners as shares of the box."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    polygon = Polygon([(u * width, v * height) for u, v in [*corners, corners[0]]], closed=True)
    return polygon.contains_points(np.stack([x.ravel(), y.ravel()], 1)).reshape(height, width)


def samples(dataset: Shapes, count: int, split: Split = "train") -> list[Any]:
    return [dataset.load_for(sample_id, split) for sample_id in dataset.ids(split)[:count]]


def digest(sample) -> str:
    arrays = sample.image, sample.boxes, sample.labels, sample.instance_masks, sample.semantic
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(data).hexdigest()[:16]


PLAIN: dict[str, Any] = {"objects": (1, 8), "difficulty": 0.5, "size_range": (0.06, 0.5)}
CROWDED: dict[str, Any] = {"seed": 7, "size": 97, "difficulty": 0.9, "objects": (20, 20)}
NOISY: dict[str, Any] = {"box_noise": 0.2, "mask_noise": 1, "foreground_share": 0.2}


# If these change, published results on generated data no longer compare: say so in the change.
@pytest.mark.parametrize(
    ("dataset", "sample_id", "expected"),
    [
        (Shapes(**PLAIN), "train-00000", "7a3c69feea10e422"),
        (Shapes(**PLAIN), "test-00255", "11f6a96cde133803"),
        (Shapes(**{**PLAIN, **CROWDED}), "val-00003", "a26cbef30495046b"),
        (Shapes(**PLAIN, **NOISY), "train-00011", "a5787d7354454430"),
    ],
)
def test_bytes_are_the_same_everywhere(dataset, sample_id, expected):
    assert digest(dataset.load_for(sample_id, sample_id.split("-")[0])) == expected


def hue_error(dataset: Shapes, index: int) -> list[float]:
    """Of each object: how far its mean colour lies from its class's, over all channels."""
    sample = dataset.load(f"train-{index:05d}")
    assert sample.instance_masks is not None
    return [
        float(np.abs(sample.image[mask].mean(0) - PALETTE[label]).max())
        for mask, label in zip(sample.instance_masks, sample.labels, strict=True)
    ]


def test_colour_tells_the_class_as_often_as_asked():
    def share_near(cue: float) -> float:
        dataset = Shapes(colour_cue=cue, difficulty=0.0)
        errors = [error for index in range(60) for error in hue_error(dataset, index)]
        return float(np.mean(np.array(errors) < 45))

    # Of all colours, few lie near the class's own by chance.
    assert share_near(1.0) > 0.9
    assert share_near(0.0) < 0.1
    assert 0.35 < share_near(0.5) < 0.65


def test_a_sample_depends_on_its_name_alone():
    alone = Shapes(train=1).load("train-00000")
    many = Shapes(train=300)
    many.load("train-00250")
    assert digest(many.load("train-00000")) == digest(alone)


def test_splits_seeds_and_indices_give_different_pictures():
    dataset = Shapes()
    ids = ["train-00000", "train-00001", "val-00000", "test-00000"]
    digests = {digest(dataset.load(sample_id)) for sample_id in ids}
    digests.add(digest(Shapes(seed=1).load("train-00000")))
    assert len(digests) == 5


def test_it_is_registered_and_serves_all_tasks():
    assert DATASETS["shapes"] is Shapes
    assert Shapes.tasks == {"detection", "segmentation", "instance"}
    assert Shapes(train=3, val=2, test=0).ids("train") == [
        "train-00000",
        "train-00001",
        "train-00002",
    ]
    assert Shapes(test=0).ids("test") == []
    assert Shapes().files("train-00000") == []


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    size=st.integers(32, 96),
    num_classes=st.integers(1, 5),
    most=st.integers(0, 15),
    difficulty=st.floats(0, 1),
    aspect=st.floats(1, 20),
)
def test_annotation_is_exactly_that_of_the_visible_parts(
    seed, size, num_classes, most, difficulty, aspect
):
    dataset = Shapes(
        seed=seed,
        size=size,
        num_classes=num_classes,
        objects=(0, most),
        difficulty=difficulty,
        aspect_range=aspect,
    )
    sample: Any = dataset.load("val-00000").validate(dataset.classes)
    assert len(sample.boxes) <= most
    assert sample.image.shape == (size, size, 3)
    assert (sample.instance_masks.sum(0) <= 1).all()
    expected = np.zeros((size, size), np.uint8)
    for mask, label, box in zip(sample.instance_masks, sample.labels, sample.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == tight
        expected[mask] = label + 1
    np.testing.assert_array_equal(sample.semantic, expected)


def test_hidden_objects_are_left_out():
    crowded = samples(Shapes(size=64, objects=(60, 60), size_range=(0.3, 0.6)), 5)
    assert all(0 < len(sample.boxes) < 60 for sample in crowded)
    assert all(sample.instance_masks.sum((1, 2)).min() >= MIN_SIDE for sample in crowded)


def test_sizes_and_aspect_ratios_stay_in_range_and_fill_it():
    dataset = Shapes(objects=(1, 1), aspect_range=3.0, size_range=(0.1, 0.5), train=400)
    boxes = np.concatenate([sample.boxes for sample in samples(dataset, 400)])
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    # One pixel of rounding on each side of a box of at least 128 · 0.1 / √3 = 7 pixels.
    ratio = np.maximum(width, height) / np.minimum(width, height)
    assert ratio.max() <= 3.0 * (1 + 1 / 7) ** 2
    assert ratio.max() > 2.7
    assert ratio.min() < 1.1
    side = np.sqrt(width * height) / 128
    assert 0.1 - 1.5 / 128 <= side.min() < 0.12
    assert 0.45 < side.max() <= 0.5 + 1.5 / 128
    assert 0.4 < (width > height).mean() < 0.6


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("num_classes", [1, 5])
def test_foreground_share_is_met(share, num_classes):
    dataset = Shapes(objects=(3, 12), foreground_share=share, num_classes=num_classes, train=120)
    measured = np.mean([(sample.semantic > 0).mean() for sample in samples(dataset, 120)])
    assert measured == pytest.approx(share, rel=0.2)


def test_difficulty_lowers_contrast_and_raises_grain():
    def contrast_and_grain(difficulty):
        contrast, grain = [], []
        dataset = Shapes(objects=(1, 1), size_range=(0.3, 0.4), difficulty=difficulty)
        for sample in samples(dataset, 40):
            mask = sample.instance_masks[0]
            around = ndimage.binary_dilation(mask, iterations=4) & ~mask
            image = sample.image.astype(float)
            contrast.append(np.abs(image[mask].mean(0) - image[around].mean(0)).max())
            grain.append(np.abs(np.diff(image[~mask.any(1)], axis=1)).mean())
        return np.mean(contrast), np.mean(grain)

    easy, hard = contrast_and_grain(0.0), contrast_and_grain(1.0)
    assert easy[0] > 2 * hard[0]
    assert easy[1] < hard[1] / 2


def test_box_noise_moves_training_boxes_only_and_by_no_more_than_asked():
    clean, noisy = Shapes(), Shapes(box_noise=0.1)
    for split in ("val", "test"):
        for one, other in zip(samples(clean, 5, split), samples(noisy, 5, split), strict=True):
            assert digest(one) == digest(other)
    shifts = []
    for one, other in zip(samples(clean, 60), samples(noisy, 60), strict=True):
        other.validate(noisy.classes)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.semantic, other.semantic)
        sides = np.tile(one.boxes[:, 2:] - one.boxes[:, :2], 2)
        shifts.append((other.boxes - one.boxes) / sides)
    moved = np.concatenate(shifts)
    assert np.abs(moved).max() <= 0.1 + 1e-6
    assert np.abs(moved).max() > 0.09
    assert abs(moved.mean()) < 0.01
    assert digest(noisy.load("train-00000")) == digest(clean.load("train-00000"))


def test_mask_noise_erodes_training_masks_only():
    clean, noisy = Shapes(objects=(6, 8)), Shapes(objects=(6, 8), mask_noise=2)
    assert digest(samples(clean, 1, "test")[0]) == digest(samples(noisy, 1, "test")[0])
    for one, other in zip(samples(clean, 6), samples(noisy, 6), strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        semantic = np.zeros_like(one.semantic)
        for row, mask in enumerate(one.instance_masks):
            eroded = ndimage.binary_erosion(mask, np.ones((5, 5)), border_value=1)
            np.testing.assert_array_equal(other.instance_masks[row], eroded)
            semantic[eroded] = one.labels[row] + 1
        np.testing.assert_array_equal(other.semantic, semantic)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1; it must be 0 or greater"),
        ({"train": -5}, "train is -5"),
        ({"size": 16}, "size is 16; it must be in 32..2048"),
        ({"num_classes": 6}, "num_classes is 6; it must be in 1..5"),
        ({"objects": (5, 2)}, r"objects is \(5, 2\)"),
        ({"difficulty": 1.5}, "difficulty is 1.5; it must be in 0..1"),
        ({"difficulty": float("nan")}, "difficulty is nan"),
        ({"aspect_range": 0.5}, "aspect_range is 0.5"),
        ({"size_range": (0.0, 0.5)}, "size_range"),
        ({"size_range": (0.1, 1.2)}, "size_range"),
        ({"foreground_share": 1.0}, "foreground_share is 1.0"),
        ({"foreground_share": 0.6, "objects": (1, 2)}, "would need objects of"),
        ({"foreground_share": 0.1, "objects": (0, 0)}, "needs objects"),
        ({"box_noise": 0.5}, "box_noise is 0.5"),
        ({"mask_noise": -1}, "mask_noise is -1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(DatasetError, match=message):
        Shapes(**options)


@pytest.mark.parametrize("sample_id", ["train-00512", "night-00000", "train", "train--1", ""])
def test_unknown_samples_are_refused(sample_id):
    with pytest.raises(DatasetError, match=f"no sample '{sample_id}'"):
        Shapes().load(sample_id)


def test_ellipse_by_hand():
    # Centres of a 4x4 box lie at ±1 and ±3 half pixels; 1+9 <= 16 < 9+9: only corners are out.
    mask = SILHOUETTES["ellipse"].draw(*pixel_grid(4, 4), 4, 4, Fixed())
    expected = np.ones((4, 4), bool)
    expected[[0, 0, 3, 3], [0, 3, 0, 3]] = False
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("tilt", [1, 4, 7])
def test_tilted_rectangle_is_the_polygon_it_describes(tilt):
    t = tilt / 16
    mask = SILHOUETTES["rectangle"].draw(*pixel_grid(41, 29), 41, 29, Fixed(1, tilt))
    expected = inside([(t, 0), (1, t), (1 - t, 1), (0, 1 - t)], 41, 29)
    assert (mask != expected).mean() < 0.005  # centres that lie on an edge


def test_upright_rectangle_fills_its_box():
    assert SILHOUETTES["rectangle"].draw(*pixel_grid(9, 5), 9, 5, Fixed(0)).all()


@pytest.mark.parametrize(
    ("swap", "flip", "corners"),
    [
        (0, 0, [(0.75, 0), (1, 1), (0, 1)]),
        (0, 1, [(0.75, 1), (1, 0), (0, 0)]),
        (1, 0, [(0, 0.75), (1, 1), (1, 0)]),
        (1, 1, [(1, 0.75), (0, 1), (0, 0)]),
    ],
)
def test_triangle_is_the_polygon_it_describes(swap, flip, corners):
    # The third corner is drawn as 8 of -16..16: three quarters along its side.
    mask = SILHOUETTES["triangle"].draw(*pixel_grid(37, 29), 37, 29, Fixed(swap, flip, 8))
    assert (mask != inside(corners, 37, 29)).mean() < 0.005


def test_crosses_by_hand():
    upright = SILHOUETTES["cross"].draw(*pixel_grid(8, 8), 8, 8, Fixed(4, 1))
    bar = np.zeros(8, bool)
    bar[3:5] = True  # |x| <= 8 · 4/16 = 2 half pixels
    np.testing.assert_array_equal(upright, bar[None, :] | bar[:, None])
    diagonal = SILHOUETTES["cross"].draw(*pixel_grid(8, 8), 8, 8, Fixed(4, 0))
    steps = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    # Neighbouring diagonals lie two half pixels apart.
    np.testing.assert_array_equal(diagonal, (steps <= 1) | (steps[:, ::-1] <= 1))


def test_ring_is_an_ellipse_with_a_hole():
    grid = pixel_grid(32, 32)
    ring = SILHOUETTES["ring"].draw(*grid, 32, 32, Fixed(8))
    disc = SILHOUETTES["ellipse"].draw(*grid, 32, 32, Fixed())
    hole = SILHOUETTES["ellipse"].draw(*pixel_grid(16, 16), 16, 16, Fixed())
    np.testing.assert_array_equal(ring[8:24, 8:24], ~hole)
    ring[8:24, 8:24] = disc[8:24, 8:24] = False
    np.testing.assert_array_equal(ring, disc)


@pytest.mark.parametrize("name", SILHOUETTES)
def test_mean_cover_is_what_the_foreground_share_counts_on(name):
    silhouette = SILHOUETTES[name]
    cover = [
        silhouette.draw(*pixel_grid(40, 30), 40, 30, Draws(seed)).mean() for seed in range(800)
    ]
    assert np.mean(cover) == pytest.approx(silhouette.cover, abs=0.03)


@given(st.integers(0, 2**60), st.integers(-50, 50), st.integers(0, 50))
def test_drawn_integers_lie_in_range(seed, low, extent):
    draws = Draws(seed)
    assert all(low <= draws.integer(low, low + extent) <= low + extent for _ in range(20))


def test_draws_are_spread_evenly():
    draws = Draws(0)
    counts = np.bincount([draws.integer(0, 4) for _ in range(5000)], minlength=5)
    assert (np.abs(counts - 1000) < 150).all()
    values = draws.signed_bytes(64, 64)
    assert values.min() == -128
    assert values.max() == 127
    assert abs(values.mean()) < 5
    shares = [draws.share() for _ in range(2000)]
    assert 0 <= min(shares) < 0.01
    assert 0.99 < max(shares) < 1


@pytest.mark.parametrize("size", [32, 33, 128])
def test_noise_agrees_with_interpolation_in_float64(size):
    noise = value_noise(Draws(3), size, 2)
    at = (np.arange(size) + 0.5) / size
    at = np.floor(at * 32 * 16) / (32 * 16)  # positions are kept in sixteenths of a finest cell
    rows, columns = np.meshgrid(at, at, indexing="ij")
    draws, total = Draws(3), np.zeros((2, size, size))
    for cells, weight in ((2, 6), (4, 4), (8, 3), (16, 2), (32, 1)):
        grid = draws.signed_bytes(2, cells + 1, cells + 1).astype(float)
        for channel in range(2):
            where = [rows * cells, columns * cells]
            total[channel] += weight * ndimage.map_coordinates(grid[channel], where, order=1)
    np.testing.assert_array_equal(noise, np.floor(total / 16 + 1e-9))
