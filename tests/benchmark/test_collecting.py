"""From files to data frames: final runs, tuning runs, and all that a report is made of."""

from __future__ import annotations

import math

import pytest

from benchmark.collecting import collect, collect_tuning, report_data
from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment
from benchmark.experiment.tuning import apply_setting
from benchmark.store import Store


def test_collect_gathers_all_runs_in_the_experiments_order(tmp_path, make_cell):
    store = Store(tmp_path)
    experiment = Experiment.model_validate(
        {
            "name": "x",
            "matrix": {
                "b": {
                    "task": "detection",
                    "losses": ["iou", "giou"],
                    "datasets": ["shapes"],
                    "models": ["tiny_fcos"],
                }
            },
        }
    )
    cells = [make_cell(loss=loss) for loss in ("giou", "iou", "diou")]
    store.write_experiment(experiment, cells)
    assert store.experiment() == experiment
    other = make_cell(loss="giou", epochs=9)
    store.run_folder(other).begin(other, {})  # the same loss with other settings: left out
    for loss in ("giou", "iou"):
        cell = make_cell(loss=loss)
        folder = store.run_folder(cell)
        folder.begin(cell, {})
        folder.write_history([{"epoch": 1, "AP": 0.25}])
        if loss == "giou":
            folder.finish(
                {
                    "status": "done",
                    "metrics": {"AP": 0.5, "AP_large": math.nan},
                    "untrained": {"AP": 0.0},
                    "trivial": {"AP": 0.01},
                    "seconds": 3.0,
                }
            )
    runs, history = collect(store)
    assert list(runs["loss"]) == ["iou", "giou", "diou"]
    assert list(runs["status"]) == ["pending", "done", "pending"]
    done = runs.iloc[1]
    assert (done["AP"], done["untrained/AP"], done["trivial/AP"]) == (0.5, 0.0, 0.01)
    assert math.isnan(done["AP_large"])
    assert math.isnan(runs.iloc[0]["AP"])
    assert list(history["AP"]) == [0.25, 0.25]
    assert store.left_out() == 1


def test_an_empty_store_gives_empty_frames(tmp_path):
    (tmp_path / "runs").mkdir()
    runs, history = collect(Store.existing(tmp_path))
    assert runs.empty
    assert history.empty


def tuning_run(
    store: Store, cell: CellConfig, weight: float, value: float | None, repetition: int = 0
) -> None:
    """A tuning run that ended; without a value it diverged."""
    cell = apply_setting(cell, {"weight": weight})
    cell = cell.model_copy(update={"stage": "tuning", "repetition": repetition})
    folder = store.run_folder(cell)
    folder.begin(cell, {})
    outcome: dict = {"status": "diverged", "diverged_at": {"epoch": 1, "step": 2}, "seconds": 1.0}
    if value is not None:
        outcome = {"status": "done", "metrics": {}, "validation": {"AP": value}, "seconds": 2.0}
    folder.finish(outcome)


def test_tuning_runs_are_collected_with_what_they_reached_and_what_is_chosen(tmp_path, make_cell):
    store = Store(tmp_path)
    for loss, values in {"giou": {1.0: 0.3, 2.0: 0.4}, "iou": {1.0: None, 2.0: 0.2}}.items():
        for weight, value in values.items():
            tuning_run(store, make_cell(loss=loss), weight, value)
    frame = collect_tuning(store)
    shown = frame[["loss", "weight", "setting", "status", "value", "chosen"]]
    assert shown.astype(object).where(shown.notna(), None).values.tolist() == [
        ["giou", 1.0, "weight=1", "done", 0.3, False],
        ["giou", 2.0, "weight=2", "done", 0.4, True],
        ["iou", 1.0, "weight=1", "diverged", None, False],
        ["iou", 2.0, "weight=2", "done", 0.2, True],
    ]
    assert set(frame["metric"]) == {"AP"}
    assert frame["seconds"].sum() == 7.0


