"""The report of one loss, and the page that compares many."""

from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmark.check_loss import check_loss, speed_beside_torchvision
from benchmark.cli import app
from benchmark.conformance_page import write_page
from benchmark.experiment.loss_spec import NamedLoss, load_loss
from benchmark.peers import PEERS
from losses.adapters import adapt

BROKEN = """
def raises(pred, target):
    if pred.shape[0] == 3:
        return (pred - target).abs().sum(-1)  # right in the only call that is tried
    raise RuntimeError("[bold]no more than three")

def mean(pred, target):
    return (pred - target).abs().mean()
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(BROKEN)
    return path


def printed(text, tmp_path, kind=None):
    console = Console(record=True, width=160)
    sound = check_loss(console, text, kind, speed=False, csv=tmp_path / "out" / "table.csv")
    return sound, console.export_text(), pd.read_csv(tmp_path / "out" / "table.csv")


def test_sound_loss(tmp_path):
    sound, text, table = printed("smooth_l1", tmp_path)
    assert sound
    assert text.startswith("smooth_l1, a box loss")
    assert text.rstrip().endswith("holds every hard property")
    assert list(table.columns) == ["check", "level", "status", "detail"]
    assert set(table.status) == {"ok"}
    assert {"finite", "gradient is exact", "torch.compile"} <= set(table.check)


def test_public_loss_with_a_fault(tmp_path):
    sound, text, table = printed("torchvision.ops:complete_box_iou_loss", tmp_path)
    assert not sound
    broken = table[(table.status == "violated") & (table.level == "hard")]
    assert broken.check.tolist() == ["finite"]
    assert "violates what no loss may: finite; weak in: zero at the match" in text


def test_loss_that_raises_is_reported_and_not_a_traceback(source, tmp_path):
    sound, text, table = printed(f"{source}:raises", tmp_path, "box")
    assert not sound
    assert "raised RuntimeError: [bold]no more than three" in text
    assert (table[table.level == "hard"].status == "violated").all()


def test_speed_is_told_as_a_ratio():
    found = speed_beside_torchvision(load_loss("giou"))
    assert (found.level, found.status) == ("information", "ok")
    assert "× torchvision's GIoU, " in found.detail
    assert "× torch's BCE" in speed_beside_torchvision(load_loss("dice")).detail
    assert "× torch's smooth L1" in speed_beside_torchvision(load_loss("l1")).detail


def test_speed_of_a_loss_that_raises(source):
    def raises(pred, target):
        if len(pred) > 3:
            raise RuntimeError("too many")
        return (pred - target).abs().sum(-1)

    found = speed_beside_torchvision(NamedLoss("x", adapt(raises, kind="box"), "box", False))
    assert found.detail == "raised RuntimeError('too many')"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["l1", "--no-speed"], 0, "holds every hard property"),
        (["torchvision.ops:complete_box_iou_loss", "--no-speed"], 1, "violates what no loss may"),
        (["cio"], 2, "did you mean 'ciou'?"),
        (["torch.nn.functional:l1_loss"], 2, "say which with `kind`"),
        (["dice", "--kind", "box"], 2, "is a mask loss, not a box loss"),
        ([], 2, "give a loss to check, or --page FOLDER"),
    ],
)
def test_command(words, code, message):
    result = CliRunner().invoke(app, ["check-loss", *words], env={"COLUMNS": "200"})
    assert result.exit_code == code
    assert message in " ".join(result.output.split())


def test_page(tmp_path):
    chosen = [
        peer
        for peer in PEERS
        if (peer.package, peer.name)
        in {
            ("torchvision", "complete_box_iou_loss"),
            ("torch", "l1_loss"),
            ("torch", "binary_cross_entropy_with_logits"),
        }
    ]
    assert len(chosen) == 3
    write_page(Console(quiet=True), tmp_path, chosen, ["l2"])
    page = (tmp_path / "README.md").read_text()
    assert "- torchvision: 1 of 1 losses and settings violates a hard property: finite (1)." in page
    assert "- Ours: none of 4 losses and settings violate a hard property." in page
    assert "torch 2." in page
    boxes = (tmp_path / "boxes.md").read_text()
    assert "torchvision complete_box_iou_loss is not finite in 11 of 46 cases." in boxes
    row = next(line for line in boxes.splitlines() if line.startswith("| prediction zero height"))
    assert row.count("**") == 2
    assert "nan**" in row
    assert "`l2`" not in boxes  # it stands beside nothing here
    edges = pd.read_csv(tmp_path / "edge_cases.csv")
    disjoint = edges[(edges.case == "prediction disjoint") & (edges.beside == "ciou")]
    # Centres (90, 80) apart, diagonal of the hull (130, 120): 1 + 14500 / 31300.
    assert disjoint.value.astype(float).tolist() == [1.46, 1.46]
    deltas = edges[(edges.beside == "l1") & (edges.case == "off by 1e4")]
    assert deltas.value.astype(float).tolist() == [4e4, 4e4]
    findings = pd.read_csv(tmp_path / "findings.csv")
    assert set(findings.project) == {"ours", "torch", "torchvision"}
