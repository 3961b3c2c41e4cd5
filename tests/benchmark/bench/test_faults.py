"""The kills are real, and a wrong result would be seen."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import psutil
import pytest

from benchmark.bench import faults_grid as grid
from benchmark.bench.faults import FAULTS
from benchmark.bench.faults_kill import VICTIMS, Processes, kill, run_of, still_there
from benchmark.bench.faults_page import faults_page
from benchmark.bench.faults_rows import Kill, Plan, Round, write_csv
from benchmark.bench.faults_run import STAGES
from benchmark.store import RunFolder, Store

POOL = """
import multiprocessing, sys, time
from multiprocessing import forkserver
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    started = [context.Process(target=time.sleep, args=(100,)) for _ in range(2)]
    for process in started:
        process.start()
    print("ready", flush=True)
    time.sleep(100)
"""
A_KILL = Kill(
    round=1,
    invocation=2,
    victim="worker",
    processes=1,
    seconds=3.5,
    stage="training",
    run="shapes-giou-r0",
    epoch=2,
    ended=1,
    checkpoints=1,
    temporaries=0,
    damaged=0,
)
A_ROUND = Round(
    round=1,
    kills=2,
    invocations=2,
    exit_code=0,
    runs=4,
    lost=0,
    extra=0,
    different=0,
    temporaries=0,
    survivors=0,
)
MACHINE = {"cpu": "A", "cores": 2, "system": "B", "python": "3", "packages": {"torch": "2"}}


def write_run(store: Store, name: str, metric: float, seconds: float = 1.0) -> RunFolder:
    folder = RunFolder(store.path / "runs" / name)
    folder.path.mkdir(parents=True)
    rate = {"images_per_second": 9 * seconds}
    folder.write_history([{"epoch": 0, "AP": metric, "seconds": seconds, **rate}])
    times = {"seconds": seconds, "train_seconds": seconds}
    folder.finish({"status": "done", "metrics": {"AP": metric}, **times})
    return folder


def test_times_do_not_count_and_every_digit_of_a_number_does(tmp_path):
    stores = {name: Store(tmp_path / name) for name in ("one", "later", "other", "tuned")}
    write_run(stores["one"], "giou", 0.1)
    write_run(stores["later"], "giou", 0.1, seconds=2.0)
    write_run(stores["other"], "giou", 0.10000000000000002)
    expected = grid.results(stores["one"])
    assert sorted(expected) == ["giou/history.csv", "giou/metrics.json"]
    same = {"lost": [], "extra": [], "different": []}
    assert grid.differences(expected, expected) == same
    assert grid.differences(expected, grid.results(stores["later"])) == same
    found = grid.differences(expected, grid.results(stores["other"]))
    assert found["different"] == sorted(expected)


def test_lost_and_extra_runs_are_seen(tmp_path):
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    write_run(one, "giou", 0.1)
    write_run(other, "diou", 0.1)
    found = grid.differences(grid.results(one), grid.results(other))
    assert found["lost"] == ["giou/history.csv", "giou/metrics.json"]
    assert found["extra"] == ["diou/history.csv", "diou/metrics.json"]


def test_a_half_written_file_with_its_name_is_seen_and_one_beside_it_counted(tmp_path):
    store = Store(tmp_path)
    folder = write_run(store, "giou", 0.1)
    assert grid.damaged(store) == []
    assert grid.temporaries(store) == 0
    assert grid.ended(store) == 1
    (folder.path / f".metrics.json.{'0a' * 16}.json").write_text("{")
    assert grid.damaged(store) == []
    assert grid.temporaries(store) == 1
    (folder.path / "metrics.json").write_text('{"status": "do')
    assert grid.damaged(store) == ["giou/metrics.json"]


@pytest.fixture
def pool(tmp_path):
    """A process with a fork server and two processes from it."""
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    found = Processes.of(psutil.Process(process.pid))
    yield found
    for one in found.all():
        if one.is_running():
            one.kill()
    process.wait()


@pytest.mark.parametrize(
    ("victim", "number"),
    [("worker", 1), ("fork server", 1), ("runner", 1), ("runner and worker", 2), ("all", 4)],
)
def test_who_is_to_be_killed_is_killed(pool, victim, number):
    assert len(pool.workers) == 2
    assert pool.server is not None
    victims = VICTIMS[victim](pool, random.Random(0))
    assert len(victims) == number
    assert kill(victims) == number
    assert still_there(victims, timeout=30) == []


def test_where_nobody_trains_there_is_no_worker_to_kill():
    alone = Processes(psutil.Process())
    assert VICTIMS["worker"](alone, random.Random(0)) == []
    assert VICTIMS["fork server"](alone, random.Random(0)) == []
    assert run_of(psutil.Process()) is None
    assert kill([]) == 0


def test_every_fault_names_a_victim_and_a_stage():
    assert {victim for _, victim, _ in FAULTS} == set(VICTIMS)
    assert {stage for _, _, stage in FAULTS} == set(STAGES)


@pytest.mark.parametrize(
    "wrong", ["exit_code", "lost", "extra", "different", "temporaries", "survivors"]
)
def test_a_round_with_anything_wrong_is_not_sound(wrong):
    assert A_ROUND.sound
    assert not replace(A_ROUND, **{wrong: 1}).sound


def test_the_page_counts_what_went_wrong(tmp_path):
    kills = [
        replace(A_KILL, temporaries=1),
        replace(A_KILL, temporaries=1, damaged=1),
        replace(A_KILL, round=2, temporaries=1, victim="all", stage="report"),
    ]
    rounds = [A_ROUND, replace(A_ROUND, round=2, kills=1, lost=2, different=3)]
    page = faults_page(Plan(3), kills, rounds, MACHINE, "python3 run.py bench faults")
    assert "came to the same results: 1 of 2" in page
    assert "results lost: 2" in page
    assert "other numbers: 3" in page
    assert "looked for after every kill: 1" in page
    assert "under the name that nothing reads: 2;" in page  # the second kill found no new one
    assert "| worker | 0 | 2 | 0 |" in page
    assert "| all | 0 | 0 | 1 |" in page
    assert "python3 run.py bench faults" in page


def test_kills_without_a_run_keep_the_epochs_of_others_whole(tmp_path):
    write_csv(tmp_path / "kills.csv", [A_KILL, replace(A_KILL, run="", epoch=None)])
    text = (tmp_path / "kills.csv").read_text().splitlines()
    assert text[1] == "1,2,worker,1,3.5,training,shapes-giou-r0,2,1,1,0,0"
    assert text[2] == "1,2,worker,1,3.5,training,,,1,1,0,0"


def test_a_killed_grid_comes_to_the_same_results(cli, tmp_path):
    words = ["--kills", "2", "--epochs", "2", "--repetitions", "1", "--out", "out"]
    done = cli("bench", "faults", *words, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    kills = pd.read_csv(tmp_path / "out/kills.csv")
    rounds = pd.read_csv(tmp_path / "out/rounds.csv")
    assert len(kills) == 2
    assert rounds["kills"].sum() == 2
    assert (rounds["runs"] == 4).all()
    assert (kills["processes"] >= 1).all()
    assert set(kills["stage"]) <= set(STAGES)
    assert (
        f"came to the same results: {len(rounds)} of {len(rounds)}"
        in (tmp_path / "out/README.md").read_text()
    )
    assert not (tmp_path / "out/work").exists()
