"""A Ray cluster of several nodes on this machine, any of which can be killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmark.executors.ray import check_installed

STORE_BYTES = 80 * 2**20
"""Of a node's object store, the least that Ray takes: only news and run folders pass through."""

QUICK_TO_SEE_A_DEATH = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""By default Ray takes a quarter of a minute to see that a node is gone."""


class Nodes:
    """Nodes that are processes of this machine: one for the runner, the others train."""

    def __init__(self, count: int, **resources: float) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
                "_system_config": QUICK_TO_SEE_A_DEATH,
            },
        )
        self.address: str = self._cluster.address
        self._resources = resources
        self._training: list[Any] = []
        for _ in range(count):
            self.add()

    def add(self) -> None:
        """One more node with one core, and what else the nodes are to have."""
        node = self._cluster.add_node(
            num_cpus=1, object_store_memory=STORE_BYTES, **self._resources
        )
        self._training.append(node)

    def kill(self, name: str) -> None:
        """Take a node away, with all that runs on it, by SIGKILL.

        Args:
            name: the beginning of its id.
        """
        (node,) = (one for one in self._training if one.node_id.startswith(name))
        self._training.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        self._cluster.shutdown()


@contextmanager
def nodes_here(count: int, **resources: float) -> Iterator[Nodes]:
    """So many nodes that train, in files of their own; they end with the block.

    Args:
        resources: of each node, besides its core, as Ray names them (``num_gpus=1``).
    """
    check_installed()
    # Short, as the system limits the names of the sockets that lie deep in it.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    before = os.environ.get("RAY_TMPDIR")
    os.environ["RAY_TMPDIR"] = folder
    try:
        nodes = Nodes(count, **resources)
        try:
            yield nodes
        finally:
            nodes.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("RAY_TMPDIR")
        if before is not None:
            os.environ["RAY_TMPDIR"] = before
