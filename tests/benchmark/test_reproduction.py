"""A stored run whose parts are no longer registered."""

from __future__ import annotations

import pytest
from rich.console import Console

from benchmark.options import UserError
from benchmark.reproduction import _print_loss_version, reproduce
from benchmark.store import RunFolder


def test_a_data_set_that_is_gone_is_named(make_cell, tmp_path):
    cell = make_cell()
    part = cell.dataset.model_copy(update={"name": "shape"})
    folder = RunFolder(tmp_path / "run")
    folder.begin(cell.model_copy(update={"dataset": part}), {"device": "cpu"})
    folder.finish({"status": "done", "metrics": {"AP": 0.5}})
    with pytest.raises(UserError, match=r"unknown data set 'shape' \(did you mean 'shapes'\?"):
        reproduce(Console(quiet=True), folder.path, "auto", None)


def test_a_loss_that_is_gone_is_named(make_cell):
    with pytest.raises(UserError, match=r"unknown loss 'giuo' \(did you mean 'giou'\?"):
        _print_loss_version(Console(quiet=True), make_cell(loss="giuo"))
