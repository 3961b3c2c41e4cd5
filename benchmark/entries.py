"""Losses, data sets and models as an experiment file names them: a name, or one with options."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _name_to_entry(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _term_to_entry(value: Any) -> Any:
    if isinstance(value, dict) and "sum" in value:
        raise ValueError("a sum cannot be part of a sum; list its terms here")
    return _name_to_entry(value)


def _loss_to_entry(value: Any) -> Any:
    """``{sum: [...]}`` names no loss: the sum is one."""
    value = _name_to_entry(value)
    if not isinstance(value, dict) or value.get("sum") is None:
        return value
    if value.get("name", "sum") != "sum":
        raise ValueError("must have a name or a sum, not both")
    return {**value, "name": "sum"}


class Entry(BaseModel):
    """A name, or a mapping of a name with options: ``{name: focal, gamma: 2}``."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    label: Annotated[str, Field(min_length=1)] | None = None

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def shown(self) -> str:
        """The label; without one, the name and what is said besides it: ``focal gamma=5``."""
        return self.label or " ".join(
            [self.name, *(f"{key}={value}" for key, value in self.options.items())]
        )


class Term(BaseModel):
    """A loss within a sum: a name, a weight or its schedule, options.

    :class:`losses.schedule.Schedule` says what a weight may be, and checks it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    weight: Any = 1.0

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def shown(self) -> str:
        """``bce``, ``0.5*focal gamma=5``, ``0.01..1*boundary``."""
        name = Entry(name=self.name, **self.options).shown
        if isinstance(self.weight, dict):
            return f"{self.weight.get('from')}..{self.weight.get('to')}*{name}"
        return name if self.weight == 1 else f"{self.weight}*{name}"


class LossEntry(Entry):
    """A loss; ``{sum: [{name: bce, weight: 0.5}, dice]}`` is a weighted sum of several."""

    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    sum: (
        Annotated[list[Annotated[Term, BeforeValidator(_term_to_entry)]], Field(min_length=1)]
        | None
    ) = None

    @property
    def shown(self) -> str:
        terms = [term.shown for term in self.sum or []]
        shown = " + ".join(terms) if terms and not self.label else super().shown
        if self.label or self.weight == 1.0:
            return shown
        return f"{shown} weight={self.weight:g}"


Named = Annotated[Entry, BeforeValidator(_name_to_entry)]
NamedLoss = Annotated[LossEntry, BeforeValidator(_loss_to_entry)]