def test_a_loss_that_is_still_being_tuned_has_no_chosen_setting(tmp_path, make_cell):
    store = Store(tmp_path)
    tuning_run(store, make_cell(loss="giou"), 1.0, 0.3)
    waiting = apply_setting(make_cell(loss="giou"), {"weight": 2.0})
    waiting = waiting.model_copy(update={"stage": "tuning"})
    store.run_folder(waiting).plan(waiting)
    assert not collect_tuning(store)["chosen"].any()


def test_final_runs_say_which_setting_they_have(tmp_path, make_cell):
    store = Store(tmp_path)
    cell = apply_setting(make_cell(loss="giou"), {"weight": 2.0, "lr": 0.5})
    store.run_folder(cell).plan(cell)
    runs, _ = collect(store)
    row = runs.iloc[0]
    assert (row["weight"], row["lr"], row["setting"]) == (2.0, 0.5, "weight=2 lr=0.5")
    assert collect_tuning(store).empty


def test_a_report_has_what_each_run_left(tmp_path, make_cell):
    store = Store(tmp_path)
    done, failed = make_cell(loss="giou"), make_cell(loss="iou")
    folder = store.run_folder(done)
    folder.begin(done, {"cpu": "some"})
    folder.write_details({"version": 1, "by_iou": {"x": [0.5], "y": [math.nan]}})
    folder.finish({"status": "done", "metrics": {"AP": 0.5}})
    store.run_folder(failed).begin(failed, {"cpu": "some"})
    store.run_folder(failed).fail("boom", "line 1")
    data = report_data(store)
    assert data.details == {done.slug: {"version": 1, "by_iou": {"x": [0.5], "y": [None]}}}
    assert data.outcomes[done.slug]["metrics"] == {"AP": 0.5}
    assert data.failures == {failed.slug: {"error": "boom", "traceback": "line 1"}}
    assert set(data.environments) == set(data.configs) == {done.slug, failed.slug}
    assert data.folders[done.slug] == tmp_path / "runs" / done.slug
    assert (data.name, data.baselines) == (tmp_path.name, {})


@pytest.mark.parametrize("name", ["details.json", "metrics.json", "environment.json"])
def test_a_damaged_file_is_named(tmp_path, make_cell, name):
    from benchmark.options import UserError

    store, cell = Store(tmp_path), make_cell()
    folder = store.run_folder(cell)
    folder.begin(cell, {})
    (folder.path / name).write_text("{")
    with pytest.raises(UserError, match=name):
        report_data(store)


def test_histories_of_different_columns_become_one_frame(tmp_path, make_cell):
    rows = {
        "giou": [{"epoch": 0, "AP": 0.25}, {"epoch": 1, "AP": 0.5, "lr": 1e-3}],
        "diou": [],
        "iou": [{"epoch": 1, "seconds": 2.0}],
    }
    store = Store(tmp_path)
    for loss, own in rows.items():
        cell = make_cell(loss=loss)
        folder = store.run_folder(cell)
        folder.begin(cell, {})
        if own:
            folder.write_history(own)
    _, history = collect(store)
    assert list(history["loss"]) == ["giou", "giou", "iou"]
    assert list(history["epoch"]) == [0, 1, 1]
    assert history["epoch"].dtype == "int64"
    assert history[["AP", "lr", "seconds"]].fillna(-1).to_numpy().tolist() == [
        [0.25, -1, -1],
        [0.5, 1e-3, -1],
        [-1, -1, 2.0],
    ]
    assert set(history["task"]) == {"detection"}


def test_runs_that_have_not_begun_have_no_history(tmp_path, make_cell):
    store = Store(tmp_path)
    cell = make_cell()
    store.run_folder(cell).plan(cell)
    runs, history = collect(store)
    assert len(runs) == 1
    assert history.empty
    assert {"task", "dataset", "model", "loss", "repetition"} <= set(history.columns)
