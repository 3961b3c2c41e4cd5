"""Whether the head of a cluster is there: found, knocked at, missed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from benchmark.executors.on_ray import head
from benchmark.executors.on_ray.head import MISSES, Head
from benchmark.executors.ray import RayExecutor
from benchmark.options import UserError

pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_head_is_gone_when_it_has_not_answered_for_some_times_in_a_row(listening, monkeypatch):
    monkeypatch.setattr(head, "LOOK_EVERY", 0.0)
    port = listening.getsockname()[1]
    watched = Head(f"127.0.0.1:{port}")
    assert watched.look()
    listening.close()
    assert [watched.look() for _ in range(MISSES - 1)] == [False] * (MISSES - 1)
    with socket.create_server(("127.0.0.1", port)):
        assert watched.look()
    assert not any(watched.look() for _ in range(MISSES - 1))
    with pytest.raises(UserError, match=f"127.0.0.1:{port}, does not answer any more; `run` again"):
        watched.look()


def test_between_two_looks_the_last_answer_holds(listening):
    watched = Head(f"127.0.0.1:{listening.getsockname()[1]}")
    listening.close()
    assert watched.look()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:70000", "auto"])
def test_a_cluster_that_is_not_there_is_named_ahead_of_the_runs(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match=f"no Ray cluster can be used at '{address}'"):
        RayExecutor(address=address).prepare()


def test_an_address_that_a_dead_cluster_left_is_knocked_at(monkeypatch, tmp_path):
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)  # as if alone here
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    with pytest.raises(UserError, match=r"no Ray cluster can be used at 'auto'.*refused"):
        RayExecutor().prepare()


def test_without_any_sign_of_a_cluster_ray_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(UserError, match=r"at 'auto' .Could not find any running Ray instance"):
        RayExecutor().prepare()
