"""Several results folders as one, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.collecting import report_data
from benchmark.experiment.config import Experiment
from benchmark.experiment.tuning import apply_setting
from benchmark.merging import merge
from benchmark.options import UserError
from benchmark.report.data import ReportData
from benchmark.reporting import Choices, write_merged_report
from benchmark.store import Store

BASE = {
    "name": "shared",
    "train": {"epochs": 2, "image_size": 64},
    "matrix": {
        "boxes": {
            "task": "detection",
            "losses": ["iou", "giou"],
            "datasets": ["shapes"],
            "models": ["tiny_fcos"],
        }
    },
}


@pytest.fixture
def folder(tmp_path):
    """Write a results folder: ``folder(where, values, **changes of the experiment)``.

    ``values``: (loss label, repetition) -> AP, or None for a run that has not ended.
    """
    from benchmark.experiment.grid import plan

    def make(where, values, losses=None, edit=None, **changes) -> Path:
        content = {**BASE, "repetitions": 1 + max(rep for _, rep in values), **changes}
        block = dict(content["matrix"]["boxes"])
        if losses:
            block["losses"] = losses
        content["matrix"] = {"boxes": {**block, **changes.get("block", {})}}
        content.pop("block", None)
        experiment = Experiment.model_validate(content)
        store = Store(tmp_path / where)
        cells = [
            cell if edit is None else edit(cell)
            for cell in plan(experiment)
            if (cell.loss.label, cell.repetition) in values
        ]
        store.write_experiment(experiment, cells)
        for cell in cells:
            value = values[cell.loss.label, cell.repetition]
            run = store.run_folder(cell)
            if value is None:
                continue
            run.begin(cell, {"machine": where})
            run.write_history([{"epoch": 0, "seconds": 0.0, "AP": 0.0}])
            run.write_details({"version": 1, "by_iou": {"x": [0.5], "y": [value]}})
            run.finish({"status": "done", "metrics": {"AP": value}, "seconds": len(where)})
        return store.path

    return make


def read(*paths: Path) -> list[ReportData]:
    return [report_data(Store.existing(path)) for path in paths]


def refused(*paths: Path, **options) -> str:
    with pytest.raises(UserError) as error:
        merge(read(*paths), **options)
    return str(error.value)


def test_repetitions_of_two_machines_become_one_table(folder):
    one = folder("one", {("iou", 0): 0.1, ("giou", 0): 0.2})
    two = folder("two", {("iou", 1): 0.3, ("giou", 1): 0.4})
    data, notes = merge(read(two, one))
    rows = data.runs[["loss", "repetition", "AP"]].to_numpy().tolist()
    assert rows == [["iou", 0, 0.1], ["iou", 1, 0.3], ["giou", 0, 0.2], ["giou", 1, 0.4]]
    assert notes == []
    assert data.name == "shared"
    assert list(data.experiments) == [str(two), str(one)]
    assert len(data.history) == 4
    for parts in (data.details, data.configs, data.environments, data.outcomes, data.folders):
        assert set(parts) == set(data.runs["cell"])


def test_losses_of_a_second_experiment_come_after_those_of_the_first(folder):
    one = folder("one", {("iou", 0): 0.1, ("giou", 0): 0.2})
    two = folder("two", {("diou", 0): 0.3, ("iou", 0): 0.1}, losses=["iou", "diou"], name="other")
    data, notes = merge(read(one, two))
    assert data.runs["loss"].tolist() == ["iou", "giou", "diou"]
    assert data.name == "shared + other"
    assert notes == [
        "1 run(s) lie in more than one folder with the same result; each is counted once"
    ]
    again, _ = merge(read(two, one))
    assert again.runs["loss"].tolist() == ["iou", "diou", "giou"]


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_an_unended_copy_gives_way(folder, order):
    paths = {
        "one": folder("one", {("iou", 0): None, ("giou", 0): 0.2}),
        "two": folder("two", {("iou", 0): 0.3, ("giou", 0): None}),
    }
    data, notes = merge(read(*(paths[name] for name in order)))
    assert dict(zip(data.runs["loss"], data.runs["AP"], strict=True)) == {"iou": 0.3, "giou": 0.2}
    assert data.runs["status"].tolist() == ["done", "done"]
    assert {p.parents[1].name for p in data.folders.values()} == {"one", "two"}
    assert notes[0].startswith("2 copies of runs that have not ended are left out")


def test_one_run_with_two_results_is_refused(folder):
    one, two = folder("one", {("iou", 0): 0.1}), folder("two", {("iou", 0): 0.2})
    text = refused(one, two)
    for part in (str(one), str(two), "the same run with two results: metrics.AP is 0.1 and 0.2"):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 7}, "but seed is 0 in the one and 7 in the other"),
        (
            {"train": {"epochs": 3, "image_size": 64}},
            "but train.epochs is 2 in the one and 3 in the other",
        ),
        (
            {"block": {"datasets": [{"name": "shapes", "label": "shapes", "train": 9}]}},
            "but dataset.options.train is",
        ),
        (
            {"block": {"models": [{"name": "tiny_fcos", "label": "tiny_fcos", "width": 8}]}},
            "but model.options.width is",
        ),
    ],
)
def test_runs_that_differ_by_more_than_the_loss_are_refused(folder, changes, said):
    one = folder("one", {("iou", 0): 0.1})
    two = folder("two", {("iou", 1): 0.2, ("giou", 0): 0.2}, **changes)
    text = refused(one, two)
    assert said in text
    assert str(one) in text
    assert str(two) in text
    assert "another `label`" in text


def test_a_label_of_two_losses_is_refused(folder):
    one = folder("one", {("mine", 0): 0.1}, losses=[{"name": "giou", "label": "mine"}])
    two = folder(
        "two", {("mine", 1): 0.1}, losses=[{"name": "giou", "label": "mine", "power": 2.0}]
    )
    assert "'mine' has options.power 1.0 in" in refused(one, two)


def test_a_loss_with_two_labels_is_refused(folder):
    one = folder("one", {("giou", 0): 0.1}, losses=["giou"])
    two = folder("two", {("mine", 1): 0.1}, losses=[{"name": "giou", "label": "mine"}])
    text = refused(one, two)
    assert "one loss is called 'giou' in" in text
    assert "and 'mine' in" in text


def test_two_versions_of_a_loss_are_refused(folder):
    def older(cell):
        return cell.model_copy(update={"loss": cell.loss.model_copy(update={"version": 0})})

    one = folder("one", {("iou", 0): 0.1})
    two = folder("two", {("iou", 1): 0.1}, edit=older)
    text = refused(one, two)
    assert "version 1 and 0 of the loss 'iou'" in text or "version 2 and 0" in text


def test_baselines_must_agree_unless_one_is_given(folder):
    one = folder("one", {("iou", 0): 0.1, ("giou", 0): 0.2})
    two = folder("two", {("iou", 1): 0.1, ("giou", 1): 0.2}, block={"baseline": "giou"})
    text = refused(one, two)
    assert "the baseline of detection is iou in" in text
    assert "giou in" in text
    assert "--baseline" in text
    data, _ = merge(read(one, two), baseline_given=True)
    assert data.baselines == {}
    agreed, _ = merge(read(one, one), baseline_given=True)
    assert agreed.baselines == {"detection": "iou"}


def tuned_to(**setting):
    """An ``edit`` of the fixture that gives runs a setting that tuning chose."""
    return lambda cell: apply_setting(cell, setting)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"lr": 0.003}, {"lr": 0.5}, "tuned lr 0.003"),
        ({"weight": 2.0}, {"weight": 4.0}, "tuned weight 2.0"),
        ({"power": 2.0}, {"power": 3.0}, "tuned power 2.0"),
    ],
)
def test_one_loss_tuned_to_two_settings_is_refused(folder, first, second, said):
    losses = [{"name": "giou", "label": "a"}] if "power" in first else None
    label = "a" if losses else "iou"
    one = folder("one", {(label, 0): 0.1}, losses=losses, edit=tuned_to(**first))
    two = folder("two", {(label, 1): 0.2}, losses=losses, edit=tuned_to(**second))
    text = refused(one, two)
    for part in (f"'{label}' on shapes", said, str(one), str(two), *map(str, second.values())):
        assert part in text


def test_losses_of_one_table_may_be_tuned_to_different_rates(folder):
    one = folder("one", {("iou", 0): 0.1}, edit=tuned_to(lr=0.003))
    two = folder("two", {("giou", 0): 0.2}, edit=tuned_to(lr=0.5))
    data, _ = merge(read(one, two))
    assert data.runs["lr"].tolist() == [0.003, 0.5]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"lr": [0.1, 0.2]}, {"lr": [0.1, 0.3]}, "tune.lr is [0.1, 0.2] in"),
        ({"lr": [0.1]}, {"lr": [0.1], "repetitions": 2}, "tune.repetitions is 1 in"),
        ({"lr": [0.1]}, {"weights": [1, 2]}, "tune.weights is null in"),
        ({"lr": [0.1]}, None, "tune is true in"),
        ({"lr": [0.1, 0.2]}, {"lr": [0.2, 0.1], "metric": "AP", "epochs": 2}, ""),
    ],
)
def test_losses_tuned_in_two_ways_are_refused(folder, first, second, said):
    one = folder("one", {("iou", 0): 0.1}, edit=tuned_to(lr=0.1), tune=first)
    two = folder("two", {("giou", 0): 0.2}, edit=tuned_to(lr=0.1), tune=second)
    if not said:  # the same in other words
        assert len(merge(read(one, two))[0].runs) == 2
        return
    text = refused(one, two)
    for part in ("shapes, tiny_fcos", said, str(one), str(two)):
        assert part in text


def test_options_of_losses_that_one_folder_lacks_do_not_count(folder):
    def tune(label):
        return {"lr": [0.1], "options": {label: {"power": [2.0, 3.0]}}}

    def make(where, label):
        losses = ["iou", {"name": "giou", "label": label}]
        return folder(where, {(label, 0): 0.1}, losses=losses, tune=tune(label))

    one, other = make("one", "a"), make("other", "b")
    with pytest.raises(UserError, match="one loss is called 'a'"):  # and not: tuned otherwise
        merge(read(one, other))


def test_a_folder_without_runs_adds_none(folder):
    one, empty = folder("one", {("iou", 0): 0.1}), folder("empty", {("iou", 0): None})
    shutil.rmtree(empty / "runs")
    (empty / "runs").mkdir()
    for order in ((one, empty), (empty, one)):
        data, notes = merge(read(*order))
        assert data.runs["AP"].tolist() == [0.1]
        assert notes == [f"{empty} holds no run yet"]


def test_the_command_writes_beside_the_folders_and_into_none(folder, cli, tmp_path):
    one = folder("one", {("iou", 0): 0.1, ("giou", 0): 0.2})
    two = folder("two", {("iou", 1): 0.3, ("giou", 1): 0.4})
    before = {path: sorted(p.name for p in path.iterdir()) for path in (one, two)}
    done = cli("report", one, two, "--only", "tables")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "one+two" / "tables" / "summary.csv").is_file()
    assert {path: sorted(p.name for p in path.iterdir()) for path in (one, two)} == before
    wrong = cli("report", one, two, "--out", two)
    assert wrong.returncode == 2
    assert "is one of the folders to merge" in wrong.stderr


def test_a_folder_given_twice_is_refused(folder):
    one = Store(folder("one", {("iou", 0): 0.1}))
    with pytest.raises(UserError, match="one: is given twice"):
        write_merged_report(Console(), [one, one], Choices())
