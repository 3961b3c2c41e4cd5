"""What an experiment file says about fairness: the tuning of the losses, targets to reach."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmark.experiment.plain_words import NUMBER

Positive = Annotated[int, NUMBER, Field(gt=0, le=10_000_000)]
"""Beyond what anybody means, so that a slip of the hand is told and not begun."""
Repetitions = Annotated[int, NUMBER, Field(gt=0, le=10_000)]
PositiveFloat = Annotated[float, NUMBER, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, NUMBER, Field(gt=0, lt=1)]
"""A value of a metric, as a fraction."""


class Tune(BaseModel):
    """The same search for every loss, on the validation split, before the final runs.

    The settings of a loss are the product of what is listed. Losses with options listed for them
    have more of these; ``budget`` then says how many of its settings each loss tries.

    Attributes:
        weights: of the loss under test.
        lr: peak learning rates.
        options: label of a loss -> option -> values to try.
        budget: settings a loss; drawn from all of its settings where it has more.
        metric: of the validation split, after the last epoch; by default the task's primary one.
        repetitions: runs a setting, none of which shares its random streams with a final run.
        epochs: of a tuning run; by default those of a final one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    weights: Annotated[list[PositiveFloat], Field(min_length=1)] | None = None
    lr: Annotated[list[PositiveFloat], Field(min_length=1)] | None = None
    options: dict[str, dict[str, Annotated[list[Any], Field(min_length=1)]]] = {}
    budget: Positive | None = None
    metric: str | None = None
    repetitions: Repetitions = 1
    epochs: Positive | None = None

    @model_validator(mode="after")
    def _something_to_choose(self) -> Tune:
        if self.weights is None and self.lr is None and not self.options:
            raise ValueError("names nothing to choose from: give weights, lr or options")
        lists = {"weights": self.weights, "lr": self.lr}
        for label, options in self.options.items():
            lists |= {f"options.{label}.{name}": values for name, values in options.items()}
        for name, values in lists.items():
            for i, value in enumerate(values or []):
                if value in (values or [])[:i]:
                    raise ValueError(f"{name} lists {value!r} twice")
        return self


Targets = dict[str, Share]
"""Metric -> value on the validation split whose first reaching is timed."""
