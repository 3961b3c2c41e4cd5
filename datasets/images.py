"""Decoding image files: pictures to RGB, masks to their stored values."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from datasets.sample import IGNORE, DatasetError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
"""What is decoded, whatever the file is called; Pillow would start Ghostscript for EPS."""

PIXELS_VARIABLE = "LOSSBENCH_MAX_PIXELS"
MAX_PIXELS = 200_000_000
"""Of one picture, unless :data:`PIXELS_VARIABLE` says otherwise. A file of 100 kB can claim
more, which would take gigabytes to decode; 200 million are 600 MB."""

# Pillow's modes with more than 8 bits a channel: how to bring them to 8 is not ours to guess.
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a picture to RGB, uint8 ``[H, W, 3]``.

    A camera's orientation tag (EXIF) is applied: OpenCV, web browsers and the annotation tools
    that run in them show the picture that way, so this is what boxes were drawn on. Readers
    whose annotation states the image size compare it by :func:`check_size`. Transparency is
    dropped, grey is repeated over the three channels.

    Raises:
        DatasetError: the file is missing, damaged or cut short, is no image, or holds more
            than 8 bits a channel.
    """
    picture = open_picture(path, upright=True)
    if picture.mode in _DEEP_MODES:
        raise DatasetError(f"{path}: more than 8 bits a channel; convert the image to 8 bits first")
    return np.array(picture.convert("RGB"))


def read_mask(path: Path) -> npt.NDArray[Any]:
    """Decode a mask to the integers that the file stores, ``[H, W]``.

    A palette file gives its indices, not its colours. A colour file is taken only where its
    three channels agree, as some tools write grey masks that way.

    Raises:
        DatasetError: as :func:`read_image`, or the mask is in colour.
    """
    picture = open_picture(path)
    if picture.mode == "F":
        raise DatasetError(f"{path}: a mask must hold integers, not floating-point values")
    values = np.array(picture)
    if values.ndim == 2:
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    # Grey with transparency has two channels, colour three or four; the last of 2 or 4 is alpha.
    colours = values[:, :, : 1 if values.shape[2] == 2 else 3]
    if (colours != colours[:, :, :1]).any():
        raise DatasetError(
            f"{path}: mask is in colour ({picture.mode}); expected a grey or palette image"
        )
    return values[:, :, 0]


def check_size(
    path: Path, size: tuple[int, ...], expected: tuple[int, ...], of_expected: str
) -> None:
    """Refuse a ``(height, width)`` that differs from the one it belongs to.

    Args:
        path: file to name in the message.
        size: what ``path`` holds or states.
        expected: what it must be.
        of_expected: what ``expected`` is the size of, for the message.
    """
    if tuple(size) != tuple(expected):
        raise DatasetError(
            f"{path}: size is {size[1]}x{size[0]}, but {of_expected} "
            f"is {expected[1]}x{expected[0]} (width x height)"
        )


def index_mask(mask: npt.NDArray[Any], num_classes: int, path: Path) -> npt.NDArray[np.uint8]:
    """A class-index mask as uint8; :class:`DatasetError` for a value that means no class."""
    strange = np.unique(mask[((mask < 0) | (mask > num_classes)) & (mask != IGNORE)])
    if len(strange):
        raise DatasetError(
            f"{path}: mask holds the values {', '.join(map(str, strange[:5]))}; with "
            f"{num_classes} class(es), 0 to {num_classes} and {IGNORE} are allowed"
        )
    return mask.astype(np.uint8)


def index_files(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """Files below ``folder``, by their path relative to it without the suffix, sorted.

    Hidden files are left out (``._a.png`` of macOS archives is no image). Links are followed.

    Raises:
        DatasetError: ``folder`` is no folder or holds one that cannot be read or that links lead
            back to, or two files differ in their suffix only.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in _files_below(folder):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in found:
            names_of_both = " and ".join(sorted((found[key].name, path.name)))
            raise DatasetError(f"{folder}: {names_of_both} share the name '{key}'; keep one")
        found[key] = path
    return dict(sorted(found.items()))


def _files_below(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Every file in a folder and in those inside, ``above`` being the folders that it lies in."""
    try:
        here = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DatasetError(f"{folder}: {error.strerror}") from error
    # Each round of a circle would list the same files again, by other names.
    if (here.st_dev, here.st_ino) in above:
        raise DatasetError(f"{folder}: is a link to a folder that it lies in; remove the link")
    for entry in entries:
        if entry.is_dir():
            yield from _files_below(Path(entry.path), above | {(here.st_dev, here.st_ino)})
        else:
            yield Path(entry.path)


def open_picture(path: Path, upright: bool = False) -> Image.Image:
    """An image file, decoded; what it claims to hold is looked at before a pixel is.

    Args:
        path: the file.
        upright: turn it as a camera's orientation tag says.

    Raises:
        DatasetError: the file is missing, damaged or cut short, is of none of :data:`FORMATS`,
            or has more pixels than :func:`max_pixels`.
    """
    # Pillow refuses twice this number and warns of more than it; here the warning refuses.
    most = Image.MAX_IMAGE_PIXELS = max_pixels()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(path, formats=FORMATS)
            picture.load()
        if upright:
            picture = ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise DatasetError(f"{path}: not an image in any format that can be read") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DatasetError(
            f"{path}: claims more than the {most:,} pixels that an image may have; if it is right, "
            f"set the environment variable {PIXELS_VARIABLE} to a higher number"
        ) from None
    except Exception as error:
        # On damaged bytes Pillow's decoders raise nearly anything: OSError, SyntaxError,
        # ValueError, struct.error.
        raise DatasetError(f"{path}: image does not decode ({error})") from error
    return picture


def max_pixels() -> int:
    """How many pixels one picture may have: :data:`PIXELS_VARIABLE`, or :data:`MAX_PIXELS`.

    Raises:
        DatasetError: the variable is no whole number from 1.
    """
    text = os.environ.get(PIXELS_VARIABLE, "")
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) > 0):
        raise DatasetError(f"{PIXELS_VARIABLE}: must be a whole number from 1, got '{text}'")
    return int(text)
