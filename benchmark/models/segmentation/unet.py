"""A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) over a classifier's convolutions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark.experiment.sizes import smallest_size
from benchmark.experiment.train_settings import Train
from benchmark.models.base import ModelSpec, SegmentationModel, register
from benchmark.models.norms import check_values
from benchmark.models.weights import check_weights, load_weights
from benchmark.options import UserError, suggest

TIMM = "tu-"
"""Start of an encoder's name that stands for any network of timm: ``tu-mobilenetv3_small_100``."""

DEPTHS = range(3, 6)

FAULTS = (RuntimeError, AttributeError, AssertionError, LookupError, TypeError, ValueError)
"""What networks of timm raise that are not made for the use that is asked of them."""


@register("unet")
@dataclass(frozen=True)
class UNetSpec(ModelSpec):
    """U-Net of segmentation_models.pytorch with any of its encoders; 4 M weights by default.

    Attributes:
        encoder: a name that the library knows, or ``tu-`` and that of a network of timm.
        decoder_channels: channels from the coarsest level to the finest, which is the whole image;
            as many as the encoder halves the image.
        weights: ``none``, ``backbone`` (the encoder's, trained on ImageNet) or a file.
    """

    task: ClassVar[str] = "segmentation"
    multiple: ClassVar[int] = 1
    encoder: str = "mobilenet_v2"
    decoder_channels: tuple[int, ...] = (128, 64, 32, 32, 16)
    weights: str = "none"

    def __post_init__(self) -> None:
        check_weights(self.weights, ("none", "backbone"))
        if len(self.decoder_channels) not in DEPTHS or min(self.decoder_channels) < 1:
            raise ValueError(
                f"decoder_channels must be {DEPTHS[0]} to {DEPTHS[-1]} numbers, each at least 1, "
                f"got {list(self.decoder_channels)}"
            )
        _check_encoder(self.encoder, self.weights)
        depth = len(self.decoder_channels)
        reason = _misfit(self.encoder, depth) if self.encoder.startswith(TIMM) else ""
        if reason:
            raise ValueError(
                f"encoder {self.encoder} cannot be that of a U-Net of {depth} levels: {reason}"
            )

    def check_train(self, train: Train) -> None:
        super().check_train(train)
        check_values(train, 2 ** len(self.decoder_channels))
        if self.encoder.startswith(TIMM):
            for height, width in {tuple(train.image_size), smallest_size(train)}:
                reason = _refusal(self.encoder, tuple(self.decoder_channels), height, width)
                if reason:
                    raise ValueError(
                        f"image_size: encoder {self.encoder} takes no images of {height} x {width} "
                        f"(height x width): {reason}"
                    )

    def build(self, num_classes: int) -> SegmentationModel:
        return UNet(num_classes, self)


class UNet(SegmentationModel):
    """See :class:`UNetSpec`. Sides may be any; the decoder takes over those of the encoder."""

    backbone: ClassVar[tuple[str, ...]] = ("network.encoder",)

    def __init__(self, num_classes: int, spec: UNetSpec) -> None:
        super().__init__()
        published = spec.weights == "backbone"
        try:
            self.network = _network(num_classes, spec, "imagenet" if published else None)
        except (OSError, RuntimeError) as error:
            if not published:
                raise
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"weights: those of the encoder {spec.encoder} can be neither loaded nor "
                f"downloaded ({reason}); give `weights` the path of a file"
            ) from None
        load_weights(
            self.network,
            "none" if published else spec.weights,
            backbone=(None, self.network.encoder),
            class_layers=("segmentation_head.0.",),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).float()


def _network(num_classes: int, spec: UNetSpec, encoder_weights: str | None) -> Any:
    channels = list(spec.decoder_channels)
    with warnings.catch_warnings():
        # Of encoders that the library has renamed, and of what it passes on to timm.
        warnings.simplefilter("ignore")
        return _library().Unet(
            spec.encoder,
            encoder_depth=len(channels),
            encoder_weights=encoder_weights,
            decoder_channels=channels,
            classes=num_classes,
        )


def _library() -> Any:
    """segmentation_models.pytorch, which few experiments need, imported when one does."""
    try:
        import segmentation_models_pytorch
    except ImportError:
        raise ValueError(
            "unet needs segmentation_models.pytorch, an extra of this project: "
            'python3 -m pip install -e ".[smp]" -c constraints.txt'
        ) from None
    return segmentation_models_pytorch


def _check_encoder(name: str, weights: str) -> None:
    encoders = _library().encoders.encoders
    if name.startswith(TIMM):
        _check_timm(name)
        return
    if name not in encoders:
        raise ValueError(
            f"unknown encoder '{name}'{suggest(name, encoders)}; allowed: {', '.join(encoders)}, "
            f"and {TIMM}NAME for a network of timm"
        )
    if weights == "backbone" and "imagenet" not in encoders[name]["pretrained_settings"]:
        raise ValueError(f"weights: none of encoder {name} trained on ImageNet are published")


@cache
def _misfit(encoder: str, depth: int) -> str:
    """Why a network of timm cannot be an encoder: not all give maps of each stride; or nothing."""
    try:
        with torch.device("meta"):  # shapes without weights
            _library().encoders.get_encoder(encoder, depth=depth, weights=None)
    except FAULTS as error:
        return _first_line(error)
    return ""


@cache
def _refusal(encoder: str, channels: tuple[int, ...], height: int, width: int) -> str:
    """Why a network of timm takes no images of that size: some are made for one; or nothing."""
    spec = UNetSpec(encoder=encoder, decoder_channels=channels)
    try:
        with torch.device("meta"), torch.no_grad():
            _network(1, spec, None).eval()(torch.empty(1, 3, height, width))
    except FAULTS as error:
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _check_timm(name: str) -> None:
    import timm  # comes with the library

    network = name.removeprefix(TIMM)
    if not timm.is_model(network):
        close = suggest(network, timm.list_models())
        raise ValueError(f"unknown encoder '{name}': timm has no network '{network}'{close}")
