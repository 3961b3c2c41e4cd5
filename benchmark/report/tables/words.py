"""What tables show and say of each task."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class TaskWords:
    """What the tables show and say of a task.

    Attributes:
        secondary: metrics shown beside the primary one, where the runs have them.
        metrics: metric -> a sentence that says what it is.
        trivial: what the predictor that looks at no image does.
        matched: what of a detection is held against an object, in the plural; "" where nothing is.
        precision: what the breakdowns call the average precision of these.
    """

    secondary: tuple[str, ...]
    metrics: dict[str, str]
    trivial: str
    matched: str = ""
    precision: str = "AP"

    def describe(self, shown: Collection[str]) -> str:
        """What those of the metrics are that a table shows."""
        return " ".join(text for name, text in self.metrics.items() if name in shown)


WORDS = {
    "detection": TaskWords(
        secondary=("AP50", "AP75"),
        metrics={"AP": "AP is the mean over IoU thresholds from 0.50 to 0.95, as COCO defines it."},
        trivial="predicts boxes drawn from the training annotation",
        matched="boxes",
    ),
    "segmentation": TaskWords(
        secondary=("mIoU_fg_tuned", "mIoU", "Dice_fg", "boundary_IoU"),
        metrics={
            "mIoU_fg": "mIoU_fg and Dice_fg are means over the foreground classes; mIoU counts the "
            "background as a class.",
            "mIoU_fg_tuned": "mIoU_fg_tuned reads each class at the threshold that is best on the "
            "validation split.",
            "boundary_IoU": "boundary_IoU compares the bands along the contours alone, 2 % of the "
            "image's diagonal wide.",
        },
        trivial="gives every pixel the commonest foreground class",
    ),
    "instance": TaskWords(
        secondary=("mask_AP50", "mask_AP75", "AP"),
        metrics={
            "mask_AP": "mask_AP is the mean over IoU thresholds of the masks from 0.50 to 0.95, as "
            "COCO defines it.",
            "AP": "AP is the same of the boxes.",
        },
        trivial="predicts boxes drawn from the training annotation, filled as masks",
        matched="masks",
        precision="mask AP",
    ),
}

REFERENCE_LABELS = {"untrained": "untrained model", "trivial": "trivial predictor"}
