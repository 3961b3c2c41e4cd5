"""Listings on a narrow terminal: what has to be copied from them stands there whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmark.console.listing import LISTINGS
from benchmark.downloading import sources_table
from benchmark.models import MODELS
from benchmark.options import option_fields
from datasets import DATASETS
from datasets.download.install import known_sources
from losses import BOX, CLASSIFICATION, MASK

NAMES = {
    "losses": [*BOX, *MASK, *CLASSIFICATION],
    "models": list(MODELS),
    "datasets": list(DATASETS),
}


def printed(table, width: int = 80) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue()


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_is_cut(kind):
    lines = printed(LISTINGS[kind]()).splitlines()
    first = {line.split()[0] for line in lines if line[:1].strip()}
    assert first == {"name", *NAMES[kind]}
    assert not any("…" in line for line in lines)


def test_options_are_folded_and_not_cut():
    """Joined again, their lines are what a wide terminal shows."""
    text = printed(LISTINGS["models"]())
    start = text.splitlines()[0].index("options")
    end = text.splitlines()[0].index("what it is")
    column = "".join("".join(line[start:end].split()) for line in text.splitlines())
    for name in option_fields(MODELS["mask_rcnn_mobilenet_v3"]):
        assert f"{name}:" in column


def test_names_and_addresses_of_downloads_are_whole():
    text = printed(sources_table())
    joined = "".join(line.split()[-1] if line.split() else "" for line in text.splitlines())
    for name, source in known_sources().items():
        assert any(line.startswith(f"{name} ") for line in text.splitlines())
        assert source.home[-8:] in joined
