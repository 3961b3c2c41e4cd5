"""The page on the runs that lie in one folder, written from their CSV files."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.options import UserError
from benchmark.simulation.protocol import CASES_PER_POINT, POINTS

BY_EYE = {"iou": "≈5.9", "giou": "≈1.5", "diou": "≈0", "ciou": "≈0"}
"""Final errors in millions as read off the paper's figure."""

TITLES = {
    "exact-cxcywh": "Exact gradients, steps along (cx, cy, w, h)",
    "exact-xyxy": "Exact gradients, steps along (x1, y1, x2, y2)",
    "published-cxcywh": "Gradients of the authors' script",
}
"""Of a run's section, by the name of its folder; the sections come in this order."""

HEADINGS = {
    "loss": "loss",
    "final_error": "final error (millions)",
    "standard_error": "± standard error",
    "area": "area under the error curve (millions × steps)",
    "mean_iou": "mean final IoU",
    "solved": "solved (IoU > 0.9)",
    "stuck": "no finite gradient",
    "seconds": "seconds",
}

INTRODUCTION = """\
# Box-regression simulation

Boxes are moved to a target by gradient descent on a loss alone, without data or network: the
experiment of the DIoU paper (Zheng et al., 2020, arXiv:1911.08287). Targets lie at (10, 10), have
area 1 and one of 7 shapes from 1:4 to 4:1. Anchors have their centres anywhere within 3 of that,
7 areas from 0.5 to 2 and the same 7 shapes: 343 cases a centre, 1,715,000 for the full 5,000
centres. There are 200 steps of lr · (2 - IoU) · (-gradient), with lr 0.1, from step 161 on 0.01 and
from 181 on 0.001. The error of a case is |Δcx| + |Δcy| + |Δw| + |Δh|, and errors here are sums over
all cases, in millions, scaled to 1,715,000 cases.

The standard error says how far another draw of as many centres may move the final error: most of
that comes from the few centres at the edge of the disc. Independent runs of this experiment agree
within it, not closer: corner steps from another 600 centres gave CIoU 1.38. "Area" is the sum of
the errors after each of the 200 steps: small for a loss that is quick.
A case counts as solved when its IoU is above 0.9. Boxes of negative width or height, which a step
may make, have IoU 0.
"""

EXACT_AND_PUBLISHED = """\
## Exact, published, paper

The paper's curves come from a script whose gradients, written by hand, are not those of the losses:
it doubles the width's and height's part of IoU and GIoU, takes a negative "intersection" into
GIoU's union, and has signs and terms of DIoU's centre distance wrong. `--gradient published` takes
its steps with these, from a description of them; the other runs take the gradients of the losses.

- **The script's gradients give the paper's figure.** IoU ends at {published_iou}, GIoU at
  {published_giou} million; read off the figure: {eye_iou} and {eye_giou}.
- **Under its own gradient GIoU brings nearly every box home.** It ends at {exact_giou} million, not
  {published_giou}, and DIoU at {exact_diou}, CIoU at {exact_ciou}. That GIoU does badly in the
  figure says something of the script, not of the loss.
- **IoU does not change**: anchors that do not touch their target have no gradient and stay where
  they are, {exact_iou} million in every run.
"""

CORNERS = """\
- **What is descended matters more than which of GIoU, DIoU and CIoU it is.** A step along the
  corners moves the centre half as far, and the size twice as far, as one along centre and size, and
  in 200 steps distant boxes do not arrive: GIoU {corner_giou}, DIoU {corner_diou}, CIoU
  {corner_ciou} million.
"""

LIMITS = """\
## What this does not say

Gradient descent of a box for itself is not training: there the boxes move by way of weights that
they share, an optimiser scales the steps, and most predictions that matter overlap their target. A
loss that brings distant boxes home here need not win there.
"""


@dataclass(frozen=True)
class Run:
    """What lies in the folder of a run.

    Attributes:
        name: of the folder.
        facts: the content of ``run.json``.
        summary: one row a loss.
    """

    name: str
    facts: dict[str, Any]
    summary: pd.DataFrame

    def final(self, loss: str) -> str:
        """Final error in millions, ``–`` where the run has no such loss."""
        errors = self.summary.set_index("loss")["final_error"]
        return rounded(errors[loss]) if loss in errors.index else "–"


def write_page(out: Path) -> Path:
    """Write ``out/README.md`` on every run in ``out``, and on ``out/speed.csv`` if it is there.

    Raises:
        UserError: the files of a run cannot be read.
    """
    runs = {name: _read(out / name) for name in TITLES if (out / name / "run.json").exists()}
    parts = [INTRODUCTION, _comparison(runs), _findings(runs)]
    parts += [_section(run) for run in runs.values()]
    if (out / "speed.csv").exists():
        parts.append(_speed(pd.read_csv(out / "speed.csv")))
    parts.append(LIMITS)
    page = out / "README.md"
    page.write_text("\n".join(filter(None, parts)), encoding="utf-8")
    return page


