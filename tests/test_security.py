"""Files that somebody else made: the commands that read them are not taken over by them."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console

from benchmark.collecting import report_data
from benchmark.options import UserError
from benchmark.report.charts.write import Order, draw
from benchmark.report.panels import panels
from benchmark.reporting import Choices, write_report
from benchmark.statistics import summarise
from benchmark.store import RunFolder, Store, write_text
from benchmark.training.state import resume_or_start
from datasets.sample import DatasetError
from datasets.voc import read_objects

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference" / "quickstart"
MARKUP = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
NASTY = [
    f"=cmd|calc!A0{MARKUP}",
    f"[x](javascript:alert(3)) $\\input{{x}}$ | # {MARKUP}",
]
CONTROLS = "\n\n# new\x1b]0;title\x07"
MODEL = "evil.py:Net"

CLI = Callable[..., "subprocess.CompletedProcess[str]"]


def python_files() -> Iterator[Path]:
    yield ROOT / "run.py"
    for package in ("benchmark", "datasets", "losses"):
        yield from sorted((ROOT / package).rglob("*.py"))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the name that is called, as ``torch.load``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


FORBIDDEN = re.compile(
    r"(eval|exec|compile|os\.(system|popen)|pickle\.loads?|marshal\.loads?|shelve\.open"
    r"|tempfile\.mktemp|yaml\.(unsafe_load|full_load|load_all|Loader|UnsafeLoader)"
    r"|.*\.extractall|shutil\.unpack_archive|joblib\.load|torch\.jit\.load|torch\.hub\.load)"
)


def test_nothing_is_run_that_a_file_says() -> None:
    """Of the source: no call that would turn the content of a file into a program."""
    found = []
    for path in python_files():
        for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
            words = {word.arg: ast.unparse(word.value) for word in call.keywords}
            if (
                FORBIDDEN.fullmatch(name)
                or words.get("shell") == "True"
                or words.get("allow_pickle") == "True"
                or (name == "torch.load" and words.get("weights_only") != "True")
                or (name == "yaml.load" and ast.unparse(call.args[1]) != "PlainLoader")
            ):
                found.append(f"{path.relative_to(ROOT)}:{call.lineno}: {name}")
    assert found == []


class Tags(HTMLParser):
    """What a page consists of besides its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.links |= {str(value) for name, value in attrs if name in ("href", "src")}


def rewrite_json(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def nasty_run(folder: Path, label: str) -> None:
    """Put a text into every place of a run where a stranger could put one."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["loss"]["label"] = label
    config["dataset"]["label"], config["model"]["label"] = NASTY
    config["model"]["name"] = MODEL
    (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def details(content: dict[str, Any]) -> dict[str, Any]:
        for part in content.values():
            if isinstance(part, dict) and "group" in part:
                part["group"] = [f"{name} {label}" for name in part["group"]]
        return content

    def samples(content: dict[str, Any]) -> dict[str, Any]:
        for number, image in enumerate(content["images"]):
            image["id"] = f"{number} {label}{CONTROLS}"
        return {**content, "classes": [label + CONTROLS for _ in content["classes"]]}

    rewrite_json(folder / "details.json", details)
    if (folder / "samples.json").exists():
        rewrite_json(folder / "samples.json", samples)
    rewrite_json(folder / "environment.json", lambda old: {**old, "device": label + CONTROLS})


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A results folder in which every text is an attack; the losses' labels are :data:`NASTY`."""
    folder = tmp_path / "theirs"
    for loss, label in (("iou", 0), ("giou", 1)):
        for number in (0, 1):
            (old,) = REFERENCE.glob(f"runs/*-{loss}-r{number}-*")
            new = folder / "runs" / f"{loss}-{number}"
            shutil.copytree(old, new)
            nasty_run(new, NASTY[label])
    failed = folder / "runs" / "iou-1"
    (failed / "metrics.json").unlink()
    (failed / "failure.json").write_text(
        json.dumps({"error": NASTY[1] + CONTROLS, "traceback": NASTY[0] + CONTROLS})
    )
    for name in (MODEL.partition(":")[0], "yaml.py", "numpy.py", "benchmark.py"):
        (tmp_path / name).write_text("open('was-imported', 'w').close()\n")
    return folder


def experiment_with_code(folder: Path) -> None:
    content = yaml.safe_load((REFERENCE / "experiment.yaml").read_text())
    for block in content["matrix"].values():
        block["models"] = [{"name": MODEL}]
    (folder / "experiment.yaml").write_text(
        yaml.safe_dump({**content, "description": NASTY[1] + CONTROLS})
    )


def test_a_strangers_report(stranger: Path, cli: CLI, tmp_path: Path) -> None:
    """Markup, formulas and terminal codes stay text, and no code of theirs is run."""
    experiment_with_code(stranger)
    before = sorted(tmp_path.iterdir())
    done = cli("report", stranger, "--only", "tables", "--only", "page", "--only", "json")
    assert done.returncode == 0, done.stderr
    state = cli("status", stranger)
    assert state.returncode == 1, state.stderr
    assert cli("index", tmp_path).returncode == 0
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "index.html"])
    for output in (done, state):
        assert "\x1b" not in output.stdout + output.stderr
        assert "\x07" not in output.stdout + output.stderr

    for page in (stranger / "report.html", tmp_path / "index.html"):
        tags = Tags(page.read_text(encoding="utf-8"))
        assert tags.found["script"] == 1
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert all(re.match(r"#|data:image/|theirs/report.html", link) for link in tags.links)
    assert "alert(1)" in (stranger / "report.html").read_text(encoding="utf-8")

    for table in (stranger / "tables").glob("*.csv"):
        frame = pd.read_csv(table, dtype=str)
        assert not frame.map(lambda cell: str(cell).startswith(("=", "+", "@"))).any().any()
    for table in (stranger / "tables").glob("*.md"):
        text = table.read_text(encoding="utf-8")
        assert "](" not in text
        assert not re.search(r"(?<!\\)<script", text)
        assert "\n# new" not in text


