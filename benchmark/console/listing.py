"""Listings of all that an experiment file can name, with options and one line each.

What imports torch is imported by the listing that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from benchmark.experiment.config import read_yaml, shipped_experiments
from benchmark.options import option_fields, summary, type_name


def _table(first: str, *others: str, below: int) -> Table:
    """A table of which nothing is cut, however narrow the terminal: much of it is copied."""
    columns = [Column(first, no_wrap=True), *(Column(name, overflow="fold") for name in others)]
    return Table(*columns, box=None, padding=(0, 2, below, 0))


def _registered(register: Mapping[str, type[Any]], group: Callable[[type[Any]], str]) -> Table:
    table = _table("name", "for", "options", "what it is", below=1)
    for name, cls in sorted(register.items(), key=lambda item: (group(item[1]), item[0])):
        options = [
            f"{option}: {type_name(hint)}" + ("" if default is ... else f" = {default}")
            for option, (hint, default) in option_fields(cls).items()
        ]
        table.add_row(
            f"[bold]{name}[/]", group(cls), escape("\n".join(options)), escape(summary(cls))
        )
    return table


def _losses() -> Table:
    from benchmark.tasks import TASKS
    from losses import BOX, CLASSIFICATION, MASK

    tasks_of = {
        cls: "\n".join(name for name, task in TASKS.items() if cls in task.losses().values())
        for cls in (*BOX.values(), *MASK.values())
    }
    return _registered(
        {**BOX, **MASK, **CLASSIFICATION}, lambda cls: tasks_of.get(cls, "classes of boxes")
    )


def _datasets() -> Table:
    from datasets import DATASETS

    return _registered(DATASETS, lambda cls: _tasks(cls))


def _tasks(cls: type[Any]) -> str:
    """Tasks of a data set; where they depend on its options the class has none to tell."""
    tasks = getattr(cls, "tasks", None)
    return "\n".join(sorted(tasks)) if isinstance(tasks, frozenset) else "as its files have it"


def _models() -> Table:
    from benchmark.models import MODELS

    return _registered(MODELS, lambda cls: cls.task)


def _experiments() -> Table:
    table = _table("name", "what it answers", below=0)
    for name, path in shipped_experiments().items():
        table.add_row(f"[bold]{name}[/]", escape(str(read_yaml(path).get("description", ""))))
    return table


def _peers() -> Table:
    from benchmark.peers.catalogue import peers_table

    return peers_table()


LISTINGS: dict[str, Callable[[], Table]] = {
    "losses": _losses,
    "datasets": _datasets,
    "models": _models,
    "experiments": _experiments,
    "peers": _peers,
}
