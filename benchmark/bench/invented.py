"""Numbers that look like a run's, drawn from a seeded generator; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.metrics.breakdown import RECALLS, SCORE_EDGES, plain

CLASSES = ("ellipse", "rectangle", "triangle")
OBJECTS = 360
"""In the test split."""
PIXELS = 1_500_000
"""In the test split."""
THRESHOLDS = np.round(np.linspace(0.01, 0.99, 99), 2)
STEPS_PER_EPOCH = 32


@dataclass(frozen=True)
class Invented:
    """One finished run.

    Attributes:
        history: a row an epoch, epoch 0 first.
        metrics: of the test split.
        untrained: test metrics before training.
        trivial: test metrics of the trivial predictor.
        validation: of the last epoch.
        details: breakdowns of the test metrics.
        train_seconds: without evaluation.
    """

    history: list[dict[str, float]]
    metrics: dict[str, float]
    untrained: dict[str, float]
    trivial: dict[str, float]
    validation: dict[str, float]
    details: dict[str, Any]
    train_seconds: float


def invent(
    task: str, quality: float, epochs: int, speed: float, rng: np.random.Generator
) -> Invented:
    """A run that ends near a quality.

    Args:
        task: a key of :data:`TASKS`.
        quality: primary metric that the run ends near, 0.05 to 0.9.
        epochs: number of epochs.
        speed: seconds an epoch.
        rng: everything else is drawn from it.
    """
    metrics_of, details_of = TASKS[task]
    reached = quality * (1 - np.exp(-np.arange(epochs + 1) / (1 + 0.25 * epochs)))
    reached = np.clip(reached + rng.normal(0, 0.01, epochs + 1), 0.001, 0.95)
    history = _history(reached, speed, rng)
    for row, value in zip(history, reached, strict=True):
        row.update(metrics_of(float(value), rng))
    test = float(np.clip(reached[-1] + rng.normal(0, 0.01), 0.001, 0.95))
    metrics = metrics_of(test, rng)
    return Invented(
        history=history,
        metrics=metrics,
        untrained=metrics_of(0.002, rng),
        trivial=metrics_of(0.02, rng),
        validation=metrics_of(float(reached[-1]), rng),
        details=plain({"version": 1, "task": task, **details_of(metrics, rng)}),
        train_seconds=history[-1]["seconds"],
    )


def stop_at(history: list[dict[str, float]], epoch: int) -> list[dict[str, float]]:
    """The rows of a run whose loss stops being finite in an epoch."""
    broken = history[epoch]
    last = {"epoch": epoch, "seconds": broken["seconds"], "loss_total": float("nan")}
    return [*history[:epoch], {**last, "nonfinite_steps": 5.0, "grad_norm": float("inf")}]


def _history(reached: np.ndarray, speed: float, rng: np.random.Generator) -> list[dict[str, float]]:
    epochs = len(reached) - 1
    lr = 0.003 * np.sin(np.pi * (np.arange(1, epochs + 1) - 0.5) / epochs)
    seconds = np.cumsum(speed * rng.normal(1, 0.02, epochs).clip(0.5))
    norm = 1 + 3 * np.exp(-np.arange(epochs) / 5) * rng.normal(1, 0.1, epochs)
    rows: list[dict[str, float]] = [{"epoch": 0, "seconds": 0.0}]
    for i in range(epochs):
        loss = float(1 - reached[i + 1])
        rows.append(
            {
                "epoch": i + 1,
                "seconds": float(seconds[i]),
                "loss_total": 2 * loss,
                "grad_norm": float(norm[i]),
                "grad_norm_max": float(norm[i] * (1.5 + rng.random())),
                "zero_gradient": float(0.2 * rng.random() * loss),
                "nonfinite_steps": 0.0,
                "loss/main": loss,
                "loss/rest": loss,
                "lr": float(lr[i]),
                "images_per_second": 8 * STEPS_PER_EPOCH / speed,
            }
        )
    return rows


def _around(value: float, rng: np.random.Generator, n: int = len(CLASSES)) -> np.ndarray:
    return np.clip(value * rng.normal(1, 0.1, n), 0, 1)


def _detection_metrics(value: float, rng: np.random.Generator) -> dict[str, float]:
    classes = _around(value, rng)
    return {
        "AP": value,
        "AP50": min(1.0, 1.8 * value),
        "AP75": 0.9 * value,
        "AP_small": 0.6 * value,
        "AP_medium": 1.1 * value,
        "AP_large": float("nan"),
        "AR1": 0.9 * value,
        "AR10": 1.2 * value,
        "AR100": min(1.0, 1.3 * value),
        **{f"AP/{name}": float(ap) for name, ap in zip(CLASSES, classes, strict=True)},
    }


def _segmentation_metrics(value: float, rng: np.random.Generator) -> dict[str, float]:
    iou = {"background": 0.95, **dict(zip(CLASSES, map(float, _around(value, rng)), strict=True))}
    return {
        "mIoU": float(np.mean(list(iou.values()))),
        "mIoU_fg": value,
        "Dice_fg": 2 * value / (1 + value),
        "pixel_accuracy": 0.9 + 0.1 * value,
        **{f"IoU/{name}": v for name, v in iou.items()},
        **{f"Dice/{name}": 2 * v / (1 + v) for name, v in iou.items()},
        "mIoU_fg_tuned": min(1.0, 1.02 * value),
    }


def _precision(value: float, rng: np.random.Generator) -> dict[str, Any]:
    """A curve that falls with the recall, the later the better the run."""
    fall = (RECALLS / (0.4 + value)) ** 4
    return {"x": RECALLS, "y": np.clip(1 - fall + rng.normal(0, 0.005, len(RECALLS)), 0, 1)}


def _calibration(cases: int, rng: np.random.Generator) -> dict[str, Any]:
    confidence = (SCORE_EDGES[:-1] + SCORE_EDGES[1:]) / 2
    accuracy = np.clip(confidence**1.3 + rng.normal(0, 0.02, len(confidence)), 0, 1)
    count = rng.multinomial(cases, np.full(len(confidence), 1 / len(confidence)))
    gap = count @ np.abs(accuracy - confidence) / cases
    return {
        "edges": SCORE_EDGES,
        "count": count,
        "confidence": confidence,
        "accuracy": accuracy,
        "ece": float(gap),
    }


def _groups(names: tuple[str, ...], count: list[int], value: Any) -> dict[str, Any]:
    return {"group": list(names), "count": count, "value": value}


def _detection_details(metrics: dict[str, float], rng: np.random.Generator) -> dict[str, Any]:
    ap = metrics["AP"]
    edges = np.linspace(0.5, 1, 21)
    matched = int(OBJECTS * min(1.0, 0.5 + ap))
    found = rng.multinomial(matched, np.full(20, 1 / 20))
    sizes = ("small", "medium", "large")
    aspects = ("1 to 1.5", "1.5 to 3", "3 and more")
    return {
        "by_iou": {"x": np.linspace(0.5, 0.95, 10), "y": ap * np.linspace(1.8, 0.2, 10)},
        "by_size": _groups(sizes, [240, 120, 0], [metrics[f"AP_{size}"] for size in sizes]),
        "by_aspect": _groups(aspects, [200, 130, 30], _around(ap, rng, 3)),
        "by_class": _groups(CLASSES, [120, 120, 120], [metrics[f"AP/{c}"] for c in CLASSES]),
        "precision_recall": {
            "IoU 0.50": _precision(metrics["AP50"], rng),
            "IoU 0.75": _precision(metrics["AP75"], rng),
        },
        "localisation": {
            "edges": edges,
            "count": found,
            "mean": float(found @ (edges[:-1] + edges[1:]) / 2 / matched),
            "matched": matched,
            "objects": OBJECTS,
        },
        "calibration": _calibration(4 * OBJECTS, rng),
    }


def _segmentation_details(metrics: dict[str, float], rng: np.random.Generator) -> dict[str, Any]:
    iou = metrics["mIoU_fg"]
    shares = ("1.0 to 6.5 %", "6.5 to 12.0 %", "12.0 to 19.4 %", "19.4 to 41.2 %")
    peak = iou * (1 - (THRESHOLDS - 0.45) ** 2)
    return {
        "by_share": _groups(shares, [40, 40, 40, 40], iou * np.linspace(0.7, 1.2, 4)),
        "by_class": _groups(CLASSES, [PIXELS // 30] * 3, [metrics[f"IoU/{c}"] for c in CLASSES]),
        "thresholds": {"group": list(CLASSES), "value": np.round(_around(0.45, rng), 2)},
        "by_threshold": {"x": THRESHOLDS, "y": peak + rng.normal(0, 0.002, len(THRESHOLDS))},
        "precision_recall": {"pixels": _precision(iou, rng)},
        "calibration": _calibration(PIXELS, rng),
    }


def _instance_metrics(value: float, rng: np.random.Generator) -> dict[str, float]:
    """Masks fit a little worse than boxes."""
    of_masks = {f"mask_{name}": v for name, v in _detection_metrics(value, rng).items()}
    return {**of_masks, **_detection_metrics(min(1.0, 1.1 * value), rng)}


def _instance_details(metrics: dict[str, float], rng: np.random.Generator) -> dict[str, Any]:
    of_masks = {
        name.removeprefix("mask_"): value
        for name, value in metrics.items()
        if name.startswith("mask_")
    }
    return {**_detection_details(of_masks, rng), "boxes": _detection_details(metrics, rng)}


Metrics = Callable[[float, np.random.Generator], dict[str, float]]
Details = Callable[[dict[str, float], np.random.Generator], dict[str, Any]]
TASKS: dict[str, tuple[Metrics, Details]] = {
    "detection": (_detection_metrics, _detection_details),
    "segmentation": (_segmentation_metrics, _segmentation_details),
    "instance": (_instance_metrics, _instance_details),
}
