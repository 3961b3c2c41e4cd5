"""Models by name. A new one is a new file in ``detection/`` or ``segmentation/``."""

from benchmark._discover import import_modules
from benchmark.models.base import (
    MODELS,
    BoxTerm,
    DetectionLosses,
    DetectionModel,
    Detections,
    DetectorSpec,
    ModelSpec,
    SegmentationModel,
    register,
)

import_modules(f"{__name__}.detection", f"{__name__}.segmentation")

__all__ = [
    "MODELS",
    "BoxTerm",
    "DetectionLosses",
    "DetectionModel",
    "Detections",
    "DetectorSpec",
    "ModelSpec",
    "SegmentationModel",
    "register",
]
