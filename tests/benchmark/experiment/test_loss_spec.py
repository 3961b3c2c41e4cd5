"""Losses written as registered names, mappings, and module:attribute."""

from __future__ import annotations

import pytest
import torch

from benchmark.experiment.loss_spec import load_loss
from benchmark.options import UserError
from losses import get

SOURCE = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from losses import BoxLoss, register_box

@register_box("loss_spec_test_only")
@dataclass(frozen=True, kw_only=True)
class Mine(BoxLoss):
    """Distance of the corners."""
    space: ClassVar[str] = "boxes"
    factor: float = 1.0
    def compute(self, pred, target):
        return self.factor * (pred - target).abs().sum(-1)

class Holder:
    loss = Mine(factor=2.0)
'''
BOXES = torch.tensor([[1.0, 2.0, 6.0, 7.0]])


@pytest.fixture
def source(tmp_path, monkeypatch):
    from losses import BOX

    monkeypatch.setattr("losses.base.BOX", dict(BOX))
    path = tmp_path / "my_loss.py"
    path.write_text(SOURCE)
    return path


def test_registered_name():
    named = load_loss("ciou")
    assert (named.label, named.kind, named.registered) == ("ciou", "box", True)
    assert named.loss == get("ciou")


def test_mapping_with_options_and_label():
    assert load_loss("{name: focal, gamma: 5}").label == "focal gamma=5"
    named = load_loss("{name: focal, gamma: 5, label: hard, kind: mask}")
    assert (named.label, named.kind) == ("hard", "mask")
    assert named.loss == get("focal", gamma=5.0)


def test_sum():
    named = load_loss("{sum: [bce, {name: dice, weight: 2}]}")
    assert (named.label, named.kind, named.registered) == ("bce + 2*dice", "mask", True)
    assert named.loss == get("sum", terms=[{"name": "bce"}, {"name": "dice", "weight": 2}])
    named = load_loss("{sum: [giou, {name: ciou, gate: true}], label: both}")
    assert (named.label, named.kind) == ("both", "box")


def test_module_and_attribute():
    named = load_loss("torchvision.ops:complete_box_iou_loss")
    assert (named.label, named.kind, named.registered) == (
        "torchvision.ops:complete_box_iou_loss",
        "box",
        False,
    )
    torch.testing.assert_close(named.loss(BOXES, BOXES + 1), get("ciou")(BOXES, BOXES + 1))


def test_mapping_whose_name_is_module_and_attribute():
    text = "{name: segmentation_models_pytorch.losses:DiceLoss, mode: binary, smooth: 1.0}"
    named = load_loss(text, kind="mask")
    assert named.label == "segmentation_models_pytorch.losses:DiceLoss mode=binary smooth=1.0"
    logits, target = torch.zeros(2, 1, 3, 3), torch.eye(3).repeat(2, 1, 1, 1)
    valid = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    # Its Dice is (TP + smooth) / (TP + FP / 2 + FN / 2 + smooth), with TP = FN = 1.5 and FP = 3.
    torch.testing.assert_close(named.loss(logits, target, valid), torch.full((2,), 1 - 2.5 / 4.75))


@pytest.mark.parametrize(
    ("key", "kind"),
    [("space: deltas", "box"), ("inputs: logits", "mask"), ("layout: masks", "mask")],
)
def test_how_it_is_called_tells_the_kind(key, kind):
    assert load_loss(f"{{name: torch.nn.functional:l1_loss, {key}}}").kind == kind


def test_file_with_a_class(source):
    named = load_loss(f"{{name: '{source}:Mine', factor: 3}}")
    assert named.loss(BOXES, BOXES + 1).tolist() == [12]
    assert not named.registered


def test_file_is_imported_once(source):
    assert load_loss(f"{source}:Mine").loss == load_loss(f"{source}:Mine").loss


def test_attribute_of_an_attribute(source):
    assert load_loss(f"{source}:Holder.loss").loss(BOXES, BOXES + 1).tolist() == [8]


@pytest.mark.parametrize(
    ("text", "kind", "messages"),
    [
        ("cio", None, ["unknown loss 'cio' (did you mean 'ciou'?)", "allowed: "]),
        ("{name: ciou, gte: true}", None, [".gte: unknown key (did you mean 'gate'?)"]),
        ("{name: focal, gamma: -1}", None, ["gamma must be >= 0, got -1"]),
        ("{name: ciou, kind: mask}", None, ["is a box loss, not a mask loss"]),
        ("dice", "box", ["is a mask loss, not a box loss"]),
        ("{name: ciou, kind: boxes}", None, ["kind must be one of box, mask, got 'boxes'"]),
        ("{name: 'torch:add', layout: hot}", None, ["layout must be one of masks,"]),
        ("{sum: ciou}", None, ["sum must be a list of losses, got 'ciou'"]),
        ("{sum: []}", None, ["sum must be a list of losses, got []"]),
        ("{sum: [3]}", None, ["sum.0 must be a name or a mapping", "got 3"]),
        ("{sum: [bce, {name: 3}]}", None, ["sum.1 must be a name or a mapping", "{'name': 3}"]),
        ("{sum: [{name: [a]}]}", None, ["sum.0 must be a name or a mapping"]),
        ("{sum: [{name: bce, 3: 4}]}", None, ["sum.0 must be a name or a mapping"]),
        ("{sum: [giou, bce]}", None, ["terms.1"]),
        ("{sum: [{name: dic}]}", None, ["terms.0", "unknown loss 'dic'"]),
        ("{sum: [bce], name: sum}", None, ["must have a name or a sum, not both"]),
        ("[ciou", None, ["is not valid YAML"]),
        ("[ciou, diou]", None, ["must be a name, module:attribute, or a mapping"]),
        ("class_focal", None, ["'class_focal' is a loss of classes; only losses of boxes and of"]),
        ("3", None, ["must be a name, module:attribute, or a mapping"]),
        ("{1: ciou}", None, ["must be a name, module:attribute, or a mapping"]),
        ("{gamma: 3}", None, ["name must be text, got None"]),
        ("{name: ciou, label: 3}", None, ["label must be text, got 3"]),
        ("no_such_module:x", None, ["no_such_module cannot be imported: ModuleNotFoundError"]),
        ("torchvision.ops:complete_iou", None, ["torchvision.ops has no 'complete_iou'"]),
        ("'torchvision.ops:'", None, ["torchvision.ops has no ''"]),
        ("no_such_file.py:Loss", None, ["there is no file no_such_file.py"]),
        ("math:pi", None, ["'math:pi': is no loss but a float"]),
        ("torch.nn.functional:mse_loss", None, ["say which with `kind`"]),
        ("{name: 'torch.nn:L1Loss', red: sum}", "box", ["cannot be made: TypeError", "red"]),
    ],
)
def test_mistakes_are_told(text, kind, messages):
    with pytest.raises(UserError) as error:
        load_loss(text, kind)
    for message in messages:
        assert message in str(error.value)
    assert str(error.value).startswith("loss '")


def test_file_that_cannot_be_imported(tmp_path):
    (tmp_path / "broken.py").write_text("import torch\nraise KeyError('oh')")
    with pytest.raises(UserError, match=r"broken.py cannot be imported: KeyError: 'oh'"):
        load_loss(f"{tmp_path}/broken.py:Loss")
    (tmp_path / "broken.py").write_text("from torch.nn import L1Loss")
    assert load_loss(f"{{name: '{tmp_path}/broken.py:L1Loss', kind: box}}").kind == "box"
