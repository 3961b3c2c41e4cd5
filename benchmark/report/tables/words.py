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
    """

    secondary: tuple[str, ...]
    metrics: dict[str, str]
    trivial: str

    def describe(self, shown: Collection[str]) -> str:
        """What those of the metrics are that a table shows."""
        return " ".join(text for name, text in self.metrics.items() if name in shown)


WORDS = {
    "detection": TaskWords(
        secondary=("AP50", "AP75"),
        metrics={"AP": "AP is the mean over IoU thresholds from 0.50 to 0.95, as COCO defines it."},
        trivial="predicts boxes drawn from the training annotation",
    ),
    "segmentation": TaskWords(
        secondary=("mIoU_fg_tuned", "mIoU", "Dice_fg"),
        metrics={
            "mIoU_fg": "mIoU_fg and Dice_fg are means over the foreground classes; mIoU counts the "
            "background as a class.",
            "mIoU_fg_tuned": "mIoU_fg_tuned reads each class at the threshold that is best on the "
            "validation split.",
        },
        trivial="gives every pixel the commonest foreground class",
    ),
}

REFERENCE_LABELS = {"untrained": "untrained model", "trivial": "trivial predictor"}
