"""The Pascal VOC challenges of 2007 and 2012, and both together."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from datasets.base import Split, data_folder, register
from datasets.download.source import Archive, Source, locate
from datasets.named._official import OfficialSplits
from datasets.sample import Sample
from datasets.voc import LISTS, VOC_CLASSES, Voc, read_list

_HOST = "https://thor.robots.ox.ac.uk/pascal/VOC"
_LICENCE = "research only: photographs from Flickr, each under its own terms"
_FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass")
_CHECKED_BY = "TensorFlow Datasets"

VOC2007 = Source(
    name="voc2007",
    licence=_LICENCE,
    home="http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
    archives=(
        Archive(
            f"{_HOST}/voc2007/VOCtrainval_06-Nov-2007.tar",
            460_032_000,
            "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
            _CHECKED_BY,
        ),
        Archive(
            f"{_HOST}/voc2007/VOCtest_06-Nov-2007.tar",
            451_020_800,
            "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
            _CHECKED_BY,
        ),
    ),
    inner="VOCdevkit/VOC2007",
    layout=(*_FOLDERS, "ImageSets/Main/trainval.txt", "ImageSets/Main/test.txt"),
)
VOC2012 = Source(
    name="voc2012",
    licence=_LICENCE,
    home="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
    archives=(
        Archive(
            f"{_HOST}/voc2012/VOCtrainval_11-May-2012.tar",
            1_999_639_040,
            "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
            _CHECKED_BY,
        ),
    ),
    inner="VOCdevkit/VOC2012",
    layout=(*_FOLDERS, "ImageSets/Main/train.txt", "ImageSets/Main/val.txt"),
)
VOC0712 = Source(name="voc0712", licence=_LICENCE, home=VOC2007.home, needs=(VOC2007, VOC2012))


@dataclass(kw_only=True)
class _Official(OfficialSplits):
    """What the three have in common: readers, one a year, and the 20 classes."""

    skip_difficult: bool = True

    def _read(self, target: Literal["boxes", "masks"], **folders: Path) -> None:
        """Open the folder of each year; sets tasks and classes."""
        self.classes = list(VOC_CLASSES)
        self._readers = {
            year: Voc(
                root=str(folder),
                target=target,
                classes=self.classes,
                skip_difficult=self.skip_difficult,
            )
            for year, folder in folders.items()
        }
        self._lists = {year: folder / LISTS[target] for year, folder in folders.items()}
        self.tasks = next(iter(self._readers.values())).tasks

    def _list(self, year: str, name: str) -> list[str]:
        """The ids of one official list."""
        path = self._lists[year]
        return read_list(path.with_name(path.name.replace("{split}", name)))

    @abstractmethod
    def _place(self, sample_id: str) -> tuple[Voc, str]:
        """The reader of a sample, and what the sample is called there."""

    def files(self, sample_id: str) -> list[Path]:
        """The image and its XML or mask file."""
        reader, name = self._place(sample_id)
        return reader.files(name)

    def load(self, sample_id: str) -> Sample:
        """Read one image with its boxes or its class mask."""
        reader, name = self._place(sample_id)
        return reader.load(name)


@dataclass(kw_only=True)
class _OneYear(_Official):
    """One challenge, boxes or masks."""

    target: Literal["boxes", "masks"] = "boxes"

    def _open(self) -> None:
        folder = locate(self.source, self.root)
        self.root = str(folder)
        self._read(self.target, only=folder)

    def _place(self, sample_id: str) -> tuple[Voc, str]:
        return self._readers["only"], sample_id


@register("voc2007")
@dataclass(kw_only=True)
class Voc2007(_OneYear):
    """Pascal VOC 2007: 20 classes, 9,963 images with boxes, 632 of them with class masks.

    Trained on ``trainval``, of which a part is kept for validation; tested on the official
    ``test``.

    Attributes:
        root: folder, if it is not ``voc2007`` in the data folder.
        target: boxes, or class masks with an ignored border.
        skip_difficult: see :class:`datasets.voc.Voc`.
        val: ``cut`` takes ``val_fraction`` of ``trainval`` by ``split_seed``; ``official``
            takes the lists ``train`` and ``val`` (halves) as they are.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = VOC2007
    tasks = frozenset({"detection", "segmentation"})

    val: Literal["cut", "official"] = "cut"

    def __post_init__(self) -> None:
        self._open()
        self.use_official(self._list("only", "trainval"), self._list("only", "test"))
        if self.val == "official":
            lists: tuple[Split, Split] = ("train", "val")
            self._ids.update({split: self._list("only", split) for split in lists})


@register("voc2012")
@dataclass(kw_only=True)
class Voc2012(_OneYear):
    """Pascal VOC 2012: 20 classes, 11,540 images with boxes, 2,913 with class masks.

    The annotation of its official test images is not public: tested on the official ``val``,
    trained on ``train``, of which a part is kept for validation.

    Attributes:
        root: folder, if it is not ``voc2012`` in the data folder.
        target: boxes, or class masks with an ignored border.
        skip_difficult: see :class:`datasets.voc.Voc`.
        val_fraction, split_seed: the part of ``train`` that becomes ``val``.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = VOC2012
    tasks = frozenset({"detection", "segmentation"})

    def __post_init__(self) -> None:
        self._open()
        self.use_official(self._list("only", "train"), self._list("only", "val"))


@register("voc0712")
@dataclass(kw_only=True)
class Voc0712(_Official):
    """Pascal VOC 2007 and 2012 as detectors use them: trained on both, tested on 2007's test.

    Both ``trainval`` lists, 16,551 images, to train and validate on; 4,952 images to test.
    Boxes only: some of the images that 2012 has masks of are test images of 2007.

    Attributes:
        root: folder that holds ``voc2007`` and ``voc2012``, or ``VOC2007`` and ``VOC2012``, if
            it is not the data folder.
        skip_difficult: see :class:`datasets.voc.Voc`.
        val_fraction, split_seed: the part of both ``trainval`` that becomes ``val``.

    Raises:
        DatasetError: one is not there or lacks the layout, or an option is wrong.
    """

    source: ClassVar = VOC0712
    tasks = frozenset({"detection"})

    def __post_init__(self) -> None:
        folders = {
            source.name.removeprefix("voc"): _year(source, self.root) for source in VOC0712.needs
        }
        self.root = self.root or str(data_folder())
        self._read("boxes", **folders)
        training = [f"{year}/{name}" for year in folders for name in self._list(year, "trainval")]
        self.use_official(training, [f"2007/{name}" for name in self._list("2007", "test")])

    def _place(self, sample_id: str) -> tuple[Voc, str]:
        year, name = sample_id.split("/", 1)
        return self._readers[year], name


def _year(source: Source, root: str) -> Path:
    """The folder of one year below the root of both."""
    if not root:
        return locate(source, wanted=VOC0712.name)
    folders = (Path(root, source.name), Path(root, source.name.upper()))
    return locate(source, str(next((path for path in folders if path.is_dir()), folders[0])))
