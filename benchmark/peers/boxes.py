"""Box losses of the public projects."""

from __future__ import annotations

from benchmark.peers.peer import Agreement, Peer


def _box(
    package: str,
    name: str,
    ours: str,
    spec: str = "",
    *,
    value: Agreement = "equal",
    note: str = "",
    factor: float = 1.0,
) -> Peer:
    return Peer(
        package=package,
        name=name,
        kind="box",
        ours=ours,
        spec=spec,
        value=value,
        note=note,
        factor=factor,
    )


def _absent(package: str, name: str, note: str) -> Peer:
    return Peer(package=package, name=name, kind="box", value="", note=note)


BINS = "Classifies the distances to the sides into bins: it needs a head that predicts them."
ROTATED = "For rotated boxes."
MEAN_OF_FOUR = "Its mean is over the four numbers of a box as well."
NO_UPCAST = "Computes in the type it gets, so half precision overflows."

TORCH = (
    _box("torch", "l1_loss", "l1", "{name: 'torch.nn.functional:l1_loss', reduction: none}"),
    _box("torch", "mse_loss", "l2", "{name: 'torch.nn.functional:mse_loss', reduction: none}"),
    _box(
        "torch",
        "smooth_l1_loss(beta=0.5)",
        "{name: smooth_l1, beta: 0.5}",
        "{name: 'torch.nn.functional:smooth_l1_loss', reduction: none, beta: 0.5}",
    ),
    _box(
        "torch",
        "huber_loss(delta=0.5)",
        "{name: huber, delta: 0.5}",
        "{name: 'torch.nn.functional:huber_loss', reduction: none, delta: 0.5}",
    ),
)

TORCHVISION = (
    _box(
        "torchvision",
        "generalized_box_iou_loss",
        "giou",
        "{name: 'torchvision.ops:generalized_box_iou_loss'}",
    ),
    _box(
        "torchvision",
        "distance_box_iou_loss",
        "diou",
        "{name: 'torchvision.ops:distance_box_iou_loss'}",
    ),
    _box(
        "torchvision",
        "complete_box_iou_loss",
        "ciou",
        "{name: 'torchvision.ops:complete_box_iou_loss'}",
        note="NaN for a prediction of no width or height.",
    ),
)

MONAI = (
    _box(
        "monai",
        "BoxGIoULoss",
        "giou",
        "{name: 'monai.losses:BoxGIoULoss', reduction: none}",
    ),
)

MMDETECTION = (
    _box("mmdetection", "L1Loss", "l1", factor=4, note=MEAN_OF_FOUR),
    _box("mmdetection", "MSELoss", "l2", factor=4, note=MEAN_OF_FOUR),
    _box(
        "mmdetection", "SmoothL1Loss", "{name: smooth_l1, beta: 1.0}", factor=4, note=MEAN_OF_FOUR
    ),
    _box("mmdetection", "BalancedL1Loss", "balanced_l1", factor=4, note=MEAN_OF_FOUR),
    _box("mmdetection", "GHMR", "ghm_r", factor=4, note=MEAN_OF_FOUR),
    _box(
        "mmdetection",
        "IoULoss(mode='log')",
        "{name: iou, form: log}",
        value="differs",
        note="Clamps the IoU at 1e-6: no gradient below; ours goes on along the tangent.",
    ),
    _box("mmdetection", "IoULoss(mode='linear')", "iou", note=NO_UPCAST),
    _box("mmdetection", "IoULoss(mode='square')", "{name: iou, form: square}", note=NO_UPCAST),
    _box(
        "mmdetection",
        "BoundedIoULoss",
        "bounded_iou",
        value="differs",
        note=f"Adds 0.001 px to its denominators. {MEAN_OF_FOUR}",
    ),
    _box("mmdetection", "GIoULoss", "giou", note=NO_UPCAST),
    _box("mmdetection", "DIoULoss", "diou", note=NO_UPCAST),
    _box(
        "mmdetection",
        "CIoULoss",
        "{name: ciou, gate: true}",
        value="differs",
        note="Clamps 1 - loss to [-1, 1], which ends the gradient of far boxes; NaN for "
        "identical boxes.",
    ),
    _box(
        "mmdetection",
        "EIoULoss",
        "extended_iou",
        note="Extended-IoU (Peng and Yu, 2021), not the Efficient IoU of the same abbreviation.",
    ),
    _box(
        "mmdetection",
        "SIoULoss",
        "siou",
        value="differs",
        note="By default (neg_gamma=False) the exponent of the distance cost has the wrong sign, "
        "so distance is rewarded.",
    ),
    _box(
        "mmdetection",
        "SIoULoss(neg_gamma=True)",
        "siou",
        note="Clamps the loss at 2, which ends the gradient of the farthest boxes.",
    ),
    _absent("mmdetection", "DistributionFocalLoss", BINS),
    _absent("mmdetection", "carl_loss, isr_p", "Weights boxes by their classification scores."),
)

