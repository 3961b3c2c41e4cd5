"""A model of the user's own tried once, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.models.base import Detections, ModelSpec
from benchmark.models.lookup import NETWORKS, is_registered, reason_of
from benchmark.options import UserError

BATCH = 2
"""Images; of one alone, some networks lose a dimension unseen."""


def check_network(
    name: str, spec: ModelSpec, path: str, image_size: Sequence[int] = (64, 64)
) -> None:
    """Build and call a model of the user's own once, to see early what all runs would end with.

    Args:
        image_size: height and width in pixels that it will be trained with.

    Raises:
        UserError: ``build`` or the network fails, or returns what the task has no use for.
    """
    if is_registered(name):
        return
    where = f"{path}: model '{name}'"
    try:
        network = spec.build(1)
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        raise UserError(f"{where}: build(1) failed: {reason_of(error)}") from error
    expected = NETWORKS[spec.task]
    if not isinstance(network, expected):
        raise UserError(
            f"{where}: build must return a benchmark.models.{expected.__name__}, "
            f"got {type(network).__name__}"
        )
    _check_backbone_names(network, where)
    _check_output(network, spec.task, image_size, where)


def _check_backbone_names(network: nn.Module, where: str) -> None:
    names = getattr(network, "backbone", ())
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"{where}: `backbone` must be a tuple of names of sub-modules, such as ('encoder',); "
            f"got {names!r}"
        )
    for name in names:
        try:
            network.get_submodule(name)
        except AttributeError:
            children = ", ".join(child for child, _ in network.named_children()) or "none"
            raise UserError(
                f"{where}: `backbone` names '{name}', which is no sub-module of the network; "
                f"it has {children}"
            ) from None


def _check_output(network: nn.Module, task: str, image_size: Sequence[int], where: str) -> None:
    """Call the network as an evaluation does, on two black images."""
    height, width = image_size
    images = torch.zeros(BATCH, 3, height, width)
    called = "forward" if task == "segmentation" else "predict"
    method: Any = network if task == "segmentation" else network.predict
    try:
        network.eval()
        with torch.no_grad():
            output = method(images)
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        raise UserError(
            f"{where}: {called} failed on images {list(images.shape)}: {reason_of(error)}"
        ) from error
    fault = (
        _fault_in_logits(output, images)
        if task == "segmentation"
        else _fault_in_detections(output, task, images)
    )
    if fault:
        raise UserError(f"{where}: {called} on images {list(images.shape)} must give {fault}")


def _fault_in_logits(output: Any, images: Tensor) -> str:
    """What a segmenter must give of one class, and what it gave; empty where that is the same."""
    expected = [len(images), 1, *images.shape[-2:]]
    what = f"logits {expected} for one class"
    if not isinstance(output, Tensor):
        return f"{what}, a tensor; got {type(output).__name__}"
    return "" if list(output.shape) == expected else f"{what}; got {list(output.shape)}"


def _fault_in_detections(output: Any, task: str, images: Tensor) -> str:
    """What a detector must give, and what it gave; empty where that is the same."""
    if not isinstance(output, list) or not all(isinstance(x, Detections) for x in output):
        return f"a list of benchmark.models.Detections; got {type(output).__name__}"
    if len(output) != len(images):
        return f"Detections for each image; got {len(output)}"
    for found in output:
        count = found.scores.numel() if isinstance(found.scores, Tensor) else 0
        shapes = {"boxes": [count, 4], "scores": [count], "labels": [count]}
        if task == "instance":
            shapes["masks"] = [count, *images.shape[-2:]]
        for name, expected in shapes.items():
            value = getattr(found, name)
            shape = list(value.shape) if isinstance(value, Tensor) else value
            if shape != expected:
                return f"{name} {expected} for {count} scores; got {shape}"
    return ""
