"""A folder of images beside a folder of masks, matched by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datasets.base import Split, register, resolve_root
from datasets.classes import check_classes
from datasets.images import check_size, index_files, index_mask, read_image, read_mask
from datasets.objects import mask_sample
from datasets.sample import DatasetError, Sample
from datasets.splits import NamedSplits, fill, qualified

_KINDS = ("binary", "index")


@register("mask_folder")
@dataclass(kw_only=True)
class MaskFolder(NamedSplits):
    """A folder of images beside a folder of binary or class-index masks, matched by name.

    ::

        root/images/a.jpg
        root/masks/a.png      or a_mask.png with mask_suffix: _mask

    ``images: images/{split}`` and ``masks: masks/{split}`` read one folder a split; without
    ``{split}``, images are divided by a seeded split.

    Attributes:
        root: folder that the other paths start from.
        images, masks: folders.
        mask_suffix: what a mask's name has behind the image's, before the file type.
        kind: ``binary``, every value above ``threshold`` is foreground; or ``index``, value 0
            is the background, ``k`` the k-th class, 255 ignored.
        threshold: for binary masks. 127 suits masks saved as JPEG.
        classes: names of the foreground classes; for ``binary`` one, by default "foreground".
        train, val, test: what ``{split}`` stands for; by default their own names.
        fractions, split_seed, group: the seeded split, see :func:`datasets.splits.split_ids`.

    Raises:
        DatasetError: the folder lacks the layout or an option is wrong.
    """

    images: str = "images"
    masks: str = "masks"
    mask_suffix: str = ""
    kind: Literal["binary", "index"] = "binary"
    threshold: int = 0
    classes: list[str] = field(default_factory=list)

    tasks = frozenset({"segmentation"})

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise DatasetError(f"kind: '{self.kind}' must be one of {', '.join(_KINDS)}")
        if not 0 <= self.threshold < 255:
            raise DatasetError(f"threshold: {self.threshold} must lie in 0..254")
        default = ["foreground"] if self.kind == "binary" else []
        self.classes = check_classes(self.classes or default, "classes")
        if self.kind == "binary" and len(self.classes) != 1:
            raise DatasetError(
                f"classes: binary masks have one class, {len(self.classes)} are given"
            )
        root = resolve_root(self.root)
        self._images: dict[str, Path] = {}
        self._masks: dict[str, Path] = {}
        listed: dict[Split, list[str]] = {}
        for split, name in self.split_names(root, "images", self.images).items():
            found = index_files(root / fill(self.images, name))
            masks = {
                key.removesuffix(self.mask_suffix): path
                for key, path in index_files(root / fill(self.masks, name)).items()
                if key.endswith(self.mask_suffix)
            }
            # Both may lie in one folder, told apart by the suffix.
            taken = set(masks.values())
            images = {key: path for key, path in found.items() if path not in taken}
            self._images.update({qualified(name, key): path for key, path in images.items()})
            self._masks.update({qualified(name, key): path for key, path in masks.items()})
            # One without the other is listed as well, so that it is reported.
            listed[split] = [qualified(name, key) for key in sorted({*images, *masks})]
        self.use_splits(listed)

    def files(self, sample_id: str) -> list[Path]:
        """The image and its mask."""
        places = (self._images, self._masks)
        return [place[sample_id] for place in places if sample_id in place]

    def load(self, sample_id: str) -> Sample:
        """Read one image with its mask."""
        image_path, mask_path = self._images.get(sample_id), self._masks.get(sample_id)
        if image_path is None:
            raise DatasetError(f"{mask_path}: mask without an image in '{self.images}'")
        if mask_path is None:
            name = f"{image_path.stem}{self.mask_suffix}"
            raise DatasetError(
                f"{image_path}: image without a mask (no '{name}' of any image type in "
                f"'{self.masks}')"
            )
        image, mask = read_image(image_path), read_mask(mask_path)
        check_size(mask_path, mask.shape, image.shape[:2], f"its image {image_path.name}")
        semantic = self._semantic(mask, mask_path)
        return mask_sample(sample_id, image_path, image, semantic, self.classes)

    def _semantic(self, mask: npt.NDArray[Any], path: Path) -> npt.NDArray[np.uint8]:
        if self.kind == "binary":
            return (mask > self.threshold).astype(np.uint8)
        return index_mask(mask, len(self.classes), path)
