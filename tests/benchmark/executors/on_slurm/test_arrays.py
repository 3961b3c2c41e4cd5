"""What Slurm is asked for, by stand-ins for its commands that keep what they were given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.executors import Job
from benchmark.executors.on_slurm.arrays import SlurmCluster
from benchmark.executors.on_slurm.clusters import GONE, Wishes
from benchmark.executors.on_slurm.task import ROOT, Task
from benchmark.options import UserError


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder of commands, the first place where commands are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def command(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
        path.chmod(0o755)

    for name in ("srun", "squeue", "scancel", "sacct"):
        command(name, "echo $* >> $(basename $0).asked")
    command("scontrol", 'echo "MaxArraySize            = 4"')
    command(
        "sbatch", 'n=$(ls *.sh 2> /dev/null | wc -l); cp "$1" $n.sh; echo "Submitted batch job 1$n"'
    )
    return command


@pytest.fixture
def make_tasks(make_cell, tmp_path):
    def make(number: int) -> list[Task]:
        return [Task(Job(make_cell(), tmp_path / "runs" / f"r{i}", {})) for i in range(number)]

    return make


def wishes(**given) -> Wishes:
    defaults = {"workers": None, "cpus": 1, "gpus": 0, "memory": None, "minutes": 90, "retries": 3}
    return Wishes(**{**defaults, **given})


def options(tmp_path: Path) -> list[dict[str, str]]:
    """Options of each script that was submitted: name -> value."""
    found = []
    for script in sorted((tmp_path / "bin").glob("*.sh")):
        lines = re.findall(r"#SBATCH --([\w-]+)(?:=(.*))?", script.read_text())
        found.append(dict(lines))
    return found


def test_a_task_asks_for_what_the_experiment_says(commands, make_tasks, tmp_path):
    asked = wishes(
        cpus=3,
        gpus=1,
        memory=1_500_000_000,
        partition="gpu",
        setup=["module load cuda"],
        sbatch={"account": "vision", "exclusive": True, "contiguous": False},
    )
    ids = SlurmCluster(asked).submit(make_tasks(2), tmp_path / "slurm" / "lossbench-x")
    assert ids == ["10_0", "10_1"]
    (given,) = options(tmp_path)
    expected = {
        "array": "0-1%2",
        "job-name": "lossbench-x",
        "cpus-per-task": "3",
        "gpus-per-node": "1",
        "mem": "1431M",  # 1.5e9 / 2^20 = 1430.5
        "partition": "gpu",
        "time": "90",
        "signal": "USR2@90",
        "account": "vision",
        "exclusive": "",
        "requeue": "",
    }
    assert expected.items() <= given.items()
    assert "contiguous" not in given
    script = (tmp_path / "bin" / "0.sh").read_text()
    assert "\nmodule load cuda\n" in script
    assert f"PYTHONPATH={ROOT}" in script
    assert len(list((tmp_path / "slurm" / "lossbench-x").glob("10_*_submitted.pkl"))) == 2


def test_what_is_not_asked_for_is_left_to_the_cluster(commands, make_tasks, tmp_path):
    SlurmCluster(wishes(minutes=2)).submit(make_tasks(2), tmp_path / "slurm" / "x")
    (given,) = options(tmp_path)
    assert {"mem", "gpus-per-node", "partition", "dependency"}.isdisjoint(given)
    assert given["signal"] == "USR2@30"


@pytest.mark.parametrize(
    ("workers", "arrays", "after"),
    [
        (None, ["0-3%4", "0-3%4", "0-1%2"], [None, None, None]),
        (3, ["0-3%1", "0-3%1", "0-1%1"], [None, None, None]),
        (5, ["0-3%1", "0-3%2", "0-1%2"], [None, None, None]),
        (2, ["0-3%1", "0-3%1", "0-1%1"], [None, None, "afterany:10"]),
        (1, ["0-3%1", "0-3%1", "0-1%1"], [None, "afterany:10", "afterany:11"]),
    ],
)
def test_long_grids_become_several_arrays_that_share_the_places(
    commands, make_tasks, tmp_path, workers, arrays, after
):
    ids = SlurmCluster(wishes(workers=workers)).submit(make_tasks(10), tmp_path / "slurm" / "x")
    assert ids == [
        f"1{array}_{task}" for array, size in enumerate([4, 4, 2]) for task in range(size)
    ]
    assert [given["array"] for given in options(tmp_path)] == arrays
    assert [given.get("dependency") for given in options(tmp_path)] == after


def test_a_refusal_is_told_and_takes_back_what_was_submitted(commands, make_tasks, tmp_path):
    commands(
        "sbatch",
        "[ -e once ] && { echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1; }\n"
        'touch once; echo "Submitted batch job 10"',
    )
    with pytest.raises(UserError, match=r"Slurm refuses the runs: .*QOSMaxSubmit"):
        SlurmCluster(wishes()).submit(make_tasks(6), tmp_path / "slurm" / "x")
    asked = (tmp_path / "bin" / "scancel.asked").read_text()
    assert asked.split() == ["10_0", "10_1", "10_2", "10_3"]


@pytest.mark.parametrize(
    ("said", "hinted"),
    [
        ("Batch job submission failed: Job violates accounting/QOS policy (job submit limit)", 1),
        ("Slurm temporarily unable to accept job, sleeping and retrying.", 1),
        ("invalid partition specified: nowhere", 0),
    ],
)
def test_a_limit_of_what_may_be_submitted_comes_with_the_option_for_it(
    commands, make_tasks, tmp_path, said, hinted
):
    commands("sbatch", f"echo 'sbatch: error: {said}' >&2; exit 1")
    with pytest.raises(UserError, match="Slurm refuses the runs: ") as refused:
        SlurmCluster(wishes()).submit(make_tasks(1), tmp_path / "slurm" / "x")
    assert str(refused.value).count("executor.queued") == hinted


def test_states_are_those_of_the_listing(commands, tmp_path):
    commands("squeue", "echo $* > asked; printf '10_0|RUNNING\\n10_1|PENDING\\n12|COMPLETED\\n'")
    states = SlurmCluster(wishes()).states({"x"})
    assert states == {"10_0": "RUNNING", "10_1": "PENDING", "12": "COMPLETED"}
    assert "-nx" in (tmp_path / "bin" / "asked").read_text().split()


def test_a_controller_that_does_not_answer_is_not_a_cluster_without_tasks(commands):
    commands(
        "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    )
    assert SlurmCluster(wishes()).states({"x"}) is None


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("echo '10_3|CANCELLED by 1000'", "CANCELLED"),
        ("echo '10_3|NODE_FAIL'", "NODE_FAIL"),
        ("echo 'Slurm accounting storage is disabled' >&2; exit 1", GONE),
        ("", GONE),
    ],
)
def test_the_accounting_is_asked_for_tasks_that_left_the_listing(commands, script, state):
    commands("sacct", script)
    assert SlurmCluster(wishes()).last_state("10_3") == state


def test_a_machine_without_slurm_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no sbatch, srun, squeue, scancel; .*cluster=local"):
        SlurmCluster(wishes()).check()
