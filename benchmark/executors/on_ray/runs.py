"""The runner's side of runs on a Ray cluster: submit, listen, try again, bring home."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RaySystemError, RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark.executors.base import Event, Job, timed_out
from benchmark.executors.on_ray.carriers import Carrier
from benchmark.executors.on_ray.head import Head
from benchmark.executors.on_ray.node import Inbox, Ticket
from benchmark.executors.worker import BUSY
from benchmark.options import UserError
from benchmark.store import RunFolder

if TYPE_CHECKING:
    from benchmark.executors.ray import RayExecutor

AT_A_TIME = 500
"""Runs that Ray is given at a time unless ``workers`` says how many: more than it has room for, so
that a cluster which grows with its queue does."""
POLL = 0.5
"""Seconds between two looks at what the runs said."""
RETRY_AFTER = 3.0
"""Seconds before a cell that another ``run`` holds is tried again."""
LOOK_FOR_ROOM = 5.0
"""Seconds between two looks at whether the cluster has a node that could take a run."""


@dataclass
class Flight:
    """A job on its way to its end.

    Attributes:
        ticket: of the attempt under way.
        lost: attempts that ended with their node or process.
        not_before: monotonic time before which it is not tried.
        held: what the runner holds for it, such as the lock of its folder.
        began: monotonic time at which the attempt began; None while it waits for room.
        stopped: why it was ended from here, as for its time; empty where it was not.
    """

    job: Job
    ticket: Ticket
    lost: int = 0
    not_before: float = 0.0
    held: ExitStack = field(default_factory=ExitStack)
    began: float | None = None
    stopped: str = ""

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.job.folder)


class Runs:
    """Jobs on the cluster that this process is connected to."""

    def __init__(
        self,
        options: RayExecutor,
        carrier: Carrier,
        jobs: list[Job],
        on_event: Callable[[Event], None],
    ) -> None:
        self.options, self.carrier, self.on_event = options, carrier, on_event
        self.waiting = deque(Flight(job, Ticket(n, 0)) for n, job in enumerate(jobs))
        self.flying: dict[Any, Flight] = {}
        self.current: dict[Ticket, Flight] = {}
        self.looked = 0.0
        # Retried here, not by Ray, so that each retry is told; and a process a run.
        takes = options.resources
        self.task = ray.remote(max_calls=1, max_retries=0)(carrier.train).options(
            num_cpus=takes.cpu, num_gpus=takes.gpu, memory=takes.memory
        )
        beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.head = Head(ray.get_runtime_context().gcs_address)
        actor: Any = ray.remote(num_cpus=0)(Inbox)
        self.inbox = actor.options(scheduling_strategy=beside).remote()

    def to_the_end(self) -> None:
        """Run all jobs; whatever happens, none is left running."""
        try:
            while self.waiting or self.flying:
                answers = self.head.look()
                self._submit()
                ended = self._wait()
                self._listen()
                for reference in ended:
                    self._end(reference)
                self._expire()
                if answers:  # else the question might never return
                    self._look_for_room()
        finally:
            for reference, flight in self.flying.items():
                ray.cancel(reference, force=True)
                flight.held.close()
            if self.flying:
                ray.wait(list(self.flying), num_returns=len(self.flying), timeout=10)

    def _submit(self) -> None:
        """Hand Ray those whose time has come, as many as it is to have."""
        for _ in range(len(self.waiting)):
            if len(self.flying) >= (self.options.workers or AT_A_TIME):
                return
            flight = self.waiting.popleft()
            if time.monotonic() < flight.not_before:
                self.waiting.append(flight)
            elif not flight.held.enter_context(self.carrier.hold(flight.folder)):
                self._try_later(flight)
            else:
                self._send(flight)

    def _send(self, flight: Flight) -> None:
        flight.folder.forget_failure()  # else one that never begins would seem the same
        job = _absolute(flight.job)
        try:
            cargo = self.carrier.cargo(job)
        except ValueError as error:
            flight.folder.fail(f"cannot be sent to a node: {error}")
            self._over(flight)
            return
        reference = self.task.remote(job, self.inbox, flight.ticket, cargo)
        self.flying[reference] = self.current[flight.ticket] = flight

    def _wait(self) -> list[Any]:
        """Tasks that have ended, after a moment where none has."""
        if not self.flying:
            time.sleep(POLL)
            return []
        ended, others = ray.wait(list(self.flying), timeout=POLL)
        return ended + ray.wait(others, num_returns=len(others), timeout=0)[0] if others else ended

    def _listen(self) -> None:
        """Pass on what the runs said; nothing of attempts that are over."""
        news = ray.get(self.inbox.take.remote())
        for ticket, machine in news.started.items():
            if flight := self.current.get(ticket):
                flight.began = time.monotonic()
                self.on_event(Event(flight.job, "started", detail=f"on {machine}"))
        for ticket, progress in news.progress:
            if flight := self.current.get(ticket):
                self.on_event(Event(flight.job, "progress", progress))
        for ticket, files in news.folders.items():
            if flight := self.current.get(ticket):
                try:
                    self.carrier.deliver(flight.folder, files)
                except ValueError as error:
                    self._stop(flight, _unusable(error))

    def _end(self, reference: Any) -> None:
        """A task is over: its run has ended, or is to be tried again."""
        flight = self.flying.pop(reference)
        del self.current[flight.ticket]
        try:
            code, files = ray.get(reference)
            if code == BUSY:
                self._try_later(flight)
                return
            self.carrier.deliver(flight.folder, files)
        except RayError as error:
            if _is_of_the_run(error):
                flight.folder.fail(*_failure(error))
            elif self._try_elsewhere(flight, error):
                return
        except ValueError as error:
            flight.folder.fail(_unusable(error))
        if flight.folder.outcome() is None and flight.folder.failure() is None:
            flight.folder.fail("the process ended and left no result")
        self._over(flight)

    def _over(self, flight: Flight) -> None:
        flight.held.close()
        self.on_event(Event(flight.job, "ended"))

    def _try_elsewhere(self, flight: Flight, error: RayError) -> bool:
        """Whether a run whose node or process is gone goes on; if not, its folder says why."""
        why = _first_sentence(error)
        flight.lost += 1
        if flight.folder.outcome() is not None:  # it was lost after its end
            return False
        if flight.stopped:
            flight.folder.fail(flight.stopped)
            return False
        if flight.lost > self.options.retries:
            times = "once" if flight.lost == 1 else f"{flight.lost} times"
            flight.folder.fail(f"what it ran on was lost {times}, more is not tried; {why}")
            return False
        self._put_back(flight)
        self.on_event(Event(flight.job, "retried", detail=why))
        return True

    def _try_later(self, flight: Flight) -> None:
        self._put_back(flight)
        flight.not_before = time.monotonic() + RETRY_AFTER
        self.on_event(Event(flight.job, "waiting", detail="another run is at work on it"))

    def _put_back(self, flight: Flight) -> None:
        flight.held.close()
        flight.began = None
        flight.ticket = replace(flight.ticket, attempt=flight.ticket.attempt + 1)
        self.waiting.append(flight)

    def _expire(self) -> None:
        """End the runs whose time is over."""
        if self.options.timeout is None:
            return
        limit = time.monotonic() - self.options.timeout
        for flight in self.flying.values():
            if flight.began is not None and flight.began < limit:
                self._stop(flight, timed_out(self.options.timeout))

    def _stop(self, flight: Flight, why: str) -> None:
        """End the attempt under way, which is the last."""
        if not flight.stopped:
            flight.stopped = why
            ray.cancel(next(key for key, one in self.flying.items() if one is flight), force=True)

    def _look_for_room(self) -> None:
        """Say so where runs wait for a node that the cluster does not have (yet)."""
        queued = [flight for flight in self.flying.values() if flight.began is None]
        if not queued or len(queued) < len(self.flying):
            return
        if time.monotonic() < self.looked + LOOK_FOR_ROOM:
            return
        self.looked = time.monotonic()
        asked = self.options.resources
        needed = {"CPU": asked.cpu, "GPU": asked.gpu, "memory": asked.memory or 0}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(k, 0) >= v for k, v in needed.items()) for node in nodes):
            text = ", ".join(f"{key} {value:g}" for key, value in needed.items() if value)
            detail = f"no node of the cluster has {text}"
            self.on_event(Event(queued[0].job, "waiting", detail=detail))


def _absolute(job: Job) -> Job:
    """The processes on the nodes start in folders of their own."""
    splits = {name: path.absolute() for name, path in job.splits.items()}
    return replace(job, folder=job.folder.absolute(), splits=splits)


def _is_of_the_run(error: RayError) -> bool:
    """Whether a task failed by itself; what never reached its code is the node's fault."""
    if isinstance(error, RayTaskError):
        return not isinstance(error.cause, RaySystemError)
    return isinstance(error, RuntimeEnvSetupError)


def _failure(error: RayError) -> tuple[str, str]:
    """What ``failure.json`` says of a task that failed by itself: the error, the traceback."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, UserError):  # its text is all that the user needs to see
        return str(cause), ""
    return (f"{type(cause or error).__name__}: {cause or _first_sentence(error)}", str(error))


def _unusable(error: ValueError) -> str:
    return f"what the node sent cannot be used: {error}"


def _first_sentence(error: RayError) -> str:
    return str(error).partition("\n")[0].partition(". ")[0]
