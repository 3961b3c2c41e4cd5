"""What runs share and what is a loss's own."""

from __future__ import annotations

from typing import Any

from benchmark.report.settings import flat, loss_settings, shown, split_settings


def config(loss: dict[str, Any], repetition: int = 0, **train: Any) -> dict[str, Any]:
    return {
        "task": "detection",
        "loss": loss,
        "dataset": {"name": "shapes", "options": {}},
        "repetition": repetition,
        "train": {"lr": 0.001, "image_size": [128, 128], **train},
        "tuned": {"lr": 0.003},
    }


IOU = {"name": "iou", "label": "iou", "options": {"eps": 1e-7}, "weight": 2.0, "version": 3}
SUM = {"name": "sum", "options": {}, "version": 1, "term_versions": [2, 4]}


def test_flat_joins_keys_and_keeps_lists_and_empty_mappings() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}}) == {
        "a.b": 1,
        "a.c.d": [1, 2],
        "e": {},
    }


def test_shown_is_one_line() -> None:
    assert [shown(v) for v in ("a b", None, True, [1, "x"], 0.5)] == [
        "a b",
        "null",
        "true",
        '[1, "x"]',
        "0.5",
    ]


def test_shared_settings_leave_out_the_loss_and_the_repetition() -> None:
    shared, differing = split_settings([config(IOU), config(SUM, repetition=1, lr=0.003)])
    assert differing == ["train.lr"]
    assert shared == {
        "task": "detection",
        "dataset.name": "shapes",
        "dataset.options": "{}",
        "train.image_size": "[128, 128]",
    }


def test_a_key_that_one_run_lacks_is_no_shared_one() -> None:
    shared, differing = split_settings([config(IOU), config(IOU, amp=False)])
    assert "train.amp" in differing
    assert "train.amp" not in shared


def test_of_no_configurations_nothing_is_shared() -> None:
    assert split_settings([]) == ({}, [])


def test_columns_of_a_loss() -> None:
    columns = loss_settings([config(IOU), config(IOU, 1, lr=0.003)], ["train.lr"])
    assert columns == {
        "name": ["iou"],
        "weight": ["2"],
        "options": ["eps=1e-07"],
        "version": ["3"],
        "train.lr": ["0.001", "0.003"],
    }


def test_a_sum_shows_the_versions_of_its_terms() -> None:
    assert loss_settings([config(SUM)], [])["version"] == ["1 + 2 + 4"]
