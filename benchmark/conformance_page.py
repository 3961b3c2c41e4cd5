"""The page that sets our losses beside the public ones: every check, every edge case."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from benchmark.check_loss import violated
from benchmark.experiment.loss_spec import NamedLoss, load_loss
from benchmark.peers import PEERS, Peer
from losses import BOX, MASK, BoxLoss, MaskLoss
from losses.adapters import AdaptedBoxLoss, AdaptedDeltaLoss, Kind
from losses.conformance import CHECKS, Finding, check
from losses.conformance.cases import Case
from losses.conformance.evaluation import cases_for, observe

KINDS: dict[Kind, str] = {"box": "boxes", "mask": "masks"}
"""Kind of loss -> name of the page with its edge cases."""

INTRODUCTION = """\
# Conformance: our losses beside the public ones

Every loss of this project, and every loss of torch, torchvision, segmentation_models.pytorch, MONAI
and kornia that is the same or nearly so, under the same checks on the same inputs. Public losses
are called as they are: nothing is cast, clamped or caught for them. They promise less than ours,
so that some checks that are hard for ours are soft for them.

- **hard**: no loss may violate it: a training can end with NaN, or silently learn something else.
- **soft**: a weakness to know of, such as a gradient that vanishes. Those that are left in ours lie
  in the formulas: a Dice loss has no slope where every pixel is certain, IoU none for boxes apart.

