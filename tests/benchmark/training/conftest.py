"""A model that notes what it is trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import pytest
from torch import Tensor, nn

from benchmark.models import MODELS, ModelSpec
from benchmark.models.segmentation.tiny_unet import TinyUNet


def digest(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


@dataclass
class RecordingSpec(ModelSpec):
    """A U-Net with dropout that notes its first weights and every training batch."""

    task: ClassVar[str] = "segmentation"
    seen: ClassVar[dict[str, list[str]]] = {}
    dropout: float = 0.0

    def build(self, num_classes: int) -> nn.Module:
        model = TinyUNet(num_classes, 4)
        model.stem.append(nn.Dropout(self.dropout))
        type(self).seen.setdefault("weights", []).append(digest(*model.state_dict().values()))
        model.register_forward_pre_hook(self._note)
        return model

    @classmethod
    def _note(cls, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if model.training:
            cls.seen.setdefault("batches", []).append(digest(*inputs))


@pytest.fixture
def recorder(monkeypatch) -> dict[str, list[str]]:
    """A model named ``recorder``, and what it saw."""
    monkeypatch.setitem(MODELS, "recorder", RecordingSpec)
    monkeypatch.setattr(RecordingSpec, "seen", {})
    return RecordingSpec.seen
