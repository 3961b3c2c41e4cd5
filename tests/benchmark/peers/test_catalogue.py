"""The catalogue page: committed as it is generated, with every row."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from benchmark.console.listing import LISTINGS
from benchmark.peers import PEERS
from benchmark.peers.catalogue import catalogue_page

PAGE = Path(__file__).parents[3] / "results/reference/losses/catalogue.md"


def test_the_committed_page_is_the_generated_one():
    assert PAGE.read_text(encoding="utf-8") == catalogue_page()


def test_every_row_is_on_the_page_once():
    page = catalogue_page()
    for peer in PEERS:
        assert page.count(f"| `{peer.name}` | {f'`{peer.ours}`' if peer.ours else '–'} |") >= 1
    assert sum(line.startswith("| `") for line in page.splitlines()) == len(PEERS)


def test_what_has_no_row_is_named_with_its_reason():
    assert "`AUCMLoss` (classifies whole images)" in catalogue_page()


def test_the_listing_shows_public_names_and_ours():
    console = Console(width=200, record=True)
    console.print(LISTINGS["peers"]())
    text = console.export_text()
    assert "complete_box_iou_loss" in text
    assert "{name: iou, form: square}" in text
