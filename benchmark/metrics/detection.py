"""Average precision by pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

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

Boxes = npt.NDArray[np.float64]


class AveragePrecision:
    """COCO's AP over a fixed set of images.

    Args:
        boxes: per image float ``[n_i, 4]``, xyxy, pixels of the original image (the sizes of
            "small" and "large" objects, 32² and 96², are counted in these).
        labels: per image int ``[n_i]``, 0-based.
        classes: names, in the order of the labels.
    """

    def __init__(
        self, boxes: list[Boxes], labels: list[npt.NDArray[np.int64]], classes: list[str]
    ) -> None:
        self.classes = classes
        self.num_images = len(boxes)
        self.corners = np.concatenate([np.zeros((0, 4)), *boxes])
        self.labels = np.concatenate([np.zeros(0, np.int64), *labels])
        sizes = self.corners[:, 2:] - self.corners[:, :2]
        annotations = [
            {
                "id": i + 1,  # pycocotools takes an annotation with id 0 for unmatched
                "image_id": int(image),
                "category_id": int(label),
                "bbox": [*xy, *wh],
                "area": wh[0] * wh[1],
                "iscrowd": 0,
            }
            for i, (image, label, xy, wh) in enumerate(
                zip(
                    np.repeat(np.arange(len(boxes)), [len(b) for b in boxes]),
                    self.labels,
                    self.corners[:, :2].tolist(),
                    sizes.tolist(),
                    strict=True,
                )
            )
        ]
        self.truth = COCO()
        self.truth.dataset = {
            "images": [{"id": i} for i in range(len(boxes))],
            "categories": [{"id": i, "name": name} for i, name in enumerate(classes)],
            "annotations": annotations,
        }
        with quiet():
            self.truth.createIndex()

    def __call__(
        self, boxes: list[Boxes], scores: list[Boxes], labels: list[npt.NDArray[np.int64]]
    ) -> dict[str, float]:
        """Metrics in 0..1 of the detections, per image as in the constructor.

        Returns:
            :data:`STATS` and ``AP/<class>``; NaN where the images hold no such object
            (pycocotools' -1).
        """
        return self.metrics(self.evaluate(boxes, scores, labels))

    def evaluate(
        self, boxes: list[Boxes], scores: list[Boxes], labels: list[npt.NDArray[np.int64]]
    ) -> COCOeval:
        """pycocotools' evaluation of the detections; numbered from 1 in the order given."""
        image = np.repeat(np.arange(self.num_images), [len(b) for b in boxes])
        corners = np.concatenate([np.zeros((0, 4)), *boxes])
        if len(corners) == 0:
            return self._nothing_found()
        rows = np.column_stack(
            [
                image,
                corners[:, :2],
                corners[:, 2:] - corners[:, :2],
                np.concatenate(scores),
                np.concatenate(labels),
            ]
        ).astype(np.float64)
        with quiet():
            evaluation = COCOeval(self.truth, self.truth.loadRes(rows), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation

    def metrics(self, evaluation: COCOeval) -> dict[str, float]:
        """What a call gives, of what :meth:`evaluate` gave."""
        # precision is [T thresholds, R recalls, K classes, A areas, M limits]
        per_class = evaluation.eval["precision"][:, :, :, 0, -1]
        found = {name: float(evaluation.stats[at]) for name, at in STATS.items()}
        for k, name in enumerate(self.classes):
            found[f"AP/{name}"] = float(per_class[:, :, k].mean())
        return {name: value if value >= 0 else float("nan") for name, value in found.items()}

    def _nothing_found(self) -> COCOeval:
        """pycocotools refuses an empty list of detections; a box of no area finds nothing too."""
        blank = [np.zeros((1, 4))] + [np.zeros((0, 4))] * (self.num_images - 1)
        one = [np.zeros(len(b)) for b in blank]
        return self.evaluate(blank, one, [np.zeros(len(b), np.int64) for b in blank])


def quiet() -> contextlib.AbstractContextManager[object]:
    """pycocotools prints each step; the progress display owns the terminal."""
    return contextlib.redirect_stdout(io.StringIO())
