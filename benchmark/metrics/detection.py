"""Average precision of boxes or of instance masks, by pycocotools or a program like it."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics.engines import ENGINES, PYCOCOTOOLS
from benchmark.metrics.matching import match
from benchmark.metrics.rle import Rle, areas
from benchmark.metrics.voc import voc_ap

STATS = {
    "AP": 0,
    "AP50": 1,
    "AP75": 2,
    "AP_small": 3,
    "AP_medium": 4,
    "AP_large": 5,
    "AR1": 6,
    "AR10": 7,
    "AR100": 8,
}
"""Our names -> positions in ``COCOeval.stats``."""
MATCHED = ("AP50_voc", "AP50_voc07", "IoU_matched")
"""Metrics besides COCO's: Pascal VOC's AP, and how well the boxes fit that hit an object."""
METRICS = (*STATS, *MATCHED)
"""All metrics whatever the classes."""

Boxes = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


class AveragePrecision:
    """COCO's AP over a fixed set of images.

    With masks it is the AP of instance masks: boxes then serve for the groups of side ratios alone.

    Args:
        boxes: per image float ``[n_i, 4]``, xyxy, pixels of the original image (the sizes of
            "small" and "large" objects, 32² and 96², are counted in these).
        labels: per image int ``[n_i]``, 0-based.
        classes: names, in the order of the labels.
        engine: which of :data:`ENGINES` computes it.
        masks: per image ``n_i`` masks of any size that is the same within an image, or None.
        pixel_area: float ``[N]``, of masks: area of one of their pixels in pixels of the original
            image, so that sizes mean what they mean for boxes; default 1.

    Raises:
        UserError: the engine is not installed.
    """

    def __init__(
        self,
        boxes: list[Boxes],
        labels: list[Labels],
        classes: list[str],
        engine: str = PYCOCOTOOLS,
        masks: list[list[Rle]] | None = None,
        pixel_area: npt.ArrayLike | None = None,
    ) -> None:
        self.classes = classes
        self.engine = ENGINES[engine]()
        self.kind = "bbox" if masks is None else "segm"
        self.num_images = len(boxes)
        ones = np.ones(self.num_images)
        self.pixel_area = ones if pixel_area is None else np.asarray(pixel_area, np.float64)
        self.corners = np.concatenate([np.zeros((0, 4)), *boxes])
        self.labels = np.concatenate([np.zeros(0, np.int64), *labels])
        self.truth = self._index(boxes, labels, None, masks)
        self.areas = np.array([row["area"] for row in self.truth.dataset["annotations"]])

    def __call__(
        self,
        boxes: list[Boxes],
        scores: list[Boxes],
        labels: list[Labels],
        masks: list[list[Rle]] | None = None,
    ) -> dict[str, float]:
        """Metrics in 0..1 of the detections, per image as in the constructor.

        Returns:
            :data:`METRICS` and ``AP/<class>``; NaN where the images hold no such object
            (pycocotools' -1), and of ``IoU_matched`` where no detection hits one.

            ``AP50_voc`` is the mean over the classes of :func:`voc_ap` by all points,
            ``AP50_voc07`` that by 11 points; ``IoU_matched`` is the mean IoU with its object of
            the detections that COCO matches at IoU 0.5.
        """
        return self.metrics(self.evaluate(boxes, scores, labels, masks))

    def evaluate(
        self,
        boxes: list[Boxes],
        scores: list[Boxes],
        labels: list[Labels],
        masks: list[list[Rle]] | None = None,
    ) -> Any:
        """The engine's evaluation of the detections; numbered from 1 in the order given."""
        found = self._index(boxes, labels, scores, masks)
        with quiet():
            evaluation = self.engine.evaluation(self.truth, found, self.kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation

    def metrics(self, evaluation: Any) -> dict[str, float]:
        """What a call gives, of what :meth:`evaluate` gave."""
        # precision is [T thresholds, R recalls, K classes, A areas, M limits]
        per_class = evaluation.eval["precision"][:, :, :, 0, -1]
        found = {name: float(evaluation.stats[at]) for name, at in STATS.items()}
        for k, name in enumerate(self.classes):
            found[f"AP/{name}"] = float(per_class[:, :, k].mean())
        known = {name: value if value >= 0 else float("nan") for name, value in found.items()}
        matches = match(evaluation)
        objects = np.bincount(self.labels, minlength=len(self.classes))
        return {
            **known,
            "AP50_voc": voc_ap(matches, objects),
            "AP50_voc07": voc_ap(matches, objects, points=11),
            "IoU_matched": matches.mean_iou(),
        }

    def _index(
        self,
        boxes: list[Boxes],
        labels: list[Labels],
        scores: list[Boxes] | None,
        masks: list[list[Rle]] | None,
    ) -> Any:
        """Objects, or with scores detections, as the engine takes them."""
        image = np.repeat(np.arange(self.num_images), [len(b) for b in boxes])
        corners = np.concatenate([np.zeros((0, 4)), *boxes])
        sides = corners[:, 2:] - corners[:, :2]
        columns: dict[str, list[Any]] = {
            "id": list(range(1, len(image) + 1)),  # 0 would mean unmatched
            "image_id": image.tolist(),
            "category_id": np.concatenate([np.zeros(0, np.int64), *labels]).tolist(),
            "bbox": np.hstack([corners[:, :2], sides]).tolist(),
            "area": sides.prod(1).tolist(),
            "iscrowd": [0] * len(image),
        }
        if scores is not None:
            columns["score"] = np.concatenate([np.zeros(0), *scores]).astype(np.float64).tolist()
        if masks is not None:
            columns["segmentation"] = [mask for some in masks for mask in some]
            columns["area"] = (areas(columns["segmentation"]) * self.pixel_area[image]).tolist()
        rows = zip(*columns.values(), strict=True)
        index = self.engine.coco()
        index.dataset = {
            # The engines ask for the size of an image, and use it for polygons alone.
            "images": [{"id": i, "height": 0, "width": 0} for i in range(self.num_images)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(self.classes)],
            "annotations": [dict(zip(columns, row, strict=True)) for row in rows],
        }
        with quiet():
            index.createIndex()
        return index


def quiet() -> contextlib.AbstractContextManager[object]:
    """pycocotools prints each step; the progress display owns the terminal."""
    return contextlib.redirect_stdout(io.StringIO())
