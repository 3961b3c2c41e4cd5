"""Random streams come from data set, model, repetition and seed, and from nothing else."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.seeding import Stream, derive, epoch_order, stream_seed

STREAMS = get_args(Stream)

losses = st.sampled_from(["l1", "smooth_l1", "iou", "giou", "ciou"])
options = st.dictionaries(st.sampled_from(["beta", "form"]), st.floats(0, 10))


def test_derive_is_the_same_on_every_machine():
    # printf '1\x1fa' | b2sum -l 64, read as a little-endian number
    expected = int.from_bytes(bytes.fromhex("0d35ca1552f972f7"), "little") // 2
    assert derive(1, "a") == derive("1", "a") == expected


def test_parts_are_kept_apart():
    assert derive(1, 23) != derive(12, 3)
    assert derive("a", "b") != derive("ab")


@given(st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=4))
def test_seeds_fit_into_63_bits(parts):
    assert 0 <= derive(*parts) < 2**63


@given(
    first=st.tuples(losses, options, st.floats(0.1, 100)),
    second=st.tuples(losses, options, st.floats(0.1, 100)),
    stream=st.sampled_from(STREAMS),
    position=st.lists(st.integers(0, 1000), max_size=2),
)
def test_no_stream_depends_on_the_loss(make_cell, first, second, stream, position):
    one, two = (
        make_cell(loss=name, options=given_options, weight=weight)
        for name, given_options, weight in (first, second)
    )
    assert stream_seed(one, stream, *position) == stream_seed(two, stream, *position)
    assert epoch_order(one, 3, 20) == epoch_order(two, 3, 20)


@pytest.mark.parametrize(
    "change",
    [{"repetition": 1}, {"dataset": "other"}, {"model": "fcos_mobilenet_v3"}, {"seed": 1}],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_depends_on(make_cell, stream, change):
    assert stream_seed(make_cell(), stream) != stream_seed(make_cell(**change), stream)


def test_the_streams_of_a_cell_differ(make_cell):
    seeds = [
        stream_seed(make_cell(), stream, *position)
        for stream in STREAMS
        for position in [(), (1,), (2,), (1, 2), (2, 1)]
    ]
    assert len(set(seeds)) == len(seeds)


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own(make_cell):
    cell = make_cell()
    orders = [epoch_order(cell, epoch, 50) for epoch in (1, 2)]
    assert [sorted(order) for order in orders] == [list(range(50))] * 2
    assert orders[0] != orders[1]
    assert epoch_order(cell, 1, 50) == orders[0]
