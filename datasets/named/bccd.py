"""The blood cells of BCCD."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from datasets.base import register
from datasets.download.source import Archive, Source, locate
from datasets.voc import Voc

SOURCE = Source(
    name="bccd",
    licence="MIT",
    home="https://github.com/Shenggan/BCCD_Dataset",
    archives=(
        Archive(
            "https://github.com/Shenggan/BCCD_Dataset/archive/v1.0.zip",
            7_875_205,
            "97af5cc16d14d293fcb3c82a8f66e49b0339a8d0abd8e9508e0feeb4911caa1f",
            "TensorFlow Datasets",
            name="BCCD_Dataset-1.0.zip",
            strip=1,
        ),
    ),
    inner="BCCD",
    layout=("JPEGImages", "Annotations", "ImageSets/Main/train.txt"),
)


@register("bccd")
@dataclass(kw_only=True)
class Bccd(Voc):
    """BCCD: 364 micrographs of blood, 4,886 red cells, white cells and platelets with boxes.

    Attributes:
        root: folder, if it is not ``bccd`` in the data folder.
        classes: the order of the three.

    The other options are those of :class:`datasets.voc.Voc`.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = SOURCE

    root: str = ""
    classes: list[str] = field(default_factory=lambda: ["RBC", "WBC", "Platelets"])

    def __post_init__(self) -> None:
        self.root = str(locate(SOURCE, self.root))
        super().__post_init__()
