"""The table of public losses: complete for what is installed, and all of ours exist."""

from __future__ import annotations

import importlib
import inspect

import pytest
from torch import nn

from benchmark.experiment.loss_spec import load_loss
from benchmark.peers import PEERS, UNRELATED

MODULES = {
    "segmentation_models_pytorch": "segmentation_models_pytorch.losses",
    "monai": "monai.losses",
    "kornia": "kornia.losses",
    "torchvision": "torchvision.ops",
}


def plain(name):
    """``FocalLoss``, ``focal_loss`` and ``FocalLoss(alpha=1)`` are one loss."""
    return name.partition("(")[0].strip().replace("_", "").lower()


def exported(package):
    """Names of the losses that a package exports, aliases left out."""
    module = importlib.import_module(MODULES[package])
    found = set()
    for member in vars(module).values():
        is_loss = (inspect.isclass(member) and issubclass(member, nn.Module)) or (
            inspect.isfunction(member) and "loss" in member.__name__
        )
        if is_loss and member.__module__.startswith(package):
            found.add(member.__name__)
    if package == "torchvision":
        found = {name for name in found if "loss" in name}
    return found


def rows(package):
    return {
        plain(name) for peer in PEERS if peer.package == package for name in peer.name.split(",")
    }


@pytest.mark.parametrize("package", MODULES)
def test_every_loss_of_an_installed_package_has_a_row_or_a_reason(package):
    known = rows(package) | {plain(name) for name in UNRELATED[package]}
    names = exported(package)
    assert len(names) >= 4
    assert not {name for name in names if plain(name) not in known}


@pytest.mark.parametrize("package", MODULES)
def test_no_reason_is_given_for_what_has_a_row_or_is_not_there(package):
    unrelated = {plain(name) for name in UNRELATED[package]}
    assert not unrelated & rows(package)
    assert unrelated <= {plain(name) for name in exported(package)}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.package}-{peer.name}")
def test_every_row_names_a_loss_of_ours_or_says_why_there_is_none(peer):
    if peer.ours:
        named = load_loss(peer.ours)
        assert named.registered
        assert named.kind == peer.kind
        assert peer.value in ("equal", "differs")
    else:
        assert peer.note
        assert peer.value == ""
    if peer.value == "differs" or peer.differs_on or peer.factor != 1:
        assert peer.note


def test_no_row_is_given_twice():
    names = [(peer.package, peer.name) for peer in PEERS]
    assert len(set(names)) == len(names)


def test_every_project_is_covered():
    assert {peer.package for peer in PEERS} == {
        "torch",
        "torchvision",
        "segmentation_models_pytorch",
        "monai",
        "kornia",
        "mmdetection",
        "ultralytics",
        "paddledetection",
        "detectron2",
        "seglossodyssey",
    }
