"""Mask losses of the projects that can be installed beside this one."""

from __future__ import annotations

from typing import Any

from benchmark.peers.building import ONE_CLASS, mask_row
from benchmark.peers.monai_masks import MONAI
from benchmark.peers.odyssey import ODYSSEY
from benchmark.peers.peer import Peer

KORNIA_REGIONS = "activation: softmax_with_background, smooth: 1.0e-8, smooth_in: denominator"
BATCH = "Pools the batch."
SOFTMAX = "A softmax over background and class, which for one class is the sigmoid."
ALL_SLICES = "Its mean also divides by the number of classes, the background included."


def _smp(name: str, shown: str, ours: str, options: dict[str, Any], **row: Any) -> Peer:
    package = "segmentation_models_pytorch"
    return mask_row(package, name + shown, ours, f"{package}.losses:{name}", options, **row)


def _kornia(name: str, shown: str, ours: str, options: dict[str, Any], **row: Any) -> Peer:
    return mask_row("kornia", name + shown, ours, f"kornia.losses:{name}", options, **row)


TORCH = (
    mask_row(
        "torch",
        "binary_cross_entropy_with_logits",
        "bce",
        "torch.nn.functional:binary_cross_entropy_with_logits",
        {"reduction": "mean"},
    ),
    mask_row(
        "torch",
        "cross_entropy",
        "cross_entropy",
        "torch.nn.functional:cross_entropy",
        {"layout": "index", "reduction": "mean"},
    ),
    mask_row(
        "torch",
        "cross_entropy(label_smoothing=0.1)",
        "{name: cross_entropy, smoothing: 0.1}",
        "torch.nn.functional:cross_entropy",
        {"layout": "index", "reduction": "mean", "label_smoothing": 0.1},
    ),
)

TORCHVISION = (
    mask_row(
        "torchvision",
        "sigmoid_focal_loss",
        "focal",
        "torchvision.ops:sigmoid_focal_loss",
        {"reduction": "mean"},
    ),
    mask_row(
        "torchvision",
        "sigmoid_focal_loss(alpha=-1, gamma=1.5)",
        "{name: focal, alpha: null, gamma: 1.5}",
        "torchvision.ops:sigmoid_focal_loss",
        {"reduction": "mean", "alpha": -1, "gamma": 1.5},
    ),
)

SMP = (
    _smp(
        "DiceLoss",
        "(mode='multilabel')",
        "{name: dice, smooth: 0.0, scope: batch, absent: zero}",
        {"mode": "multilabel"},
        note=f"{BATCH} A class absent from the batch's target costs 0.",
    ),
    _smp(
        "DiceLoss",
        "(mode='multiclass', log_loss=True, smooth=1)",
        "{name: dice, smooth: 2.0, scope: batch, absent: zero, form: log, "
        "activation: softmax_with_background}",
        {"mode": "multiclass", "log_loss": True, "smooth": 1.0, "layout": "index"},
        note=f"{BATCH} Its smoothing stands beside the intersection, so ours is twice as large.",
    ),
    _smp(
        "JaccardLoss",
        "(mode='multilabel')",
        "{name: jaccard, smooth: 0.0, scope: batch, absent: zero}",
        {"mode": "multilabel"},
        note=f"{BATCH} A class absent from the batch's target costs 0.",
    ),
    _smp(
        "JaccardLoss",
        "(mode='multiclass', smooth=1)",
        "{name: jaccard, scope: batch, absent: zero, activation: softmax_with_background}",
        {"mode": "multiclass", "smooth": 1.0, "layout": "index"},
        note=BATCH,
    ),
    _smp(
        "TverskyLoss",
        "(mode='multilabel', alpha=0.3, beta=0.7)",
        "{name: tversky, smooth: 0.0, scope: batch, absent: zero}",
        {"mode": "multilabel", "alpha": 0.3, "beta": 0.7},
        note=f"{BATCH} A class absent from the batch's target costs 0.",
    ),
    _smp(
        "TverskyLoss",
        "(mode='binary', alpha=0.3, beta=0.7, gamma=0.75)",
        "{name: focal_tversky, smooth: 0.0, scope: batch, absent: zero}",
        {"mode": "binary", "alpha": 0.3, "beta": 0.7, "gamma": 0.75},
        classes=ONE_CLASS,
        note=f"{BATCH} The power is taken of the mean over classes; its γ is 1/γ of the paper. NaN "
        "gradient for a batch without foreground.",
        differs_on=("empty class",),
    ),
    _smp(
        "FocalLoss",
        "(mode='multilabel')",
        "{name: focal, alpha: null}",
        {"mode": "multilabel"},
        note="No α unless it is given.",
    ),
    _smp(
        "LovaszLoss",
        "(mode='binary')",
        "{name: lovasz_hinge, scope: batch}",
        {"mode": "binary"},
        classes=ONE_CLASS,
        note=f"{BATCH} In mode 'multilabel' it pools the classes as well.",
    ),
    _smp(
        "LovaszLoss",
        "(mode='binary', per_image=True)",
        "lovasz_hinge",
        {"mode": "binary", "per_image": True},
        classes=ONE_CLASS,
    ),
    _smp(
        "LovaszLoss",
        "(mode='multiclass', per_image=True)",
        "lovasz_softmax",
        {"mode": "multiclass", "per_image": True, "layout": "index"},
    ),
    _smp("SoftBCEWithLogitsLoss", "", "bce", {"reduction": "mean"}),
    _smp(
        "SoftBCEWithLogitsLoss",
        "(smooth_factor=0.1)",
        "{name: bce, smoothing: 0.1}",
        {"reduction": "mean", "smooth_factor": 0.1},
    ),
    _smp(
        "SoftCrossEntropyLoss",
        "(smooth_factor=0.1)",
        "{name: cross_entropy, smoothing: 0.1}",
        {"reduction": "mean", "smooth_factor": 0.1, "layout": "index"},
        note="smooth_factor must be given: the default raises a TypeError.",
    ),
    _smp(
        "MCCLoss",
        "",
        "{name: mcc, scope: batch}",
        {"inputs": "probabilities"},
        classes=ONE_CLASS,
        note=f"{BATCH} Takes probabilities; adds 1e-5 to each of the four counts.",
        differs_on=("empty class",),
    ),
)

