from __future__ import annotations

import io
import math
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.options import UserError
from benchmark.power import Question, Spread, needed, power_of_spread, spreads

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "nuclei_cracks"


def runs_of(losses: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "task": "detection",
                "dataset": "d",
                "model": "m",
                "loss": loss,
                "repetition": repetition,
                "status": "done",
                "AP": value,
            }
            for loss, values in losses.items()
            for repetition, value in enumerate(values)
        ]
    )


def printed(sd: float, repetitions: int | None, question: Question) -> str:
    console = Console(width=200, file=io.StringIO())
    power_of_spread(console, sd, repetitions, question)
    return console.file.getvalue()


def test_spread_is_that_of_the_paired_differences():
    runs = runs_of({"a": [0.1, 0.2, 0.3, 0.4], "b": [0.11, 0.22, 0.33, 0.46], "c": [0.5]})
    [(title, found)] = spreads(runs)
    assert title == "detection, d, m: AP against a"
    # Differences 0.01, 0.02, 0.03, 0.06: sd sqrt(0.0014 / 3).
    assert (found[0].loss, found[0].n) == ("b", 4)
    assert found[0].sd == pytest.approx(math.sqrt(0.0014 / 3))
    assert found[0].found == pytest.approx(0.03)
    assert (found[1].loss, found[1].n) == ("c", 1)
    assert math.isnan(found[1].sd)
    [(_, against_b)] = spreads(runs, "b")
    assert [spread.loss for spread in against_b] == ["a", "c"]


def test_needed_repetitions_and_their_range():
    # statsmodels' TTestPower: effects of 0.5 / 0.9, and of 0.5 over the ends of the interval of
    # an sd of 0.9 from 5 values, 0.5392 and 2.5862, need 27.4, 11.2 and 211.9 pairs.
    assert needed(Spread("a", 5, 0.009), 0.005, Question()) == "28\n12–212"
    assert needed(Spread("a", 0, 0.009), 0.005, Question()) == "28"


def test_what_cannot_be_told_is_a_dash():
    assert needed(Spread("a", 1, math.nan), 0.005, Question()) == "–"
    assert needed(Spread("a", 5, 0.009), math.nan, Question()) == "–"
    assert needed(Spread("a", 5, 0.009), 0.0, Question()) == "–"
    assert needed(Spread("a", 0, 0.009), 1e-8, Question()) == "> 10⁶"


def test_a_spread_without_runs():
    text = printed(0.9, None, Question((0.5,)))
    assert "for 0.5" in text
    assert "28" in text
    # statsmodels: 3 pairs find 3.26 sd, 20 pairs 0.66 sd.
    lines = [line.split() for line in text.splitlines()]
    assert ["3", "2.94"] in lines
    assert ["20", "0.59"] in lines


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"power": 80}, "--power: must lie between 0.05 and 1, got 80"),
        ({"power": 0.05}, "--power: must lie"),
        ({"differences": (0.5, 0.0)}, "--difference: must be above 0 percentage points, got 0"),
        ({"differences": (math.nan,)}, "--difference: must be above 0 percentage points, got nan"),
    ],
)
def test_wrong_questions(question, message):
    with pytest.raises(UserError, match=message):
        Question(**question)


@pytest.mark.parametrize("sd", [0, -1, math.inf, math.nan])
def test_wrong_spread(sd):
    with pytest.raises(UserError, match="--sd: must be above 0 percentage points"):
        printed(sd, None, Question())


def test_command_on_a_folder(cli):
    done = cli("power", REFERENCE, "--difference", "0.5", "--baseline", "dice")
    assert done.returncode == 0, done.stderr
    assert "segmentation, nuclei, tiny_unet width=12: mIoU_fg against dice" in done.stdout
    assert "for 0.5" in done.stdout
    assert "for 2" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a results folder or --sd, and not both"),
        ([REFERENCE, "--sd", "1"], "give a results folder or --sd, and not both"),
        ([REFERENCE, "--repetitions", "3"], "--repetitions goes with --sd"),
        (["--sd", "1", "--baseline", "iou"], "--baseline and --metric choose among runs"),
        ([REFERENCE, "--baseline", "nope"], "baseline 'nope' is not among the losses; allowed:"),
        ([REFERENCE, "--metric", "nope"], "metric 'nope' is not in the runs; there are:"),
        ([REFERENCE, "--metric", "seconds"], "metric 'seconds' is not in the runs; there are:"),
        ([REFERENCE.parent], "is no results folder"),
    ],
)
def test_command_refuses(words, message):
    done = CliRunner().invoke(app, ["power", *map(str, words)])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