ULTRALYTICS = (
    _box("ultralytics", "bbox_iou", "iou", note=NO_UPCAST),
    _box("ultralytics", "bbox_iou(GIoU=True)", "giou", note=NO_UPCAST),
    _box("ultralytics", "bbox_iou(DIoU=True)", "diou", note=NO_UPCAST),
    _box("ultralytics", "bbox_iou(CIoU=True), BboxLoss", "ciou", note=NO_UPCAST),
    _box(
        "ultralytics",
        "BboxLoss(reg_max=1)",
        "l1",
        value="differs",
        note="L1 of the distances to the sides, averaged over the four; beside CIoU.",
    ),
    _box(
        "ultralytics",
        "DETRLoss, RTDETRDetectionLoss",
        "l1",
        value="differs",
        note="L1 of normalised centre and size (weight 5) plus GIoU (weight 2): two losses on two "
        "codings of the box; ours are used one at a time.",
    ),
    _absent("ultralytics", "DFLoss", BINS),
    _absent("ultralytics", "RotatedBboxLoss, probiou", ROTATED),
)

PADDLEDETECTION = (
    _box("paddledetection", "IouLoss(loss_square=False)", "iou", note="Its weight is 2.5."),
    _box(
        "paddledetection",
        "IouLoss(loss_square=True)",
        "{name: iou, form: square}",
        note="1 - IoU²; its weight is 2.5.",
    ),
    _box(
        "paddledetection",
        "IouLoss(ciou=True)",
        "ciou",
        value="differs",
        note="1 - (1 - CIoU loss)² by default, which rises again for losses above 1.",
    ),
    _box("paddledetection", "GIoULoss", "giou"),
    _box("paddledetection", "DIouLoss(use_complete_iou_loss=False)", "diou"),
    _box("paddledetection", "DIouLoss", "ciou"),
    _box("paddledetection", "SIoULoss", "siou", note="NaN for boxes with one centre."),
    _box(
        "paddledetection",
        "SIoULoss (siou_loss.py)",
        "siou",
        value="differs",
        note="A second one under the same name: takes the widths for heights in its distance cost.",
    ),
    _box("paddledetection", "SmoothL1Loss, SSDLoss", "{name: smooth_l1, beta: 1.0}"),
    _box("paddledetection", "BalancedL1Loss", "balanced_l1"),
    _box("paddledetection", "DETRLoss (loss_bbox)", "l1", note="Beside a GIoU of weight 2."),
    _absent("paddledetection", "IouAwareLoss", "Trains a predicted IoU, not the box."),
    _absent("paddledetection", "DistributionFocalLoss (PP-YOLOE, GFL)", BINS),
    _absent("paddledetection", "ProbIoULoss, GDLoss", ROTATED),
    _absent("paddledetection", "CLRNetIoULoss, LineIoU", "For lanes."),
)

DETECTRON2 = (
    _box("detectron2", "smooth_l1_loss (fvcore)", "smooth_l1", note="β is given by the caller."),
    _box("detectron2", "giou_loss (fvcore)", "giou", note="fp16 overflows."),
    _box("detectron2", "diou_loss", "diou", note="fp16 overflows."),
    _box("detectron2", "ciou_loss", "ciou", note="fp16 overflows; NaN for zero height."),
    _absent("detectron2", "_dense_box_regression_loss_rotated", ROTATED),
)

BOX_PEERS = (
    *TORCH,
    *TORCHVISION,
    *MONAI,
    *MMDETECTION,
    *ULTRALYTICS,
    *PADDLEDETECTION,
    *DETECTRON2,
)
