"""What tables show and say of each task."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskWords:
    """What the tables show and say of a task.

    Attributes:
        secondary: metrics shown beside the primary one, where the runs have them.
        metrics: what the metrics are.
        trivial: what the predictor that looks at no image does.
    """

    secondary: tuple[str, ...]
    metrics: str
    trivial: str


WORDS = {
    "detection": TaskWords(
        secondary=("AP50", "AP75"),
        metrics="AP is the mean over IoU thresholds from 0.50 to 0.95, as COCO defines it.",
        trivial="predicts boxes drawn from the training annotation",
    ),
    "segmentation": TaskWords(
        secondary=("mIoU_fg_tuned", "mIoU", "Dice_fg"),
        metrics="mIoU_fg and Dice_fg are means over the foreground classes; mIoU counts the "
        "background as a class; mIoU_fg_tuned reads each class at the threshold that is best on "
        "the validation split.",
        trivial="gives every pixel the commonest foreground class",
    ),
}

REFERENCE_LABELS = {"untrained": "untrained model", "trivial": "trivial predictor"}
