"""The page on a simulation: what holds, what does not, all rates."""

from __future__ import annotations

import pandas as pd

from benchmark.coverage.draws import SHAPES
from benchmark.coverage.simulation import COMPARISONS, Settings

KEPT = 0.01
"""An interval keeps its level where it covers within so much of it: 94 to 96 % for 95 %."""
NOISE = 3
"""Standard errors by which a rate may miss that by chance, over as many rates as there are."""

PAGE = """\
# Coverage of the intervals

Paired experiments are drawn whose true difference is known: a loss and a baseline share a part of
each repetition, as real runs share initial weights and batches. Each interval of nominally
{level:g} % is then checked for holding the truth, and each test at {alpha:g} % for claiming a
difference where there is none. Rates are over {experiments:,} experiments for the t-intervals and
t-tests ({standard_error:.2f} percentage points standard error at the nominal rate) and
{resampled:,} for the bootstrap ({resamples:,} resamples each) and the sign-flip test
({resampled_error:.2f} points); error bars are two standard errors. The grey band is where an
interval counts as keeping its level.

![Coverage of the intervals by number of repetitions](coverage.png)

{findings}

Why skew hurts them all: when bad runs are rare, few repetitions often hold none, and then neither
their mean nor their spread tells of them. The bootstrap draws from the same few values; the
sign-flip test takes a difference to be as likely with the other sign, which a skewed one is not
even where its mean is 0. What helps is to look at the runs, each of which the report shows, and to
train more of them.

![False claims by number of repetitions](errors.png)

## All rates

{tables}

`coverage.csv` has these rates in full, with their standard errors. Made by

    {command}
"""


def text(rates: pd.DataFrame, settings: Settings, command: str) -> str:
    """The page in Markdown, for what :func:`~benchmark.coverage.simulation.simulate` returned."""
    level = settings.level
    spread = 100 * (level * (1 - level)) ** 0.5
    return PAGE.format(
        level=100 * level,
        alpha=round(100 * (1 - level), 6),
        experiments=settings.experiments,
        standard_error=spread / settings.experiments**0.5,
        resampled=settings.resampled,
        resampled_error=spread / settings.resampled**0.5,
        resamples=settings.resamples,
        findings="\n".join(f"- {finding}" for finding in findings(rates, level)),
        tables=_tables(rates),
        command=command,
    )


def findings(rates: pd.DataFrame, level: float) -> list[str]:
    """One sentence for each method and shape: what range its rates have, and what that means."""
    coverage, errors = (rates[rates["measure"] == name] for name in ("coverage", "error"))
    found = []
    for (method, shape), rows in coverage.groupby(["method", "shape"], sort=False):
        subject = f"{SUBJECTS[str(method)]}, {SHAPES[str(shape)].words}"
        found.append(f"{subject}: covers {_range(rows)}; {_judge(rows, level)}.")
    for (method, shape), rows in errors.groupby(["method", "shape"], sort=False):
        subject = f"{SUBJECTS[str(method)]}, {SHAPES[str(shape)].words}"
        over = (rows["rate"] - NOISE * rows["standard_error"] > 1 - level).any()
        kept = "clearly above" if over else "not clearly above"
        kept += f" {100 * (1 - level):.3g} %"
        found.append(f"{subject}: falsely claims a difference in {_range(rows)}; {kept}.")
    return found


SUBJECTS = {
    "t": "**t-interval**",
    "percentile bootstrap": "Percentile bootstrap",
    "BCa bootstrap": "BCa bootstrap",
    "pooled t": "**t-interval pooled over data sets** whose spreads double from one to the next",
    "sign-flip": "Exact sign-flip test",
    f"any of {COMPARISONS}, uncorrected": f"Any of {COMPARISONS} verdicts (t, uncorrected)",
    f"any of {COMPARISONS}, Holm": f"Any of {COMPARISONS} claims (t, corrected by Holm)",
}


def _range(rows: pd.DataFrame) -> str:
    low, high = rows["rate"].min(), rows["rate"].max()
    n = rows["repetitions"]
    return f"{100 * low:.1f} to {100 * high:.1f} % for {n.min()} to {n.max()} repetitions"


def _judge(rows: pd.DataFrame, level: float) -> str:
    slack = KEPT + NOISE * rows["standard_error"]
    kept = rows[(rows["rate"] - level).abs() <= slack]
    if len(kept) == len(rows):
        wide = (rows["rate"] > level + KEPT).any()
        return "it keeps its level or is a little wide" if wide else "it keeps its level"
    outside = rows.drop(kept.index)
    way = "too narrow" if (outside["rate"] < level).all() else "not at its level"
    if len(outside) == len(rows):
        return f"{way} throughout"
    n = ", ".join(str(k) for k in sorted(set(outside["repetitions"])))
    return f"{way} with {n} repetitions"


def _tables(rates: pd.DataFrame) -> str:
    parts = []
    for measure, title in (
        ("coverage", "Coverage in percent"),
        ("error", "False claims in percent"),
    ):
        own = rates[rates["measure"] == measure]
        wide = own.assign(rate=100 * own["rate"]).pivot_table(
            index=["method", "shape", "datasets"], columns="repetitions", values="rate", sort=False
        )
        wide = wide[sorted(wide.columns)].reset_index()
        body = wide.rename(columns=str).map(_cell).to_markdown(index=False, disable_numparse=True)
        parts.append(f"{title}, by the number of repetitions.\n\n{body}")
    return "\n\n".join(parts)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.1f}"
    return value
