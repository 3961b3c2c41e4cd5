"""The numbers as files: CSV with full precision, Markdown and LaTeX for people.

One formatted frame of strings (:attr:`SummaryTable.cells`) feeds Markdown, LaTeX and the
terminal, so that the three cannot disagree.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from benchmark.statistics import (
    MIN_PAIRS,
    PRIMARY,
    REFERENCES,
    RUN_COLUMNS,
    groups,
    reference,
    scores,
)


@dataclass(frozen=True)
class TaskWords:
    """What the tables show and say of a task.

    Attributes:
        secondary: metrics shown beside the primary one, where the runs have them.
        metrics: what the metrics are.
        trivial: what the predictor that looks at no image does.
    """

    secondary: tuple[str, ...]
    metrics: str
    trivial: str


WORDS = {
    "detection": TaskWords(
        secondary=("AP50", "AP75"),
        metrics="AP is the mean over IoU thresholds from 0.50 to 0.95, as COCO defines it.",
        trivial="predicts boxes drawn from the training annotation",
    ),
    "segmentation": TaskWords(
        secondary=("mIoU", "Dice_fg"),
        metrics="mIoU_fg and Dice_fg are means over the foreground classes; mIoU counts the "
        "background as a class.",
        trivial="gives every pixel the commonest foreground class",
    ),
}

REFERENCE_LABELS = {"untrained": "untrained model", "trivial": "trivial predictor"}
UNKNOWN = "–"
RUNS = "Metrics on the test split in percent; seconds from the start of a run to its end."
TEXT_COLUMNS = ("loss", "not finished", "verdict", "status")  # align left; numbers align right

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\|*<`"})
VERDICT_STYLES = {"better": "green", "worse": "red"}


@dataclass(frozen=True)
class SummaryTable:
    """The comparison of the losses on one (task, data set, model).

    Attributes:
        title: names task, data set and model.
        cells: strings as they are shown, metrics in percent; one row a loss, best first, then
            one row for each reference predictor.
        caption: what the cells mean.
    """

    title: str
    cells: pd.DataFrame
    caption: str

    def markdown(self) -> str:
        """The table as a section of a Markdown page."""
        cells = _translated(self.cells, MARKDOWN)
        alignment = ["right" if right else "left" for right in self._right_aligned()]
        body = cells.to_markdown(index=False, disable_numparse=True, colalign=alignment)
        title, caption = (text.translate(MARKDOWN) for text in (self.title, self.caption))
        return f"## {title}\n\n{body}\n\n{caption}\n"

    def latex(self) -> str:
        """The table as a LaTeX float; needs the package ``booktabs``."""
        style = _translated(self.cells, LATEX).style.hide(axis="index")
        return style.to_latex(
            hrules=True,
            position="htbp",
            position_float="centering",
            column_format="".join("r" if right else "l" for right in self._right_aligned()),
            caption=f"{self.title.translate(LATEX)}. {self.caption.translate(LATEX)}",
            label=f"tab:{slug(self.title)}",
        )

    def rich(self) -> Table:
        """The table for the terminal; the secondary metrics are left to the files."""
        # Text, not str: rich reads a str like "[+0.4, +2.0]" as markup.
        table = Table(
            title=Text(self.title),
            caption=Text(self.caption),
            caption_justify="left",
            box=SIMPLE_HEAD,
        )
        cells = self.cells.loc[:, :"verdict"]
        for name, right in zip(map(str, cells), self._right_aligned(), strict=False):
            table.add_column(Text(name), justify="right" if right else "left", no_wrap=right)
        for row in cells.itertuples(index=False):
            table.add_row(*(Text(cell, style=VERDICT_STYLES.get(cell, "")) for cell in row))
        return table

    def _right_aligned(self) -> list[bool]:
        return [name not in TEXT_COLUMNS for name in self.cells]


def slug(text: str) -> str:
    """``text`` with only letters, digits, ``_``, ``.`` and ``=``, other runs becoming a ``-``."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")


def summary_tables(runs: pd.DataFrame, summary: pd.DataFrame) -> list[SummaryTable]:
    """One formatted table for each (task, data set, model).

    Args:
        runs: the frame that ``summary`` was made of; gives the secondary metrics.
        summary: what :func:`benchmark.statistics.summarise` returns.
    """
    if summary.empty:
        return []
    own_runs = dict(groups(runs))
    return [
        SummaryTable(
            title=", ".join(key), cells=_cells(own_runs[key], rows), caption=_caption(key[0], rows)
        )
        for key, rows in groups(summary)
    ]


def run_tables(runs: pd.DataFrame) -> list[SummaryTable]:
    """One formatted table for each (task, data set, model), with one row a run."""
    return [
        SummaryTable(title=f"{', '.join(key)}: runs", cells=_run_cells(key[0], own), caption=RUNS)
        for key, own in groups(runs)
    ]


