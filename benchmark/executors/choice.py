"""The executor that an experiment file and the command line ask for."""

from __future__ import annotations

from typing import Any

from benchmark.executors.base import EXECUTORS, Executor, Resources
from benchmark.experiment.entries import Choice
from benchmark.options import UserError, build, look_up, option_fields, resolve_options

DEFAULT = "local"
OPTIONS = {
    "workers": "--workers",
    "timeout": "--timeout",
    "nice": "--nice",
    "detach": "--detach",
    "resources.gpu": "--gpus-per-run",
    "resources.memory": "--memory",
}
"""Key of ``executor:`` in an experiment file -> the option that takes its place."""


def make_executor(
    asked: Choice | None, given: dict[str, Any] | None = None, cores: float = 1
) -> Executor:
    """The executor of an experiment, with what the command line says on top.

    Args:
        asked: the experiment's ``executor``; None for the local one.
        given: key of :data:`OPTIONS` -> value; one that is None was not given.
        cores: that a run uses, unless the experiment says how many it takes.

    Raises:
        UserError: an unknown executor or option, a value out of range, or the executor needs a
            package that is not installed.
    """
    asked = asked or Choice(name=DEFAULT)
    cls = look_up(EXECUTORS, asked.name, "executor", "executor")
    said = {key: value for key, value in (given or {}).items() if value is not None}
    _check_known(asked.name, said)
    options = asked.options
    resources = options.get("resources", {})
    if isinstance(resources, dict):  # else the check below says what it must be
        own = {key.partition(".")[2]: said[key] for key in said if key.startswith("resources.")}
        options["resources"] = {"cpu": cores, **resources, **own}
    options |= {key: value for key, value in said.items() if "." not in key}
    try:
        checked = resolve_options(cls, options, "executor")
    except UserError as error:
        raise UserError(_by_option(str(error), said)) from None
    checked["resources"] = Resources(**checked["resources"])
    return build(cls, checked, "executor")


def _check_known(name: str, said: dict[str, Any]) -> None:
    """That the executor has what the command line sets; else the message says which have."""
    for key in said:
        option = key.partition(".")[0]
        having = [other for other, cls in EXECUTORS.items() if option in option_fields(cls)]
        if name not in having:
            raise UserError(
                f"{OPTIONS[key]}: the executor '{name}' has no such option, only "
                f"{', '.join(having)} has"
            )


def _by_option(text: str, said: dict[str, Any]) -> str:
    """A message that names the options of the command line instead of the keys they set."""
    for key in said:
        text = text.replace(f"executor.{key}: ", f"{OPTIONS[key]}: ")
    return text
