"""Results folders that lead elsewhere."""

import os
from pathlib import Path

import pytest

from benchmark.options import UserError
from benchmark.store import Store
from benchmark.store.bounds import check_bounds


@pytest.fixture
def results(tmp_path: Path) -> Path:
    run = tmp_path / "results" / "runs" / "a"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("x: 1")
    (tmp_path / "secret").write_text("keep")
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("runs/a/metrics.json", "../../../secret"),
        ("runs/a/.lock", "../../../secret"),
        ("runs/a/sample-0.jpg", "/etc/hostname"),
        ("runs/b", "/etc"),
        ("tables", ".."),
        ("report.html", "../nothing-here"),
    ],
)
def test_links_that_lead_out(results: Path, link: str, target: str) -> None:
    (results / link).symlink_to(target)
    with pytest.raises(UserError, match=r"is a link to .*, outside of the results folder"):
        Store.existing(results)


def test_a_link_to_a_link_that_leads_out(results: Path) -> None:
    (results / "inner").symlink_to("runs/out")
    (results / "runs" / "out").symlink_to("../../secret")
    with pytest.raises(UserError, match="outside"):
        check_bounds(results)


def test_a_neighbour_with_the_same_beginning_is_outside(results: Path) -> None:
    (results.parent / "results2").mkdir()
    (results / "link").symlink_to("../results2")
    with pytest.raises(UserError, match="outside"):
        check_bounds(results)


def test_pipes(results: Path) -> None:
    os.mkfifo(results / "runs" / "a" / "metrics.json")
    with pytest.raises(UserError, match=r"metrics\.json: is neither a file nor a folder"):
        Store.existing(results)


def test_what_stays_inside(results: Path) -> None:
    (results / "runs" / "again").symlink_to("a")
    (results.parent / "link").symlink_to("results")
    assert len(Store.existing(results.parent / "link").run_folders()) == 2
