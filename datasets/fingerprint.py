"""What tells one state of a data set from another: a hash over what its samples hold.

It is taken of the samples as they were read, at full size: the same for any folder, image size
and format of annotation, another one where a pixel, a box, a label, a mask, a name or the order
of the samples differs. (What another version of an image decoder reads from a file may differ
too; then so does what is trained on.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.sample import Sample

DIGEST_BYTES = 16


def sample_digest(sample: Sample) -> bytes:
    """Digest (16 bytes) of a sample's name, image and annotation."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    masks = sample.instance_masks
    arrays: dict[str, npt.NDArray[Any] | None] = {
        "image": sample.image,
        "boxes": sample.boxes,
        "labels": sample.labels,
        "semantic": sample.semantic,
        # A bit a pixel: objects are many, and each has a mask as large as the image.
        "instances": None if masks is None else np.packbits(masks),
    }
    digest.update(repr(sample.id).encode())
    for name, array in arrays.items():
        if array is not None:
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def fingerprint(classes: list[str], digests: Iterable[bytes]) -> str:
    """Fingerprint (32 hex digits) of a split.

    Args:
        classes: names of the classes, in the order of the labels.
        digests: what :func:`sample_digest` gave for each sample, in order.
    """
    whole = hashlib.blake2b(repr(classes).encode(), digest_size=DIGEST_BYTES)
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()
