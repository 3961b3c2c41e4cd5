"""The measuring of the losses: that it measures what it says, not how fast anything is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from benchmark.bench import losses as measuring
from benchmark.bench.contenders import (
    Contender,
    Race,
    Size,
    make_inputs,
    make_races,
    parse_size,
)
from benchmark.bench.losses import bench_losses, make_plan
from benchmark.bench.page import speed_page, write_pages
from benchmark.bench.rows import Row, read_rows, summary_line, write_rows
from benchmark.bench.timing import Effort, Step, peak_memory, race, speedups
from benchmark.cli import app
from benchmark.experiment.loss_spec import load_loss
from benchmark.options import UserError
from benchmark.peers import our_mean

FAST = Effort(rounds=(2, 3), seconds=0.0, limit=5.0)
CPU = torch.device("cpu")


def square_step():
    return Step(torch.ones(8, requires_grad=True), lambda x: x.square().sum())


def plan(losses, sizes, **changes):
    made = make_plan(losses, sizes, "1", "cpu", compiled=False, quick=True)
    return replace(made, effort=FAST, **changes)


def measure(chosen, folder):
    console = Console(width=160, record=True)
    bench_losses(console, chosen, folder, "the command")
    return console.export_text(), read_rows(folder / "speed.csv")


class TestTiming:
    def test_every_step_of_a_race_gets_all_rounds(self):
        times = race([square_step(), square_step()], FAST)
        assert [len(rounds) for rounds in times] == [2, 2]
        assert all(seconds > 0 for rounds in times for seconds in rounds)

    def test_a_race_goes_on_while_there_is_time(self):
        (times,) = race([square_step()], replace(FAST, seconds=60.0))
        assert len(times) == 3

    def test_a_step_computes_the_gradient_afresh(self):
        step = square_step()
        step()
        step()
        assert step.inputs.grad is not None
        assert step.inputs.grad.tolist() == [2.0] * 8

    def test_ratios_are_taken_round_by_round(self):
        # ratios 2, 1, 0.5
        assert speedups([1.0, 2.0, 4.0], [2.0, 2.0, 2.0]) == (1.0, 0.75, 1.5)

    def test_a_single_call_is_compared_with_the_median(self):
        assert speedups([1.0, 2.0, 9.0], [6.0]) == (3.0, 3.0, 3.0)

    def test_peak_memory_counts_what_lives_at_a_time(self):
        def one_after_the_other(x):
            total = x.sum()
            for _ in range(3):
                total = total + x.new_zeros(250_000).sum()  # a megabyte, freed at once
            return total

        def together(x):
            return x.sum() + sum(part.sum() for part in [x.new_zeros(250_000) for _ in range(3)])

        leaf = torch.ones(1, requires_grad=True)
        assert 1.0e6 <= peak_memory(Step(leaf, one_after_the_other)) < 1.1e6
        assert 3.0e6 <= peak_memory(Step(leaf, together)) < 3.1e6


class TestContenders:
    def test_sizes(self):
        assert parse_size("1000") == Size("box", (1000, 4))
        assert parse_size("8x1x256x128") == Size("mask", (8, 1, 256, 128))
        assert parse_size("1000").label == "1,000 boxes"
        assert parse_size("8x1x256x128").elements == 8 * 256 * 128

    @pytest.mark.parametrize("text", ["", "x", "-3", "0", "8x1x256", "1x2x3x4x5", "8x1x256xlarge"])
    def test_other_sizes_are_refused(self, text):
        with pytest.raises(UserError, match=r"--sizes: '.*' is neither"):
            parse_size(text)

    def test_every_public_loss_that_can_be_run_races_ours(self):
        (giou,) = (race for race in make_races(["giou"]) if race.public)
        assert giou.ours.label == "giou"
        assert [rival.label for rival in giou.rivals] == [
            "torchvision generalized_box_iou_loss",
            "monai BoxGIoULoss",
        ]

    def test_a_loss_without_public_rival_races_the_yardstick(self):
        (race,) = make_races(["iou"])
        assert not race.public
        assert [rival.label for rival in race.rivals] == ["giou (yardstick)"]

    def test_an_unknown_loss_is_refused_with_the_closest_name(self):
        with pytest.raises(UserError, match=r"--losses: unknown loss 'gioux'.*giou"):
            make_races(["gioux"])
        with pytest.raises(UserError, match=r"--losses: 'varifocal' is a loss of classes"):
            make_races(["varifocal"])

    def test_masks_are_exclusive_and_hold_every_class(self):
        size = Size("mask", (2, 3, 96, 100))
        logits, target = make_inputs(load_loss("bce").loss, size, CPU)
        assert logits.shape == target.shape == size.shape
        assert target.sum(1).max() == 1
        assert target.sum((0, 2, 3)).min() > 0

    def test_boxes_overlap_their_targets(self):
        loss = load_loss("iou").loss
        pred, target = make_inputs(loss, Size("box", (100, 4)), CPU)
        assert (loss(pred, target) < 1).float().mean() > 0.9


class TestMeasuring:
    def test_what_is_asked_for_is_measured_and_written(self, tmp_path):
        text, rows = measure(plan("giou,dice", "50,1x1x16x16"), tmp_path)
        assert {row.size for row in rows} == {"50 boxes", "1×1×16×16"}
        assert {row.loss.split()[0] for row in rows} == {"giou", "dice"}
        assert all(row.compared and row.rounds >= 2 for row in rows)
        for row in rows:
            assert row.speedup_low <= row.speedup <= row.speedup_high
            assert row.ours_mb > 0
        assert "slower than a peer in:" in text
        page = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert "the command" in page
        assert all(f"`{row.loss}` | {row.beside}" in page for row in rows)
        assert "giou" in (tmp_path / "catalogue.md").read_text(encoding="utf-8")

    def test_further_threads_are_measured_beside_public_losses_only(self, tmp_path):
        _, rows = measure(plan("giou,iou", "50", threads=(1, 2)), tmp_path)
        threads = {name: {r.threads for r in rows if r.loss == name} for name in ("giou", "iou")}
        assert threads == {"giou": {1, 2}, "iou": {1}}
        assert torch.get_num_threads() == 1

    def test_a_size_that_would_take_too_long_is_left_out_and_said_so(self, tmp_path, monkeypatch):
        monkeypatch.setattr(measuring, "PATIENCE", 1e-12)
        _, rows = measure(plan("iou", "10,20"), tmp_path)
        first, second = rows
        assert first.ours_ms > 0
        assert second.ours_ms is None
        assert second.note == "ours: over 0 s; the other: over 0 s"

    def test_what_is_slow_is_called_once_outside_the_rounds(self, tmp_path):
        chosen = plan("iou", "10")
        _, (row,) = measure(replace(chosen, effort=replace(FAST, limit=0.0)), tmp_path)
        assert row.rounds == 1
        assert row.note == "ours: one call; the other: one call"
        assert row.speedup == pytest.approx(row.theirs_ms / row.ours_ms, rel=1e-2)

    def test_a_public_loss_that_fails_is_noted(self):
        def fails(loss, pred, target):
            raise RuntimeError("no such luck\nand more")

        loss = load_loss("giou").loss
        contest = Race(
            Contender("giou", loss, our_mean), (Contender("theirs", loss, fails),), "box"
        )
        (row,) = measuring._measure_race(
            plan(None, None), contest, [Size("box", (5, 4))], "eager", 1, True
        )
        assert row.note == "the other: RuntimeError: no such luck"
        assert row.ours_ms > 0
        assert row.theirs_ms is row.speedup is None

    def test_a_row_for_one_class_is_not_compared_with_several(self, tmp_path):
        _, rows = measure(plan("lovasz_hinge", "1x2x8x8"), tmp_path)
        assert {row.note for row in rows} == {"compared with one class"}
        assert all(row.ours_ms > 0 and row.theirs_ms is None for row in rows)

    def test_compiled_is_a_mode_of_its_own(self, tmp_path, monkeypatch):
        compiled = []

        def note(function):
            compiled.append(function)
            return function

        monkeypatch.setitem(measuring.MODES, "compiled", note)
        _, rows = measure(plan("giou", "50", compiled=True), tmp_path)
        assert {row.mode for row in rows} == {"eager", "compiled"}
        assert all(row.speedup for row in rows)
        assert len(compiled) == 3  # ours and two public ones

    def test_compiling_needs_a_compiler(self, tmp_path, monkeypatch):
        monkeypatch.setattr(measuring.shutil, "which", lambda name: None)
        with pytest.raises(UserError, match=r"--compiled: torch.compile needs a C\+\+ compiler"):
            measure(plan("giou", "50", compiled=True), tmp_path)

    def test_nothing_to_measure_is_an_error(self, tmp_path):
        with pytest.raises(UserError, match="nothing to measure"):
            measure(plan("giou", "1x1x8x8"), tmp_path)

    @pytest.mark.parametrize("threads", ["0", "many", "1,-2"])
    def test_threads_must_be_numbers(self, threads):
        with pytest.raises(UserError, match=r"--threads: '.*' must be a number above 0, or 'all'"):
            make_plan(None, None, threads, "cpu", compiled=False, quick=False)


ROW = Row(
    "box", "giou", "theirs", "equal", "64 boxes", 64, 1, "cpu", "eager", 1.0, 2.0, 2.0, 1.9, 2.1
)
SLOW = replace(ROW, beside="fast one", value="differs", speedup=0.5, speedup_high=0.9)
MISSING = Row(
    "mask",
    "bce",
    "other",
    "equal",
    "1×1×8×8",
    64,
    1,
    "cpu",
    "eager",
    3.0,
    ours_mb=30.0,
    note="fails",
)
YARDSTICK = replace(ROW, loss="iou", beside="giou (yardstick)", value="", speedup_high=0.5)


class TestPage:
    def test_rows_survive_the_csv(self, tmp_path):
        rows = [ROW, SLOW, MISSING, YARDSTICK]
        write_rows(tmp_path / "speed.csv", rows)
        assert read_rows(tmp_path / "speed.csv") == rows

    def test_the_summary_names_what_was_slower(self):
        assert summary_line([ROW, MISSING, YARDSTICK]) == (
            "slower than a peer in: none of 1 comparisons"
        )
        assert summary_line([ROW, SLOW]) == (
            "slower than a peer in: 1 of 2 comparisons: giou beside fast one "
            "(eager, 1 thread, cpu): 64 boxes 0.50"
        )

    def test_the_page_shows_ratios_notes_and_our_times(self):
        environment = {
            "cpu": "a CPU", "cores": 2, "device": "cpu", "system": "Linux", "python": "3.11",
            "packages": {"torch": "2"}, "minutes": 3.0, "command": "do it",
        }  # fmt: skip
        page = speed_page([ROW, SLOW, MISSING, YARDSTICK], environment)
        assert "| `giou` | theirs | 2.00 |\n" in page
        assert "| `giou` | fast one ≠ | **0.50** |\n" in page
        assert "| `bce` | other | – (fails) | 30 / – |" in page
        assert "| `bce` | 3 |" in page
        assert "yardstick" not in page

    def test_pages_need_measurements(self, tmp_path):
        with pytest.raises(UserError, match=r"no speed.csv and environment.json; measure first"):
            write_pages(tmp_path)


class TestCommand:
    def test_bench_alone_shows_its_two_commands(self):
        output = CliRunner().invoke(app, ["bench"]).output
        assert "harness" in output
        assert "losses" in output

    def test_quick_measures_one_loss_in_seconds(self, tmp_path):
        words = ["bench", "losses", "--quick", "--losses", "l2", "--out", str(tmp_path)]
        result = CliRunner().invoke(app, [*words, "--device", "cpu"])
        assert result.exit_code == 0
        assert len(read_rows(tmp_path / "speed.csv")) == 1
        again = CliRunner().invoke(app, ["bench", "losses", "--page-only", "--out", str(tmp_path)])
        assert again.exit_code == 0

    def test_a_mistake_ends_with_its_message(self, tmp_path):
        words = ["bench", "losses", "--losses", "nope", "--out", str(tmp_path)]
        assert CliRunner().invoke(app, words).exit_code == 2
