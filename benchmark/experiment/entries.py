"""Losses, data sets and models as an experiment file names them: a name, or one with options."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from benchmark.experiment.plain_words import NUMBER
from datasets.classes import CONTROL


def _name_to_entry(value: Any) -> Any:
    if not isinstance(value, str | dict | BaseModel):
        raise ValueError("must be a name, or a mapping such as {name: NAME, OPTION: value}")
    return {"name": value} if isinstance(value, str) else value


def _term_to_entry(value: Any) -> Any:
    if isinstance(value, dict) and "sum" in value:
        raise ValueError("a sum cannot be part of a sum; list its terms here")
    return _name_to_entry(value)


def _one_line(label: str) -> str:
    """Labels stand in tables, folder names and axes."""
    if CONTROL.search(label) or len(label) > MOST_LETTERS:
        raise ValueError(f"must be one line of at most {MOST_LETTERS} letters, none for control")
    return label


MOST_LETTERS = 200

NAMELESS = ("sum", "parts")
"""Keys that take the place of a loss's name, and are the name themselves."""


def _loss_to_entry(value: Any) -> Any:
    """``{sum: [...]}`` and ``{parts: {...}}`` name no loss: the sum, or the parts, are one."""
    value = _name_to_entry(value)
    given = [key for key in NAMELESS if isinstance(value, dict) and value.get(key) is not None]
    if not given:
        _check_named(value)
        return value
    if len(given) > 1 or value.get("name", given[0]) != given[0]:
        raise ValueError("must have a name, a sum or parts, and one of these alone")
    return {**value, "name": given[0]}


def _check_named(value: Any) -> None:
    empty = [key for key in NAMELESS if isinstance(value, dict) and key in value]
    if empty and "name" not in value:
        raise ValueError(f"{empty[0]} must not be empty")


def _part_to_entry(value: Any) -> Any:
    if isinstance(value, dict) and value.get("parts") is not None:
        raise ValueError("parts cannot hold parts; name each place once")
    return _loss_to_entry(value)


class Entry(BaseModel):
    """A name, or a mapping of a name with options: ``{name: focal, gamma: 2}``."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    label: Annotated[str, Field(min_length=1), AfterValidator(_one_line)] | None = None

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def shown(self) -> str:
        """The label; without one, the name and what is said besides it: ``focal gamma=5``."""
        said = [self.name, *(f"{key}={value}" for key, value in self.options.items())]
        return self.label or CONTROL.sub(" ", " ".join(said))


class Choice(BaseModel):
    """A name, or a mapping of a name with options, of what there is but one of."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


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

    weight: Annotated[float, NUMBER, Field(gt=0, allow_inf_nan=False)] = 1.0
    sum: (
        Annotated[list[Annotated[Term, BeforeValidator(_term_to_entry)]], Field(min_length=1)]
        | None
    ) = None

    parts: (
        Annotated[
            dict[str, Annotated[LossEntry, BeforeValidator(_part_to_entry)]], Field(min_length=1)
        ]
        | None
    ) = None

    @property
    def shown(self) -> str:
        terms = [term.shown for term in self.sum or []]
        parts = [f"{place}={part.shown}" for place, part in (self.parts or {}).items()]
        shown = self.label or " + ".join(terms) or ", ".join(parts) or super().shown
        if self.label or self.weight == 1.0:
            return shown
        return f"{shown} weight={self.weight:g}"


Named = Annotated[Entry, BeforeValidator(_name_to_entry)]
Chosen = Annotated[Choice, BeforeValidator(_name_to_entry)]
NamedLoss = Annotated[LossEntry, BeforeValidator(_loss_to_entry)]


def _crossed(lists: dict[str, list[LossEntry]]) -> list[LossEntry]:
    """Every combination of one loss a place, shown by those of the places that have several."""
    told_by = [place for place, losses in lists.items() if len(losses) > 1] or list(lists)
    found = []
    for chosen in itertools.product(*lists.values()):
        parts = dict(zip(lists, chosen, strict=True))
        label = " × ".join(parts[place].shown for place in told_by)
        found.append(LossEntry(name="parts", parts=parts, label=label))
    return found


def _form(value: Any) -> str:
    return BY_PLACE if isinstance(value, dict) else LISTED


LISTED, BY_PLACE = "[listed]", "[by place]"
"""How losses are given. Brackets, because steps of a path with these name no key to the user."""

_Several = Annotated[list[NamedLoss], Field(min_length=1)]
if TYPE_CHECKING:
    Losses = list[LossEntry]  # what either form becomes
else:
    Losses = Annotated[
        Annotated[_Several, Tag(LISTED)]
        | Annotated[
            dict[str, _Several], Field(min_length=1), AfterValidator(_crossed), Tag(BY_PLACE)
        ],
        Discriminator(_form),
    ]
"""A list, or ``{box: [smooth_l1, giou], mask: [bce, dice]}``: every combination, as a list."""
