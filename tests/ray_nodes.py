"""A Ray cluster of several nodes on this machine, reached by its loopback address alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
#: Ray takes 127.0.0.1 for an address that others cannot reach, and listens on all; this keeps it
#: there. Its name tells of the systems where it is the default.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
}
_NODE = {
    "num_cpus": 1,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80_000_000,  # the least that Ray takes
    "include_log_monitor": False,
}


def patiently(begin: Callable[[], T], times: int = 3) -> T:
    """Begin a node; Ray gives one half a minute to answer, whatever else the machine does."""
    for _ in range(times - 1):
        try:
            return begin()
        except Exception as error:
            print("once more:", error)
    return begin()


class Nodes:
    """The nodes of a cluster; its head is one of them, and works, too."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.address: str = cluster.address
        self.others: list[Any] = []

    def add(self, **environment: str) -> Any:
        """Begin a node; gives what `kill` takes."""
        variables = {**ENVIRONMENT, **environment}
        return patiently(lambda: self._cluster.add_node(**_NODE, env_vars=variables))

    def kill(self, node: Any) -> None:
        """End a node with SIGKILL, its raylet first."""
        self._cluster.remove_node(node, allow_graceful=False)


@contextmanager
def ray_nodes(count: int) -> Iterator[Nodes]:
    """Give a cluster of so many nodes, one core each."""
    os.environ |= ENVIRONMENT  # read when Ray is imported
    from ray.cluster_utils import Cluster

    head = {**_NODE, "include_dashboard": False, "env_vars": ENVIRONMENT}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    try:
        nodes = Nodes(cluster)
        for _ in range(count - 1):
            nodes.others.append(nodes.add())
        yield nodes
    finally:
        cluster.shutdown()
