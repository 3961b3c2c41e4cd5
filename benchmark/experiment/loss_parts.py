"""Losses that stand at different places of one model, compared as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


class LossParts:
    """One loss a place: ``rpn``, ``roi``, ``classification``, ``mask``, ...

    Args:
        losses: the losses by place; ``box`` stands at every place that regresses boxes and has
            none of its own. They are called like losses of the register and have their attributes.
    """

    def __init__(self, losses: Mapping[str, Any]) -> None:
        self.losses = dict(losses)

    def each(self, change: Callable[[Any], Any]) -> LossParts:
        """The same places with every loss changed."""
        return LossParts({place: change(loss) for place, loss in self.losses.items()})

    def progress(self, fraction: float) -> None:
        """Say how much of the training is over, 0 to 1; for scheduled losses."""
        for loss in self.losses.values():
            loss.progress(fraction)

    def state_dict(self) -> dict[str, Tensor]:
        """States of the losses, their keys prefixed by the place."""
        return {
            f"{place}.{key}": value
            for place, loss in self.losses.items()
            for key, value in loss.state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave."""
        for place, loss in self.losses.items():
            prefix = f"{place}."
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            loss.load_state_dict(own)


class Weighted:
    """A loss times a number; it is called like the loss and has its attributes."""

    def __init__(self, loss: Any, weight: float) -> None:
        self._loss = loss
        self._weight = weight

    def __call__(self, *arguments: Any, **options: Any) -> Tensor:
        return self._weight * self._loss(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loss, name)
