"""COCO 2017."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from datasets.base import register
from datasets.coco import Coco
from datasets.download.source import Archive, Source, locate

_HOST = "http://images.cocodataset.org"
_CHECKED_BY = "TensorFlow Datasets"

SOURCE = Source(
    name="coco2017",
    licence="annotation CC BY 4.0; photographs from Flickr, each under its own terms",
    home="https://cocodataset.org",
    archives=(
        Archive(
            f"{_HOST}/zips/train2017.zip",
            19_336_861_798,
            "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
            _CHECKED_BY,
        ),
        Archive(
            f"{_HOST}/zips/val2017.zip",
            815_585_330,
            "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
            _CHECKED_BY,
        ),
        Archive(
            f"{_HOST}/annotations/annotations_trainval2017.zip",
            252_907_541,
            "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
            _CHECKED_BY,
        ),
    ),
    layout=(
        "train2017",
        "val2017",
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
    ),
)


@register("coco2017")
@dataclass(kw_only=True)
class Coco2017(Coco):
    """COCO 2017: 80 classes, 118,287 images to train and validate on, 5,000 to test.

    The annotation of the official test images is not public: tested on the official ``val``;
    ``val`` is cut from the training images.

    Attributes:
        root: folder, if it is not ``coco2017`` in the data folder.
        fractions: shares of train, val and test; the first two divide the training images.

    The other options are those of :class:`datasets.coco.Coco`.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = SOURCE

    root: str = ""
    train: str | None = "train2017"
    test: str | None = "val2017"
    fractions: list[float] = field(default_factory=lambda: [0.9, 0.05, 0.05])

    def __post_init__(self) -> None:
        self.root = str(locate(SOURCE, self.root))
        super().__post_init__()
