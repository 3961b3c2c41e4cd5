"""What of a model is its backbone, and what freezing it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from benchmark.experiment.config import Experiment
from benchmark.experiment.grid import plan
from benchmark.experiment.train_settings import Train
from benchmark.models import MODELS, ModelSpec, SegmentationModel
from benchmark.options import UserError
from benchmark.training.backbone import backbone_weights, check_backbone, compile_parts, freeze


class Small(SegmentationModel):
    backbone: ClassVar[tuple[str, ...]] = ("body.first", "body.second")

    def __init__(self, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.body = nn.ModuleDict(
            {"first": nn.Sequential(nn.Conv2d(3, 4, 1), norm(4)), "second": nn.Conv2d(4, 4, 1)}
        )
        self.head = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body["second"](self.body["first"](images)))


class Plain(nn.Linear):
    """Without a backbone, and no segmenter."""


@dataclass(frozen=True)
class Spec(ModelSpec):
    model: ClassVar[type[nn.Module]] = Small
    weights: str = "none"

    def build(self, num_classes: int) -> nn.Module:
        assert self.weights == "none", "planning must not load weights"
        return self.model()


class SpecWithout(Spec):
    def build(self, num_classes: int) -> nn.Module:
        return Plain(1, 1)


class SpecUnnormed(Spec):
    def build(self, num_classes: int) -> nn.Module:
        return Small(lambda channels: nn.GroupNorm(2, channels))


def names(model: nn.Module, chosen) -> set[str]:
    by_id = {id(p): name for name, p in model.named_parameters()}
    return {by_id[id(p)] for p in chosen}


BACKBONE = {f"body.{name}" for name in ("first.0.weight", "first.0.bias", "first.1.weight")}
BACKBONE |= {f"body.{name}" for name in ("first.1.bias", "second.weight", "second.bias")}


def test_the_weights_of_the_backbone():
    model = Small()
    assert names(model, backbone_weights(model)) == BACKBONE
    assert backbone_weights(Plain(1, 1)) == []


@pytest.mark.parametrize(
    ("what", "frozen"),
    [
        ("none", set()),
        ("norm", {"body.first.1.weight", "body.first.1.bias"}),
        ("backbone", BACKBONE),
    ],
)
def test_what_is_frozen(what, frozen):
    model = Small()
    stay = freeze(model, what)
    assert names(model, (p for p in model.parameters() if not p.requires_grad)) == frozen
    inside = {id(p) for module in stay for p in module.parameters()}
    assert inside == {id(p) for p in model.parameters() if not p.requires_grad}


def test_a_group_norm_has_no_statistics_to_freeze():
    model = SpecUnnormed().build(1)
    assert freeze(model, "norm") == []
    assert all(p.requires_grad for p in model.parameters())


def test_a_segmenter_is_compiled_whole_and_a_detector_in_its_backbone():
    model = Small()
    assert compile_parts(model) == [model]
    detector = nn.Module()
    detector.add_module("features", nn.Linear(1, 1))
    detector.backbone = ("features",)
    assert compile_parts(detector) == [detector.features]


KEYS = [{"freeze": "norm"}, {"freeze": "backbone"}, {"backbone_lr": 0.1}, {"compile": True}]


@pytest.mark.parametrize("keys", KEYS)
def test_a_model_without_a_backbone_is_told(keys):
    check_backbone(SpecWithout(), Train(), "matrix.one.models.0")
    with pytest.raises(UserError, match=r"matrix.one.models.0: .*no backbone.*train\.") as caught:
        check_backbone(SpecWithout(), Train(**keys), "matrix.one.models.0")
    assert next(iter(keys)) in str(caught.value)


@pytest.mark.parametrize("keys", KEYS)
def test_a_model_with_one_passes_and_loads_no_weights(keys):
    check_backbone(Spec(weights="backbone"), Train(**keys), "x")


def test_norms_can_be_frozen_only_where_there_are_some():
    with pytest.raises(UserError, match=r"x: .*no batch norm for train\.freeze: norm"):
        check_backbone(SpecUnnormed(), Train(freeze="norm"), "x")
    check_backbone(SpecUnnormed(), Train(freeze="backbone"), "x")


def test_statistics_of_frozen_norms_stay_while_others_move():
    model = Small()
    stay = freeze(model, "norm")
    model.train()
    for module in stay:
        module.eval()
    model(torch.randn(4, 3, 8, 8))
    assert model.body["first"][1].num_batches_tracked == 0
    assert model.head[1].num_batches_tracked == 1


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_names_modules_that_it_has(name):
    """A backbone that is misspelt would only show when somebody freezes it."""
    with torch.device("meta"):  # without numbers: drawing those of the large ones takes seconds
        model = MODELS[name]().build(2)
    weights = backbone_weights(model)
    assert len(weights) < len(list(model.parameters()))
    assert bool(weights) == bool(getattr(model, "backbone", ()))


def test_planning_tells_which_model_of_the_file_has_none():
    block = {"task": "detection", "losses": ["giou"], "datasets": ["shapes"]}
    models = [{"name": "fcos_mobilenet_v3", "weights": "none"}, "tiny_fcos"]
    content = {"name": "x", "train": {"freeze": "norm"}, "matrix": {"one": {**block}}}
    content["matrix"]["one"]["models"] = models
    with pytest.raises(UserError, match=r"matrix\.one\.models\.1: .*no backbone"):
        plan(Experiment.model_validate(content))
    content["matrix"]["one"]["models"] = models[:1]
    assert len(plan(Experiment.model_validate(content))) == 1
