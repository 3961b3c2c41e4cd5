"""Images whose objects are masks: one file an instance, or one number an instance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from datasets.base import register, resolve_root
from datasets.classes import check_classes
from datasets.images import IMAGE_SUFFIXES, check_size, index_files, read_image, read_mask
from datasets.objects import AnnotatedObject, build_sample, mask_box
from datasets.sample import DatasetError, Sample
from datasets.splits import SeededSplits

MOST_INSTANCES = 5000
"""Of one file. A photograph of 16 bits has ten times as many values; a mask for each would fill
the memory."""


class Layout(ABC):
    """Where a data set of instance masks keeps its files, and how it writes instances."""

    @abstractmethod
    def find(self, root: Path) -> dict[str, tuple[Path, list[Path]]]:
        """Image and mask files by sample id; a missing file is listed by the path it lacks.

        Raises:
            DatasetError: ``root`` does not have the layout at all.
        """

    @abstractmethod
    def instances(self, mask: npt.NDArray[np.integer], path: Path) -> list[npt.NDArray[np.bool_]]:
        """The instances ``[H, W]`` of the mask that the file at ``path`` holds.

        Raises:
            DatasetError: there are more than any image has.
        """


class DataScienceBowl(Layout):
    """``ID/images/*.png`` and ``ID/masks/*.png``, one file an instance."""

    def find(self, root: Path) -> dict[str, tuple[Path, list[Path]]]:
        found: dict[str, tuple[Path, list[Path]]] = {}
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            images = _image_files(folder / "images")
            masks = _image_files(folder / "masks")
            if len(images) > 1:
                raise DatasetError(f"{folder / 'images'}: {len(images)} images, expected one")
            if images or masks:
                image = images[0] if images else folder / "images" / f"{folder.name}.png"
                found[folder.name] = image, masks or [folder / "masks" / "*.png"]
        if not found:
            raise DatasetError(f"{root}: no folder ID/images with ID/masks in it")
        return found

    def instances(self, mask: npt.NDArray[np.integer], path: Path) -> list[npt.NDArray[np.bool_]]:
        return [mask != 0]


class PennFudan(Layout):
    """``PNGImages/ID.png`` and ``PedMasks/ID_mask.png``, whose values number the instances."""

    def find(self, root: Path) -> dict[str, tuple[Path, list[Path]]]:
        images = index_files(root / "PNGImages")
        masks = {
            name.removesuffix("_mask"): path
            for name, path in index_files(root / "PedMasks").items()
        }
        return {
            name: (
                images.get(name, root / "PNGImages" / f"{name}.png"),
                [masks.get(name, root / "PedMasks" / f"{name}_mask.png")],
            )
            for name in sorted({*images, *masks})
        }

    def instances(self, mask: npt.NDArray[np.integer], path: Path) -> list[npt.NDArray[np.bool_]]:
        numbers = np.unique(mask)
        if len(numbers) > MOST_INSTANCES:
            raise DatasetError(
                f"{path}: {len(numbers):,} different values, each of which would be an instance; "
                f"at most {MOST_INSTANCES:,} are taken: this is no mask of numbered instances"
            )
        return [mask == number for number in numbers if number != 0]


LAYOUTS: dict[str, Layout] = {"dsb2018": DataScienceBowl(), "penn_fudan": PennFudan()}


@register("instance_masks")
@dataclass(kw_only=True)
class InstanceMasks(SeededSplits):
    """Objects given as masks: 2018 Data Science Bowl or Penn-Fudan layout.

    ::

        root/ID/images/ID.png      root/ID/masks/*.png          layout: dsb2018
        root/PNGImages/ID.png      root/PedMasks/ID_mask.png    layout: penn_fudan

    Boxes are the extents of the masks. An empty mask counts as a degenerate box.

    Attributes:
        root: folder that holds the above.
        layout: ``dsb2018``, one file an instance; ``penn_fudan``, one file an image with the
            instances numbered from 1.
        class_name: name of the only class.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: the folder lacks the layout or an option is wrong.
    """

    layout: Literal["dsb2018", "penn_fudan"]
    class_name: str = "object"

    tasks = frozenset({"detection", "segmentation", "instance"})

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise DatasetError(f"layout: '{self.layout}' must be one of {', '.join(LAYOUTS)}")
        self.classes = check_classes([self.class_name], "class_name")
        self._files = LAYOUTS[self.layout].find(resolve_root(self.root))
        self.use_splits({"train": list(self._files)})

    def files(self, sample_id: str) -> list[Path]:
        """The image and all its mask files."""
        image, masks = self._files[sample_id]
        return [path for path in (image, *masks) if path.is_file()]

    def load(self, sample_id: str) -> Sample:
        """Read one image with a box and a mask for each instance."""
        image_path, mask_paths = self._files[sample_id]
        if not mask_paths[0].is_file():
            raise DatasetError(f"{image_path}: image without a mask (no {mask_paths[0]})")
        if not image_path.is_file():
            raise DatasetError(f"{mask_paths[0]}: mask without an image (no {image_path})")
        image = read_image(image_path)
        objects = []
        for path in mask_paths:
            values = read_mask(path)
            check_size(path, values.shape, image.shape[:2], f"its image {image_path.name}")
            for mask in LAYOUTS[self.layout].instances(values, path):
                objects.append(AnnotatedObject(0, mask_box(mask), mask))
        return build_sample(sample_id, image_path, image, objects, self.classes, True)


def _image_files(folder: Path) -> list[Path]:
    """Image files directly in ``folder``, sorted; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
