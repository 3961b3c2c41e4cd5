"""Losses by place: which stands where, with what weight, and what they remember."""

from __future__ import annotations

import pytest
import torch

import losses
from benchmark.experiment.cell import CellConfig, CellLoss, CellModel, CellPart
from benchmark.experiment.loss_parts import LossParts, Weighted
from benchmark.experiment.train_settings import Train
from benchmark.models import box_loss_at, loss_at
from benchmark.training.batch import Batch
from benchmark.training.state import build_loss, build_model, make_task

SMALL = {
    "channels": 32,
    "head": 32,
    "sampled": 16,
    "mask_channels": 16,
    "mask_convolutions": 1,
    "finest_stride": 16,
    "sizes_a_level": "one",
    "anchor_sizes": (16, 32, 64),
}


@pytest.fixture
def cell_of_masks():
    """A cell of a small Mask R-CNN under a loss."""

    def make(loss: CellLoss) -> CellConfig:
        return CellConfig(
            task="instance",
            loss=loss,
            dataset=CellPart(name="shapes", label="shapes"),
            model=CellModel(name="mask_rcnn_mobilenet_v3", label="m", options=SMALL),
            repetition=0,
            seed=0,
            train=Train(),
        )

    return make


GIOU, SMOOTH_L1, IOU = (losses.get(name) for name in ("giou", "smooth_l1", "iou"))
FOCAL, CROSS_ENTROPY = losses.get("class_focal"), losses.get("class_cross_entropy")


def test_a_plain_loss_stands_at_every_place_of_boxes_and_at_no_other():
    assert box_loss_at(GIOU, "rpn", SMOOTH_L1) is GIOU
    assert box_loss_at(GIOU, "box", SMOOTH_L1) is GIOU
    assert loss_at(GIOU, "classification", CROSS_ENTROPY) is CROSS_ENTROPY


def test_a_place_of_its_own_comes_before_that_of_all_boxes_and_the_default_last():
    parts = LossParts({"rpn": IOU, "box": GIOU, "classification": FOCAL})
    assert box_loss_at(parts, "rpn", SMOOTH_L1) is IOU
    assert box_loss_at(parts, "roi", SMOOTH_L1) is GIOU
    assert loss_at(parts, "classification", CROSS_ENTROPY) is FOCAL
    assert loss_at(parts, "mask", CROSS_ENTROPY) is CROSS_ENTROPY
    assert box_loss_at(LossParts({"rpn": IOU}), "roi", SMOOTH_L1) is SMOOTH_L1


def test_the_weight_of_a_part_multiplies_its_values_alone():
    pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])
    weighted = Weighted(IOU, 3.0)
    torch.testing.assert_close(weighted(pred, target), torch.tensor([3 * (1 - 1 / 3)]))
    assert weighted.space == "boxes"
    with pytest.raises(AttributeError, match="no_such_thing"):
        weighted.no_such_thing  # noqa: B018


def test_parts_are_built_from_what_a_run_stores():
    described = CellLoss(
        name="parts",
        label="any",
        weight=5.0,
        parts={
            "box": CellLoss(name="iou", label="a", options={"form": "square"}, weight=2.0),
            "mask": CellLoss(name="dice", label="b"),
        },
    )
    built = build_loss(described, ["box"])
    assert set(built.losses) == {"box", "mask"}
    pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])
    # 1 - IoU², by the part's weight and that of the whole
    expected = torch.tensor([2 * 5 * (1 - 1 / 9)])
    torch.testing.assert_close(built.losses["box"](pred, target), expected)


def test_of_a_loss_for_all_boxes_every_stage_has_its_own():
    boxes = torch.tensor([[0.0, 0, 2, 2]]).requires_grad_()
    plain = CellLoss(name="wise_iou", label="any", weight=7.0)
    parts = CellLoss(
        name="parts", label="any", parts={"box": plain, "mask": CellLoss(name="dice", label="d")}
    )
    for described in (plain, parts):
        built = build_loss(described, ["rpn", "roi"])
        assert {"rpn", "roi"} <= set(built.losses) <= {"rpn", "roi", "mask"}
        built.losses["rpn"](boxes, boxes.detach() + 1)
        state = built.state_dict()
        assert float(state["roi.mean"]) == 1.0 != float(state["rpn.mean"])
    assert build_loss(plain, ["box"]) == losses.get("wise_iou")


@pytest.mark.parametrize(
    ("loss", "changed"),
    [
        (CellLoss(name="giou", label="x"), {"rpn_box", "roi_box"}),
        (
            CellLoss(name="parts", label="x", parts={"roi": CellLoss(name="giou", label="x")}),
            {"roi_box"},
        ),
        (
            CellLoss(
                name="parts",
                label="x",
                parts={"classification": CellLoss(name="class_focal", label="x")},
            ),
            {"classification"},
        ),
        (
            CellLoss(name="parts", label="x", parts={"mask": CellLoss(name="dice", label="x")}),
            {"mask"},
        ),
    ],
)
def test_the_weight_of_an_entry_changes_the_terms_that_it_names_alone(loss, changed, cell_of_masks):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    boxes = [torch.tensor([[8.0, 8, 40, 40]])] * 2
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 8:40, 8:40] = 1
    batch = Batch(images, boxes, [torch.tensor([0])] * 2, None, [mask] * 2)
    model = build_model(cell_of_masks(loss), 1, torch.device("cpu"))
    terms = []
    for weight in (1.0, 3.0):
        task = make_task(cell_of_masks(loss.model_copy(update={"weight": weight})), ["a"])
        torch.manual_seed(1)
        terms.append({name: value.item() for name, value in task.parts(model, batch).items()})
    one, three = terms
    assert changed <= set(one)
    assert three == pytest.approx(
        {name: value * (3 if name in changed else 1) for name, value in one.items()}, rel=1e-5
    )


def test_state_and_progress_reach_every_part():
    def fresh() -> LossParts:
        ramp = {"from": 1.0, "to": 0.0}
        terms = ({"name": "bce", "weight": 1.0}, {"name": "dice", "weight": {**ramp, "to": 0.5}})
        return LossParts(
            {
                "rpn": Weighted(losses.get("wise_iou"), 1.0),
                "roi": Weighted(losses.get("wise_iou"), 1.0),
                "mask": losses.get("sum", terms=terms),
            }
        )

    parts = fresh()
    parts.progress(1.0)
    assert parts.losses["mask"].weights.tolist() == [1.0, 0.5]
    boxes = torch.tensor([[0.0, 0, 2, 2]]).requires_grad_()
    for place, shift in (("rpn", 1), ("roi", 0.5)):
        parts.losses[place](boxes, boxes.detach() + shift)
    state = parts.state_dict()
    assert set(state) == {"rpn.mean", "roi.mean"}
    assert len({1.0, float(state["rpn.mean"]), float(state["roi.mean"])}) == 3
    other = fresh()
    other.load_state_dict(state)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in state.items())
