"""The Oxford-IIIT pets: outlines of cats and dogs, and boxes around their heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from datasets.base import SPLITS, Split, register
from datasets.classes import check_classes
from datasets.download.source import Archive, Source, locate
from datasets.images import check_size, read_image, read_mask
from datasets.named._official import OfficialSplits
from datasets.objects import build_sample, mask_sample
from datasets.sample import IGNORE, DatasetError, Sample
from datasets.splits import split_ids
from datasets.voc import check_stated_size, read_objects

SOURCE = Source(
    name="oxford_pet",
    licence="CC BY-SA 4.0",
    home="https://www.robots.ox.ac.uk/~vgg/data/pets/",
    archives=(
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
            791_918_971,
            "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
            "TensorFlow Datasets",
        ),
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
            19_173_078,
            "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
            "TensorFlow Datasets",
        ),
    ),
    layout=(
        "images",
        "annotations/trimaps",
        "annotations/xmls",
        "annotations/trainval.txt",
        "annotations/test.txt",
    ),
)

_TASKS = {
    "foreground": frozenset({"segmentation"}),
    "trimap": frozenset({"segmentation"}),
    "head": frozenset({"detection"}),
}
_SPECIES = ["cat", "dog"]
_PET, _BACKGROUND, _BORDER = 1, 2, 3  # values of a trimap


@register("oxford_pet")
@dataclass(kw_only=True)
class OxfordPet(OfficialSplits):
    """Oxford-IIIT pets: 7,349 cats and dogs of 37 breeds with outlines, half with head boxes.

    The official lists are ``trainval``, of which a part is kept for validation, and ``test``.
    Heads are annotated for ``trainval`` only: with ``target: head`` its images are divided
    into all three splits, and images without a box are left out.

    Attributes:
        root: folder, if it is not ``oxford_pet`` in the data folder.
        target: ``foreground``, the pet with its border; ``trimap``, the pet and its border
            apart; ``head``, boxes.
        border: of ``trimap``: ignored, or a class of its own.
        breeds: name the 37 breeds; otherwise one class ``pet``, and ``cat`` and ``dog`` for heads.
        val_fraction, split_seed: the part of ``trainval`` that becomes ``val``.
        test_fraction: of ``head``: the part of ``trainval`` that becomes ``test``.

    Raises:
        DatasetError: it is not there, its folder lacks the layout, or an option is wrong.
    """

    source: ClassVar = SOURCE
    tasks = frozenset({"detection", "segmentation"})

    target: Literal["foreground", "trimap", "head"] = "foreground"
    border: Literal["ignore", "class"] = "ignore"
    breeds: bool = False
    test_fraction: float = 0.2

    def __post_init__(self) -> None:
        self._folder = locate(SOURCE, self.root)
        self.root = str(self._folder)
        self.tasks = _TASKS[self.target]
        trainval, test = (self._read_list(name) for name in ("trainval", "test"))
        self._breed = trainval | test
        self.classes = self._class_names()
        if self.target == "head":
            self._divide_heads(list(trainval))
        else:
            self.use_official(list(trainval), list(test))

    def _read_list(self, name: str) -> dict[str, int]:
        """Id -> number of the breed, from 1, of one official list."""
        path = self._folder / "annotations" / f"{name}.txt"
        found: dict[str, int] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if len(words) != 4 or not words[1].isdigit() or words[1] == "0":
                raise DatasetError(
                    f"{path}: line {number} is '{line[:60]}', expected an image's name and "
                    "three numbers from 1"
                )
            found[words[0]] = int(words[1])
        if not found:
            raise DatasetError(f"{path}: the list is empty")
        return found

    def _class_names(self) -> list[str]:
        own = list(_SPECIES) if self.target == "head" else ["pet"]
        if self.breeds:
            names = {number: name.rsplit("_", 1)[0] for name, number in self._breed.items()}
            if set(names) != set(range(1, len(names) + 1)):
                raise DatasetError(f"{self._folder}: the numbers of the breeds have gaps")
            own = [names[number] for number in sorted(names)]
        if self.target == "trimap" and self.border == "class":
            own.append("border")
        return check_classes(own, f"{self._folder}: classes")

    def _divide_heads(self, trainval: list[str]) -> None:
        """Fix the ids where the official test images have no annotation."""
        train = 1 - self.val_fraction - self.test_fraction
        if min(train, self.val_fraction, self.test_fraction) <= 0:
            raise DatasetError(
                f"val_fraction: {self.val_fraction} and test_fraction: {self.test_fraction} must "
                "be above 0 and leave something to train on"
            )
        boxed = [name for name in trainval if self._annotation(name).is_file()]
        shares = (train, self.val_fraction, self.test_fraction)
        fractions: dict[Split, float] = dict(zip(SPLITS, shares, strict=True))
        self._ids = split_ids(boxed, fractions, self.split_seed)

    def _annotation(self, sample_id: str) -> Path:
        kind, suffix = ("xmls", "xml") if self.target == "head" else ("trimaps", "png")
        return self._folder / "annotations" / kind / f"{sample_id}.{suffix}"

    def _image(self, sample_id: str) -> Path:
        return self._folder / "images" / f"{sample_id}.jpg"

    def files(self, sample_id: str) -> list[Path]:
        """The image and its trimap or XML file."""
        paths = (self._image(sample_id), self._annotation(sample_id))
        return [path for path in paths if path.is_file()]

    def load(self, sample_id: str) -> Sample:
        """Read one image with its class mask or the boxes of its heads."""
        path, annotation = self._image(sample_id), self._annotation(sample_id)
        image = read_image(path)
        if self.target == "head":
            check_stated_size(annotation, path, image.shape[:2])
            objects = read_objects(annotation, _SPECIES)
            if self.breeds:
                label = self._breed[sample_id] - 1
                objects = [replace(item, label=label) for item in objects]
            return build_sample(sample_id, annotation, image, objects, self.classes, False)
        trimap = read_mask(annotation)
        check_size(annotation, trimap.shape, image.shape[:2], f"the image {path.name}")
        semantic = self._semantic(trimap, sample_id)
        return mask_sample(sample_id, annotation, image, semantic, self.classes)

    def _semantic(self, trimap: npt.NDArray[np.integer], sample_id: str) -> npt.NDArray[np.uint8]:
        strange = np.setdiff1d(trimap, [_PET, _BACKGROUND, _BORDER])
        if len(strange):
            raise DatasetError(
                f"{self._annotation(sample_id)}: trimap holds the values "
                f"{', '.join(map(str, strange[:5]))}; allowed are 1 (pet), 2 (background) and "
                "3 (border)"
            )
        pet = self._breed[sample_id] if self.breeds else 1
        border = {"foreground": pet, "trimap": IGNORE}[self.target]
        if self.target == "trimap" and self.border == "class":
            border = len(self.classes)
        return np.array([0, pet, 0, border], np.uint8)[trimap]
