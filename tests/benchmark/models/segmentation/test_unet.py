"""``unet``: segmentation_models.pytorch behind our interface."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest
import torch

from benchmark.experiment.train_settings import Train
from benchmark.models import MODELS
from benchmark.models.segmentation.unet import UNetSpec
from benchmark.options import UserError, build, resolve_options

smp = pytest.importorskip("segmentation_models_pytorch")

SMALL = {"encoder": "tu-mobilenetv3_small_050", "decoder_channels": (32, 16, 16, 16, 8)}


def make(num_classes: int = 2, **options: Any):
    torch.manual_seed(0)
    return UNetSpec(**{**SMALL, **options}).build(num_classes)


@pytest.mark.parametrize("size", [(32, 32), (48, 80), (64, 112)])
@pytest.mark.parametrize("num_classes", [1, 5])
def test_one_logit_a_class_and_pixel(size, num_classes):
    """Also where a side divides by 16 but not by 32, the coarsest stride."""
    with torch.no_grad():
        logits = make(num_classes).eval()(torch.randn(2, 3, *size))
    assert logits.shape == (2, num_classes, *size)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    ("encoder", "channels"),
    [("mobilenet_v2", (32, 16, 16, 8)), ("resnet18", (16, 8, 8)), ("mit_b0", (32, 16, 16, 8, 8))],
)
def test_other_encoders_and_depths(encoder, channels):
    model = make(3, encoder=encoder, decoder_channels=channels).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 48, 80)).shape == (1, 3, 48, 80)


def test_values_are_the_librarys():
    torch.manual_seed(0)
    theirs = smp.Unet(
        SMALL["encoder"], encoder_weights=None, decoder_channels=SMALL["decoder_channels"],
        classes=2,
    ).eval()  # fmt: skip
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(make().eval()(images), theirs(images))


def test_the_gradient_reaches_every_weight():
    model = make()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    dead = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert dead == []


def test_logits_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert make().eval()(torch.randn(1, 3, 32, 32)).dtype == torch.float32


def test_the_backbone_is_the_encoder():
    model = make()
    (backbone,) = (model.get_submodule(path) for path in model.backbone)
    assert backbone is model.network.encoder


def test_it_learns():
    images = torch.randn(4, 3, 64, 64)
    target = torch.zeros(4, 1, 64, 64)
    target[..., 16:48, 16:48] = 1
    images += 2 * target
    model = make(1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(images), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def refusal(**options: Any) -> str:
    with pytest.raises(UserError) as caught:
        build(MODELS["unet"], resolve_options(UNetSpec, options, "m"), "m")
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet81"}, "m: unknown encoder 'resnet81' (did you mean 'resnet18'?)"),
        (
            {"encoder": "tu-mobilenetv3_smal_100"},
            "m: unknown encoder 'tu-mobilenetv3_smal_100': timm has no network "
            "'mobilenetv3_smal_100' (did you mean 'mobilenetv3_small_100'?)",
        ),
        (
            {"decoder_channels": [16, 8]},
            "m: decoder_channels must be 3 to 5 numbers, each at least 1, got [16, 8]",
        ),
        (
            {"encoder": "tu-vit_tiny_patch16_224"},
            "m: encoder tu-vit_tiny_patch16_224 cannot be that of a U-Net of 5 levels: Unsupported",
        ),
        ({"decoder_channels": [16, 8, 0]}, "each at least 1, got [16, 8, 0]"),
        ({"decoder_channels": "many"}, "m.decoder_channels: "),
        ({"weights": "full"}, "m: weights must be none, backbone or a file"),
        (
            {"encoder": "resnext101_32x48d", "weights": "backbone"},
            "m: weights: none of encoder resnext101_32x48d trained on ImageNet are published",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    assert message in refusal(**options)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "segmentation_models_pytorch")
    original = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "segmentation_models_pytorch":
            raise ImportError(name)
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    assert 'python3 -m pip install -e ".[smp]" -c constraints.txt' in refusal()


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(7)
    other = UNetSpec(**SMALL).build(5)
    torch.save(other.state_dict(), tmp_path / "whole.pth")
    torch.save(other.network.encoder.state_dict(), tmp_path / "encoder.pth")
    fresh = make().network.state_dict()
    for file, start in (("whole.pth", ("encoder.", "decoder.")), ("encoder.pth", ("encoder.",))):
        loaded = make(weights=str(tmp_path / file)).network.state_dict()
        for name, value in loaded.items():
            source = other.network.state_dict() if name.startswith(start) else fresh
            assert torch.equal(value, source[name]), name


@pytest.mark.parametrize("error", [FileNotFoundError("no network"), RuntimeError("hub\nmore")])
def test_weights_that_cannot_be_downloaded(monkeypatch, error):
    def refuse(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(smp.encoders, "hf_hub_download", refuse)
    with pytest.raises(UserError, match=r"of the encoder resnet18 can be neither .*\((no|hub)"):
        make(encoder="resnet18", weights="backbone")


def test_an_encoder_made_for_one_size_is_refused_at_others():
    given = {"encoder": "tu-swin_tiny_patch4_window7_224", "decoder_channels": [32, 16, 16, 8]}
    spec = build(UNetSpec, resolve_options(UNetSpec, given, "m"), "m")
    spec.check_train(Train(image_size=224))
    with pytest.raises(ValueError, match=r"^image_size: .* no images of 128 x 96 .*\(128\)"):
        spec.check_train(Train(image_size=[128, 96]))
    with pytest.raises(ValueError, match="no images of 128 x 128"):
        spec.check_train(Train(image_size=224, multi_scale=[0.6, 1.0]))
