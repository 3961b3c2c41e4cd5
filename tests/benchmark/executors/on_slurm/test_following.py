"""What is told of tasks whose states a test wrote down, one table of states a look."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.executors import Event, Job
from benchmark.executors.on_slurm.clusters import Cluster, Wishes
from benchmark.executors.on_slurm.following import Follower
from benchmark.executors.on_slurm.task import Task
from benchmark.options import UserError
from benchmark.store import RunFolder

WISHES = Wishes(workers=None, cpus=1, gpus=0, memory=None, minutes=60, retries=3)
RESULT = {"status": "done", "metrics": {"AP": 0.25}}


class Scripted(Cluster):
    """Tells of its tasks, ``"0"``, ``"1"``, ..., what the script says, look by look.

    The script's last line holds for all looks after it. A line may be a function that gives the
    states, or None for a cluster that does not answer.
    """

    def __init__(
        self, *script: dict[str, str] | Callable[[], dict[str, str]] | None, **wishes: int
    ) -> None:
        super().__init__(replace(WISHES, **wishes))
        self.script = list(script)
        self.submitted: list[str] = []
        self.cancelled: list[str] = []

    def submit(self, tasks: list[Task], folder: Path) -> list[str]:
        folder.mkdir(parents=True)
        names = [str(len(self.submitted) + number) for number in range(len(tasks))]
        self.submitted += [task.job.folder.name for task in tasks]
        return names

    def states(self, names: set[str]) -> dict[str, str] | None:
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return line() if callable(line) else line

    def last_state(self, task: str) -> str:
        return "NODE_FAIL"

    def cancel(self, tasks: list[str]) -> None:
        self.cancelled += tasks


@pytest.fixture
def make_job(make_cell, tmp_path):
    def make(name: str, **settings) -> Job:
        folder = tmp_path / "store" / "runs" / name
        folder.mkdir(parents=True)
        return Job(make_cell(**settings), folder, {})

    return make


def follow(cluster: Cluster, *jobs: Job) -> list[Event]:
    events: list[Event] = []
    follower = Follower(cluster, None, events.append)
    follower.take(list(jobs), poll=0)
    follower.follow(poll=0)
    return events


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_run_is_told_from_its_start_over_its_epochs_to_its_end(make_job):
    job = make_job("a", epochs=4)
    folder = RunFolder(job.folder)
    rows = [{"epoch": 0, "AP": 0.0}, {"epoch": 1, "AP": 0.5, "loss_total": 2.0}]

    def begin() -> dict[str, str]:
        folder.write_history(rows)
        return {"0": "RUNNING"}

    def go_on() -> dict[str, str]:
        folder.write_history([*rows, {"epoch": 2, "loss_total": 1.5}])  # without validation
        return {"0": "RUNNING"}

    def end() -> dict[str, str]:
        folder.finish(RESULT)
        return {"0": "COMPLETED"}

    states = [{"0": "PENDING"}, begin, {"0": "RUNNING"}, go_on, {"0": "COMPLETING"}, end]
    events = follow(Scripted(*states), job)
    assert kinds(events) == ["started", "progress", "progress", "ended"]
    first, second = (event.progress for event in events if event.progress is not None)
    assert (first.epoch, first.epochs, first.fraction, first.loss) == (1, 4, 0.25, 2.0)
    assert (second.epoch, second.fraction, second.loss, second.metric) == (2, 0.5, 1.5, 0.5)
    assert folder.failure() is None


def test_a_run_that_is_queued_again_is_told_so_and_starts_again(make_job):
    job = make_job("a")

    def end() -> dict[str, str]:
        RunFolder(job.folder).finish(RESULT)
        return {"0": "COMPLETED"}

    states = [{"0": "RUNNING"}, {"0": "PENDING"}, {"0": "PENDING"}, {"0": "RUNNING"}, end]
    events = follow(Scripted(*states), job)
    assert kinds(events) == ["started", "retried", "started", "ended"]
    assert "queued again" in events[1].detail


@pytest.mark.parametrize(
    ("state", "parts"),
    [
        ("OUT_OF_MEMORY", ["OUT_OF_MEMORY", "executor.resources.memory"]),
        ("TIMEOUT", ["TIMEOUT", "executor.time"]),
        ("CANCELLED", ["CANCELLED (scancel)"]),
        ("COMPLETED", ["COMPLETED"]),
    ],
)
def test_a_task_that_vanished_becomes_a_failure_with_the_clusters_word(make_job, state, parts):
    job, other = make_job("a"), make_job("b")
    RunFolder(job.folder).fail("what went wrong the last time")
    RunFolder(other.folder).finish(RESULT)
    events = follow(Scripted({"0": state, "1": "COMPLETED"}), job, other)
    assert kinds(events) == ["ended", "ended"]
    failure = RunFolder(job.folder).failure()
    assert failure is not None
    assert all(part in failure["error"] for part in [*parts, "task 0", "store/slurm/lossbench-"])
    assert RunFolder(other.folder).failure() is None


def test_a_task_that_the_cluster_forgot_ends_as_it_says_when_asked(make_job):
    job = make_job("a")
    follow(Scripted({}), job)
    assert "NODE_FAIL" in (RunFolder(job.folder).failure() or {})["error"]


def test_a_result_that_is_seen_late_is_no_failure(make_job):
    job = make_job("a")

    def late() -> dict[str, str]:
        RunFolder(job.folder).finish(RESULT)
        return {"0": "COMPLETED"}

    assert kinds(follow(Scripted({"0": "COMPLETED"}, late), job)) == ["ended"]
    assert RunFolder(job.folder).failure() is None


def test_a_failure_that_the_task_recorded_is_kept(make_job):
    job = make_job("a")

    def fail() -> dict[str, str]:
        RunFolder(job.folder).fail("ValueError: no", "Traceback")
        return {"0": "FAILED"}

    assert kinds(follow(Scripted(fail), job)) == ["ended"]
    assert RunFolder(job.folder).failure() == {"error": "ValueError: no", "traceback": "Traceback"}


def test_a_preempted_task_that_the_cluster_gave_up_is_submitted_again(make_job):
    job = make_job("a")

    def end() -> dict[str, str]:
        RunFolder(job.folder).finish(RESULT)
        return {"1": "COMPLETED"}

    gone = {"0": "PREEMPTED"}
    cluster = Scripted({"0": "RUNNING"}, gone, gone, {"1": "RUNNING"}, end)
    events = follow(cluster, job)
    assert kinds(events) == ["started", "retried", "started", "ended"]
    assert cluster.submitted == ["a", "a"]


def test_a_limit_of_what_is_queued_is_kept_to_the_end(make_job):
    jobs = [make_job(name) for name in "abcde"]
    under_way: list[int] = []

    def end_one() -> dict[str, str]:
        ended = len(under_way)
        under_way.append(len(cluster.submitted) - ended)
        RunFolder(jobs[ended].folder).finish(RESULT)
        tasks = range(len(cluster.submitted))
        return {str(task): "COMPLETED" if task <= ended else "RUNNING" for task in tasks}

    cluster = Scripted(end_one, queued=2)
    assert kinds(follow(cluster, *jobs)).count("ended") == 5
    assert cluster.submitted == list("abcde")
    assert under_way == [2, 2, 2, 2, 1]


@pytest.mark.parametrize(
    ("wishes", "active", "room"),
    [
        ({}, 5000, None),
        ({"queued": 1000}, 0, 1000),
        ({"queued": 1000}, 901, 0),  # a tenth first
        ({"queued": 1000}, 900, 100),
        ({"queued": 1000}, 1200, 0),  # an earlier command had another limit
        ({"queued": 1000, "workers": 50}, 20, 30),
        ({"queued": 5, "workers": 50}, 4, 1),
        ({"workers": 50}, 20, None),  # the array itself holds back the others
    ],
)
def test_what_a_cluster_has_room_for(wishes, active, room):
    assert Scripted({}, **wishes).room(active) == room


def test_a_cluster_that_does_not_answer_is_waited_for(make_job):
    job = make_job("a")

    def end() -> dict[str, str]:
        RunFolder(job.folder).finish(RESULT)
        return {"0": "COMPLETED"}

    events = follow(Scripted({"0": "RUNNING"}, None, None, {"0": "RUNNING"}, end), job)
    assert kinds(events) == ["started", "waiting", "started", "ended"]
    assert "does not answer" in events[1].detail


def submitted_before(job: Job, **tasks: str) -> Path:
    """The record of a submission that an earlier command left."""
    files = job.folder.parents[1] / "slurm" / "lossbench-earlier"
    files.mkdir(parents=True)
    runs = {task.removeprefix("task"): f"runs/{name}" for task, name in tasks.items()}
    (files / "tasks.json").write_text(json.dumps({"tasks": runs}))
    return files


def test_tasks_of_an_earlier_command_are_followed_and_those_that_ended_submitted(make_job):
    still, over, new = make_job("still"), make_job("over"), make_job("new")
    submitted_before(still, task7="still", task8="over")

    def end() -> dict[str, str]:
        for job in (still, over, new):
            RunFolder(job.folder).finish(RESULT)
        return {"7": "COMPLETED", "0": "COMPLETED", "1": "COMPLETED"}

    cluster = Scripted({"7": "RUNNING", "8": "TIMEOUT"}, {"7": "RUNNING"}, end)
    events = follow(cluster, still, over, new)
    assert cluster.submitted == ["over", "new"]
    assert sorted(e.job.folder.name for e in events if e.kind == "ended") == [
        "new",
        "over",
        "still",
    ]


def test_a_damaged_record_is_named(make_job):
    job = make_job("a")
    record = submitted_before(job) / "tasks.json"
    record.write_text('{"tasks": ')
    with pytest.raises(UserError, match=r"tasks\.json: cannot be read as JSON"):
        follow(Scripted({}), job)


def test_events_carry_the_jobs_as_they_were_given(make_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job, earlier = make_job("a"), make_job("earlier")
    near = [replace(one, folder=one.folder.relative_to(tmp_path)) for one in (job, earlier)]
    submitted_before(near[1], task7="earlier")
    for one in near:
        RunFolder(one.folder).finish(RESULT)
    cluster = Scripted({"7": "RUNNING"}, {"0": "COMPLETED", "7": "COMPLETED"})
    events = follow(cluster, *near)
    assert {id(event.job) for event in events} == {id(one) for one in near}
    assert cluster.submitted == ["a"]


def test_what_was_refused_leaves_nothing(make_job, monkeypatch):
    job = make_job("a")
    cluster = Scripted({})

    def refuse(tasks: list[Task], folder: Path) -> list[str]:
        folder.mkdir(parents=True)
        raise UserError("no such partition")

    monkeypatch.setattr(cluster, "submit", refuse)
    with pytest.raises(UserError, match="no such partition"):
        follow(cluster, job)
    assert not (job.folder.parents[1] / "slurm").exists()


def test_files_stay_where_a_run_has_no_result(make_job):
    good, bad = make_job("good"), make_job("bad")
    RunFolder(good.folder).finish(RESULT)
    store = good.folder.parents[1]
    follow(Scripted({"0": "COMPLETED"}), good)
    assert not (store / "slurm").exists()
    follow(Scripted({"0": "COMPLETED", "1": "FAILED"}), good, bad)
    assert len(list(store.glob("slurm/*/tasks.json"))) == 1


def test_cancelling_ends_what_is_under_way_and_forgets_it(make_job):
    jobs = [make_job("a"), make_job("b")]
    cluster = Scripted({})
    follower = Follower(cluster, None, lambda event: None)
    follower.take(jobs, poll=0)
    follower.submit()
    assert follower.cancel() == 0
    assert cluster.cancelled == ["0", "1"]
    assert not (jobs[0].folder.parents[1] / "slurm").exists()


def test_cancelling_leaves_what_an_earlier_command_submitted(make_job):
    earlier, new = make_job("earlier"), make_job("new")
    files = submitted_before(earlier, task7="earlier", task8="of_another_grid")
    record = (files / "tasks.json").read_text()
    cluster = Scripted({"7": "RUNNING", "8": "RUNNING"})
    follower = Follower(cluster, None, lambda event: None)
    follower.take([earlier, new], poll=0)
    follower.submit()
    assert follower.cancel() == 1
    assert cluster.cancelled == ["0"]
    assert (files / "tasks.json").read_text() == record


def test_a_cancelled_submission_keeps_the_tasks_that_failed(make_job):
    bad, long = make_job("bad"), make_job("long")

    def interrupt() -> dict[str, str]:
        raise KeyboardInterrupt

    seen = {"0": "OUT_OF_MEMORY", "1": "RUNNING"}
    follower = Follower(Scripted(seen, seen, interrupt), None, lambda event: None)
    follower.take([bad, long], poll=0)
    with pytest.raises(KeyboardInterrupt):
        follower.follow(poll=0)
    assert follower.cancel() == 0
    (record,) = bad.folder.parents[1].glob("slurm/*/tasks.json")
    assert json.loads(record.read_text()) == {"tasks": {"0": "runs/bad"}}


def test_a_cluster_that_is_silent_at_the_start_gets_nothing_twice(make_job):
    job = make_job("a")
    submitted_before(job, task7="a")

    def end() -> dict[str, str]:
        RunFolder(job.folder).finish(RESULT)
        return {"7": "COMPLETED"}

    cluster = Scripted(None, None, {"7": "RUNNING"}, {"7": "RUNNING"}, end)
    events = follow(cluster, job)
    assert cluster.submitted == []
    assert kinds(events) == ["waiting", "started", "ended"]
    assert "does not answer" in events[0].detail


def test_a_cluster_that_stays_silent_is_told_of_and_gets_nothing(make_job):
    job, new = make_job("a"), make_job("new")
    submitted_before(job, task7="a")
    cluster = Scripted(None)
    with pytest.raises(UserError, match=r"does not say which runs of .*lossbench-earlier are"):
        follow(cluster, job, new)
    assert cluster.submitted == []
    follow_new = Follower(cluster, None, lambda event: None)
    follow_new.take([new], poll=0)  # nothing of it was submitted: there is nothing to ask
    assert list(follow_new.waiting) == [new]
