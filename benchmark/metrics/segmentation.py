"""IoU, Dice and pixel accuracy from pixel counts over a whole split."""

from __future__ import annotations

import torch
from torch import Tensor

from datasets.sample import IGNORE


class ConfusionMatrix:
    """Counts of (true class, predicted class) over all pixels that are not ignored.

    Args:
        classes: names of the foreground classes; row and column 0 are the background.
    """

    def __init__(self, classes: list[str], device: torch.device | None = None) -> None:
        self.names = ["background", *classes]
        n = len(self.names)
        self.counts = torch.zeros(n, n, dtype=torch.int64, device=device)

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add a batch: class indices ``[B, H, W]``; truth may hold 255 = ignore."""
        n = len(self.names)
        valid = truth != IGNORE
        pairs = truth[valid].long() * n + predicted[valid].long()
        self.counts += torch.bincount(pairs, minlength=n * n).reshape(n, n)

    def metrics(self) -> dict[str, float]:
        """Metrics in 0..1.

        Returns:
            ``mIoU`` (mean over all classes, the background among them, as Pascal VOC has it),
            ``mIoU_fg`` and ``Dice_fg`` (means over the foreground classes), ``pixel_accuracy``,
            ``IoU/<class>`` and ``Dice/<class>``. A class neither present nor predicted is NaN
            and left out of the means.
        """
        counts = self.counts.double().cpu()
        hit = counts.diag()
        true, predicted = counts.sum(1), counts.sum(0)
        iou = hit / (true + predicted - hit)
        dice = 2 * hit / (true + predicted)
        found = {
            "mIoU": iou.nanmean(),
            "mIoU_fg": iou[1:].nanmean(),
            "Dice_fg": dice[1:].nanmean(),
            "pixel_accuracy": hit.sum() / counts.sum(),
        }
        for i, name in enumerate(self.names):
            found[f"IoU/{name}"] = iou[i]
            found[f"Dice/{name}"] = dice[i]
        return {name: float(value) for name, value in found.items()}


def class_map(logits: Tensor) -> Tensor:
    """Logits ``[B, C, H, W]`` of the foreground classes -> class indices ``[B, H, W]``.

    A pixel is background where no class has a probability of one half; otherwise it is the
    class with the highest logit. With one class this is the usual threshold at 0.5.
    """
    best, index = logits.max(1)
    return torch.where(best > 0, index + 1, 0)
