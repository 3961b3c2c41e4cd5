"""Models by name. A new one is a new file in the folder of its task, or one of the user's own."""

from benchmark.models.base import (
    ACTIVATIONS,
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
from benchmark.models.lookup import (
    check_train,
    check_unchanged,
    find_model,
    make_spec,
    outside_files,
)
from benchmark.models.trial import check_network

__all__ = [
    "ACTIVATIONS",
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
    "check_network",
    "check_train",
    "check_unchanged",
    "find_model",
    "loss_at",
    "losses_for",
    "make_spec",
    "outside_files",
    "register",
]
