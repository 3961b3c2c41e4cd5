"""From an experiment to its cells."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

import losses
from benchmark.experiment.cell import CellLoss
from benchmark.experiment.config import Experiment
from benchmark.experiment.grid import plan
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
    assert cells[1].loss.options == asdict(losses.get("focal", gamma=2))


def sums(*entries: Any) -> Experiment:
    return experiment(task="segmentation", losses=list(entries), models=["tiny_unet"])


def test_a_sum_is_stored_with_all_its_terms_options():
    ramp = {"from": 1, "to": 0.01}
    terms = [{"name": "focal", "weight": 2}, {"name": "dice", "weight": ramp, "squared": True}]
    (cell,) = plan(sums({"sum": terms}))
    assert cell.loss.name == "sum"
    assert cell.loss.label == "2*focal + 1..0.01*dice squared=True"
    focal, dice = cell.loss.options["terms"]
    assert focal == {"name": "focal", "weight": 2.0, **asdict(losses.get("focal"))}
    stored = {"from": 1.0, "to": 0.01, "kind": "linear", "start": 0.0, "end": 1.0}
    assert dice["weight"] == stored
    assert (dice["squared"], dice["smooth"]) == (True, 1.0)
    # What is stored is what the loss is built from.
    built = losses.get(cell.loss.name, **cell.loss.options)
    assert [schedule.first for schedule in built.schedules] == [2, 1]


def test_what_is_left_to_defaults_is_the_same_sum_as_what_is_said():
    said = {"name": "dice", "weight": 1, "smooth": 1}
    one, two = plan(sums({"sum": ["dice"]}, {"sum": [said], "label": "said"}))
    assert one.identity() == two.identity()


def test_another_version_of_a_term_is_another_cell(monkeypatch):
    monkeypatch.setattr(losses.MASK["dice"], "version", 1)
    (before,) = plan(sums({"sum": ["bce", "dice"]}))
    monkeypatch.setattr(losses.MASK["dice"], "version", 2)
    (after,) = plan(sums({"sum": ["bce", "dice"]}))
    assert before.loss.term_versions == [losses.MASK["bce"].version, 1]
    assert after.loss.term_versions == [losses.MASK["bce"].version, 2]
    assert after.identity() != before.identity()


def test_a_detection_block_sums_box_losses():
    (cell,) = plan(experiment(losses=[{"sum": ["iou", {"name": "giou", "weight": 3}]}]))
    assert cell.loss.label == "iou + 3*giou"
    assert losses.get(cell.loss.name, **cell.loss.options).space == "boxes"


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({"sum": ["bce", "dise"]}, ["losses.0.sum.1", "'dise'", "(did you mean 'dice'?)"]),
        ({"sum": ["iou"]}, ["losses.0.sum.0: unknown segmentation loss 'iou'", "bce"]),
        ({"sum": [{"name": "focal", "gama": 1}]}, ["losses.0.sum.0.gama: unknown key", "'gamma'"]),
        ({"sum": [{"name": "focal", "gamma": "x"}]}, ["losses.0.sum.0.gamma", "number", "'x'"]),
        ({"sum": [{"name": "focal", "gamma": -1}]}, ["losses.0.sum.0: gamma must be >= 0"]),
        ({"sum": [{"name": "bce", "weight": 0}]}, ["losses.0.sum.0.weight", "number > 0", "got 0"]),
        (
            {"sum": [{"name": "bce", "weight": {"form": 1, "to": 2}}]},
            ["losses.0.sum.0.weight", "'form' (did you mean 'from'?)"],
        ),
        ({"sum": ["sum"]}, ["losses.0.sum.0: a sum cannot be part of a sum"]),
        ({"sum": ["bce"], "gamma": 2}, ["losses.0.gamma: unknown key"]),
        ("sum", ["losses.0: write a sum as {sum: [...]}"]),
    ],
)
def test_a_sum_that_does_not_fit_is_one_error_with_its_path(entry, parts):
    with pytest.raises(UserError) as caught:
        plan(sums(entry))
    for part in parts:
        assert part in str(caught.value)


def test_box_losses_of_two_spaces_do_not_add_up():
    with pytest.raises(UserError, match=r"losses\.0: .*'l1' works on deltas"):
        plan(experiment(losses=[{"sum": ["giou", "l1"]}]))


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"losses": ["gio"]}, ["matrix.one.losses.0", "'gio'", "(did you mean 'giou'?)"]),
        ({"losses": ["dice"]}, ["unknown detection loss 'dice'", "smooth_l1"]),
        ({"losses": [{"name": "smooth_l1", "bta": 1}]}, ["losses.0.bta: unknown key", "'beta'"]),
        ({"losses": [{"name": "smooth_l1", "beta": -1}]}, ["losses.0", "beta", "-1"]),
        ({"losses": [{"name": "smooth_l1", "beta": "x"}]}, ["losses.0.beta", "number", "'x'"]),
        ({"losses": [{"name": "iou", "form": "cubic"}]}, ["losses.0.form", "'linear', 'log'"]),
        ({"models": ["tiny_fcs"]}, ["matrix.one.models.0", "(did you mean 'tiny_fcos'?)"]),
        ({"models": ["tiny_unet"]}, ["the task of 'tiny_unet' is segmentation", "tiny_fcos"]),
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


def two_blocks(one: dict[str, Any], two: dict[str, Any]) -> Experiment:
    base = {
        "task": "segmentation",
        "losses": ["bce", "dice"],
        "datasets": ["shapes"],
        "models": ["tiny_unet"],
    }
    matrix = {"one": {**base, **one}, "two": {**base, **two}}
    return Experiment.model_validate({"name": "x", "matrix": matrix})


@pytest.mark.parametrize(
    ("two", "part"),
    [
        ({"train": {"epochs": 3}}, "different train settings"),
        ({"datasets": [{"name": "shapes", "difficulty": 0.9}]}, "different dataset settings"),
    ],
)
def test_what_stands_in_one_table_differs_by_the_loss_alone(two, part):
    with pytest.raises(UserError, match=part):
        plan(two_blocks({"losses": ["bce"]}, {"losses": ["dice"], "baseline": "dice", **two}))


def test_blocks_of_a_task_share_one_baseline():
    other = [{"name": "shapes", "label": "other"}]
    with pytest.raises(UserError, match="differs from the baseline 'bce'"):
        plan(two_blocks({"baseline": "bce"}, {"baseline": "dice", "datasets": other}))
    with pytest.raises(UserError, match="lacks the baseline 'bce'"):
        plan(two_blocks({}, {"losses": ["dice"], "datasets": other}))
    assert len(plan(two_blocks({}, {"datasets": other}))) == 4


def test_a_target_of_a_metric_that_no_run_reports():
    with pytest.raises(UserError, match=r"one\.targets: detection has no metric 'mIoU'"):
        plan(experiment(targets={"mIoU": 0.5}))
    with pytest.raises(UserError, match=r"did you mean 'AP_small'\?"):
        plan(experiment(targets={"AP_smal": 0.5}))


def test_two_targets_of_one_table():
    with pytest.raises(UserError, match=r"has 2 \(AP, AP50\); give one"):
        plan(experiment(targets={"AP": 0.5, "AP50": 0.6}))


def test_an_experiments_targets_are_those_of_all_its_tasks():
    block = {"losses": ["giou"], "datasets": ["shapes"], "models": ["tiny_fcos"]}
    masks = {"losses": ["bce"], "datasets": ["shapes"], "models": ["tiny_unet"]}
    matrix = {
        "boxes": {"task": "detection", **block},
        "masks": {"task": "segmentation", **masks},
    }
    targets = {"AP": 0.5, "mIoU_fg": 0.6}
    chosen = Experiment.model_validate({"name": "x", "matrix": matrix, "targets": targets})
    assert len(plan(chosen)) == 2


def parts_of(*entries: Any, models: tuple[Any, ...] = ("fcos_mobilenet_v3",)) -> list[CellLoss]:
    return [cell.loss for cell in plan(experiment(losses=list(entries), models=list(models)))]


def test_parts_are_stored_whole_by_place():
    parts = {"box": {"name": "giou", "weight": 2}, "classification": "varifocal"}
    (loss,) = parts_of({"parts": parts, "weight": 3})
    assert (loss.name, loss.weight, loss.options) == ("parts", 3.0, {})
    assert loss.label == "box=giou weight=2, classification=varifocal weight=3"
    assert loss.parts["box"].options == asdict(losses.get("giou"))
    assert loss.parts["box"].weight == 2.0
    assert loss.parts["classification"].options == asdict(losses.get("varifocal"))


def test_the_identity_of_parts_is_that_of_each_and_no_label():
    def identity(entry: Any) -> str:
        (cell,) = plan(experiment(losses=[entry], models=["fcos_mobilenet_v3"]))
        return cell.identity()

    parts = {"box": "giou"}
    one = identity({"parts": parts})
    assert one == identity({"parts": parts, "label": "other"})
    assert one == identity({"parts": {"box": {"name": "giou", "label": "other", "weight": 1}}})
    assert one != identity({"parts": {"box": {"name": "giou", "weight": 2}}})
    assert one != identity({"parts": {"box": "diou"}})
    assert one != identity({"parts": {**parts, "classification": "varifocal"}})
    # A plain loss is what it was before there were parts.
    assert "parts" not in CellLoss(name="giou", label="giou").identity()


def test_the_box_loss_of_all_places_serves_models_with_one_place_or_two():
    both = ("fcos_mobilenet_v3", "faster_rcnn_mobilenet_v3")
    assert [
        loss.parts["box"].name for loss in parts_of({"parts": {"box": "iou"}}, models=both)
    ] == [
        "iou",
        "iou",
    ]
    with pytest.raises(UserError, match=r"losses\.0\.parts\.rpn: no such place.* loss at: box$"):
        parts_of({"parts": {"rpn": "iou"}}, models=both)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"boxes": "giou"}, r"parts\.boxes: no such place \(did you mean 'box'\?\)"),
        ({"box": "dice"}, r"parts\.box: unknown box loss 'dice'"),
        ({"classification": "giou"}, r"parts\.classification: unknown sigmoid loss 'giou'"),
        ({"box": {"name": "giou", "beta": 1}}, r"parts\.box\.beta: unknown key"),
        ({"classification": {"sum": ["varifocal"]}}, r"a sigmoid loss cannot be a sum"),
    ],
)
def test_wrong_parts(parts, told):
    with pytest.raises(UserError, match=told):
        parts_of({"parts": parts})


def test_a_segmenter_has_no_places():
    with pytest.raises(UserError, match=r"losses\.0: .*plain list, such as losses: \[dice\]"):
        plan(sums({"parts": {"mask": "dice"}}))
    crossed = experiment(task="segmentation", losses={"mask": ["bce"]}, models=["tiny_unet"])
    with pytest.raises(UserError, match=r"plain list, such as losses: \[bce\]"):
        plan(crossed)


def test_keys_beside_parts_that_mean_nothing():
    with pytest.raises(UserError, match=r"losses\.0\.beta: unknown key; .*: weight, label$"):
        parts_of({"parts": {"box": "giou"}, "beta": 1})
    with pytest.raises(UserError, match=r"wieght: unknown key \(did you mean 'weight'\?\)"):
        parts_of({"parts": {"box": "giou"}, "wieght": 1})


def test_a_loss_of_classes_is_told_where_it_can_stand():
    with pytest.raises(UserError, match=r"say where it .*: {parts: {classification: class_focal}}"):
        parts_of("class_focal")
    with pytest.raises(UserError, match=r"'class_focal' .* no place in common"):
        parts_of("class_focal", models=("tiny_fcos", "tiny_fcos"))
    with pytest.raises(
        UserError,
        match=r"parts\.classification: 'varifocal' works with sigmoid scores, but here the "
        r"model's are softmax; allowed: class_cross_entropy, class_focal$",
    ):
        parts_of({"parts": {"classification": "varifocal"}}, models=("faster_rcnn_mobilenet_v3",))


@pytest.mark.parametrize(
    ("size", "scales", "fits"),
    [
        (32, [0.25, 0.5], False),
        (64, [0.9, 1.1], False),
        (64, [0.5, 1.0], True),
        (64, [0.5, 0.5], True),  # one size, and said so
        ([64, 128], [0.85, 1.15], True),
    ],
)
def test_a_range_of_sizes_that_holds_but_one(size, scales, fits):
    chosen = experiment(train={"image_size": size, "multi_scale": scales})
    if fits:
        assert plan(chosen)
        return
    with pytest.raises(UserError, match=r"one\.train\.multi_scale: all sizes .* are rounded to"):
        plan(chosen)


def test_a_number_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"models\.0\.score_threshold: .*finite number, got nan"):
        plan(experiment(models=[{"name": "tiny_fcos", "score_threshold": float("nan")}]))


def test_a_plain_loss_stands_where_its_kind_stands_in_a_task_of_several():
    cells = plan(
        experiment(
            task="instance",
            losses=[{"name": "giou", "weight": 2}, "dice", {"sum": ["bce", "dice"]}],
            models=["mask_rcnn_mobilenet_v3"],
        )
    )
    found = [(c.loss.label, c.loss.weight, c.loss.parts) for c in cells]
    assert [(label, weight, list(parts)) for label, weight, parts in found] == [
        ("giou weight=2", 2.0, ["box"]),
        ("dice", 1.0, ["mask"]),
        ("bce + dice", 1.0, ["mask"]),
    ]
    assert cells[0].loss.parts["box"].weight == 1.0
    assert cells[2].loss.parts["mask"].name == "sum"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"models": ["tiny_fcos", "ssd300_vgg16"]},
            "matrix.one.models.1: model 'ssd300_vgg16': train.image_size: .* at least 268 pixels",
        ),
        (
            {"train": {"image_size": 100}},
            "matrix.one.models.0: model 'tiny_fcos': train.image_size: .* multiple of 16",
        ),
        (
            {
                "task": "segmentation",
                "losses": ["bce"],
                "models": ["deeplabv3_mobilenet_v3"],
                "train": {"batch_size": 1},
            },
            "matrix.one.models.0: model 'deeplabv3_mobilenet_v3': train.batch_size: 1 is too small",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_so_is_refused(block, message):
    with pytest.raises(UserError, match=message):
        plan(experiment(**block))
