"""Equal search for every loss: settings, budget, choice, and the runs that follow."""

from __future__ import annotations

import pytest

from benchmark.experiment.config import Experiment
from benchmark.experiment.grid import plan
from benchmark.experiment.tuning import apply_setting, plan_tuning, table_of
from benchmark.options import UserError

BASE = {
    "name": "tuned",
    "repetitions": 2,
    "train": {"epochs": 6, "eval_every": 2},
    "matrix": {
        "masks": {
            "task": "segmentation",
            "losses": ["bce", {"name": "focal", "gamma": 3.0}],
            "datasets": ["shapes"],
            "models": [{"name": "tiny_unet", "width": 4}],
        }
    },
}


def experiment(tune: object, **changes: object) -> Experiment:
    return Experiment.model_validate({**BASE, "tune": tune, **changes})


def settings(tune: object, **changes: object) -> dict[str, list[dict]]:
    chosen = experiment(tune, **changes)
    found: dict[str, list[dict]] = {}
    for cell in plan_tuning(chosen, plan(chosen)):
        found.setdefault(cell.loss.label, []).append(cell.tuned)
    return found


def test_every_loss_gets_the_product_of_weights_and_learning_rates():
    found = settings({"weights": [0.5, 2], "lr": [1e-3, 1e-2]})
    product = [
        {"weight": 0.5, "lr": 1e-3},
        {"weight": 0.5, "lr": 1e-2},
        {"weight": 2.0, "lr": 1e-3},
        {"weight": 2.0, "lr": 1e-2},
    ]
    assert found == {"bce": product, "focal gamma=3.0": product}


def test_a_tuning_run_has_the_setting_its_own_epochs_and_reads_one_evaluation():
    chosen = experiment({"weights": [0.5, 2], "lr": [1e-2], "epochs": 3})
    cell = plan_tuning(chosen, plan(chosen))[1]
    assert (cell.stage, cell.loss.weight, cell.train.lr) == ("tuning", 2.0, 1e-2)
    assert (cell.train.epochs, cell.train.eval_every) == (3, 3)
    assert cell.slug.startswith("shapes-tiny_unet-width=4-bce-weight=2-lr=0.01-t0-")


def test_tuning_repetitions_come_one_after_the_other():
    chosen = experiment({"weights": [1, 2], "repetitions": 2})
    repetitions = [cell.repetition for cell in plan_tuning(chosen, plan(chosen))]
    assert repetitions == [0, 0, 0, 0, 1, 1, 1, 1]


def test_no_tuning_run_shares_its_random_streams_or_its_folder_with_a_final_run():
    from benchmark.seeding import stream_seed

    chosen = experiment({"weights": [1.0]})
    finals = plan(chosen)
    tuning = plan_tuning(chosen, finals)
    assert {c.slug for c in finals}.isdisjoint(c.slug for c in tuning)
    final = {stream_seed(c, "weights") for c in finals}
    assert final.isdisjoint(stream_seed(c, "weights") for c in tuning)


def test_all_losses_of_a_tuning_repetition_share_their_random_streams():
    from benchmark.seeding import stream_seed

    chosen = experiment({"weights": [1, 2]})
    assert len({stream_seed(c, "order", 1) for c in plan_tuning(chosen, plan(chosen))}) == 1


def test_options_are_tuned_within_the_same_budget_as_the_other_losses():
    options = {"focal gamma=3.0": {"gamma": [1.0, 2.0], "alpha": [0.25, 0.5]}}
    found = settings({"weights": [1, 2, 4], "options": options, "budget": 3})
    assert found["bce"] == [{"weight": 1.0}, {"weight": 2.0}, {"weight": 4.0}]
    assert len(found["focal gamma=3.0"]) == 3
    assert all(set(s) == {"weight", "gamma", "alpha"} for s in found["focal gamma=3.0"])
    assert found == settings({"weights": [1, 2, 4], "options": options, "budget": 3})


def test_a_setting_changes_the_weight_the_learning_rate_and_the_options():
    cell = plan(experiment({"weights": [1]}))[1]
    changed = apply_setting(cell, {"weight": 3.0, "lr": 0.5, "gamma": 1.5})
    assert (changed.loss.weight, changed.train.lr) == (3.0, 0.5)
    assert changed.loss.options == {**cell.loss.options, "gamma": 1.5}
    assert changed.setting == "weight=3 lr=0.5 gamma=1.5"
    assert changed.identity() != cell.identity()


def test_the_same_setting_reached_by_tuning_is_the_same_run():
    cell = plan(experiment({"weights": [1]}))[0]
    assert apply_setting(cell, {"weight": 1.0}).slug == cell.slug


def test_a_block_can_tune_otherwise_or_not_at_all():
    block = BASE["matrix"]["masks"]
    other = {**block, "models": [{"name": "tiny_unet", "width": 8}], "tune": False}
    matrix = {"masks": {**block, "tune": {"lr": [0.1]}}, "untuned": other}
    chosen = experiment({"weights": [1, 2]}, matrix=matrix)
    found = plan_tuning(chosen, plan(chosen))
    assert {table_of(cell)[2] for cell in found} == {"tiny_unet width=4"}
    assert found[0].tuned == {"weight": 1.0, "lr": 0.1}


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        (
            {"weights": [1, 2], "options": {"bce": {"gamma": [1, 2]}}},
            "tune.options.bce.gamma: unknown key",
        ),
        ({"options": {"bec": {"gamma": [1]}}}, "there is no loss 'bec' (did you mean 'bce'?)"),
        (
            {"weights": [1, 2], "options": {"focal gamma=3.0": {"gamma": [1, 2]}}},
            "'bce' has 2 setting(s), but another loss has 4; give tune.budget, at most 2",
        ),
        ({"weights": [1, 2], "budget": 5}, "'bce' has 2 setting(s), but tune.budget is 5"),
        (
            {"options": {"focal gamma=3.0": {"gamma": [-1.0]}}, "lr": [0.1]},
            "tune.options.focal gamma=3.0: gamma",
        ),
        ({"weights": [1], "metric": "mIoU_fg/x"}, "segmentation has no metric 'mIoU_fg/x'"),
        ({"weights": [1], "metric": "AP"}, "tune.metric: segmentation has no metric 'AP'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tune, message):
    with pytest.raises(UserError, match="tune") as caught:
        settings(tune)
    assert message in str(caught.value)


def test_a_loss_with_a_weight_of_its_own_cannot_have_it_tuned():
    block = {**BASE["matrix"]["masks"], "losses": ["bce", {"name": "dice", "weight": 2}]}
    with pytest.raises(UserError, match="'dice weight=2' has a weight of its own"):
        settings({"weights": [1, 2]}, matrix={"masks": block})


def test_a_class_can_be_tuned_for():
    assert settings({"weights": [1], "metric": "IoU/ellipse"})["bce"] == [{"weight": 1.0}]
