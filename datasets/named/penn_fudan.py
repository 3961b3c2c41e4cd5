"""The Penn-Fudan pedestrians."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from datasets.base import register
from datasets.download.source import Archive, Source, locate
from datasets.instance_masks import InstanceMasks

SOURCE = Source(
    name="penn_fudan",
    licence="none stated; for research",
    home="https://www.cis.upenn.edu/~jshi/ped_html/",
    archives=(Archive("https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip", 53_723_336),),
    inner="PennFudanPed",
    layout=("PNGImages", "PedMasks"),
)


@register("penn_fudan")
@dataclass(kw_only=True)
class PennFudanPedestrians(InstanceMasks):
    """Penn-Fudan pedestrians: 170 street scenes, 345 people with boxes and masks.

    There is no official division: all images are divided by a seeded split.

    Attributes:
        root: folder, if it is not ``penn_fudan`` in the data folder.
        class_name: name of the only class.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = SOURCE

    root: str = ""
    layout: Literal["dsb2018", "penn_fudan"] = field(default="penn_fudan", init=False)
    class_name: str = "person"

    def __post_init__(self) -> None:
        self.root = str(locate(SOURCE, self.root))
        super().__post_init__()
