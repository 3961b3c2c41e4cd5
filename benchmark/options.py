"""Typed options of anything that is registered by name: losses, data sets, models.

A registered class is a dataclass whose fields are its options. This module reads them from
there, checks what an experiment file says, and lists them for the command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import types
import typing
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    PydanticSchemaGenerationError,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo

from benchmark.experiment.plain_words import in_words, numbers_alone

T = TypeVar("T")


class UserError(Exception):
    """A mistake in what the user wrote; its text is all that the user needs to see."""


def suggest(word: object, allowed: Collection[str]) -> str:
    """`` (did you mean 'giou'?)``, or nothing where no allowed word is close."""
    close = difflib.get_close_matches(str(word), list(allowed), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def look_up(register: Mapping[str, T], name: object, kind: str, path: str) -> T:
    """The entry of a register, or a :class:`UserError` that names the closest match."""
    if isinstance(name, str) and name in register:
        return register[name]
    allowed = ", ".join(sorted(register))
    raise UserError(f"{path}: unknown {kind} '{name}'{suggest(name, register)}; allowed: {allowed}")


def option_fields(cls: type) -> dict[str, tuple[Any, Any]]:
    """Options of a registered class: name -> (type, default); ``...`` marks a required one.

    A type that is ``Annotated`` keeps its checks.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        default: Any = ...
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields[field.name] = (hints[field.name], default)
    return fields


def summary(cls: type) -> str:
    """First line of the class's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def type_name(annotation: Any) -> str:
    """How a type is written in listings: ``float``, ``linear | log``, ``list[int]``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return type_name(annotation.__origin__)
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(str(value) for value in typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(type_name(member) for member in typing.get_args(annotation))
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")


def resolve_options(
    cls: type, given: dict[str, Any], path: str, beside: Collection[str] = ()
) -> dict[str, Any]:
    """All options of ``cls``: those ``given``, checked, and the others at their defaults.

    A field with the metadata ``added`` came after results were published: at its default it is
    left out, so that earlier runs keep their identity.

    Args:
        beside: keys that an experiment file may hold beside the options, for the message on one
            that is neither.

    Raises:
        UserError: an option is unknown, missing or of a wrong type; every line of the message
            starts with the dotted path of the key.
    """
    schema = _schema(cls)
    try:
        checked = schema.model_validate(given)
    except ValidationError as error:
        raise UserError("\n".join(explain(error, schema, path, beside))) from None
    added = [field.name for field in dataclasses.fields(cls) if field.metadata.get("added")]
    unchanged = {n for n in added if getattr(checked, n) == schema.model_fields[n].default}
    return checked.model_dump(mode="json", exclude=unchanged)


@cache
def _schema(cls: type) -> type[BaseModel]:
    """Cached, because making one takes longer than reading a whole configuration with it.

    No number may be infinite or NaN: it would pass most checks of a range.
    """
    fields: dict[str, Any] = {
        name: (numbers_alone(hint), default) for name, (hint, default) in option_fields(cls).items()
    }
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    try:
        return create_model("Options", __config__=config, **fields)
    except PydanticSchemaGenerationError:
        hints = {name: hint for name, (hint, _) in option_fields(cls).items()}
        name, hint = next((n, hint) for n, hint in hints.items() if not _can_be_read(hint))
        raise TypeError(
            f"option '{name}' is a {type_name(hint)}, which an experiment file cannot give"
        ) from None


def _can_be_read(hint: Any) -> bool:
    try:
        TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return False
    return True


def build(cls: type[T], options: dict[str, Any], path: str) -> T:
    """Make the registered object; an option out of range is a :class:`UserError`."""
    try:
        return cls(**options)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def explain(
    error: ValidationError, schema: type[BaseModel], path: str = "", beside: Collection[str] = ()
) -> list[str]:
    """One readable line for each fault: the key's path, the value, and what is allowed.

    Args:
        beside: keys that are allowed besides the schema's.
    """
    lines = []
    for fault in error.errors():
        unknown = fault["type"] == "extra_forbidden"
        # Validators add steps such as "function-before[check(), str]" that name no key; the
        # last step to an unknown key is what the user wrote, whatever it looks like.
        *above, last = fault["loc"] or ("[]",)
        keys = [step for step in above if "[" not in str(step)]
        keys += [last] if unknown or "[" not in str(last) else []
        where = ".".join([path] * bool(path) + [str(key) for key in keys]) or "the file"
        if unknown:
            names = [*_allowed_keys(schema, keys[:-1]), *beside]
            hint = suggest(keys[-1], names) + (f"; allowed: {', '.join(names)}" if names else "")
            lines.append(f"{where}: unknown key{hint}")
        elif fault["type"] == "missing":
            lines.append(f"{where}: missing; it has no default")
        else:
            lines.append(f"{where}: {in_words(fault['type'], fault['msg'], fault['input'])}")
    return lines


def _allowed_keys(schema: type[BaseModel], keys: list[int | str]) -> list[str]:
    """Field names of the schema that the path of ``keys`` leads to, as far as it is known."""
    model: Any = schema
    for key in keys:
        if model is None or not isinstance(key, str) or key not in model.model_fields:
            # A key chosen by the user (a block of the matrix) or a list index: same schema below.
            continue
        model = _model_in(model.model_fields[key])
    return list(model.model_fields) if model is not None else []


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    """The first pydantic model inside a field's annotation, such as ``dict[str, Block]``."""
    pending: list[Any] = [field.annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        pending.extend(typing.get_args(annotation))
    return None
