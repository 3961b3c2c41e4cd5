"""The process that a Ray cluster cannot do without, and whether it is still there.

Ray itself ends the program, with no exception to catch, a minute after that process is gone.
"""

from __future__ import annotations

import socket
import time

from benchmark.options import UserError

PATIENCE = 10.0
"""Seconds to wait for an answer before there is a connection."""
LOOK_EVERY = 1.0
"""Seconds between two looks while runs are under way."""
LOOK_PATIENCE = 3.0
"""Seconds to wait for an answer to one of them."""
MISSES = 5
"""Looks in a row without an answer after which the head counts as gone: within 20 seconds, so that
there is time to end what runs; a network that fails for a moment ends nothing."""


def resolve(address: str) -> str:
    """``HOST:PORT`` or ``local``, for ``auto`` what :func:`ray.init` would find.

    Raises:
        ConnectionError, ValueError: no cluster has left its address.
    """
    # Ray's search (RAY_ADDRESS, processes of this machine, the file that `ray start` writes) has
    # no public name, and another one would sometimes find another cluster.
    from ray._private.services import canonicalize_bootstrap_address

    return address if address != "auto" else canonicalize_bootstrap_address(address) or "local"


def knock(address: str, patience: float = PATIENCE) -> None:
    """Raise OSError where nobody listens: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=patience).close()


class Head:
    """The head of the cluster that this process is connected to."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._looked = time.monotonic()
        self._missed = 0

    def look(self) -> bool:
        """Whether it answered the last time it was asked, which may be now.

        Raises:
            UserError: it has not for :data:`MISSES` times in a row.
        """
        if time.monotonic() < self._looked + LOOK_EVERY:
            return not self._missed
        try:
            knock(self.address, LOOK_PATIENCE)
            self._missed = 0
        except OSError:
            self._missed += 1
        self._looked = time.monotonic()
        if self._missed >= MISSES:
            raise UserError(
                f"executor: the head of the Ray cluster, {self.address}, does not answer any "
                "more; `run` again, once there is a cluster, continues"
            )
        return not self._missed
