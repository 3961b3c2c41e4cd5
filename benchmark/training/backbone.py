"""The part of a model that published weights are for: frozen, or trained at a lower rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.experiment.train_settings import Train
from benchmark.models import ModelSpec, SegmentationModel
from benchmark.options import UserError


def backbone_modules(model: nn.Module) -> list[nn.Module]:
    """The sub-modules that the model's class attribute ``backbone`` names; none without it."""
    return [model.get_submodule(name) for name in getattr(model, "backbone", ())]


def backbone_weights(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the backbone, each once."""
    found = {id(p): p for module in backbone_modules(model) for p in module.parameters()}
    return list(found.values())


def freeze(model: nn.Module, what: str) -> list[nn.Module]:
    """Keep parameters of the backbone from training.

    Args:
        what: ``none``; ``norm`` for its batch norms, ``backbone`` for all of it.

    Returns:
        Modules that must stay in evaluation mode, so that the statistics of their batch norms
        stay as they are too; ``model.train()`` puts them into training mode.
    """
    frozen = list(_FROZEN[what](model))
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def _nothing(model: nn.Module) -> Iterator[nn.Module]:
    yield from ()


def _norms(model: nn.Module) -> Iterator[nn.Module]:
    for part in backbone_modules(model):
        # The common base of batch norms over any number of dimensions; torch has no public one.
        yield from (module for module in part.modules() if isinstance(module, _BatchNorm))


def _all(model: nn.Module) -> Iterator[nn.Module]:
    yield from backbone_modules(model)


_FROZEN = {"none": _nothing, "norm": _norms, "backbone": _all}


def compile_parts(model: nn.Module) -> list[nn.Module]:
    """What ``torch.compile`` is put to: a segmenter as a whole, of a detector the backbone.

    A detector's losses and its choice of detections work on as many boxes as there happen to be;
    compiled, every new number would compile them again.
    """
    return [model] if isinstance(model, SegmentationModel) else backbone_modules(model)


def check_backbone(spec: ModelSpec, train: Train, path: str) -> None:
    """Check that a model has the backbone that train settings are about.

    Args:
        path: of the model's key in the experiment file, for the message.

    Raises:
        UserError: it has none, or nothing in it that could be frozen or compiled.
    """
    asked = [f"freeze: {train.freeze}"] * (train.freeze != "none")
    asked += [f"backbone_lr: {train.backbone_lr:g}"] * (train.backbone_lr != 1)
    asked += ["compile: true"] * train.compile
    if not asked:
        return
    model = _unloaded(spec).build(1)
    about_backbone = train.freeze != "none" or train.backbone_lr != 1
    if (about_backbone and not backbone_modules(model)) or not compile_parts(model):
        raise UserError(
            f"{path}: the model declares no backbone, which train.{asked[0]} is about; leave the "
            "setting out for it, in a block of its own"
        )
    if train.freeze == "norm" and not list(_norms(model)):
        raise UserError(f"{path}: the model's backbone has no batch norm for train.freeze: norm")


def _unloaded(spec: ModelSpec) -> ModelSpec:
    """The same model with fresh weights: nothing is downloaded to look at its modules."""
    if is_dataclass(spec) and any(field.name == "weights" for field in fields(spec)):
        return replace(spec, weights="none")
    return spec