KORNIA = (
    _kornia(
        "BinaryFocalLossWithLogits", "", "focal", {"alpha": 0.25, "gamma": 2.0, "reduction": "mean"}
    ),
    _kornia(
        "binary_focal_loss_with_logits",
        "(alpha=None)",
        "{name: focal, alpha: null}",
        {"alpha": None, "reduction": "mean"},
    ),
    _kornia(
        "FocalLoss",
        "",
        "focal",
        {"layout": "index", "alpha": 0.25, "gamma": 2.0, "reduction": "mean"},
        classes=ONE_CLASS,
        factor=2.0,
        note=f"{SOFTMAX} {ALL_SLICES}",
    ),
    _kornia(
        "FocalLoss",
        " (3 classes)",
        "softmax_focal",
        {"layout": "index", "alpha": 0.25, "gamma": 2.0, "reduction": "mean"},
        classes=(3,),
        factor=4.0,
        note=ALL_SLICES,
    ),
    _kornia(
        "DiceLoss",
        "",
        f"{{name: dice, {KORNIA_REGIONS}, average: micro}}",
        {"layout": "index"},
        note="Adds up the sums of all classes, the background included, before the ratio.",
    ),
    _kornia(
        "DiceLoss",
        "(average='macro')",
        f"{{name: dice, {KORNIA_REGIONS}, absent: skipped}}",
        {"layout": "index", "average": "macro"},
        note="Averages over the classes present, the background included.",
    ),
    mask_row(
        "kornia",
        "DiceLoss(weight=[0, 1])",
        "{name: dice, smooth: 1.0e-8, smooth_in: denominator}",
        "benchmark.peers.calls:kornia_dice_of_foreground",
        {"layout": "index"},
        classes=ONE_CLASS,
    ),
    _kornia(
        "TverskyLoss",
        "(alpha=0.3, beta=0.7)",
        f"{{name: tversky, {KORNIA_REGIONS}, absent: skipped}}",
        {"layout": "index", "alpha": 0.3, "beta": 0.7},
        note="Averages over the classes present, the background included.",
    ),
    _kornia("LovaszHingeLoss", "", "lovasz_hinge", {"layout": "foreground"}, classes=ONE_CLASS),
    _kornia(
        "LovaszSoftmaxLoss",
        "",
        "{name: lovasz_softmax, average: all}",
        {"layout": "index"},
    ),
    mask_row(
        "kornia",
        "HausdorffERLoss",
        "{name: hausdorff_erosion, stretch: range}",
        "benchmark.peers.calls:kornia_hausdorff",
        {"layout": "index", "inputs": "probabilities"},
        classes=ONE_CLASS,
        note="Takes probabilities, the background as a class of its own.",
    ),
    Peer(
        package="kornia",
        name="js_div_loss_2d, kl_div_loss_2d",
        kind="mask",
        value="",
        note="Compares two distributions over the pixels of an image (heat maps). Between the "
        "states of single pixels, KL of a 0/1 target is cross entropy: `bce`.",
    ),
)

MASK_PEERS: tuple[Peer, ...] = (*TORCH, *TORCHVISION, *SMP, *MONAI, *KORNIA, *ODYSSEY)
