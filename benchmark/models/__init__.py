"""Models by name. A new one is a new file in ``detection/`` or ``segmentation/``."""

from benchmark._discover import import_modules
from benchmark.models.base import (
    MODELS,
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    Detections,
    DetectorSpec,
    InstanceModel,
    Kind,
    ModelSpec,
    SegmentationModel,
    UnderTest,
    box_loss_at,
    loss_at,
    losses_for,
    register,
)

import_modules(f"{__name__}.detection", f"{__name__}.instance", f"{__name__}.segmentation")

__all__ = [
    "MODELS",
    "BoxTerm",
    "DetectionLosses",
    "DetectionModel",
    "Detections",
    "DetectorSpec",
    "InstanceModel",
    "Kind",
    "ModelSpec",
    "SegmentationModel",
    "UnderTest",
    "box_loss_at",
    "loss_at",
    "losses_for",
    "register",
]
