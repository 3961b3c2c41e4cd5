"""A folder of images beside a folder of masks, matched by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datasets.base import ADDED, Split, register, resolve_root
from datasets.classes import check_classes
from datasets.images import check_size, index_files, index_mask, read_image, read_mask
from datasets.objects import mask_sample
from datasets.sample import IGNORE, DatasetError, Sample
from datasets.splits import NamedSplits, fill, qualified

_KINDS = ("binary", "index")
_MEANINGS = ("background", "ignore")
_HIGHEST = 65535  # of 16-bit masks; anything above is clipped to it, as no class has that number


@register("mask_folder")
@dataclass(kw_only=True)
class MaskFolder(NamedSplits):
    """A folder of images beside a folder of binary or class-index masks, matched by name.

    ::

        root/images/a.jpg
        root/masks/a.png      or a_mask.png with mask_suffix: _mask

    ``images: images/{split}`` and ``masks: masks/{split}`` read one folder a split; without
    ``{split}``, images are divided by a seeded split. Files may lie in folders below, the same
    on both sides.

    Attributes:
        root: folder that the other paths start from.
        images, masks: folders.
        image_suffix, mask_suffix: what the name of an image or of a mask ends with, before the
            file type, and the other's has not.
        kind: ``binary``, every value above ``threshold`` is foreground; or ``index``, value 0
            is the background, ``k`` the k-th class, 255 ignored.
        values: for index masks that number otherwise: what each value means, a class,
            ``background`` or ``ignore``. Several values may mean one class. 255 stays ignored.
        others: what values mean that ``values`` does not list; by default they are an error.
        threshold: for binary masks. 127 suits masks saved as JPEG.
        classes: names of the foreground classes; for ``binary`` one, by default "foreground";
            with ``values`` by default those that it names, in their order.
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
    image_suffix: str = field(default="", metadata=ADDED)
    values: dict[int, str] = field(default_factory=dict, metadata=ADDED)
    others: Literal["error", "ignore", "background"] = field(default="error", metadata=ADDED)

    tasks = frozenset({"segmentation"})

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise DatasetError(f"kind: '{self.kind}' must be one of {', '.join(_KINDS)}")
        if not 0 <= self.threshold < 255:
            raise DatasetError(f"threshold: {self.threshold} must lie in 0..254")
        if self.kind == "binary" and self.values:
            raise DatasetError("values: has no effect on binary masks; add 'kind: index'")
        named = [name for name in self.values.values() if name not in _MEANINGS]
        default = ["foreground"] if self.kind == "binary" else list(dict.fromkeys(named))
        self.classes = check_classes(self.classes or default, "classes")
        self._meanings = self._value_table() if self.values else None
        if self.kind == "binary" and len(self.classes) != 1:
            raise DatasetError(
                f"classes: binary masks have one class, {len(self.classes)} are given"
            )
        root = resolve_root(self.root)
        self._images: dict[str, Path] = {}
        self._masks: dict[str, Path] = {}
        listed: dict[Split, list[str]] = {}
        for split, name in self.split_names(root, "images", self.images).items():
            found = _ending(root / fill(self.images, name), self.image_suffix)
            masks = _ending(root / fill(self.masks, name), self.mask_suffix)
            # Both may lie in one folder, told apart by the suffixes.
            if len(self.image_suffix) > len(self.mask_suffix):
                taken = set(found.values())
                masks = {key: path for key, path in masks.items() if path not in taken}
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
            name = f"{image_path.stem.removesuffix(self.image_suffix)}{self.mask_suffix}"
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
        if self._meanings is None:
            return index_mask(mask, len(self.classes), path)
        unlisted = np.setdiff1d(mask, [*self.values, IGNORE])
        if self.others == "error" and len(unlisted):
            raise DatasetError(
                f"{path}: mask holds the values {', '.join(map(str, unlisted[:5]))}, which "
                "'values' does not list; list them, or say what 'others' mean"
            )
        return self._meanings[np.clip(mask, 0, _HIGHEST)]

    def _value_table(self) -> npt.NDArray[np.uint8]:
        """What to write for each stored value, uint8 ``[65536]``."""
        written = {"background": 0, "ignore": IGNORE}
        written |= {name: label for label, name in enumerate(self.classes, start=1)}
        # An experiment file's numbers come back as text from a stored configuration.
        self.values = {int(value): name for value, name in self.values.items()}
        table = np.full(_HIGHEST + 1, written.get(self.others, IGNORE), np.uint8)
        table[IGNORE] = IGNORE
        for value, name in self.values.items():
            if not 0 <= value < _HIGHEST:
                raise DatasetError(f"values: {value} must lie in 0..{_HIGHEST - 1}")
            if name not in written:
                allowed = ", ".join(["background", "ignore", *self.classes])
                raise DatasetError(f"values: {value} means '{name}'; allowed are {allowed}")
            table[value] = written[name]
        return table


def _ending(folder: Path, suffix: str) -> dict[str, Path]:
    """The image files below a folder whose names end with ``suffix``, by the name without it."""
    found = index_files(folder).items()
    return {key.removesuffix(suffix): path for key, path in found if key.endswith(suffix)}
