"""Mask losses of SegLossOdyssey, which is no package that can be installed."""

from __future__ import annotations

from benchmark.peers.peer import Agreement, Peer

NEGATIVE = "Returns minus the overlap, ours 1 minus it: the same gradient."


def _row(name: str, ours: str, note: str, value: Agreement = "differs") -> Peer:
    return Peer(package="seglossodyssey", name=name, kind="mask", ours=ours, value=value, note=note)


ODYSSEY = (
    _row("CrossentropyND", "cross_entropy", "", "equal"),
    _row(
        "WeightedCrossEntropyLoss",
        "{name: cross_entropy, class_weights: [1.0, 2.0]}",
        "Divides by the sum of the weights, as torch does.",
    ),
    _row(
        "WeightedCrossEntropyLossV2",
        "cross_entropy",
        "Its weights are commented out, so it is plain cross entropy.",
        "equal",
    ),
    _row("TopKLoss", "{name: topk_bce, fraction: 0.1}", "Softmax; pools the batch."),
    _row("FocalLoss", "focal", "Softmax; adds 1e-5 to p_t and smooths the target by it."),
    _row(
        "DisPenalizedCE",
        "distance_weighted_bce",
        "Computes the distance weights and returns the mean without them: plain cross entropy.",
    ),
    _row("SoftDiceLoss", "{name: dice, activation: softmax_with_background}", NEGATIVE),
    _row(
        "SoftDiceLoss(square=True)",
        "dice",
        "Squares the products p y and p (1 - y), which is neither V-Net's Dice nor the plain one.",
    ),
    _row("IoULoss", "{name: jaccard, activation: softmax_with_background}", NEGATIVE),
    _row("TverskyLoss", "{name: tversky, activation: softmax_with_background}", NEGATIVE),
    _row(
        "FocalTversky_loss",
        "{name: focal_tversky, activation: softmax_with_background}",
        "Takes the power, 0.75 = 1/γ of 4/3, of the mean over classes and images.",
    ),
    _row(
        "AsymLoss",
        "{name: asymmetric_similarity, activation: softmax_with_background}",
        f"{NEGATIVE} Its smoothing is (1 + β²) times ours.",
    ),
    _row(
        "GDiceLoss",
        "{name: generalised_dice, smooth: 1.0e-5, activation: softmax_with_background}",
        "Returns minus twice a smoothed overlap; an absent class weighs 1e20.",
    ),
    _row(
        "GDiceLossV2",
        "{name: generalised_dice, scope: batch, activation: softmax_with_background}",
        f"{NEGATIVE} An absent class weighs 1e5.",
    ),
    _row(
        "PenaltyGDiceLoss",
        "penalty_dice",
        "Puts minus the overlap where the paper has it, so 1 + k (1 - GD) becomes 1 + k (1 + GD).",
    ),
    _row(
        "SSLoss",
        "sensitivity_specificity",
        "r = 0.1 weights the foreground's error, smoothing 1.",
    ),
    _row(
        "ExpLog_loss",
        "exp_log",
        "Its cross entropy is not raised to γ, and stands for the mean over pixels.",
    ),
    _row(
        "LovaszSoftmax",
        "{name: lovasz_softmax, average: all, scope: batch}",
        "Takes probabilities.",
        "equal",
    ),
    _row("BDLoss", "boundary", "Softmax; the distance map is made by the caller."),
    _row(
        "HDDTBinaryLoss", "hausdorff", "An empty mask gets distances to the outside of the image."
    ),
    _row(
        "hausdorff.HausdorffDTLoss",
        "hausdorff",
        "Takes probabilities and works only without gradients (numpy).",
    ),
    _row(
        "hausdorff.HausdorffERLoss",
        "{name: hausdorff_erosion, stretch: range}",
        "Computed in numpy without gradient: it cannot train.",
    ),
    _row(
        "DistBinaryDiceLoss",
        "distance_weighted_dice",
        "Softmax; minus the overlap, whose numerator alone is weighted.",
    ),
    _row(
        "DC_and_CE_loss",
        "{sum: [{name: dice}, {name: cross_entropy}]}",
        f"Softmax Dice. {NEGATIVE}",
    ),
    _row(
        "DC_and_topk_loss",
        "{sum: [{name: dice}, {name: topk_bce}]}",
        f"Softmax. {NEGATIVE}",
    ),
    _row(
        "DC_and_BD_loss",
        "{sum: [{name: dice}, {name: boundary}]}",
        f"Softmax. {NEGATIVE}",
    ),
    _row(
        "DC_and_HDBinary_loss",
        "{sum: [{name: dice}, {name: hausdorff}]}",
        f"Softmax. {NEGATIVE}",
    ),
)
