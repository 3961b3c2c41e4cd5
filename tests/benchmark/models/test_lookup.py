"""Models of the user's own: found by their path, checked early, part of a run's identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.experiment.config import Experiment
from benchmark.experiment.grid import plan
from benchmark.models import MODELS, check_network, check_unchanged, find_model, outside_files
from benchmark.options import UserError
from benchmark.training.state import build_model

HEADER = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
import torch
from torch import nn
from benchmark.models import *
"""
SEGMENTER = """
@dataclass(frozen=True)
class Mine(ModelSpec):
    '''One convolution.'''
    task: ClassVar[str] = "segmentation"
    size: int = 3

    def build(self, num_classes: int) -> SegmentationModel:
        return Network(num_classes, self.size)

class Network(SegmentationModel):
    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, num_classes, size, padding=size // 2)

    def forward(self, images):
        return self.conv(images)
"""
FAULTY = """
class NoSpec(nn.Module):
    def build(self, num_classes):
        return self

class NoDataclass(ModelSpec):
    task = "segmentation"
    def build(self, num_classes):
        return nn.Identity()

@dataclass(frozen=True)
class NoBuild(ModelSpec):
    task: ClassVar[str] = "segmentation"

@dataclass(frozen=True)
class NoTask(ModelSpec):
    def build(self, num_classes):
        return nn.Identity()

@dataclass(frozen=True)
class OtherTask(NoTask):
    task: ClassVar[str] = "depth"

@dataclass(frozen=True)
class OtherNetwork(NoTask):
    task: ClassVar[str] = "segmentation"

@dataclass(frozen=True)
class OtherDetector(NoTask):
    task: ClassVar[str] = "detection"

@dataclass(frozen=True)
class BadType(Mine):
    def __post_init__(self):
        self.size + "a"

@dataclass(frozen=True)
class Undefined(Mine):
    width: Nowhere = 3

@dataclass(frozen=True)
class OddField(Mine):
    network: Network = None

@dataclass(frozen=True)
class BadPlaces(Mine):
    places: ClassVar[dict] = {"box": "x"}

def changed(**attributes):
    class Changed(Network):
        pass
    for name, value in attributes.items():
        setattr(Changed, name, value)
    return Changed(1, 3)

@dataclass(frozen=True)
class TextBackbone(Mine):
    def build(self, num_classes):
        return changed(backbone="conv")

@dataclass(frozen=True)
class NoSuchBackbone(Mine):
    def build(self, num_classes):
        return changed(backbone=("conv", "encoder"))

@dataclass(frozen=True)
class Smaller(Mine):
    def build(self, num_classes):
        return changed(forward=lambda self, x: self.conv(x)[..., 1:-1, 1:-1])

@dataclass(frozen=True)
class Nothing(Mine):
    def build(self, num_classes):
        return changed(forward=lambda self, x: None)

@dataclass(frozen=True)
class Breaking(Mine):
    def build(self, num_classes):
        return changed(forward=lambda self, x: self.conv(x[:, :2]))

@dataclass(frozen=True)
class Failing(NoTask):
    task: ClassVar[str] = "segmentation"
    def build(self, num_classes):
        raise IndexError("no such layer")

function = len

@dataclass(frozen=True)
class Choosy(Mine):
    def check_train(self, train):
        if train.batch_size < 100:
            raise ValueError(f"batch_size: must be at least 100, got {train.batch_size}")

@dataclass(frozen=True)
class Careless(Mine):
    def check_train(self, train):
        train.batch
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the current folder; its name is new in every test, as modules are kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # taken back with all that the search adds
    file = tmp_path / f"own_{tmp_path.parent.name}_{tmp_path.name}.py".replace("-", "_")
    file.write_text(HEADER + SEGMENTER + FAULTY)
    return file


def experiment(name: str, task: str = "segmentation", **options: Any) -> Experiment:
    loss = {"segmentation": "bce", "detection": "giou"}[task]
    block = {
        "task": task,
        "losses": [loss],
        "datasets": ["shapes"],
        "models": [{"name": name, **options}],
    }
    return Experiment.model_validate({"name": "own", "matrix": {"b": block}})


@pytest.mark.parametrize("form", ["{stem}:Mine", "{stem}.Mine", "{stem}.py:Mine", "{path}:Mine"])
def test_a_class_is_found_by_module_and_by_file(source, form):
    name = form.format(stem=source.stem, path=source)
    assert find_model(name, "here").__name__ == "Mine"
    (cell,) = plan(experiment(name, size=5))
    assert cell.model.options == {"size": 5}
    model = build_model(cell, 2, torch.device("cpu"))
    assert model(torch.randn(1, 3, 32, 48)).shape == (1, 2, 32, 48)
    assert model.conv.kernel_size == (5, 5)


def test_a_registered_name_is_looked_up():
    assert find_model("tiny_unet", "here") is MODELS["tiny_unet"]
    with pytest.raises(UserError, match=r"^here: unknown model 'tiny_net' \(did you mean"):
        find_model("tiny_net", "here")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("Mime", "has no 'Mime' (did you mean 'Mine'?)"),
        ("Xyz", "has no 'Xyz'; it defines Mine, Network, NoSpec"),
        ("NoSpec", "must be a dataclass that derives from benchmark.models.ModelSpec"),
        ("NoDataclass", "must be a dataclass that derives from benchmark.models.ModelSpec"),
        ("function", "must be a dataclass that derives from benchmark.models.ModelSpec"),
        ("NoBuild", "lacks the method build"),
        ("NoTask", "`task` must be a class variable, one of detection, instance, segmentation; "
         "got None"),
        ("OtherTask", "got 'depth'"),
        ("OtherNetwork", "build must return a benchmark.models.SegmentationModel, got Identity"),
        ("BadType", "its options cannot be used: TypeError: unsupported operand"),
        ("Undefined", "its options cannot be used: NameError: name 'Nowhere' is not defined"),
        ("OddField", "its options cannot be used: TypeError: option 'network' is a Network, which"),
        ("BadPlaces", "`places` must map places to box, mask, sigmoid, softmax; got {'box': 'x'}"),
        ("TextBackbone", "must be a tuple of names of sub-modules, such as ('encoder',); got 'co"),
        ("NoSuchBackbone", "`backbone` names 'encoder', which is no sub-module of the network; it "
         "has conv"),
        ("Smaller", "forward on images [2, 3, 128, 128] must give logits [2, 1, 128, 128] for one "
         "class; got [2, 1, 126, 126]"),
        ("Nothing", "a tensor; got NoneType"),
        ("Breaking", "forward failed on images [2, 3, 128, 128]: RuntimeError: "),
        ("Failing", "build(1) failed: IndexError: no such layer"),
        ("Choosy", "train.batch_size: must be at least 100, got "),
        ("Careless", "check_train: AttributeError: 'Train' object has no attribute 'batch'"),
        ("OtherDetector", "is detection, but the block's task is segmentation"),
    ],
)  # fmt: skip
def test_a_class_that_is_no_model_is_refused(source, attribute, message):
    with pytest.raises(UserError) as caught:
        plan(experiment(f"{source.name}:{attribute}"))
    text = str(caught.value)
    assert text.startswith("matrix.b.models.0: ")
    assert f"'{source.name}:{attribute}'" in text
    assert message in text


def test_a_network_without_the_methods_of_a_detector_is_refused(source):
    with pytest.raises(UserError, match=r"must return a .*\.DetectionModel, got Identity"):
        plan(experiment(f"{source.name}:OtherDetector", task="detection"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:Mine", "model 'nowhere.py:Mine': there is no file nowhere.py"),
        ("folder/mine.py", "names a file but no class; write folder/mine.py:MyModel"),
        ("no_such_module.Mine", "no_such_module cannot be imported: ModuleNotFoundError"),
        ("Mine:", "Mine cannot be imported"),
        (":Mine", " cannot be imported: ValueError"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(source, name, message):
    with pytest.raises(UserError, match=r"^here: model ") as caught:
        find_model(name, "here")
    assert message in str(caught.value)


DETECTOR = """
class Found(DetectionModel):
    def __init__(self, output):
        super().__init__()
        self.output = output
    def losses(self, images, boxes, labels, loss):
        raise NotImplementedError
    def predict(self, images):
        return self.output(len(images))

