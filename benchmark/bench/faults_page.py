"""What came of the kills, as a page."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmark.bench.faults_rows import KILLS_CSV, ROUNDS_CSV, Kill, Plan, Round
from benchmark.environment import in_a_line

STAGES = {
    "start": "before the first run",
    "training": "while runs train",
    "report": "after the last run",
}


def faults_page(
    plan: Plan,
    kills: list[Kill],
    rounds: list[Round],
    environment: dict[str, Any],
    command: str,
) -> str:
    """The page as Markdown.

    Args:
        environment: as :func:`benchmark.environment.describe` gives it.
        command: the command as typed.
    """
    sound = sum(one.sound for one in rounds)
    lines = [
        "# Kills at random moments",
        "",
        f"A grid of {4 * plan.repetitions} runs (two box losses with `tiny_fcos` and two mask "
        f"losses with `tiny_unet` on generated shapes of 32 x 32 pixels, {plan.epochs} epochs, "
        f"{plan.repetitions} repetitions, {plan.workers} at a time) was trained once undisturbed. "
        f"Then it was trained again in {len(rounds)} rounds, each from an empty folder with an "
        f"empty cache, and killed by SIGKILL {len(kills)} times in all. Where the runner had been "
        "killed or had ended, `run` was called again at once. At the end of each round `run` was "
        "called once more and left alone, and its results were held against the undisturbed "
        "grid's: every number of `metrics.json`, `history.csv`, `details.json` and "
        "`streams.json`, digit for digit, but for the times.",
        "",
        f"- rounds that came to the same results: {sound} of {len(rounds)}",
        f"- files of results lost: {sum(one.lost for one in rounds)}",
        f"- files of runs nobody asked for: {sum(one.extra for one in rounds)}",
        f"- files with other numbers: {sum(one.different for one in rounds)}",
        "- files with their name that could not be read, looked for after every kill: "
        f"{sum(one.damaged for one in kills)}",
        "- kills that found a file being written, under the name that nothing reads: "
        f"{_interrupted(kills)}; such files left in the folders of runs at the end: "
        f"{sum(one.temporaries for one in rounds)}",
        f"- processes left over at the end: {sum(one.survivors for one in rounds)}",
        "",
        *_who_and_when(kills),
        "",
        f"Each kill is in [{KILLS_CSV}]({KILLS_CSV}), with what it hit and what was found in the "
        f"results right after it; each round in [{ROUNDS_CSV}]({ROUNDS_CSV}). Victims are drawn "
        f"with seed {plan.seed}; moments are drawn too, but what a process is doing then depends "
        "on the machine. Again with",
        "",
        "```console",
        command,
        "```",
        "",
        f"Done on {in_a_line(environment)}.",
    ]
    return "\n".join(lines) + "\n"


def _interrupted(kills: list[Kill]) -> int:
    """Kills after which more unfinished files lay about than after the one before."""
    found = 0
    before: dict[int, int] = {}
    for one in kills:
        found += one.temporaries > before.get(one.round, 0)
        before[one.round] = one.temporaries
    return found


def _who_and_when(kills: list[Kill]) -> list[str]:
    """A table: who was killed, at which stage."""
    counts = Counter((one.victim, one.stage) for one in kills)
    victims = list(dict.fromkeys(victim for victim, _ in sorted(counts)))
    rows = [[victim, *(str(counts[victim, stage]) for stage in STAGES)] for victim in victims]
    head = ["killed", *STAGES.values()]
    return [
        f"| {' | '.join(head)} |",
        "|---|--:|--:|--:|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
