"""How much of a time a GPU worked."""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
from types import TracebackType

import torch

EVERY = 100
"""Milliseconds between two readings."""


class Utilisation:
    """Reads the utilisation of a CUDA device while the context is open, by ``nvidia-smi``."""

    def __init__(self, device: torch.device) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._device = device
        self._readings: list[float] = []

    def __enter__(self) -> Utilisation:
        program = shutil.which("nvidia-smi")
        if self._device.type == "cuda" and program is not None:
            index = torch.cuda.get_device_properties(self._device).uuid
            self._process = subprocess.Popen(
                [
                    program,
                    f"--id=GPU-{index}",
                    "--query-gpu=utilization.gpu",
                    "--format=csv,noheader,nounits",
                    f"--loop-ms={EVERY}",
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            text, _ = self._process.communicate()
            self._readings = [float(line) for line in text.split() if line.isdigit()]

    def mean(self) -> float:
        """The mean of the readings in 0..1; NaN where there are none."""
        return statistics.fmean(self._readings) / 100 if self._readings else math.nan
