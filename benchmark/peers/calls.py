"""Public mask losses whose arguments YAML cannot write, as functions of scores and target."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn


def kornia_dice_of_foreground(scores: Tensor, labels: Tensor) -> Tensor:
    """kornia's Dice with weight 0 for the background: scores ``[N, 2, H, W]``, labels int64."""
    return _kornia_dice(scores.dtype, scores.device)(scores, labels)


def kornia_hausdorff(probabilities: Tensor, labels: Tensor) -> Tensor:
    """kornia's Hausdorff loss by erosion, whose labels have a channel: ``[N, 1, H, W]``."""
    return _kornia_hausdorff(probabilities.device)(probabilities, labels[:, None])


def monai_wasserstein_dice(scores: Tensor, labels: Tensor) -> Tensor:
    """MONAI's Wasserstein Dice, all classes equally far from each other."""
    return _monai_wasserstein(scores.shape[1], scores.dtype, scores.device)(scores, labels)


def monai_nacl(scores: Tensor, labels: Tensor) -> Tensor:
    """MONAI's neighbour-aware calibration, which must be told the number of classes."""
    return _monai_nacl(scores.shape[1], scores.device)(scores, labels)


# A loss is made once, as its users make it, so that making it is no part of what is measured.


@cache
def _kornia_dice(dtype: torch.dtype, device: torch.device) -> nn.Module:
    from kornia.losses import DiceLoss

    return DiceLoss(weight=torch.tensor([0.0, 1.0], dtype=dtype, device=device))


@cache
def _kornia_hausdorff(device: torch.device) -> nn.Module:
    from kornia.losses import HausdorffERLoss

    return HausdorffERLoss().to(device)


@cache
def _monai_wasserstein(classes: int, dtype: torch.dtype, device: torch.device) -> nn.Module:
    from monai.losses import GeneralizedWassersteinDiceLoss

    return GeneralizedWassersteinDiceLoss(1 - torch.eye(classes, dtype=dtype, device=device))


@cache
def _monai_nacl(classes: int, device: torch.device) -> nn.Module:
    from monai.losses import NACLLoss

    return NACLLoss(classes=classes, dim=2).to(device)
