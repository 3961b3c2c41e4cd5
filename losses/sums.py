"""Weighted sums of losses: what sums of box losses and of mask losses share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .base import Loss, get
from .schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class SumOfLosses(Loss):
    """w_1 loss_1 + w_2 loss_2 + ..., each weight a number or a schedule.

    Attributes:
        terms: mappings of ``name``, a registered loss that is no sum itself; ``weight``, a number
            > 0 (1 if left out) or a :class:`~losses.schedule.Schedule` as a mapping of ``from``
            and ``to`` (weights), ``kind`` (linear or cosine), ``start`` and ``end`` (parts of the
            training, 0 to 1); and that loss's options.
    """

    terms: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.terms:
            raise ValueError("terms must be a list of one loss or more, got an empty one")
        self.progress(0.0)  # builds, and so checks, the losses and the schedules

    @cached_property
    def losses(self) -> tuple[Any, ...]:
        """The losses of the terms."""
        return tuple(self._built(i, term) for i, term in enumerate(self.terms))

    @cached_property
    def schedules(self) -> tuple[Schedule, ...]:
        """The weights of the terms."""
        return tuple(self._scheduled(i, term) for i, term in enumerate(self.terms))

    @cached_property
    def weights(self) -> Tensor:
        """The weights now, float64 ``[terms]``.

        A tensor, so that a compiled sum need not be compiled again for each value; on the
        processor, from where a single number reaches any device without waiting for it.
        """
        return torch.zeros(len(self.terms), dtype=torch.float64)

    def added_up(self, values: Iterator[Tensor]) -> Tensor:
        """Σ w_i values_i, the values in the order of the terms."""
        now = self.weights.clone().unbind()  # autograd keeps these; `progress` writes in place
        parts = [w * value for w, value in zip(now, values, strict=True)]
        return torch.stack(parts).sum(0)

    @property
    def zero_at_match(self) -> bool:
        return all(loss.zero_at_match for loss in self.losses)

    @property
    def non_negative(self) -> bool:
        return all(loss.non_negative for loss in self.losses)

    @property
    def stops_gradient(self) -> str:
        return "; ".join(loss.stops_gradient for loss in self.losses if loss.stops_gradient)

    @property
    def depends_on_batch(self) -> bool:
        return any(loss.depends_on_batch for loss in self.losses)

    def progress(self, fraction: float) -> None:
        """Set the weights to those of this moment of the training, 0 to 1."""
        now = [schedule.at(fraction) for schedule in self.schedules]
        self.weights.copy_(torch.tensor(now, dtype=torch.float64))
        for loss in self.losses:
            loss.progress(fraction)

    def state_dict(self) -> dict[str, Tensor]:
        """States of the terms, their keys prefixed by the term's number."""
        return {
            f"{i}.{key}": value
            for i, loss in enumerate(self.losses)
            for key, value in loss.state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for i, loss in enumerate(self.losses):
            prefix = f"{i}."
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            loss.load_state_dict(own)

    def _built(self, i: int, term: dict[str, Any]) -> Loss:
        options = {key: value for key, value in term.items() if key not in ("name", "weight")}
        if not isinstance(term.get("name"), str):
            raise ValueError(f"terms.{i}.name must be the name of a loss, got {term.get('name')!r}")
        try:
            loss = get(term["name"], **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"terms.{i}: {error}") from None
        if isinstance(loss, SumOfLosses):
            raise ValueError(f"terms.{i}: a sum cannot be part of a sum; list its terms here")
        return loss

    def _scheduled(self, i: int, term: dict[str, Any]) -> Schedule:
        try:
            return Schedule.of(term.get("weight", 1.0))
        except ValueError as error:
            raise ValueError(f"terms.{i}: {error}") from None
