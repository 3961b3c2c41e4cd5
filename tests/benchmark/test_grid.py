"""From an experiment to its cells."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.config import Experiment
from benchmark.grid import plan
from benchmark.options import UserError


def experiment(**block: Any) -> Experiment:
    content = {
        "task": "detection",
        "losses": ["giou"],
        "datasets": ["shapes"],
        "models": ["tiny_fcos"],
        **block,
    }
    return Experiment.model_validate({"name": "x", "matrix": {"one": content}})


def test_the_matrix_is_a_product_repetition_by_repetition():
    cells = plan(
        experiment(
            losses=["iou", "giou"],
            models=["tiny_fcos", {"name": "tiny_fcos", "width": 16}],
            repetitions=3,
        )
    )
    assert len(cells) == 2 * 2 * 3
    assert [cell.repetition for cell in cells] == [0] * 4 + [1] * 4 + [2] * 4
    assert len({cell.identity() for cell in cells}) == 12


def test_one_loss_at_three_settings_is_three_rows():
    cells = plan(
        experiment(
            task="segmentation",
            losses=[{"name": "focal", "gamma": gamma} for gamma in (0, 2, 5)],
            models=["tiny_unet"],
        )
    )
    assert [cell.loss.label for cell in cells] == [
        "focal gamma=0",
        "focal gamma=2",
        "focal gamma=5",
    ]
    # Defaults stand in the resolved configuration too, so that a stored row is complete.
    assert cells[1].loss.options == {"alpha": 0.25, "gamma": 2.0}


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"losses": ["gio"]}, ["matrix.one.losses.0", "'gio'", "(did you mean 'giou'?)"]),
        ({"losses": ["dice"]}, ["unknown detection loss 'dice'", "smooth_l1"]),
        ({"losses": [{"name": "smooth_l1", "bta": 1}]}, ["losses.0.bta: unknown key", "'beta'"]),
        ({"losses": [{"name": "smooth_l1", "beta": -1}]}, ["losses.0", "beta", "-1"]),
        ({"losses": [{"name": "smooth_l1", "beta": "x"}]}, ["losses.0.beta", "number", "'x'"]),
        ({"losses": [{"name": "iou", "form": "cubic"}]}, ["losses.0.form", "'linear' or 'log'"]),
        ({"models": ["tiny_fcs"]}, ["matrix.one.models.0", "(did you mean 'tiny_fcos'?)"]),
        ({"models": ["tiny_unet"]}, ["'tiny_unet' is a segmentation model", "tiny_fcos"]),
        ({"models": [{"name": "tiny_fcos", "width": 7}]}, ["models.0", "width", "7"]),
        ({"datasets": ["shape"]}, ["datasets.0", "(did you mean 'shapes'?)"]),
        ({"datasets": ["voc"]}, ["datasets.0.root: missing"]),
        ({"datasets": [{"name": "shapes", "aspect": 3}]}, ["datasets.0.aspect: unknown key"]),
        ({"baseline": "ciou"}, ["matrix.one.baseline", "none of the losses", "giou"]),
        ({"losses": ["giou", "giou"]}, ["two cells", "label"]),
    ],
)
def test_what_does_not_fit_is_one_error_with_its_path(block, parts):
    with pytest.raises(UserError) as caught:
        plan(experiment(**block))
    for part in parts:
        assert part in str(caught.value)


def test_two_data_sets_of_one_kind_need_labels():
    entries = [{"name": "shapes"}, {"name": "shapes", "difficulty": 0.9}]
    with pytest.raises(UserError, match="label"):
        plan(experiment(datasets=entries))
    entries[1]["label"] = "hard"
    labels = [cell.dataset.label for cell in plan(experiment(datasets=entries))]
    assert labels == ["shapes", "hard"]
