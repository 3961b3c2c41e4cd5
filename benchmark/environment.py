"""What a run ran on: versions, machine, settings of its libraries, and the state of the code."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    *("torch", "torchvision", "pycocotools", "albumentations", "opencv-python-headless"),
    *("numpy", "pandas"),
)
VARIABLES = (
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR"),
    *("MKL_ENABLE_INSTRUCTIONS", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
)
"""Environment variables by which a library takes other instructions, and so rounds otherwise."""
EXACT = frozenset({"python", "cores", "commit", "changes", "pandas"})
"""Properties that the numbers do not depend on, or must not."""
CODE = ("run.py", "benchmark", "datasets", "losses")
ROOT = Path(__file__).parents[1]


def describe(device: torch.device) -> dict[str, Any]:
    """What the numbers may depend on besides the configuration and the data.

    Of this process, so call it where the run is trained: ``threads`` is torch's number of threads
    in one operation, ``capability`` the vector instructions that its CPU operations use.
    ``commit`` ends with ``+changes`` where tracked files differ from it; ``changes`` is then a
    hash of how the code does.
    """
    changes = _git("diff", "HEAD", "--no-ext-diff", "--binary", "--", *CODE)
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        **(_cuda() if device.type == "cuda" else {}),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "changes": hashlib.sha256(changes.encode()).hexdigest()[:12] if changes else None,
    }


def _cuda() -> dict[str, Any]:
    """Versions of what computes on the GPU."""
    return {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}


def _cpu_name() -> str:
    """The processor's model as Linux tells it, elsewhere what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Commit of the clone, with ``+changes`` where tracked files differ from it; None outside."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return commit + ("+changes" if changed else "")


def _git(*words: str) -> str | None:
    """What git says of this project's folder; None where there is no git or no clone."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def differences(then: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Property -> its value in two environments, of those that are not the same.

    What ``then`` does not hold was not yet recorded. The data are left out: they are no property
    of a machine.
    """
    before, after = _flat(then), _flat(now)
    return {
        key: (value, after.get(key))
        for key, value in before.items()
        if value != after.get(key) and key != "data"
    }


def rounds_otherwise(changed: Iterable[str]) -> list[str]:
    """Those of the properties that a change of the last bits can come from.

    Not the number of cores, nor Python's version or that of the code: they leave numbers as they
    are, or else something is wrong.
    """
    return [key for key in changed if key not in EXACT]


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    """Packages by their names; the variables as one value, since what is not set is absent."""
    return {key: value for key, value in environment.items() if key != "packages"} | (
        environment.get("packages") or {}
    )
