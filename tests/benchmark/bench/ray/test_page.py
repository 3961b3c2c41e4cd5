"""The page on a cluster that lost a node, from events written down by hand."""

from __future__ import annotations

from benchmark.bench.ray.page import Noted, Outcome, Plan, ray_page

NOTED = [
    Noted(1.0, "started", "a", None, "on here"),
    Noted(1.2, "started", "b", None, "on here"),
    Noted(9.6, "node killed", "b", 4, ""),
    Noted(10.4, "retried", "a", 5, "the node is dead"),
    Noted(11.0, "ended", "b", 9, ""),
    Noted(14.0, "started", "a", 5, "on here"),
    Noted(20.0, "ended", "a", 9, ""),
]
ENVIRONMENT = {
    "cpu": "a processor",
    "cores": 2,
    "system": "Linux",
    "python": "3.11",
    "packages": {"torch": "2.6"},
}


def page(**changes) -> str:
    settled = {"plan": Plan(3, 1, True), "differing": [], **changes}
    outcome = Outcome(
        noted=NOTED, seconds=31.4, against="results/x", runs=2, numbers=1008, **settled
    )
    return ray_page(outcome, ENVIRONMENT, "python3 run.py bench ray")


def test_the_page_counts_what_happened():
    text = page()
    assert "1,008 of the 1,008 numbers of the 2 runs in results/x came out the same" in text
    assert "runs ended: 2; begun: 3; taken up again on another node: 1" in text
    assert "A cluster of 3 nodes that train and one that does not" in text
    assert "1 of the nodes was killed" in text
    assert "to the end of the report: 31 s" in text


def test_the_table_follows_the_runs_that_the_kill_hit():
    rows = [line for line in page().splitlines() if line.startswith("| ")][1:]
    assert rows == [
        "| 1 | started | a |  |",
        "| 10 | node killed |  |  |",
        "| 10 | retried | a | 5 |",
        "| 14 | started | a | 5 |",
        "| 20 | ended | a | 9 |",
    ]


def test_what_is_missing_or_other_is_counted_and_named():
    text = page(differing=["a: metrics.json: metrics/AP", "b: history.csv: 3/AP"])
    assert "1,006 of the 1,008 numbers" in text
    assert "- other, or missing: a: metrics.json: metrics/AP\n" in text
    assert "- other, or missing: b: history.csv: 3/AP\n" in text


def test_the_page_says_how_the_nodes_came_to_their_files():
    assert "saw the clone and the results at the same paths" in page()
    assert "share no disk" in page(plan=Plan(3, 2, False))
    assert "2 of the nodes were killed" in page(plan=Plan(3, 2, False))
