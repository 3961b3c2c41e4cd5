"""Faults of boxes that no single file shows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.annotation_check import check_boxes
from benchmark.options import UserError
from datasets.sample import Sample

SIZE = (64, 64)


def sample(name: str, *boxes: tuple[float, float, float, float], size: int = 32) -> Sample:
    return Sample(
        id=name,
        path=f"{name}.png",
        image=np.zeros((size, size, 3), np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.zeros(len(boxes), np.int64),
    )


def splits(make_split, train, test):
    return {
        "train": make_split(train, ["dog"], SIZE),
        "test": make_split(test, ["dog"], SIZE),
    }


def test_a_split_without_any_box_is_named(make_split):
    good, empty = [sample("a", (1, 1, 9, 9))], [sample("b"), sample("c")]
    with pytest.raises(UserError, match=r"'cells': its test split has no object: none of its 2"):
        check_boxes("cells", splits(make_split, good, empty))


def test_boxes_within_the_first_pixel_everywhere_are_shares(make_split):
    # Images are enlarged to twice their size, so the limit is not 1 pixel of the decoded image.
    shares = [sample("a", (0.1, 0.2, 0.9, 1.0)), sample("b", (0.0, 0.0, 0.5, 0.5))]
    with pytest.raises(UserError, match="coordinates must be pixels, not shares"):
        check_boxes("cells", splits(make_split, shares, shares))


def test_one_larger_box_is_enough(make_split):
    tiny, large = [sample("a", (0, 0, 1, 1))], [sample("b", (0, 0, 0.5, 1.5))]
    check_boxes("cells", splits(make_split, tiny, large))


def test_images_without_objects_beside_others_are_fine(make_split):
    some = [sample("a"), sample("b", (1, 1, 9, 9))]
    check_boxes("cells", splits(make_split, some, some))
