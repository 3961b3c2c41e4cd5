"""Runs on a Ray cluster: one task, and for it one process, a run.

Where the nodes share a disk (``shared: true``, the default), they see the clone, the results and
the cache at the same paths as the runner, and train in the run folders themselves. Where they do
not, each gets a copy of the clone's code from Ray, decodes the data itself, trains in a temporary
folder and sends the run folder back, after every epoch and at the end.

A run whose node or process is lost goes on elsewhere from its last epoch. The retries are ours,
not Ray's, because each is shown and a run that failed by itself must not be tried again.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import Field

from benchmark.executors.base import Event, Executor, Job, register_executor
from benchmark.options import UserError

HOST_AND_PORT = re.compile(r"[^:/\s]+:\d{1,5}")


@register_executor("ray")
@dataclass(frozen=True)
class RayExecutor(Executor):
    """Runs on a Ray cluster, elsewhere again where a node dies.

    Attributes:
        address: ``auto`` for the cluster that this machine is part of, ``HOST:PORT`` of its head,
            or ``local`` for one on this machine that ends with the command.
        retries: how often a run that lost its node or its process goes on elsewhere.
        shared: whether all nodes see the clone, the results and the cache at the same paths.
    """

    address: str = "auto"
    retries: Annotated[int, Field(ge=0)] = 3
    shared: bool = True

    def __post_init__(self) -> None:
        check_installed()
        if self.address not in ("auto", "local") and not HOST_AND_PORT.fullmatch(self.address):
            raise ValueError(f"address: must be auto, local or HOST:PORT, got '{self.address}'")

    def prepare(self) -> None:
        """See whether the cluster takes this program, before anything is decoded or cleared.

        Raises:
            UserError: it cannot be reached, or it refuses.
        """
        if self.address != "local":  # that one starts with the runs
            with self._connected({}):
                pass

    def run(self, jobs: list[Job], on_event: Callable[[Event], None]) -> None:
        """See :class:`Executor`.

        Raises:
            UserError: the cluster cannot be reached, or was lost.
        """
        from benchmark.executors.on_ray.carriers import SharedDisk, Shipping
        from benchmark.executors.on_ray.runs import Runs

        carrier = SharedDisk() if self.shared else Shipping()
        with self._connected(carrier.runtime_env()):
            Runs(self, carrier, jobs, on_event).to_the_end()

    def places(self, runs: int) -> str:
        return f"the Ray cluster '{self.address}', {super().places(runs)}"

    @contextmanager
    def _connected(self, runtime_env: dict[str, Any]) -> Iterator[None]:
        import ray

        from benchmark.executors.on_ray.head import knock, resolve

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that starts here
        try:
            address = resolve(self.address)
            own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
            if not own:
                knock(address)
            ray.init(
                address,
                runtime_env=runtime_env,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **own,
            )
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(
                f"executor.address: no Ray cluster can be used at '{self.address}' ({reason}); "
                "start one with `ray start --head`, give its HOST:PORT, or `local` for one here"
            ) from None
        try:
            yield
        except ray.exceptions.RayError as error:
            raise UserError(
                f"executor: the Ray cluster was lost ({str(error).partition(chr(10))[0]}); "
                "`run` again continues"
            ) from None
        finally:
            ray.shutdown()


def check_installed() -> None:
    """Whether Ray is; a :class:`UserError` says how to get it."""
    if find_spec("ray") is None:
        raise UserError(
            "executor: 'ray' needs the package ray, which is not installed; "
            'python3 -m pip install -e ".[ray]" -c constraints.txt brings it'
        )