def _run_cells(task: str, runs: pd.DataFrame) -> pd.DataFrame:
    metrics = [m for m in (PRIMARY[task], *WORDS[task].secondary) if m in runs]
    seconds = runs["seconds"] if "seconds" in runs else [math.nan] * len(runs)
    return pd.DataFrame(
        {
            "loss": runs["loss"].tolist(),
            "repetition": [str(n) for n in runs["repetition"]],
            "status": runs["status"].tolist(),
            "seconds": [UNKNOWN if pd.isna(s) else f"{s:.0f}" for s in seconds],
            **{f"{m} (%)": [_percent(value) for value in runs[m]] for m in metrics},
        }
    )


def write_tables(
    runs: pd.DataFrame, summary: pd.DataFrame, tables: list[SummaryTable], folder: Path
) -> list[Path]:
    """Write ``runs`` (a row a run) and ``summary`` (a row a loss) as CSV (fractions, full
    precision), Markdown and LaTeX into ``folder``, which is made; return their paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = runs if len(runs.columns) else pd.DataFrame(columns=RUN_COLUMNS)
    markdown, latex = _pages(tables)
    runs_markdown, runs_latex = _pages(run_tables(runs) if len(runs) else [])
    texts = {
        "runs.csv": header.to_csv(index=False, lineterminator="\n"),
        "summary.csv": summary.to_csv(index=False, lineterminator="\n"),
        "summary.md": f"# Summary\n\n{markdown}",
        "summary.tex": latex,
        "runs.md": f"# Runs\n\n{runs_markdown}",
        "runs.tex": runs_latex,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def _pages(tables: list[SummaryTable]) -> tuple[str, str]:
    """All tables as one Markdown and one LaTeX text."""
    return (
        "\n".join(table.markdown() for table in tables) or "No runs yet.\n",
        "\n".join(table.latex() for table in tables) or "% No runs yet.\n",
    )


def _cells(runs: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    task, metric = rows["task"].iloc[0], rows["metric"].iloc[0]
    secondary = [m for m in WORDS[task].secondary if m in runs and m != metric]
    columns = {
        "loss": rows["loss"].tolist(),
        f"{metric} (%)": [_spread(*pair) for pair in zip(rows["mean"], rows["std"], strict=True)],
        "n": [str(n) for n in rows["n"]],
        "not finished": [_not_finished(row) for _, row in rows.iterrows()],
        "difference": [_difference(row) for _, row in rows.iterrows()],
        "verdict": rows["verdict"].tolist(),
    }
    for name in secondary:
        values = scores(runs, name)
        columns[f"{name} (%)"] = [
            _spread(values[loss].mean(), values[loss].std()) for loss in rows["loss"]
        ]
    if not any(columns["not finished"]):
        del columns["not finished"]
    losses = pd.DataFrame(columns)
    references = [
        {
            "loss": REFERENCE_LABELS[name],
            **{f"{m} (%)": _percent(reference(runs, name, m)) for m in (metric, *secondary)},
        }
        for name in REFERENCES
    ]
    return pd.concat([losses, pd.DataFrame(references, columns=losses.columns)]).fillna("")


def _caption(task: str, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    n = sorted({int(count) for count in rows["n"]})
    repetitions = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
    sentences = [
        "Metrics on the test split in percent: mean ± standard deviation over n finished "
        f"repetitions ({repetitions} a loss).",
        WORDS[task].metrics,
        f"Difference: mean paired difference of {first['metric']} to the baseline "
        f"{first['baseline']}, in percentage points, with its {100 * first['level']:g} % "
        "t-interval in [ ]; each interval is for one comparison alone, not corrected for the "
        "number of comparisons.",
        f"Better, worse: the interval excludes 0 (at least {MIN_PAIRS} pairs). Cannot tell: it "
        "does not, which does not mean that the losses are equal.",
    ]
    if rows["diverged"].any():
        sentences.append(
            "Losses with diverged runs rank after those without, and as their means and "
            "differences cover only the runs that survived, no verdict is given in their favour."
        )
    sentences.append(
        "Untrained model: the same model before training. "
        f"Trivial predictor: looks at no image and {WORDS[task].trivial}."
    )
    return " ".join(sentences)


def _not_finished(row: pd.Series) -> str:
    return ", ".join(f"{row[k]} {k}" for k in ("diverged", "failed", "unfinished") if row[k])


def _difference(row: pd.Series) -> str:
    if math.isnan(row["diff"]):
        return UNKNOWN
    if math.isnan(row["diff_low"]):
        return _points(row["diff"])
    return f"{_points(row['diff'])} [{_points(row['diff_low'])}, {_points(row['diff_high'])}]"


def _percent(fraction: float) -> str:
    return UNKNOWN if math.isnan(fraction) else f"{100 * fraction:.1f}"


def _spread(mean: float, sd: float) -> str:
    return _percent(mean) if math.isnan(sd) else f"{_percent(mean)} ± {_percent(sd)}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")


def _translated(cells: pd.DataFrame, characters: dict[int, str]) -> pd.DataFrame:
    def translate(text: str) -> str:
        return text.translate(characters)

    return cells.map(translate).rename(columns=translate)
