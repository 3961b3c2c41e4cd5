"""The measured speed of training, as a page and a CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.bench.rates import Rate, rows
from benchmark.store import write_text

CSV = "training.csv"
HEADS = ("", "images/s", "images/s of the training alone", "GPU busy")


def write_results(
    out: Path, rates: Sequence[Rate], setting: dict[str, Any], environment: dict[str, Any]
) -> None:
    """Write ``README.md``, the CSV and ``environment.json``.

    Args:
        setting: what was measured; :func:`training_page` says what it needs.
    """
    frame = pd.DataFrame([asdict(rate) for rate in rates])
    write_text(out / CSV, frame.to_csv(index=False, float_format="%.4g"))
    write_text(out / "environment.json", json.dumps(environment, indent=1) + "\n")
    write_text(out / "README.md", training_page(rates, setting, environment))


def training_page(
    rates: Sequence[Rate], setting: dict[str, Any], environment: dict[str, Any]
) -> str:
    """The page as Markdown.

    Args:
        setting: ``model``, ``options``, ``train``, ``val`` (images), ``epochs``, ``size``,
            ``batch``, ``rounds``, ``threads``, ``loaders``, ``evaluator``, ``decoding`` (seconds),
            ``command``.
    """
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    options = ", ".join(f"{name} {value}" for name, value in setting["options"].items())
    height, width = setting["size"]
    table = [f"| {' | '.join(cells)} |" for cells in rows(rates)]
    lines = [
        "# Speed of training",
        "",
        f"`{setting['model']}` ({options}) on {setting['train']} training and {setting['val']} "
        f"validation images at {height}x{width} (height x width), batches of {setting['batch']}, "
        f"{setting['epochs']} epochs; {setting['threads']} threads, {setting['loaders']} loader "
        "processes.",
        "",
        "- **harness**: a run as `run.py run` makes it: images decoded and resized beforehand "
        f"(once a data set; here {setting['decoding']:.1f} s, not counted), augmentation, history, "
        "checkpoints, and the metrics of the validation split before the first epoch and after "
        f"each, computed by {setting['evaluator']}.",
        "- **plain loop**: the same network of torchvision in the manner of torchvision's "
        "references: each image decoded by PIL in every epoch, `torchvision.transforms.v2` of the "
        "same kind and strength, a `DataLoader`, the network's own image transform, matching and "
        "losses, and the same metrics of the validation split after each epoch, one image at a "
        "time, computed by pycocotools.",
        "- **bare steps**: our model's forward, backward and optimiser step on one batch that "
        "stays in memory, as many times; no images to load, nothing evaluated.",
        "",
        "All have the same optimiser, schedule and number of steps. In a round they take turns; "
        f"rates are medians of {setting['rounds']} rounds, and so are the ratios of the same "
        "round. The first column counts the training images of a run over all its time, the "
        "second over the time of the training epochs.",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---|--:|--:|--:|",
        *table,
        "",
        f"Measured on {environment['cpu']} ({environment['cores']} cores; device: "
        f"{environment['device']}), {environment['system']}, Python {environment['python']}: "
        f"{packages}. Each round is in [{CSV}]({CSV}). Again with",
        "",
        "```console",
        setting["command"],
        "```",
    ]
    return "\n".join(lines) + "\n"
