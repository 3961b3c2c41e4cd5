"""Sections on how the runs were made: cost, failures, configuration, environment, commands."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.report.page.context import PageContext
from benchmark.report.page.sections import (
    configuration,
    cost,
    environment,
    failures,
    reproduce,
)

TWO = {("d", "a"): [0.4, 0.5], ("d", "b"): [0.5, 0.6]}
HOSTILE = "<img src=x onerror=alert(1)>"


def test_cost_by_loss(make_page: Any, read: Any) -> None:
    page = make_page(TWO)
    slow = page.data.runs["loss"] == "b"
    page.data.runs.loc[slow, ["seconds", "train_seconds"]] = [[20.0, 16.0], [30.0, 16.0]]
    found = read(cost.build(page))
    table = found.table("Time by loss")
    assert table.column("loss") == ["b", "a"]
    assert table.column("seconds a run") == ["25.0 ± 7.1", "10.0 ± 0.0"]
    assert table.column("training time × a") == ["2.00 [2.00, 2.00]", "1 (baseline)"]
    assert table.column("final runs") == ["2 in 50 s", "2 in 20 s"]
    assert "tuning runs" not in table.heads
    assert "4 runs took 1 min 10 s in sum." in found.text
    assert "The longest run took 30 s: b, repetition 1, on d with m." in found.text


def test_cost_counts_tuning(make_page: Any, read: Any) -> None:
    tuning = pd.DataFrame(
        [{"task": "detection", "dataset": "d", "model": "m", "loss": "a", "seconds": 5.0}] * 3
    )
    found = read(cost.build(make_page(TWO, tuning=tuning)))
    assert found.table("Time by loss").column("tuning runs") == ["–", "3 in 15 s"]
    assert "4 runs took 40 s in sum; 3 tuning runs 15 s, which makes 55 s." in found.text


def test_cost_shows_throughput(make_page: Any, read: Any) -> None:
    epochs = {"task": "detection", "dataset": "d", "model": "m", "loss": "a", "repetition": 0}
    history = pd.DataFrame([epochs | {"epoch": 1, "images_per_second": 123.4}])
    found = read(cost.build(make_page(TWO, history=history)))
    assert found.table("Time by loss").column("images/s") == ["–", "123"]


def test_without_times_there_is_no_cost(make_page: Any) -> None:
    page = make_page({("d", "a"): ["pending"]})
    page.data.runs["seconds"] = float("nan")
    assert cost.build(page) is None


def test_all_done_is_said(make_page: Any, read: Any) -> None:
    assert read(failures.build(make_page(TWO))).text == "None: all 4 runs are done."


def test_diverged_failed_and_pending_runs(make_page: Any, read: Any) -> None:
    page = make_page(
        {("d", "a"): ["failed", "pending", "failed"], ("d", HOSTILE): ["diverged", 0.4, 0.5]},
        outcomes={f"d-{HOSTILE}-0": {"diverged_at": {"epoch": 3, "step": 7}}},
        configs={f"d-{HOSTILE}-0": {"train": {"epochs": 20}}},
        failures={
            f"d-a-{i}": {"error": f"no\nmemory {HOSTILE}", "traceback": "File 1"} for i in (0, 2)
        },
    )
    found = read(failures.build(page))
    assert found.text.startswith(
        "1 final run diverged; 2 final runs failed; 1 final run not ended."
    )
    diverged = found.table("Diverged runs")
    assert diverged.column("loss") == [HOSTILE]
    assert diverged.column("first bad epoch") == ["3 of 20"]
    assert diverged.column("step") == ["7"]
    assert found.table("Failed runs").column("error") == ["no", "no"]
    assert found.table("Runs that have not ended").column("status") == ["pending"]
    # The same traceback of two runs stands there once.
    assert found.text.count("File 1") == 1
    assert "Traceback of d-a-0 and 1 more" in found.text
    assert not [tag for tag, _ in found.tags if tag == "img"]


def test_failed_tuning_runs_are_told_from_final_ones(make_page: Any, read: Any) -> None:
    run = {"task": "detection", "dataset": "d", "model": "m", "loss": "a", "repetition": 0}
    run |= {"status": "diverged", "cell": "t", "setting": "weight=8"}
    found = read(failures.build(make_page(TWO, tuning=pd.DataFrame([run]))))
    assert found.text.startswith("1 tuning run diverged.")
    assert found.table("Diverged runs").column("stage") == ["tuning run, weight=8"]


def config(loss: str, **more: Any) -> dict[str, Any]:
    own = {"name": loss, "label": loss, "options": {"eps": 0.1}, "weight": 1.0, "version": 2}
    return {"task": "detection", "loss": own | more, "repetition": 0, "train": {"lr": 0.001}}


def test_configuration_of_each_loss_and_what_is_shared(make_page: Any, read: Any) -> None:
    configs = {f"d-{loss}-{i}": config(loss) for loss in "ab" for i in (0, 1)}
    configs["d-b-1"] = config("b", weight=2.5)
    page = make_page(TWO, configs=configs, experiments={"somewhere": {"name": HOSTILE}})
    found = read(configuration.build(page))
    table = found.table("What differs between the losses")
    assert table.column("loss") == ["b", "a"]
    assert table.column("weight") == ["1 / 2.5", "1"]
    assert table.column("options") == ["eps=0.1", "eps=0.1"]
    assert table.column("version of the code") == ["2", "2"]
    assert found.table("Shared settings").rows == [["task", "detection"], ["train.lr", "0.001"]]
    assert f"somewhere/experiment.yaml name: {HOSTILE}" in found.text


def test_without_configurations_there_is_no_section(make_page: Any) -> None:
    assert configuration.build(make_page(TWO, experiments={"copied": {}})) is None


HERE = {"cpu": "A", "packages": {"torch": "2.15.0"}, "commit": None}


def environments(page: PageContext, other: dict[str, Any], *cells: str) -> PageContext:
    found = {cell: (other if cell in cells else HERE) for cell in page.data.runs["cell"]}
    return dataclasses.replace(page, data=dataclasses.replace(page.data, environments=found))


def test_one_environment(make_page: Any, read: Any) -> None:
    found = read(environment.build(environments(make_page(TWO), HERE)))
    assert found.table("The same for all 4 runs").rows == [
        ["commit", "null"],
        ["cpu", "A"],
        ["torch", "2.15.0"],
    ]
    assert list(found.tables) == ["The same for all 4 runs"]


def test_a_pair_from_two_environments_is_warned_of(make_page: Any, read: Any) -> None:
    other = HERE | {"cpu": HOSTILE}
    found = read(environment.build(environments(make_page(TWO), other, "d-b-1")))
    table = found.table("What differs between environments")
    assert table.heads == ["environment", "runs", "cpu"]
    assert table.rows == [["1", "3", "A"], ["2", "1", HOSTILE]]
    assert "In 1 of 2 repetitions not all runs come from the same one" in found.text
    assert ("p", {"class": "warning"}) in found.tags


def test_a_repetition_in_one_place_is_no_reason_to_warn(make_page: Any, read: Any) -> None:
    other = HERE | {"cpu": "B"}
    found = read(environment.build(environments(make_page(TWO), other, "d-a-1", "d-b-1")))
    assert "all runs of a repetition come from the same one" in found.text
    assert ("p", {"class": "warning"}) not in found.tags


def test_code_that_no_commit_holds(make_page: Any, read: Any) -> None:
    other = HERE | {"commit": "0123abc+changes"}
    found = read(environment.build(environments(make_page(TWO), other, "d-a-1", "d-b-1")))
    assert "2 of the runs were made with code that no commit holds" in found.text


def test_without_environments_there_is_no_section(make_page: Any) -> None:
    assert environment.build(make_page(TWO)) is None


def test_commands(
    make_page: Any, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = Path("/elsewhere/d-b-0")
    folders = {"d-a-0": tmp_path / "my results" / "d-a-0", "d-b-0": elsewhere}
    folders["d-a-1"] = tmp_path / "r" / "d-a-1"
    page = make_page(
        {("d", "a"): [0.4, "pending"], ("d", "b"): ["diverged"]},
        folders=folders,
        experiments={str(tmp_path / "my results"): {"name": "x"}, "copied": {}},
    )
    found = read(reproduce.build(page))
    whole = "python3 run.py run 'my results/experiment.yaml' --results again"
    assert whole in found.text
    assert "copied" not in found.text
    commands = [
        text.removesuffix("Copy").strip()
        for text in found.table("Command of each run").column("command")
    ]
    # The run that has not ended has nothing to compare with.
    assert commands == [
        "python3 run.py reproduce 'my results/d-a-0'",
        "python3 run.py reproduce /elsewhere/d-b-0",
    ]


def test_without_folders_there_are_no_commands(make_page: Any) -> None:
    assert reproduce.build(make_page(TWO)) is None
