"""Bad inputs by name: what is wrong, and the command that meets it.

``tests/bad_input/test_page.py`` runs each and writes ``docs/bad_input.md`` from what it answers.
Unknown commands and options are Typer's to refuse, in words that change with its version.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.bad_input.data_cases import JSON_FILES, MASK_FILES, TEXT_FILES, XML_FILES
from tests.bad_input.worlds import Case, experiment, results, text


def edit(name: str, old: str, new: str) -> Case:
    """A mistake in the experiment file."""
    return Case(name, experiment((old, new)))


def override(name: str, *words: str) -> Case:
    """A mistake in an override of a good experiment file."""
    return Case(name, experiment(), ("run", "small.yaml", *words))


def command(name: str, *words: str) -> Case:
    """A mistake in the words of a command."""
    return Case(name, experiment(), words)


def stored(
    name: str,
    file: str,
    content: str | bytes | Callable[[str], str] | None,
    *words: str,
) -> Case:
    """A damaged file of a results folder."""
    return Case(name, results(file, content), words or ("report", "results/small"))


def changed(**values: Any) -> Callable[[str], str]:
    """A JSON object with other values."""
    return lambda old: json.dumps({**json.loads(old), **values})


FILE = [
    Case("no such file", lambda folder: None),
    Case("the file is empty", experiment(b"")),
    Case("not UTF-8", experiment(b"name: \xff\xfe")),
    Case("not YAML", experiment("matrix: [\n")),
    Case("a list in place of a mapping", experiment(b"- name: small\n")),
    Case("a key twice", experiment("repetitions: 5\n")),
    Case("an alias within what it names", experiment("description: &a [*a]\n")),
    Case("a Python object", experiment("description: !!python/name:os.system\n")),
    Case("a tag that does not fit", experiment("description: !!int many\n")),
    edit("an unknown key", "epochs: 2", "epoch: 2"),
    edit("a missing key", "    task: detection\n", ""),
    edit("a word for a number", "epochs: 2", "epochs: many"),
    edit("a fraction for a whole number", "epochs: 2", "epochs: 2.5"),
    edit("true for a number", "epochs: 2", "epochs: true"),
    edit("a number for text", "name: small", "name: 5"),
    edit("a number out of range", "epochs: 2", "epochs: 0"),
    edit("more repetitions than anybody means", "repetitions: 2", "repetitions: 2000000"),
    edit("not a number", "epochs: 2", "epochs: 2, lr: .nan"),
    edit("a name that is no folder's", "name: small", "name: a/b"),
    edit("a folder that is taken", "name: small", "name: reference"),
    edit("an unknown task", "task: detection", "task: tracking"),
    edit("an unknown loss", "[smooth_l1,", "[smoth_l1,"),
    edit("a loss of another task", "[smooth_l1,", "[dice,"),
    edit("an unknown option of a loss", "weight: 2", "wieght: 2"),
    edit("an option of a loss out of range", "smooth_l1,", "{name: smooth_l1, beta: -1},"),
    edit("a weight that is not positive", "weight: 2", "weight: 0"),
    edit("no losses", "[smooth_l1, {name: giou, weight: 2}]", "[]"),
    edit("one loss for a list", "[smooth_l1, {name: giou, weight: 2}]", "smooth_l1"),
    edit("the same loss twice", "{name: giou, weight: 2}", "smooth_l1"),
    edit("a label over two lines", "weight: 2", 'label: "a\\nb"'),
    edit("a place that no model has", "smooth_l1,", "{parts: {mask: bce}},"),
    edit("an unknown data set", "name: shapes", "name: shape"),
    edit("a data set without training images", "train: 8", "train: 0"),
    edit("an unknown model", "tiny_fcos", "tiny_fco"),
    edit("a model of another task", "{name: tiny_fcos, width: 8}", "tiny_unet"),
    edit("a model of a file that is not there", "{name: tiny_fcos, width: 8}", "my.py:Model"),
    edit("an image size that the model cannot take", "image_size: 64", "image_size: 100"),
    edit("a baseline that is none of the losses", "    losses:", "    baseline: iou\n    losses:"),
    edit("a target that is no metric", "repetitions: 2", "repetitions: 2\ntargets: {AP51: 0.5}"),
    edit("a tuning of nothing", "repetitions: 2", "repetitions: 2\ntune: {}"),
    edit("an unknown logger", "repetitions: 2", "repetitions: 2\nlogging: [wand]"),
    edit("an unknown executor", "repetitions: 2", "repetitions: 2\nexecutor: kubernetes"),
]

OVERRIDES = [
    override("no equals sign", "train.epochs"),
    override("a value that is not YAML", "train.epochs=[1"),
    override("a key below a value", "name.x=1"),
    override("a position that the list has not", "matrix.boxes.losses.7=iou"),
    override("a position in an empty list", "matrix.boxes.losses=[]", "matrix.boxes.losses.0=iou"),
    override("a word for a position", "matrix.boxes.losses.first=iou"),
    override("an unknown key in an override", "train.learning_rate=0.1"),
]

RESULTS = [
    command("a folder without results", "report", "."),
    command("a folder that does not exist", "status", "results/smal"),
    stored("metrics.json cut short", "metrics.json", '{"status": "do'),
    stored("metrics.json with an unknown status", "metrics.json", changed(status="finished")),
    stored(
        "metrics.json with a word for a metric", "metrics.json", changed(metrics={"AP": "high"})
    ),
    stored(
        "metrics.json of a divergence without its place",
        "metrics.json",
        changed(status="diverged", diverged_at={}),
    ),
    stored("history.csv cut short", "history.csv", lambda old: old[:-9]),
    stored("history.csv with a word", "history.csv", lambda old: old.replace("1.0", "one")),
    stored(
        "history.csv with an epoch twice",
        "history.csv",
        lambda old: old + old.splitlines()[-1] + "\n",
    ),
    stored("history.csv with a column twice", "history.csv", "epoch,AP,AP\n0,1,2\n"),
    stored("details.json of another version", "details.json", '{"version": 99}'),
    stored("environment.json that is no mapping", "environment.json", "[]"),
    stored("environment.json without packages", "environment.json", changed(packages=5)),
    stored(
        "streams.json without the hash of the weights",
        "streams.json",
        '{"epochs": []}',
        "reproduce",
        "results/small/runs/run",
    ),
    Case(
        "failure.json without a reason",
        lambda folder: [
            results("metrics.json", None)(folder),
            text(folder / "results/small/runs/run/failure.json", "{}"),
        ],
        ("report", "results/small"),
    ),
    stored("config.yaml cut short", "config.yaml", lambda old: old[: len(old) // 2]),
    stored("config.yaml with a key too many", "config.yaml", lambda old: old + "colour: red\n"),
    stored("experiment.yaml without a matrix", "/experiment.yaml", "name: small\n"),
    stored("cells.txt that is no text", "/cells.txt", b"\xff\xfe"),
    stored(
        "a baseline that no run has",
        "/cells.txt",
        "run\n",
        "report",
        "results/small",
        "--baseline",
        "iou",
    ),
    stored("a run that has not ended", "metrics.json", None, "reproduce", "results/small/runs/run"),
    command("a run folder that is none", "reproduce", "results"),
]

COMMANDS = [
    command("an executor that there is not", "run", "small.yaml", "--executor", "kubernetes"),
    command("a file for the results", "run", "small.yaml", "--results", "small.yaml"),
    command("a file for the data", "run", "small.yaml", "--data", "small.yaml"),
    command("an unknown split", "inspect", "small.yaml", "--split", "dev"),
    command("an unknown label", "inspect", "small.yaml", "--dataset", "shape"),
    command("a loss that there is not", "check-loss", "gio"),
    command("a loss that is not YAML", "check-loss", "{name: focal"),
    command("a loss of a module that is not there", "check-loss", "my_losses:Best"),
    command("an unknown picture", "curves", "nothing"),
    command("a loss that is none of boxes", "simulate", "dice"),
    command("an unknown data set to fetch", "download", "voc2077"),
    command("a power above 1", "power", "--sd", "1", "--repetitions", "5", "--power", "2"),
    command("a spread that is not a number", "power", "--sd", "nan", "--repetitions", "5"),
    command("a folder without reports", "index", "nowhere"),
]

SECTIONS = {
    "The experiment file": FILE,
    "Overrides": OVERRIDES,
    "Data sets in Pascal VOC's form": XML_FILES,
    "Data sets in COCO's form": JSON_FILES,
    "Data sets in YOLO's form": TEXT_FILES,
    "Masks": MASK_FILES,
    "Results folders": RESULTS,
    "Commands": COMMANDS,
}
