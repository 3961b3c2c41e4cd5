"""How fast our losses are, and how much memory they take, beside the public ones.

Forward and backward of the batch's mean. Everything that is compared takes turns in one process,
and a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from benchmark.bench.contenders import Contender, Race, Size, make_inputs, make_races, parse_size
from benchmark.bench.page import print_summary, write_results
from benchmark.bench.rows import Row
from benchmark.bench.timing import QUICK, Effort, Step, peak_memory, race, seconds, speedups
from benchmark.environment import describe
from benchmark.options import UserError
from benchmark.runner import pick_device

SIZES = ("64", "1000", "100000", "1000000", "8x1x256x256", "8x1x1024x1024", "16x21x256x256")
QUICK_SIZES = ("1000", "2x3x64x64")
COMPILED_SIZES = ("1000", "1000000", "8x1x1024x1024")
"""What is measured compiled: every shape costs seconds of compiling."""

PATIENCE = 4.0
"""Seconds; a call that is expected to take longer, going by the size before, is left out."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        losses: registered names; None for all.
        sizes: as :func:`benchmark.bench.contenders.parse_size` reads them; None for
            :data:`SIZES`.
        threads: numbers of threads; the first is measured for every loss, the others for those
            with a public rival.
        compiled: measure under ``torch.compile`` as well, each loss of ours with the first
            options that have a public rival.
        effort: how long to measure.
    """

    losses: tuple[str, ...] | None
    sizes: tuple[str, ...] | None
    threads: tuple[int, ...]
    compiled: bool
    device: torch.device
    effort: Effort


def make_plan(
    losses: str | None,
    sizes: str | None,
    threads: str | None,
    device: str,
    *,
    compiled: bool,
    quick: bool,
) -> Plan:
    """The plan of a command line, whose lists are separated by commas.

    Raises:
        UserError: a number of threads is not one, or there is no such device.
    """
    on = torch.device(pick_device(device))
    counts = _split(threads) or (("1",) if quick or on.type == "cuda" else ("1", "all"))
    numbers = []
    for count in counts:
        if count != "all" and not (count.isdecimal() and int(count) > 0):
            raise UserError(f"--threads: '{count}' must be a number above 0, or 'all'")
        numbers.append(len(os.sched_getaffinity(0)) if count == "all" else int(count))
    return Plan(
        losses=_split(losses),
        sizes=_split(sizes) or (QUICK_SIZES if quick else None),
        threads=tuple(dict.fromkeys(numbers)),
        compiled=compiled,
        device=on,
        effort=QUICK if quick else Effort(),
    )


def _split(text: str | None) -> tuple[str, ...] | None:
    words = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    return words or None


def bench_losses(console: Console, plan: Plan, out: Path, command: str) -> None:
    """Measure, print the table, and write CSV, environment and pages to ``out``.

    Args:
        command: the command line that asked for it, as the page shows it.

    Raises:
        UserError: a loss or a size is not known, or compiling was asked for without a compiler.
    """
    if plan.compiled and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise UserError("--compiled: torch.compile needs a C++ compiler, and there is none")
    sizes = [parse_size(text) for text in plan.sizes or SIZES]
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the public losses, which are called as they are
        races = make_races(plan.losses)
        rows = _measure_all(console, plan, races, sizes)
    if not rows:
        raise UserError("nothing to measure: no size is of the kind of the losses")
    environment = describe(plan.device)
    environment["packages"] = _versions(races)
    environment |= {
        "minutes": round((time.monotonic() - started) / 60, 1),
        "command": command,
    }
    print_summary(console, rows)
    write_results(out, rows, environment)
    console.print(f"written to {out}")


def _versions(races: list[Race]) -> dict[str, str]:
    """Versions of torch and of the public packages that took part."""
    names = {rival.peer.package for race in races for rival in race.rivals if rival.peer}
    names.add("torch")
    return {name: version(name.replace("_", "-")) for name in sorted(names)}


def _measure_all(console: Console, plan: Plan, races: list[Race], sizes: list[Size]) -> list[Row]:
    modes: list[tuple[str, int, list[Race], list[Size]]] = [
        ("eager", plan.threads[0], races, sizes)
    ]
    public = [race for race in races if race.public]
    modes += [("eager", threads, public, sizes) for threads in plan.threads[1:]]
    if plan.compiled:
        wanted = sizes if plan.sizes else [parse_size(text) for text in COMPILED_SIZES]
        first = {type(race.ours.loss): race for race in reversed(public)}
        modes.append(("compiled", plan.threads[0], list(reversed(first.values())), wanted))
    rows = []
    for mode, threads, chosen, shapes in modes:
        label = f"{mode}, {threads} thread{'s' * (threads > 1)}"
        with _threads(threads):
            for contest in track(chosen, label, console=console, transient=True):
                own = [size for size in shapes if size.kind == contest.kind]
                weighed = mode == "eager" and threads == plan.threads[0]
                rows += _measure_race(plan, contest, own, mode, threads, weighed)
    return rows


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measure_race(
    plan: Plan,
    contest: Race,
    sizes: Sequence[Size],
    mode: str,
    threads: int,
    weighed: bool,
) -> list[Row]:
    """Rows of one race, sizes ascending, so that hopeless sizes are known beforehand.

    Args:
        weighed: whether to count the memory.
    """
    rows = []
    contenders = (contest.ours, *contest.rivals)
    expected: dict[str, float] = {}  # seconds an element, of the size before
    for size in sorted(sizes, key=lambda size: size.elements):
        able = [
            contender
            for contender in contenders
            if contender.takes(size) and expected.get(contender.label, 0) * size.elements < PATIENCE
        ]
        measured = _measure_size(plan, able, size, mode, weighed)
        for label, entry in measured.items():
            if entry.seconds:
                expected[label] = statistics.median(entry.seconds) / size.elements
        for rival in contest.rivals:
            row = Row(
                kind=contest.kind,
                loss=contest.ours.label,
                beside=rival.label,
                value=rival.peer.value if rival.peer else "",
                size=size.label,
                elements=size.elements,
                threads=threads,
                device=plan.device.type,
                mode=mode,
            )
            if not rival.takes(size):
                row = replace(row, note="compared with one class")
            rows.append(_filled(row, measured.get(contest.ours.label), measured.get(rival.label)))
    return rows


@dataclass(frozen=True)
class Measured:
    """One contender at one size: seconds a call by round, peak bytes, or what went wrong."""

    seconds: tuple[float, ...] = ()
    memory: int | None = None
    problem: str = ""


def _measure_size(
    plan: Plan, contenders: Sequence[Contender], size: Size, mode: str, weighed: bool
) -> dict[str, Measured]:
    """Measurements by label; who is not among ``contenders`` is left out."""
    measured: dict[str, Measured] = {}
    steps: dict[str, Step] = {}
    memory: dict[str, int | None] = {}
    for contender in contenders:
        label = contender.label
        try:
            step = _make_step(contender, size, mode, plan.device)
            started = time.perf_counter()
            memory[label] = _first_call(step, weighed)
        except Exception as error:  # a public loss may raise anything
            measured[label] = Measured(problem=_reason(error))
            continue
        slow = time.perf_counter() - started > plan.effort.limit
        once = seconds(step) if slow else 0.0  # the first call may have done more than its work
        if once > plan.effort.limit:
            measured[label] = Measured((once,), memory[label])
        else:
            steps[label] = step
    times = race(list(steps.values()), plan.effort)
    for label, rounds in zip(steps, times, strict=True):
        measured[label] = Measured(tuple(rounds), memory[label])
    if mode == "compiled":
        torch.compiler.reset()
    return measured


def _first_call(step: Step, weighed: bool) -> int | None:
    """Warm up (compiles, if that is the mode), and count the memory."""
    if weighed:
        return peak_memory(step)
    step()
    return None


def _reason(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}"[:120]


def _make_step(contender: Contender, size: Size, mode: str, device: torch.device) -> Step:
    pred, target = make_inputs(contender.loss, size, device)
    inputs, function = contender.mean(contender.loss, pred, target)
    return Step(inputs.detach().requires_grad_(), MODES[mode](function))


MODES: dict[str, Callable[..., Callable[[torch.Tensor], torch.Tensor]]] = {
    "eager": lambda function: function,
    "compiled": torch.compile,
}


def _filled(row: Row, ours: Measured | None, theirs: Measured | None) -> Row:
    """The row with its numbers, or with the note of why there are none."""
    sides = {"ours": ours, "the other": theirs}
    notes = [row.note] if row.note else []
    notes += [f"{side}: {m.problem}" for side, m in sides.items() if m and m.problem]
    if not row.note:
        notes += [f"{side}: over {PATIENCE:.0f} s" for side, m in sides.items() if not m]
    notes += [f"{side}: one call" for side, m in sides.items() if m and len(m.seconds) == 1]
    numbers: dict[str, Any] = {}
    for name, m in (("ours", ours), ("theirs", theirs)):
        if m and m.seconds:
            numbers[f"{name}_ms"] = 1000 * statistics.median(m.seconds)
            numbers[f"{name}_mb"] = None if m.memory is None else m.memory / 1e6
    if ours and theirs and ours.seconds and theirs.seconds:
        middle, low, high = speedups(ours.seconds, theirs.seconds)
        numbers |= {"speedup": middle, "speedup_low": low, "speedup_high": high}
    rounds = min(len(m.seconds) for m in (ours, theirs) if m) if ours or theirs else 0
    return replace(row, **numbers, rounds=rounds, note="; ".join(notes))
