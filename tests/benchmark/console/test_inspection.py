"""Statistics of a data set against values by hand, and the sample sheet."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from matplotlib.image import imread

from benchmark.console.inspection import class_colours, draw_sheet, statistics
from datasets.augment import Augment, Augmentation
from datasets.base import Dataset
from datasets.cache import prepare
from datasets.sample import Sample
from datasets.shapes import Shapes


@dataclass
class Fixed(Dataset):
    """Three grey images of 20 x 40 pixels whose annotation is known; the last one has none."""

    masks: bool = True
    objects: bool = True
    num_classes: int = 3

    tasks: ClassVar[frozenset[str]] = frozenset({"detection", "segmentation"})

    def __post_init__(self) -> None:
        self.classes = [f"class{k}" for k in range(self.num_classes)]

    def ids(self, split):
        return ["one", "two", "three"]

    def files(self, sample_id):
        return []

    def load(self, sample_id):
        boxes = {"one": [[0, 0, 10, 10], [5, 5, 35, 15]], "two": [[10, 0, 14, 20]]}
        labels = {"one": [0, 1], "two": [0]}
        semantic = np.zeros((20, 40), np.uint8)
        if sample_id == "one":
            semantic[:10, :20] = 1
            semantic[10:, :20] = 255
        if sample_id == "two":
            semantic[:, :10] = 2
        annotated = self.objects and sample_id in boxes
        return Sample(
            id=sample_id,
            path=f"{sample_id}.png",
            image=np.full((20, 40, 3), 90, np.uint8),
            boxes=np.array(boxes[sample_id] if annotated else [], np.float32).reshape(-1, 4),
            labels=np.array(labels[sample_id] if annotated else [], np.int64),
            semantic=semantic if self.masks else None,
            dropped=1 if sample_id == "three" and self.objects else 0,
        )


def cached(dataset, tmp_path, size=(20, 40)):
    return prepare(dataset, "train", size, tmp_path / "cache")


@pytest.fixture
def tables(tmp_path):
    return statistics(cached(Fixed(), tmp_path))


def test_images(tables):
    assert tables["images"]["value"].to_dict() == {
        "images": 3,
        "objects": 3,
        "images without objects": 1,
        "objects per image, mean": 1.0,
        "objects per image, most": 2,
        "height, px": 20,
        "width, px": 40,
        "degenerate boxes dropped": 1,
    }


def test_objects_by_class(tables):
    table = tables["objects"]
    assert table.index.tolist() == ["class0", "class1", "class2"]
    assert table["objects"].tolist() == [2, 1, 0]
    assert table["images"].tolist() == [2, 1, 0]
    np.testing.assert_allclose(table["share of objects"], [2 / 3, 1 / 3, 0])


def test_box_sizes(tables):
    # Boxes of 10x10, 30x10 and 4x20.
    table = tables["box sizes"]
    np.testing.assert_allclose(table.loc["width, px", ["0 %", "50 %", "100 %"]], [4, 10, 30])
    np.testing.assert_allclose(table.loc["height, px", ["0 %", "50 %", "100 %"]], [10, 10, 20])
    expected = [np.sqrt(80), 10, np.sqrt(300)]
    np.testing.assert_allclose(table.loc["√area, px", ["0 %", "50 %", "100 %"]], expected)


def test_aspect_ratios(tables):
    # Longer over shorter side: 1, 3 and 5.
    counts = tables["aspect ratios"]["objects"].to_dict()
    assert counts == {
        "1 to 1.5": 1,
        "1.5 to 2": 0,
        "2 to 3": 0,
        "3 to 4": 1,
        "4 to 8": 1,
        "8 and more": 0,
    }
    assert tables["aspect ratios"]["share of objects"].sum() == pytest.approx(1)


def test_foreground_leaves_out_ignored_pixels(tables):
    # Known pixels: 600, 800 and 800; class0 has 200 of the first, class1 200 of the second.
    table = tables["foreground"]
    np.testing.assert_allclose(table["share of pixels"], [400 / 2200, 200 / 2200, 200 / 2200, 0])
    assert table.index.tolist() == ["all classes", "class0", "class1", "class2"]
    everything = table.loc["all classes", ["0 % of images", "50 % of images", "100 % of images"]]
    np.testing.assert_allclose(everything, [0, 0.25, 1 / 3])


def test_statistics_without_objects_or_masks(tmp_path):
    tables = statistics(cached(Fixed(masks=False, objects=False), tmp_path))
    assert "foreground" not in tables
    assert tables["images"].loc["images without objects", "value"] == 3
    assert tables["box sizes"].isna().all(axis=None)
    assert tables["aspect ratios"]["objects"].sum() == 0
    assert tables["objects"]["share of objects"].tolist() == [0, 0, 0]


def near(image: np.ndarray, colour) -> int:
    """Number of pixels of a drawing that have a colour, up to rounding."""
    return int((np.abs(image[..., :3] - np.array(colour[:3])) < 0.02).all(-1).sum())


@pytest.mark.filterwarnings("ignore:.*without width or height:UserWarning")
def test_sheet_shows_boxes_masks_and_legend(tmp_path):
    first, second, third = class_colours(3)
    path = tmp_path / "deep" / "sheet.png"
    draw_sheet(cached(Fixed(), tmp_path), None, 0, path, columns=3, rows=1)
    image = imread(path)
    assert near(image, first) > 100
    assert near(image, second) > 100
    assert near(image, third) == 0  # no sample has it, so the legend leaves it out
    grey = 90 / 255
    blended = [0.6 * grey + 0.4 * part for part in first]
    assert near(image, blended) > 500
    draw_sheet(cached(Fixed(objects=False, masks=False), tmp_path), None, 0, path, 3, 1)
    plain = imread(path)
    assert near(plain, first) == near(plain, second) == near(plain, blended) == 0
    assert near(plain, [grey] * 3) > 1000


@pytest.mark.filterwarnings("ignore:.*without width or height:UserWarning")
def test_boxes_are_drawn_where_they_are(tmp_path):
    path = tmp_path / "sheet.png"
    draw_sheet(cached(Fixed(masks=False), tmp_path), None, 0, path, columns=3, rows=1)
    image = imread(path)
    colour = class_colours(3)[1]
    drawn = (np.abs(image[..., :3] - np.array(colour)) < 0.02).all(-1)
    drawn[int(0.8 * len(drawn)) :] = False  # the legend
    rows, columns = np.nonzero(drawn)
    # Only sample "one" has this class: its box is 30 x 10 in an image of 40 x 20.
    ratio = np.ptp(columns) / np.ptp(rows)
    assert ratio == pytest.approx(3.0, rel=0.05)


def test_sheet_follows_its_seed_and_the_augmentation(tmp_path):
    split = cached(Shapes(train=8, size=32), tmp_path, (32, 32))
    augmentation = Augmentation(Augment(scale=(0.5, 1.5), colour=0.5), 32, 32)

    def drawn(augment, seed):
        draw_sheet(split, augment, seed, tmp_path / "sheet.png", columns=2, rows=1)
        return (tmp_path / "sheet.png").read_bytes()

    assert drawn(augmentation, 1) == drawn(augmentation, 1)
    assert len({drawn(augmentation, 1), drawn(augmentation, 2), drawn(None, 1)}) == 3


class Crowd(Fixed):
    """A box of each class in every image."""

    def load(self, sample_id):
        boxes = np.stack([np.arange(4) // 2 * 9 + k for k in range(self.num_classes)])
        return replace(
            super().load(sample_id),
            boxes=boxes.astype(np.float32),
            labels=np.arange(self.num_classes, dtype=np.int64),
            dropped=0,
        )


def test_the_legend_of_many_classes_is_cut_short(tmp_path):
    path = tmp_path / "sheet.svg"
    draw_sheet(cached(Crowd(num_classes=15), tmp_path, (60, 80)), None, 0, path)
    text = path.read_text()
    assert "class11" in text
    assert "class12" not in text
    assert "and 3 more classes" in text
    assert text.count("<image") == 3  # fewer samples than there are places
    assert "ignored" in text
    assert len(set(class_colours(80))) == 80


def test_the_legend_names_only_what_is_drawn(tmp_path):
    path = tmp_path / "sheet.svg"
    split = cached(Shapes(train=3, num_classes=2, size=32), tmp_path, (32, 32))
    draw_sheet(split, None, 0, path)
    assert "ignored" not in path.read_text()
    shrunk = Augmentation(Augment(scale=(0.5, 0.5)), 32, 32)
    draw_sheet(split, shrunk, 0, path)
    assert "ignored" in path.read_text()


def test_drawing_leaves_pyplot_alone(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    draw_sheet(cached(Shapes(train=2, size=32), tmp_path, (32, 32)), None, 0, tmp_path / "s.png")
    assert plt.get_fignums() == before
