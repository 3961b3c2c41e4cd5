"""The executor that the experiment file and the command line ask for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.executors import EXECUTORS, Resources
from benchmark.executors.choice import OPTIONS, make_executor
from benchmark.executors.local import LocalExecutor
from benchmark.experiment.config import load_experiment
from benchmark.experiment.entries import Choice
from benchmark.experiment.grid import plan
from benchmark.options import UserError, option_fields

ROOT = Path(__file__).parents[3]


def made(given=None, cores=1, **options) -> LocalExecutor:
    executor = make_executor(Choice(name="local", **options), given, cores)
    assert isinstance(executor, LocalExecutor)
    return executor


def test_without_a_word_runs_are_local():
    assert make_executor(None) == LocalExecutor()
    assert make_executor(None, dict.fromkeys(OPTIONS)) == LocalExecutor()


def test_options_are_read():
    executor = made(workers=3, timeout="1h 30m", nice=10, resources={"gpu": 0.25, "memory": "2GB"})
    assert executor == LocalExecutor(
        workers=3,
        resources=Resources(cpu=1, gpu=0.25, memory=2_000_000_000),
        timeout=5400.0,
        nice=10,
    )


def test_the_command_line_comes_before_the_file():
    given = {"workers": 2, "timeout": "5s", "nice": None, "resources.gpu": 0.5}
    executor = made(given, workers=3, nice=7, resources={"gpu": 0.25, "memory": 10})
    assert (executor.workers, executor.timeout, executor.nice) == (2, 5, 7)
    assert executor.resources == Resources(cpu=1, gpu=0.5, memory=10)


def test_a_run_takes_its_threads_unless_the_file_says_otherwise():
    assert made(cores=3).resources.cpu == 3
    assert made(cores=3, resources={"cpu": 0.5}).resources.cpu == 0.5


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"wokers": 2}, "executor.wokers: unknown key (did you mean 'workers'?)"),
        ({"workers": 0}, "executor.workers: "),
        ({"workers": "two"}, "executor.workers: "),
        ({"timeout": "2 fortnights"}, "executor.timeout: must be a time such as"),
        ({"timeout": 0}, "executor.timeout: "),
        ({"timeout": float("inf")}, "executor.timeout: "),
        ({"nice": 20}, "executor.nice: "),
        ({"nice": -1}, "executor.nice: "),
        ({"resources": 3}, "executor.resources: must be a mapping, got 3"),
        ({"resources": {"gpus": 1}}, "executor.resources.gpus: unknown key (did you mean 'gpu'?)"),
        ({"resources": {"gpu": 2}}, "executor.resources.gpu: "),
        ({"resources": {"gpu": -0.1}}, "executor.resources.gpu: "),
        ({"resources": {"gpu": 1e-320}}, "executor.resources.gpu: must be 0, or from 0.001 to 1"),
        ({"resources": {"cpu": 0}}, "executor.resources.cpu: "),
        ({"timeout": 1e300}, "executor.timeout: should be less than or equal to 315360000"),
        ({"timeout": "9" * 400 + "h"}, "executor.timeout: must be a time such as"),
        ({"resources": {"memory": 10**400}}, "executor.resources.memory: "),
        ({"resources": {"memory": "9" * 400 + "GB"}}, "executor.resources.memory: must be an"),
        ({"resources": {"memory": "2 bananas"}}, "executor.resources.memory: must be an amount"),
        ({"resources": {"memory": 0}}, "executor.resources.memory: "),
    ],
)
def test_what_is_wrong_is_named(options, part):
    with pytest.raises(UserError) as caught:
        made(**options)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("local", "detach", "--detach: the executor 'local' has no such option, only slurm has"),
        ("slurm", "nice", "--nice: the executor 'slurm' has no such option, only local has"),
    ],
)
def test_an_option_of_another_executor_is_not_passed_over(name, key, message):
    with pytest.raises(UserError) as caught:
        make_executor(Choice(name=name), {key: 1})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"poll": 1e300}, "executor.poll: should be less than or equal to 315360000"),
        ({"time": 1e300}, "executor.time: should be less than or equal to 315360000"),
        ({"cluster": "local", "detach": True}, "executor: detach (--detach): tasks of executor."),
    ],
)
def test_what_slurm_cannot_do_is_named(options, part):
    with pytest.raises(UserError) as caught:
        make_executor(Choice(name="slurm", **options))
    assert part in str(caught.value)


@pytest.mark.parametrize(("key", "option"), OPTIONS.items())
def test_a_wrong_option_of_the_command_line_is_named_as_it_was_given(key, option):
    with pytest.raises(UserError) as caught:
        made({key: "none of these"})
    assert str(caught.value).startswith(f"{option}: ")


def test_an_unknown_executor():
    with pytest.raises(UserError, match=r"unknown executor 'loacl' \(did you mean 'local'\?\)"):
        make_executor(Choice(name="loacl"))


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_has_the_common_options(name):
    assert {"workers", "resources", "timeout"} <= set(option_fields(EXECUTORS[name]))


def test_the_experiment_file_names_an_executor_with_or_without_options(tmp_path):
    content = {
        "name": "e",
        "matrix": {
            "a": {
                "task": "detection",
                "losses": ["giou"],
                "datasets": ["shapes"],
                "models": ["tiny_fcos"],
            }
        },
    }
    file = tmp_path / "e.yaml"

    def read(executor, overrides=(), asked=None):
        file.write_text(yaml.safe_dump(content | ({"executor": executor} if executor else {})))
        return load_experiment(str(file), list(overrides), asked)

    assert read(None).executor is None
    assert read("local").executor == Choice(name="local")
    assert read("local", ["executor.nice=3"]).executor == Choice(name="local", nice=3)
    with_options = {"name": "local", "nice": 3}
    assert read(with_options).executor == Choice(name="local", nice=3)
    assert read(with_options, asked="local").executor == Choice(name="local", nice=3)
    # Another executor has other options: those of the file are not for it.
    assert read(with_options, asked="ray").executor == Choice(name="ray")
    overrides = ["executor.address=auto"]
    assert read(None, overrides, "ray").executor == Choice(name="ray", address="auto")
    with pytest.raises(UserError, match=r"executor: must be a name, or a mapping"):
        read(3)
    assert [c.identity() for c in plan(read(with_options))] == [
        c.identity() for c in plan(read(None))
    ]


def test_other_executors_load_nothing_of_theirs_until_they_are_used():
    code = (
        "import sys; from benchmark.executors import EXECUTORS;"
        "assert 'local' in EXECUTORS; print({'ray', 'submitit'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "set()", done.stderr