What each loss returns on every single edge case: [boxes](boxes.md), [masks](masks.md). The same as
tables to compute with: [findings.csv](findings.csv), [edge_cases.csv](edge_cases.csv). One loss
alone, yours too: `python3 run.py check-loss my_loss.py:MyLoss`.
"""

LEGEND = """\
Each cell is the loss and, after the slash, the length of its gradient. **Bold**: nan, inf, or an
error instead of a result. A gradient of 0 is right at a match; elsewhere the loss cannot lead out
of that case. The columns of a table have the options that make them the same loss; a difference
that remains is told above it.
"""

EDGES: dict[Kind, str] = {
    "box": "The boxes are x1, y1, x2, y2 in pixels; the other box of a pair is (10, 20, 50, 60), "
    "a square of 40 px, unless both are the same. For losses on encoded boxes the four numbers "
    "are the model's deltas.",
    "mask": "One class, 12 × 12 pixels. The target is a rectangle (some), nothing (empty) or "
    "everything (full); 65504 is the largest number of float16.",
}


@dataclass(frozen=True, eq=False)
class Row:
    """A loss on the page.

    Attributes:
        project: whose it is; empty for ours.
        label: what it is called there.
        group: our loss that it stands beside, as an experiment file writes it.
        kind: what it is a loss of.
        note: known differences from ours.
        loss: the loss.
    """

    project: str
    label: str
    group: str
    kind: Kind
    note: str
    loss: BoxLoss | MaskLoss

    @property
    def shown(self) -> str:
        return f"{self.project} {self.label}" if self.project else f"ours: {self.label}"


def write_page(
    console: Console,
    folder: Path,
    peers: Sequence[Peer] = PEERS,
    names: Collection[str] = (*BOX, *MASK),
) -> None:
    """Check every loss and write ``README.md``, ``boxes.md``, ``masks.md`` and two CSV files.

    Args:
        folder: where to; made if it is not there.
        peers: the public losses; those that cannot be imported are left out.
        names: which of our registered losses to list besides those that stand beside a peer.
    """
    rows = list(_rows(peers, names))
    findings: dict[Row, list[Finding]] = {}
    edges: dict[Row, dict[str, tuple[str, str]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what public losses have to say about their arguments
        for row in track(rows, "checking", console=console, transient=True):
            findings[row] = list(check(row.loss))
            edges[row] = {case.name: observe(row.loss, case) for case in _edge_cases(row)}
    folder.mkdir(parents=True, exist_ok=True)
    _findings_frame(findings).to_csv(folder / "findings.csv", index=False)
    _edges_frame(edges).to_csv(folder / "edge_cases.csv", index=False)
    (folder / "README.md").write_text(_summary(findings), encoding="utf-8")
    for kind, name in KINDS.items():
        text = _edge_page(kind, findings, edges)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    console.print(f"{len(rows)} losses: {folder / 'README.md'}")


def _rows(peers: Sequence[Peer], names: Collection[str]) -> Iterable[Row]:
    """Ours and the public ones, each of ours followed by those that are the same."""
    public = [peer for peer in peers if peer.ours and peer.importable]
    groups = dict.fromkeys([*(peer.ours for peer in public), *names])
    for group in groups:
        ours = load_loss(group)
        yield Row("", ours.label, group, ours.kind, "", ours.loss)
        for peer in public:
            if peer.ours == group:
                loss = _like(load_loss(peer.spec, peer.kind), ours)
                yield Row(peer.package, peer.name, group, peer.kind, peer.note, loss)


def _like(public: NamedLoss, ours: NamedLoss) -> BoxLoss | MaskLoss:
    """The public loss, checked on deltas where ours works on these: elementwise losses do both."""
    loss = public.loss
    if isinstance(loss, AdaptedBoxLoss) and getattr(ours.loss, "space", "") == "deltas":
        return AdaptedDeltaLoss(function=loss.function, reduces=loss.reduces)
    return loss


def _edge_cases(row: Row) -> list[Case]:
    """The same cases for ours as for the public ones: masks have one class in both."""
    cases = cases_for(row.loss).degenerate()
    if row.kind == "box":
        return cases
    return [Case(at.name, at.pred[:, :1], at.target[:, :1], at.valid) for at in cases]


def _findings_frame(findings: dict[Row, list[Finding]]) -> pd.DataFrame:
    return pd.DataFrame(
        {**_identity(row), **vars(finding)} for row, found in findings.items() for finding in found
    )


def _edges_frame(edges: dict[Row, dict[str, tuple[str, str]]]) -> pd.DataFrame:
    return pd.DataFrame(
        {**_identity(row), "case": case, "value": value, "gradient": gradient}
        for row, seen in edges.items()
        for case, (value, gradient) in seen.items()
    )


def _identity(row: Row) -> dict[str, str]:
    return {
        "kind": row.kind,
        "project": row.project or "ours",
        "loss": row.label,
        "beside": row.group,
    }


def _summary(findings: dict[Row, list[Finding]]) -> str:
    """The main page: conclusions, who violates what, and what the checks are."""
    parts = [INTRODUCTION, "## What came of it\n", _conclusion(findings)]
    for kind, name in KINDS.items():
        public = [row for row in findings if row.project and row.kind == kind]
        parts.append(f"## Public losses of {name}\n")
        parts.append(_table(_outcome(row, findings[row]) for row in public))
    for kind, name in KINDS.items():
        ours = [row for row in findings if not row.project and row.kind == kind]
        parts.append(f"## Our losses of {name}\n")
        parts.append(_table(_own_outcome(row, findings[row]) for row in ours))
    parts += ["## The checks\n", _table(_explained())]
    parts.append(_made_with({row.project for row in findings}))
    return "\n".join(parts)


def _conclusion(findings: dict[Row, list[Finding]]) -> str:
    """One line a project: how many of its losses violate something hard, and what."""
    lines = []
    for project in dict.fromkeys(row.project for row in findings):
        found = [found for row, found in findings.items() if row.project == project]
        broken = [violated(one, "hard") for one in found]
        named = dict.fromkeys(name for names in broken for name in names)
        counts = [f"{name} ({sum(name in names for names in broken)})" for name in named]
        told = ": " + ", ".join(counts) if counts else ""
        failing = sum(map(bool, broken))
        lines.append(
            f"- {project or 'Ours'}: {failing or 'none'} of {len(found)} losses and settings "
            f"violate{'s' * (failing == 1)} a hard property{told}."
        )
    return "\n".join(lines) + "\n"


def _outcome(row: Row, found: list[Finding]) -> dict[str, str]:
    return {
        "project": row.project,
        "loss": row.label,
        "like ours": f"`{row.group}`",
        "hard violations": ", ".join(f"**{name}**" for name in violated(found, "hard")) or "-",
        "weak in": ", ".join(violated(found, "soft")) or "-",
    }


def _own_outcome(row: Row, found: list[Finding]) -> dict[str, str]:
    declared = [finding.check for finding in found if finding.status == "declared"]
    return {
        "loss": f"`{row.group}`",
        "hard violations": ", ".join(f"**{name}**" for name in violated(found, "hard")) or "-",
        "weak in": ", ".join(violated(found, "soft")) or "-",
        "declares not to promise": ", ".join(declared) or "-",
    }


def _explained() -> Iterable[dict[str, str]]:
    for one in CHECKS.values():
        yield {
            "check": one.name,
            "ours": one.level,
            "public": one.level_adapted,
            "what holds, or is measured": one.meaning,
        }


def _edge_page(
    kind: Kind,
    findings: dict[Row, list[Finding]],
    edges: dict[Row, dict[str, tuple[str, str]]],
) -> str:
    """One table for each group that has a public loss."""
    parts = [f"# Edge cases of losses of {KINDS[kind]}\n", LEGEND, EDGES[kind] + "\n"]
    groups = dict.fromkeys(row.group for row in edges if row.project and row.kind == kind)
    for group in groups:
        rows = [row for row in edges if row.group == group]
        parts += [f"## `{group}`\n", *(_remark(row, edges[row]) for row in rows), ""]
        names = edges[rows[0]]
        parts.append(
            _table(
                {"case": name} | {row.shown: _cell(*edges[row][name]) for row in rows}
                for name in names
            )
        )
    return "\n".join(parts)


def _remark(row: Row, seen: dict[str, tuple[str, str]]) -> str:
    """A line on how often the loss fails on the edge cases, and how it is known to differ."""
    broken = [value for value, gradient in seen.values() if _fails(value + gradient)]
    errors = sum("raised" in value for value in broken)
    told = [f"raises an error in {errors}"] * bool(errors)
    told += [f"is not finite in {len(broken) - errors}"] * (len(broken) > errors)
    summary = " and ".join(told) or "is finite in all"
    return f"- {row.shown} {summary} of {len(seen)} cases. {row.note}".rstrip()


def _fails(text: str) -> bool:
    return any(word in text for word in ("nan", "inf", "raised", "no gradient", "expected"))


def _cell(value: str, gradient: str) -> str:
    text = f"{value} / {gradient}" if gradient != "-" else value.partition(":")[0]
    return f"**{text}**" if _fails(value + gradient) else text


def _table(rows: Iterable[dict[str, str]]) -> str:
    frame = pd.DataFrame(rows)
    padded = frame.to_markdown(index=False, disable_numparse=True)
    return re.sub(r"  +|(?<=-)-{3,}", lambda run: run[0][0], padded) + "\n"


def _made_with(projects: set[str]) -> str:
    packages = sorted({"torch", *(projects - {""})})
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        "## How this was made\n\n"
        "`python3 run.py check-loss --page results/reference/conformance` on the CPU "
        f"({platform.machine()}), with Python {platform.python_version()}, {versions}. The "
        "inputs are fixed, so another run on the same versions gives the same numbers.\n"
    )