def detections(boxes=2, scores=2, labels=2):
    return Detections(torch.zeros(boxes, 4), torch.zeros(scores), torch.zeros(labels))

OUTPUTS = {
    "none": lambda n: None,
    "one": lambda n: [detections()],
    "labels": lambda n: [detections(labels=3)] * n,
    "boxes": lambda n: [detections(boxes=1)] * n,
    "good": lambda n: [detections()] * n,
    "empty": lambda n: [detections(0, 0, 0)] * n,
}

@dataclass(frozen=True)
class Detector(ModelSpec):
    task: ClassVar[str] = "detection"
    output: str = "good"
    def build(self, num_classes):
        return Found(OUTPUTS[self.output])
"""


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none", "must give a list of benchmark.models.Detections; got NoneType"),
        ("one", "must give Detections for each image; got 1"),
        ("labels", "must give labels [2] for 2 scores; got [3]"),
        ("boxes", "must give boxes [2, 4] for 2 scores; got [1, 4]"),
    ],
)
def test_a_detector_is_called_once(source, output, message):
    source.write_text(HEADER + DETECTOR)
    name = f"{source.name}:Detector"
    plan(experiment(name, task="detection", output="good"))
    plan(experiment(name, task="detection", output="empty"))
    with pytest.raises(UserError) as caught:
        plan(experiment(name, task="detection", output=output))
    assert message in str(caught.value)


def test_a_network_is_called_at_the_size_that_it_will_be_trained_with(source):
    """One that takes no other size is no mistake."""
    source.write_text(
        HEADER
        + SEGMENTER.replace(
            "return self.conv(x", "return self.conv(x.view(-1, 3, 128, 128)"
        ).replace("return self.conv(images)", "return self.conv(images.view(-1, 3, 128, 128))")
    )
    cells = plan(experiment(f"{source.name}:Mine"))
    assert {cell.model.name for cell in cells} == {f"{source.name}:Mine"}


def test_options_are_checked_as_those_of_other_models(source):
    with pytest.raises(UserError, match=r"models.0.sise: unknown key.*did you mean 'size'"):
        plan(experiment(f"{source.stem}:Mine", sise=5))
    with pytest.raises(UserError, match=r"models.0.size: .*got 'big'"):
        plan(experiment(f"{source.stem}:Mine", size="big"))


def test_a_changed_file_is_another_run(source):
    """And a run that was planned with the old content does not start with the new one."""
    name = f"{source.name}:Mine"
    (before,) = plan(experiment(name))
    assert list(before.model.files) == [source.name]
    source.write_text(
        source.read_text().replace("padding=size", "padding_mode='reflect',padding=size")
    )
    (after,) = plan(experiment(name))
    assert after.identity() != before.identity()
    assert after.slug != before.slug
    with pytest.raises(UserError, match=f"{source.name} has changed since the run was planned"):
        build_model(before, 1, torch.device("cpu"))
    build_model(after, 1, torch.device("cpu"))


def test_a_registered_model_has_no_files():
    (cell,) = plan(experiment("tiny_unet"))
    assert cell.model.files == {}


def test_a_file_of_weights_is_part_of_the_identity(tmp_path):
    file = tmp_path / "weights.pth"
    found = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        (cell,) = plan(experiment("lraspp_mobilenet_v3", weights=str(file)))
        assert list(cell.model.files) == ["weights.pth"]
        found.append(cell.identity())
    assert found[0] != found[1]


def test_files_are_told_apart_by_their_content(source):
    spec = find_model(f"{source.name}:Mine", "here")()
    files = outside_files(f"{source.name}:Mine", spec)
    check_unchanged(files, f"{source.name}:Mine", spec)
    with pytest.raises(UserError, match="has changed"):
        check_unchanged({source.name: "0" * 16}, f"{source.name}:Mine", spec)
    check_network(f"{source.name}:Mine", spec, "here")


def test_the_command_line_plans_it_and_refuses_what_is_none(cli, tmp_path):
    (tmp_path / "own.py").write_text(HEADER + SEGMENTER + FAULTY)
    words = ["run", "quickstart", "--dry-run", "matrix.masks.losses=[bce]"]
    planned = cli(*words, "matrix.masks.models=[{name: own:Mine, size: 5}]")
    assert planned.returncode == 0, planned.stderr
    assert "own-Mine-size=5-bce" in planned.stdout
    refused = cli(*words, "matrix.masks.models=[own.py:Mime]")
    assert refused.returncode == 2
    assert "matrix.masks.models.0: model 'own.py:Mime': own.py has no 'Mime'" in refused.stderr
    assert "Traceback" not in refused.stderr
