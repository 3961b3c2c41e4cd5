"""Public losses of the installed projects that are no losses of boxes or masks in two dimensions.

A test lists what the installed packages export; what it finds is in :data:`benchmark.peers.PEERS`
or here.
"""

from __future__ import annotations

_IMAGES = "compares images or depths, not masks"
_REGISTRATION = "for the registration of images"
_EMBEDDING = "for embeddings or generated images"
_WRAPPER = "wraps another loss and changes only how it is called"
_THREE = "for volumes"

UNRELATED: dict[str, dict[str, str]] = {
    "segmentation_models_pytorch": {},
    "monai": {
        "AUCMLoss": "classifies whole images",
        "BarlowTwinsLoss": _EMBEDDING,
        "BendingEnergyLoss": _REGISTRATION,
        "ContrastiveLoss": _EMBEDDING,
        "DeepSupervisionLoss": _WRAPPER,
        "DiffusionLoss": _REGISTRATION,
        "GlobalMutualInformationLoss": _REGISTRATION,
        "JukeboxLoss": _IMAGES,
        "LocalNormalizedCrossCorrelationLoss": _REGISTRATION,
        "MaskedLoss": _WRAPPER,
        "MultiScaleLoss": _WRAPPER,
        "PatchAdversarialLoss": _EMBEDDING,
        "PerceptualLoss": _IMAGES,
        "SSIMLoss": _IMAGES,
        "SURELoss": _IMAGES,
    },
    "kornia": {
        "CauchyLoss": _IMAGES,
        "CharbonnierLoss": _IMAGES,
        "GemanMcclureLoss": _IMAGES,
        "HausdorffERLoss3D": _THREE,
        "InverseDepthSmoothnessLoss": _IMAGES,
        "MILossFromRef": _REGISTRATION,
        "MILossFromRef2D": _REGISTRATION,
        "MILossFromRef3D": _REGISTRATION,
        "MS_SSIMLoss": _IMAGES,
        "NMILossFromRef": _REGISTRATION,
        "NMILossFromRef2D": _REGISTRATION,
        "NMILossFromRef3D": _REGISTRATION,
        "PSNRLoss": _IMAGES,
        "SSIM3DLoss": _THREE,
        "SSIMLoss": _IMAGES,
        "TotalVariation": _IMAGES,
        "WelschLoss": _IMAGES,
        "cauchy_loss": _IMAGES,
        "charbonnier_loss": _IMAGES,
        "geman_mcclure_loss": _IMAGES,
        "inverse_depth_smoothness_loss": _IMAGES,
        "mutual_information_loss": _REGISTRATION,
        "mutual_information_loss_2d": _REGISTRATION,
        "mutual_information_loss_3d": _REGISTRATION,
        "normalized_mutual_information_loss": _REGISTRATION,
        "normalized_mutual_information_loss_2d": _REGISTRATION,
        "normalized_mutual_information_loss_3d": _REGISTRATION,
        "psnr_loss": _IMAGES,
        "ssim3d_loss": _THREE,
        "ssim_loss": _IMAGES,
        "total_variation": _IMAGES,
        "welsch_loss": _IMAGES,
    },
    "torchvision": {},
}
"""Project -> public name -> why it has no row."""
