"""How runs are trained: the ``train`` settings of an experiment file, and what they may be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from benchmark.experiment.plain_words import NUMBER
from benchmark.experiment.protocol import Positive
from benchmark.options import UserError, resolve_options, suggest
from benchmark.training.optimization import OPTIMIZERS, SCHEDULES
from datasets.augment import Augment

ADDED_KEYS: dict[str, Any] = {
    "compile": False,
    "ema": None,
    "backbone_lr": 1.0,
    "freeze": "none",
    "multi_scale": None,
}
"""Train settings that came after the first published runs, with the values that those ran with."""

STRICT = ConfigDict(extra="forbid", frozen=True)
"""Of every part of an experiment file: unknown keys are errors, and what is read stays."""

Finite = Annotated[float, NUMBER, Field(allow_inf_nan=False)]


def _image_size(value: Any) -> Any:
    """``128`` means ``[128, 128]``; what sides must divide by, the models say."""
    size = [value, value] if isinstance(value, int) else value
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(type(side) is int and side >= 32 for side in size)
    ):
        raise ValueError("must be one number or [height, width] in pixels, each at least 32")
    return list(size)


def one_of(register: dict[str, Any]) -> BeforeValidator:
    """A check that a value is a name in the register; the message lists them."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in register:
            raise ValueError(f"must be one of {', '.join(register)}{suggest(value, register)}")
        return value

    return BeforeValidator(check)


def _augment(value: Any) -> Any:
    if not isinstance(value, dict | None):
        raise ValueError("must be a mapping of options")
    try:
        options = resolve_options(Augment, value or {}, "")
    except UserError as error:  # pydantic takes a ValueError and adds the path of the key
        raise ValueError(str(error)) from None
    Augment(**options)
    return options


def _amp(value: Any) -> Any:
    if not (isinstance(value, bool) or value in ("bf16", "fp16")):
        raise ValueError("must be false, true (the type that suits the device), bf16 or fp16")
    return value


def _multi_scale(value: Any) -> Any:
    low_high = value if isinstance(value, list | tuple) and len(value) == 2 else (0, 0)
    numbers = all(type(factor) in (int, float) for factor in low_high)
    if not numbers or not 0.25 <= low_high[0] <= low_high[1] <= 4:
        raise ValueError("must be [low, high], factors with 0.25 <= low <= high <= 4")
    return [float(factor) for factor in low_high]


class Train(BaseModel):
    """How every run of a block is trained."""

    model_config = STRICT

    epochs: Positive = 8
    batch_size: Positive = 16
    image_size: Annotated[list[int], BeforeValidator(_image_size)] = [128, 128]
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = "adamw"
    lr: Annotated[Finite, Field(gt=0)] = 1e-3
    weight_decay: Annotated[Finite, Field(ge=0)] = 1e-4
    momentum: Annotated[float, NUMBER, Field(ge=0, lt=1)] = 0.9
    schedule: Annotated[str, one_of(SCHEDULES)] = "one_cycle"
    grad_clip: Annotated[Finite, Field(gt=0)] | None = 10.0
    augment: Annotated[dict[str, Any], BeforeValidator(_augment)] = Field(
        default_factory=lambda: _augment({})
    )
    eval_every: Positive = 1
    amp: Annotated[bool | Literal["bf16", "fp16"], BeforeValidator(_amp)] = False
    compile: bool = False
    ema: Annotated[float, NUMBER, Field(gt=0, lt=1)] | None = None
    backbone_lr: Annotated[Finite, Field(gt=0)] = 1.0
    freeze: Literal["none", "norm", "backbone"] = "none"
    multi_scale: Annotated[list[float], BeforeValidator(_multi_scale)] | None = None

    @model_validator(mode="after")
    def _turned_images_fit(self) -> Train:
        height, width = self.image_size
        if self.augment["rotate90"] and height != width:
            raise ValueError(
                f"augment.rotate90 needs square images, but image_size is {self.image_size}"
            )
        return self

    @model_validator(mode="after")
    def _frozen_has_no_rate(self) -> Train:
        if self.freeze == "backbone" and self.backbone_lr != 1:
            raise ValueError(
                f"backbone_lr is {self.backbone_lr:g}, but freeze: backbone leaves nothing of the "
                "backbone to train; give one of the two"
            )
        return self
