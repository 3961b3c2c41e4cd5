from __future__ import annotations

from benchmark.simulation import speed
from benchmark.simulation.experiment import Settings
from benchmark.simulation.speed import compare_plain


def test_both_loops_are_timed_on_the_same_cases(monkeypatch):
    monkeypatch.setattr(speed, "ROUNDS", 2)
    rounds = []
    losses = {"c": "ciou", "mine": "{name: iou, form: log}"}
    frame = compare_plain(losses, Settings(points=1), lambda: rounds.append(1))
    assert list(frame.columns) == ["loss", "cases", "seconds", "plain_seconds", "ratio"]
    assert frame["loss"].tolist() == ["c", "mine"]
    assert (frame["cases"] == 343).all()
    assert (frame[["seconds", "plain_seconds", "ratio"]] > 0).all(axis=None)
    assert len(rounds) == 2 * len(losses)
