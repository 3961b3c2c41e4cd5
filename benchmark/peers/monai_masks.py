"""Mask losses of MONAI, those for two dimensions."""

from __future__ import annotations

from typing import Any

from benchmark.peers.building import ONE_CLASS, mask_row
from benchmark.peers.peer import Peer


def _monai(name: str, shown: str, ours: str, options: dict[str, Any], **row: Any) -> Peer:
    return mask_row("monai", name + shown, ours, f"monai.losses:{name}", options, **row)


MONAI = (
    _monai("DiceLoss", "", "{name: dice, smooth: 1.0e-5}", {"sigmoid": True, "reduction": "mean"}),
    _monai(
        "DiceLoss",
        "(squared_pred=True)",
        "{name: dice, smooth: 1.0e-5, squared: true}",
        {"sigmoid": True, "squared_pred": True, "reduction": "mean"},
    ),
    _monai(
        "DiceLoss",
        "(batch=True)",
        "{name: dice, smooth: 1.0e-5, scope: batch}",
        {"sigmoid": True, "batch": True, "reduction": "mean"},
    ),
    _monai(
        "DiceLoss",
        "(jaccard=True)",
        "{name: jaccard, smooth: 5.0e-6}",
        {"sigmoid": True, "jaccard": True, "reduction": "mean"},
        note="Its smoothing stands beside twice the intersection, so ours is half of it.",
    ),
    _monai(
        "DiceLoss",
        "(softmax=True)",
        "{name: dice, smooth: 1.0e-5, activation: softmax_with_background}",
        {"softmax": True, "reduction": "mean", "layout": "one_hot"},
    ),
    _monai(
        "MaskedDiceLoss",
        "",
        "{name: dice, smooth: 1.0e-5}",
        {"sigmoid": True, "reduction": "mean"},
        note="Its mask is our `valid`.",
    ),
    _monai(
        "GeneralizedDiceLoss",
        "",
        "{name: generalised_dice, smooth: 1.0e-5}",
        {"sigmoid": True, "reduction": "mean"},
    ),
    _monai(
        "GeneralizedDiceLoss",
        "(softmax=True, w_type='simple')",
        "{name: generalised_dice, smooth: 1.0e-5, weighting: simple, "
        "activation: softmax_with_background}",
        {"softmax": True, "w_type": "simple", "reduction": "mean", "layout": "one_hot"},
    ),
    mask_row(
        "monai",
        "GeneralizedWassersteinDiceLoss",
        "wasserstein_dice",
        "benchmark.peers.calls:monai_wasserstein_dice",
        {"layout": "index"},
    ),
    _monai(
        "DiceCELoss",
        "",
        "{sum: [{name: dice, smooth: 1.0e-5}, {name: bce}]}",
        {"sigmoid": True, "reduction": "mean"},
        classes=ONE_CLASS,
        note="With several classes its second term is softmax cross entropy.",
    ),
    _monai(
        "DiceCELoss",
        "(softmax=True)",
        "{sum: [{name: dice, smooth: 1.0e-5, activation: softmax_with_background}, "
        "{name: cross_entropy}]}",
        {"softmax": True, "reduction": "mean", "layout": "one_hot"},
    ),
    _monai(
        "DiceFocalLoss",
        "",
        "{sum: [{name: dice, smooth: 1.0e-5}, {name: focal, alpha: null}]}",
        {"sigmoid": True, "reduction": "mean"},
    ),
    _monai(
        "GeneralizedDiceFocalLoss",
        "",
        "{sum: [{name: generalised_dice, smooth: 1.0e-5}, {name: focal, alpha: null}]}",
        {"sigmoid": True, "reduction": "mean"},
    ),
    _monai("FocalLoss", "", "{name: focal, alpha: null}", {"reduction": "mean"}),
    _monai("FocalLoss", "(alpha=0.25)", "focal", {"reduction": "mean", "alpha": 0.25}),
    _monai(
        "FocalLoss",
        "(use_softmax=True, alpha=0.25) (3 classes)",
        "softmax_focal",
        {"use_softmax": True, "alpha": 0.25, "reduction": "mean", "layout": "one_hot"},
        classes=(3,),
        factor=4.0,
        note="Its mean also divides by the number of classes, the background included.",
    ),
    _monai(
        "TverskyLoss",
        "(alpha=0.3, beta=0.7)",
        "{name: tversky, alpha: 0.3, beta: 0.7, smooth: 1.0e-5}",
        {"sigmoid": True, "reduction": "mean", "alpha": 0.3, "beta": 0.7},
    ),
    _monai(
        "HausdorffDTLoss",
        "",
        "hausdorff",
        {"sigmoid": True, "include_background": True, "reduction": "mean"},
    ),
    _monai(
        "LogHausdorffDTLoss",
        "",
        "{name: hausdorff, log: true}",
        {"sigmoid": True, "include_background": True, "reduction": "none"},
        note="Its mean comes before the logarithm unless reduction='none'.",
    ),
    _monai("BoundaryLoss", "", "boundary", {"sigmoid": True, "reduction": "mean"}),
    _monai(
        "SoftclDiceLoss",
        "(smooth=1e-8)",
        "soft_cl_dice",
        {"sigmoid": True, "smooth": 1e-8, "reduction": "mean"},
        classes=ONE_CLASS,
        note="By default 1e-4 is added to the harmonic mean's denominator, so a match costs 5e-5. "
        "Adds up over classes before the ratio.",
    ),
    _monai(
        "SoftDiceclDiceLoss",
        "(smooth=1e-8)",
        "{sum: [{name: dice, weight: 0.5}, {name: soft_cl_dice, weight: 0.5}]}",
        {"sigmoid": True, "smooth": 1e-8, "reduction": "mean"},
        classes=ONE_CLASS,
    ),
    _monai("MCCLoss", "", "mcc", {"sigmoid": True, "reduction": "mean"}),
    mask_row("monai", "NACLLoss", "nacl", "benchmark.peers.calls:monai_nacl", {"layout": "index"}),
    _monai(
        "AsymmetricUnifiedFocalLoss",
        "",
        f"{{name: unified_focal, mix: {1 / 3}, delta: 0.7}}",
        {"inputs": "probabilities", "reduction": "mean"},
        classes=ONE_CLASS,
        factor=4 / 3,
        note="Applies no sigmoid, although its documentation says so: wants probabilities. Takes "
        "the mean over both states of a pixel where the paper has their sum, so its weight of 0.5 "
        "is 1/3 of ours; clamps probabilities at 1e-7.",
        differs_on=("confident",),
    ),
)
