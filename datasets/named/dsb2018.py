"""The nuclei of the 2018 Data Science Bowl."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from datasets.base import register
from datasets.download.source import Archive, Source, locate
from datasets.instance_masks import InstanceMasks

SOURCE = Source(
    name="dsb2018",
    licence="CC0",
    home="https://bbbc.broadinstitute.org/BBBC038",
    archives=(
        Archive(
            "https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip",
            82_923_446,
            "dcb6edc2690f137406638b2309581a71522c4dff19157d118453b448dcddcb68",
            "several projects that use it",
            into="stage1_train",
        ),
    ),
    inner="stage1_train",
    layout=("*/images/*.png", "*/masks/*.png"),
)


@register("dsb2018")
@dataclass(kw_only=True)
class Dsb2018(InstanceMasks):
    """Nuclei of the 2018 Data Science Bowl (BBBC038): 670 micrographs, one mask a nucleus.

    Its official test images come from other laboratories and are not used: the training
    images (``stage1_train``) are divided by a seeded split.

    Attributes:
        root: folder, if it is not ``dsb2018`` in the data folder.
        class_name: name of the only class.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = SOURCE

    root: str = ""
    layout: Literal["dsb2018", "penn_fudan"] = field(default="dsb2018", init=False)
    class_name: str = "nucleus"

    def __post_init__(self) -> None:
        self.root = str(locate(SOURCE, self.root))
        super().__post_init__()
