"""The moving average of a model's weights, which is what is evaluated where it is asked for."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage:
    """The exponential moving average of weights and buffers (the norms' statistics).

    After the first step it is the model; from then on ``average = decay · average + (1 - decay) ·
    model``, by torch's own function. ``torch.optim.swa_utils.AveragedModel`` does the same, but
    reads its counter in every step, and for that the host waits for the GPU.

    Attributes:
        model: a copy of the model that has the average.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(False).eval()
        self._average = get_ema_multi_avg_fn(decay)
        self._started = False
        pairs: list[tuple[Tensor, Tensor]] = [
            *zip(self.model.parameters(), model.parameters(), strict=True),
            *zip(self.model.buffers(), model.buffers(), strict=True),
        ]
        self._counters = [(own, new) for own, new in pairs if not own.is_floating_point()]
        averaged = [(own, new.detach()) for own, new in pairs if own.is_floating_point()]
        self._own = [own for own, _ in averaged]
        self._new = [new for _, new in averaged]

    def update(self) -> None:
        """Take in the model as it is after a step of the optimiser."""
        if self._started:
            self._average(self._own, self._new, None)
        else:
            for own, new in zip(self._own, self._new, strict=True):
                own.copy_(new)
        for own, new in self._counters:
            own.copy_(new)
        self._started = True

    def state_dict(self) -> dict[str, Any]:
        """The average and whether there was a step."""
        return {"model": self.model.state_dict(), "started": self._started}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self._started = state["started"]
