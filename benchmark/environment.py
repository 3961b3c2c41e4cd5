"""What a run ran on: versions, machine, settings of its libraries, and the state of the code."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    *("torch", "torchvision", "pycocotools", "albumentations", "opencv-python-headless"),
    *("numpy", "pandas", "pillow", "safetensors"),
    *("faster-coco-eval", "segmentation-models-pytorch", "timm"),
)
"""Those of them that are installed are noted."""
VARIABLES = (
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR"),
    *("MKL_ENABLE_INSTRUCTIONS", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
)
"""Environment variables by which a library takes other instructions, and so rounds otherwise."""
SHOWN = "ATEN_CPU_CAPABILITY"
"""The one of them whose whole effect is seen in ``capability``, so it is no difference itself."""
EXACT = frozenset({"python", "cores", "commit", "changes", "pandas", "pillow", "safetensors"})
"""Properties that the numbers do not depend on, or must not.

(Images and weights that another version of its library reads otherwise have other hashes.)
"""
CODE = ("run.py", "benchmark", "datasets", "losses")
ROOT = Path(__file__).parents[1]
LARGEST = 1 << 20
"""Bytes; of an untracked file that is larger, and so hardly code, only the size counts."""


def describe(device: torch.device) -> dict[str, Any]:
    """What the numbers may depend on besides the configuration and the data.

    Of this process, so call it where the run is trained: ``threads`` is torch's number of threads
    in one operation, ``capability`` the vector instructions that its CPU operations use.
    ``commit`` ends with ``+changes`` where tracked files differ from it or there is untracked
    code; ``changes`` is then a hash of how the code does.
    """
    changes = _changes()
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
        "packages": _packages(),
        "commit": _commit(changes),
        "changes": changes,
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


def _packages() -> dict[str, str]:
    """Name -> version, of those that are installed."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _commit(changes: str | None) -> str | None:
    """Commit of the clone, with ``+changes`` where files differ from it; None outside."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = changes or _git("status", "--porcelain", "--untracked-files=no")
    return commit + ("+changes" if changed else "")


def _changes() -> str | None:
    """Hash of how the code differs from the commit, untracked files included; None if nowhere."""
    differs = _git("diff", "HEAD", "--no-ext-diff", "--binary", "--", *CODE)
    listed = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *CODE)
    untracked = sorted(filter(None, (listed or "").split("\0")))
    if not differs and not untracked:
        return None
    digest = hashlib.sha256(os.fsencode(differs or ""))
    for name in untracked:
        digest.update(os.fsencode(f"\0{name}\0"))
        digest.update(_content(ROOT / name))
    return digest.hexdigest()[:12]


def _content(path: Path) -> bytes:
    """What a file adds to the hash: its bytes, or the size of a large one; of others nothing."""
    try:
        if not path.is_file():
            return b""
        size = path.stat().st_size
        return path.read_bytes() if size <= LARGEST else str(size).encode()
    except OSError:  # gone meanwhile, or not ours to read
        return b""


def _git(*words: str) -> str | None:
    """What git says of this project's folder; None where there is no git or no clone."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def in_a_line(environment: dict[str, Any], packages: Iterable[str] | None = None) -> str:
    """The machine and what was installed, as a page's last line says it.

    Args:
        environment: what :func:`describe` gave.
        packages: those to name; default: all.
    """
    versions = environment["packages"]
    named = ", ".join(f"{name} {versions[name]}" for name in packages or versions)
    return (
        f"{environment['cpu']} ({environment['cores']} cores), {environment['system']}, Python "
        f"{environment['python']}, {named}"
    )


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
    flat = {key: value for key, value in environment.items() if key != "packages"}
    variables = environment.get("variables")
    if isinstance(variables, dict):
        flat["variables"] = {key: value for key, value in variables.items() if key != SHOWN}
    return flat | (environment.get("packages") or {})
