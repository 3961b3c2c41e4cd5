"""What became of an experiment on a Ray cluster that lost nodes, as rows and as a page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmark.environment import in_a_line

EVENTS_CSV = "events.csv"
KILLED = "node killed"
SHOWN = 20
"""Numbers at most that are named where they differ."""


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        nodes: that train, one run at a time each.
        kills: how many of them are taken away, one after the other.
        shared: as of the executor.
    """

    nodes: int
    kills: int
    shared: bool


@dataclass(frozen=True)
class Noted:
    """An event, or a kill.

    Attributes:
        seconds: since the runs of its phase were handed over.
        event: ``started``, ``ended``, ``retried``, ``waiting`` or :data:`KILLED`.
        epoch: how far the run had come, as far as it had told.
    """

    seconds: float
    event: str
    run: str
    epoch: int | None
    detail: str


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: from the start of the cluster to the end of the report.
        against: folder of the results that these should be.
        runs, numbers: of those results.
        differing: names of the numbers that are others here, or missing.
    """

    plan: Plan
    noted: list[Noted]
    seconds: float
    against: str
    runs: int
    numbers: int
    differing: list[str]

    @property
    def verdict(self) -> str:
        same = self.numbers - len(self.differing)
        return (
            f"{same:,} of the {self.numbers:,} numbers of the {self.runs} runs in {self.against} "
            "came out the same, digit for digit"
        )


def ray_page(outcome: Outcome, environment: dict[str, Any], command: str) -> str:
    """The page as Markdown.

    Args:
        environment: as :func:`benchmark.environment.describe` gives it.
        command: as typed.
    """
    plan, counts = outcome.plan, Counter(one.event for one in outcome.noted)
    disk = (
        "All of them saw the clone and the results at the same paths."
        if plan.shared
        else "They were treated as machines that share no disk: each got a copy of the code, "
        "decoded the data itself and sent its run folders back."
    )
    lines = [
        "# On a Ray cluster that loses a node",
        "",
        f"A cluster of {plan.nodes} nodes that train and one that does not was started on one "
        f"machine. {disk} While runs were in the middle, {plan.kills} of the nodes "
        f"{'was' if plan.kills == 1 else 'were'} killed by SIGKILL, with the processes on it. "
        "Nothing else was done. The cluster took a node for dead after some two seconds without "
        "an answer; as Ray is set by default that takes about fifteen.",
        "",
        f"- {outcome.verdict}, but for the times (`metrics.json`, `history.csv`, `details.json`)",
        *(f"- other, or missing: {name}" for name in outcome.differing[:SHOWN]),
        f"- runs ended: {counts['ended']}; begun: {counts['started']}; taken up again on another "
        f"node: {counts['retried']}",
        f"- from the start of the cluster to the end of the report: {outcome.seconds:.0f} s",
        "",
        *_kills_in_order(outcome.noted),
        f"Every event is in [{EVENTS_CSV}]({EVENTS_CSV}). Again with",
        "",
        "```console",
        command,
        "```",
        "",
        f"Done on {in_a_line(environment)}.",
    ]
    return "\n".join(lines) + "\n"


def _kills_in_order(noted: list[Noted]) -> list[str]:
    """A table: the kills and what became of the runs that they hit."""
    hit = {one.run for one in noted if one.event == "retried"}
    rows = [
        f"| {one.seconds:.0f} | {one.event} | {one.run if one.run in hit else ''} | "
        f"{'' if one.epoch is None or one.run not in hit else one.epoch} |"
        for one in noted
        if one.event == KILLED or one.run in hit
    ]
    return ["| seconds | event | run | epoch |", "|--:|---|---|--:|", *rows, ""]
