"""The test images that the runs kept with their predictions, side by side for all losses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.options import UserError
from benchmark.report.panels import Panel
from benchmark.report.sample_form import samples_fault

FILE = "samples.json"
VERSION = 1


@dataclass(frozen=True)
class Sample:
    """One test image, its truth, and what each loss's model made of it.

    Truth and prediction are, in detection, mappings of ``boxes`` (x1, y1, x2, y2 in pixels of the
    picture), ``labels`` (index among the classes) and, of predictions, ``scores``; for instances
    ``masks`` as well (counts of COCO's run-length code at the picture's size); in segmentation the
    path of a picture whose grey value is the class: 0 background, 1 the first class, 255
    ignored.

    Attributes:
        id: the image's name in its data set.
        classes: names of the classes.
        path: of the picture.
        width, height: of the picture in pixels.
        truth: as above.
        predicted: loss -> prediction; the best loss comes first.
    """

    id: str
    classes: list[str]
    path: Path
    width: int
    height: int
    truth: Any
    predicted: dict[str, Any]


def read_samples(panel: Panel, folders: Mapping[str, Path]) -> list[Sample]:
    """The images that the first repetition with any of them kept.

    Images are those of the best loss that has some; other losses' predictions stand beside it
    where they kept the same image.

    Args:
        panel: whose finished runs are looked at.
        folders: cell -> folder of the run.

    Raises:
        UserError: a list of images cannot be read.
    """
    runs = panel.runs[panel.runs["status"] == "done"].sort_values("repetition", kind="stable")
    for _, own in runs.groupby("repetition"):
        cells = dict(zip(own["loss"], own["cell"], strict=True))
        kept = {
            loss: _read(folders[cells[loss]], panel.key[0])
            for loss in panel.losses
            if loss in cells and (folders.get(cells[loss], Path()) / FILE).is_file()
        }
        if kept:
            return _side_by_side(kept)
    return []


def _side_by_side(kept: dict[str, dict[str, Any]]) -> list[Sample]:
    first = next(iter(kept.values()))
    return [
        Sample(
            id=identity,
            classes=first["classes"],
            path=image["file"],
            width=image["width"],
            height=image["height"],
            truth=image["truth"],
            predicted={
                loss: own["images"][identity]["predicted"]
                for loss, own in kept.items()
                if identity in own["images"]
            },
        )
        for identity, image in first["images"].items()
    ]


def _read(folder: Path, task: str) -> dict[str, Any]:
    """``samples.json`` with its images by id and the names of files as paths."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); delete it to leave its pictures out"
        ) from error
    if version != VERSION:
        raise UserError(
            f"{path} has version {version}, but this program reads {VERSION}; delete it to leave "
            "its pictures out"
        )
    if fault := samples_fault(content, task):
        raise UserError(f"{path}: {fault}; delete it to leave its pictures out")
    images = {
        image["id"]: {
            key: folder / value if key != "id" and isinstance(value, str) else value
            for key, value in image.items()
        }
        for image in content["images"]
    }
    return {"classes": content["classes"], "images": images}
