"""What the fork server loads that each run would otherwise load for itself, a second each time."""

import os

# Read when albumentations is imported: without it, it asks the network for its version.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations  # noqa: F401
import torchvision.transforms.v2.functional  # noqa: F401

from benchmark.models import MODELS

list(MODELS)  # imports them all