def test_a_strangers_chart(stranger: Path) -> None:
    """Labels are text in an SVG too; one chart stands for all, which are drawn alike."""
    data = report_data(Store.existing(stranger))
    (panel,) = panels(data.runs, data.history, summarise(data.runs))
    assert draw(Order("metric", panel, stranger / "chart", ["svg"])) == ""
    text = (stranger / "chart.svg").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text


BOMBS = {
    "experiment.yaml": "[" * 100_000,
    "runs/iou-0/config.yaml": "a: &a [*a]",
    "runs/iou-0/metrics.json": '{"a":' * 100_000,
    "runs/iou-0/samples.json": "[" * 100_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_files_that_would_end_the_process(stranger: Path, name: str) -> None:
    """One message that names the file, from whatever reads a store."""
    (stranger / name).write_text(BOMBS[name])
    with pytest.raises(UserError, match=name.rpartition("/")[2]):
        write_report(Console(file=io.StringIO()), Store.existing(stranger), Choices(only=["page"]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("../../../private.jpg", "must be the name of a file"), ("private.jpg", "outside")],
)
def test_a_picture_from_elsewhere(stranger: Path, tmp_path: Path, name: str, expected: str) -> None:
    """Who hands on a report of somebody else's folder does not hand on a picture of their own."""
    Image.new("RGB", (128, 128)).save(tmp_path / "private.jpg")
    run = stranger / "runs" / "giou-0"
    (run / "private.jpg").symlink_to(tmp_path / "private.jpg")
    if "/" in name:
        (run / "private.jpg").unlink()
    samples = json.loads((run / "samples.json").read_text())
    samples["images"][0]["file"] = name
    (run / "samples.json").write_text(json.dumps(samples))
    with pytest.raises(UserError, match=expected):
        write_report(Console(file=io.StringIO()), Store.existing(stranger), Choices(only=["page"]))
    assert not (stranger / "report.html").exists()


def test_overrides_that_explode(cli: CLI) -> None:
    done = cli("run", "quickstart", "train.epochs=" + "[" * 50_000, "--dry-run")
    assert done.returncode == 2
    assert "nested more than 100 deep" in done.stderr
    assert "Traceback" not in done.stderr


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
XML = {
    "a billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l11;</annotation>',
    "another file": '<!DOCTYPE a [<!ENTITY x SYSTEM "{file}">]><annotation>&x;</annotation>',
}


@pytest.mark.parametrize("kind", XML)
def test_xml_that_expands(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "a.xml"
    path.write_text(XML[kind].replace("{file}", (tmp_path / "secret").as_uri()))
    with pytest.raises(DatasetError, match=r"a\.xml: XML does not parse") as caught:
        read_objects(path, ["dog"])
    assert "secret" not in str(caught.value).replace(str(tmp_path), "")


def test_a_checkpoint_is_data(tmp_path: Path) -> None:
    """One that would run code when it is unpickled is not used; the code is not run."""

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "was-run"), "w")

    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    torch.save({"model": Payload()}, run.checkpoint)
    (config,) = REFERENCE.glob("runs/*-iou-r0-*")
    cell = RunFolder(config).config()
    state = resume_or_start(cell, run, ["a", "b", "c"], 1, torch.device("cpu"))
    assert state.epoch == 0
    assert not (tmp_path / "was-run").exists()


def test_files_are_as_private_as_the_user_wants(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "runs" / "a.txt", "text")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "runs" / "a.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o750
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a.txt"]