def rounded(value: float, digits: int = 3) -> str:
    """So many significant digits and no exponent: ``5.88``, ``0.0291``, ``1260``."""
    return np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")


def _read(folder: Path) -> Run:
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return Run(folder.name, facts, pd.read_csv(folder / "summary.csv"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: cannot be read ({error}); simulate it again") from None


def _comparison(runs: dict[str, Run]) -> str:
    """Final errors of all runs side by side."""
    losses = list(dict.fromkeys(loss for run in runs.values() for loss in run.summary["loss"]))
    table = pd.DataFrame({"loss": losses})
    for name, run in runs.items():
        table[name.replace("-", ", ")] = [run.final(loss) for loss in losses]
    table["paper's figure, by eye"] = [BY_EYE.get(loss, "–") for loss in losses]
    return f"## Final error in millions\n\n{_markdown(table)}\n"


def _findings(runs: dict[str, Run]) -> str:
    """What full runs say of the paper; nothing unless its four losses were run both ways."""
    exact, published = runs.get("exact-cxcywh"), runs.get("published-cxcywh")
    if not (exact and published and _has_all(exact) and _has_all(published)):
        return ""
    drawn = {(run.facts["points"], run.facts["seed"]) for run in runs.values()}
    if len(drawn) > 1 or exact.facts["points"] < POINTS:
        return ""
    values = {f"eye_{loss}": eye for loss, eye in BY_EYE.items()}
    values |= {f"exact_{loss}": exact.final(loss) for loss in BY_EYE}
    values |= {f"published_{loss}": published.final(loss) for loss in BY_EYE}
    corners = runs.get("exact-xyxy")
    if not (corners and _has_all(corners)):
        return EXACT_AND_PUBLISHED.format(**values)
    values |= {f"corner_{loss}": corners.final(loss) for loss in BY_EYE}
    return (EXACT_AND_PUBLISHED + CORNERS).format(**values)


def _has_all(run: Run) -> bool:
    return set(BY_EYE) <= set(run.summary["loss"])


def _section(run: Run) -> str:
    facts, machine = run.facts, run.facts["environment"]
    table = run.summary.rename(columns=HEADINGS)
    for name in ("final_error", "area"):
        table[HEADINGS[name]] = run.summary[name].map(rounded)
    table[HEADINGS["standard_error"]] = [rounded(v, 2) for v in run.summary["standard_error"]]
    table[HEADINGS["mean_iou"]] = run.summary["mean_iou"].map("{:.3f}".format)
    table[HEADINGS["solved"]] = run.summary["solved"].map("{:.1%}".format)
    table[HEADINGS["seconds"]] = run.summary["seconds"].map("{:.1f}".format)
    place = machine["cpu"] if machine["device"] == "cpu" else machine["device"]
    film = (
        f"\nThe same case as a film: [film.gif]({run.name}/film.gif)\n" if facts.get("film") else ""
    )
    cases = CASES_PER_POINT * facts["points"]
    return f"""\
## {TITLES[run.name]}

{_markdown(table)}

{cases:,} cases a loss; {facts["seconds"]:.0f} s in all with {facts["workers"]} process(es) on
{place}, at most {facts["peak_memory_mb"]} MB of memory in all processes together.

```console
{_command(facts)}
```

![Error by step]({run.name}/error.png)
![Final error by place of the anchor]({run.name}/surface.png)
![One case step by step]({run.name}/strip.png)
{film}"""


def _command(facts: dict[str, Any]) -> str:
    """The command line that makes this run again, but for the output folder."""
    quoted = [shlex.quote(text) for text in facts["losses"].values()]
    options = [f"--{key} {facts[key]}" for key in ("gradient", "steps", "points", "seed")]
    flags = [f"--{key.replace('_', '-')}" for key in ("film", "compare_plain") if facts.get(key)]
    return " ".join(["python3 run.py simulate", *quoted, *options, *flags])


def _speed(frame: pd.DataFrame) -> str:
    table = frame.copy()
    for name in ("seconds", "plain_seconds"):
        table[name] = frame[name].map("{:.2f}".format)
    table["ratio"] = frame["ratio"].map("{:.1f}×".format)
    table["cases"] = frame["cases"].map("{:,}".format)
    names = {"seconds": "this loop (s)", "plain_seconds": "plain loop (s)", "ratio": "plain / this"}
    return f"""\
## Speed

{_markdown(table.rename(columns=names))}

Both loops on the same cases, in turn, with one thread each; the least of three rounds, and the
median of their ratios. The plain loop is autograd through torchvision's loss (IoU: through the
formula) on all cases at once. This one takes blocks of cases that stay in the processor's cache
through all 200 steps, asks the loss for its gradient alone, which the losses of the IoU family
have in closed form, and takes its own steps without autograd. What limits it is the loss itself:
measuring the overlap, the step and the sums take a fifth to a quarter of the time.
"""


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)
