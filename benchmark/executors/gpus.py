"""Which GPU a run on this machine gets."""

from __future__ import annotations

import os

import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable that says which GPUs CUDA shows a process; read when CUDA starts."""


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as :data:`VISIBLE` names them."""
    count = torch.cuda.device_count()
    listed = os.environ.get(VISIBLE)
    names = [str(i) for i in range(count)] if listed is None else listed.split(",")
    return [name.strip() for name in names[:count]]


class GpuSlots:
    """Gives each run the GPU with the fewest runs on it.

    Args:
        gpus: their names.
        share: of a GPU that a run takes, 0 or 0.001 to 1; 0 lets any number of runs share one.
    """

    def __init__(self, gpus: list[str], share: float) -> None:
        self.runs = dict.fromkeys(gpus, 0)
        # A third, written with two digits, lets three runs share a GPU, and so does 0.3333334.
        self.most = int(1 / share + 1e-3) if share else None

    def take(self) -> str | None:
        """The GPU for one more run, or None while all are full."""
        if not self.runs:
            return None
        gpu = min(self.runs, key=lambda name: self.runs[name])
        if self.most is not None and self.runs[gpu] >= self.most:
            return None
        self.runs[gpu] += 1
        return gpu

    def give_back(self, gpu: str) -> None:
        """A run on this GPU has ended."""
        self.runs[gpu] -= 1
