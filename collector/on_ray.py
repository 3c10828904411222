"""Runs made by a Ray cluster: packets of some seconds, spread over its nodes.

An `Engine` of `collector.collect`, whose journal stays where the command runs: a node that dies
costs the packets it was at, which Ray gives to others, and a killed command goes on where it was.
What makes a run is the same everywhere or refused: every packet tells the code of its node.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from collector.collect import ONE_THREAD, Make
from collector.shards import code_version
from oracle.errors import OracleError, must_be
from oracle.types.addresses import taken_apart

#: Work in a packet, seconds: what a dead node costs at most, and some thousand times what Ray adds.
PACKET_S = 10.0
#: Runs in a packet, at most: its answer is held in memory.
MOST_IN_PACKET = 1000
#: Packets that every core of the cluster has: one at work and one that waits for it.
PACKETS_A_CORE = 2
#: Nodes that may die one after the other under one packet.
MOST_LOST = 5
#: How long an address is tried, and how long a node may take to answer at all, seconds.
CONNECT_S, ANSWER_S = 10.0, 120.0

#: Read by Ray when it is imported: it would try a wrong address for a quarter of an hour.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "1",
    "RAY_py_gcs_connect_timeout_s": str(int(CONNECT_S)),
}


class RayEngine:
    """Make runs on a Ray cluster, as an `Engine` of `collect`.

    Its `workers` bound the cores that are used at once (default: all that the cluster has).

    Args:
        address: auto = the cluster of this machine or of RAY_ADDRESS, host:port of its head, or
            ray://host:port of its client server.

    Attributes:
        made: runs that were made on each node, by the node's name.
    """

    def __init__(self, address: str = "auto") -> None:
        self.address = address
        self.made: Counter[str] = Counter()

    def __call__(
        self, make: Make, indices: Sequence[int], workers: int | None
    ) -> Iterator[tuple[int, str]]:
        """Map indices to entries, in any order.

        Raises:
            OracleError: there is no cluster, a node has no or other code, or a packet was lost too
                often.
        """
        if not indices:
            return
        with _connected(self.address) as ray:
            work, code = ray.cloudpickle.dumps(make), code_version()
            packet = ray.remote(
                num_cpus=1,
                max_retries=MOST_LOST,
                runtime_env={"env_vars": dict.fromkeys(ONE_THREAD, "1")},
            )(_packet_by_value())
            _check_nodes(ray, packet, code)
            todo, running = deque(indices), dict[Any, list[int]]()
            while todo or running:
                most = PACKETS_A_CORE * _cores(ray, workers)
                while todo and len(running) < most:
                    # Ever smaller ones: at the end no core waits long for another's.
                    size = min(MOST_IN_PACKET, max(1, len(todo) // most))
                    share = [todo.popleft() for _ in range(size)]
                    running[packet.remote(work, share, code, PACKET_S)] = share
                done, _ = ray.wait(list(running), num_returns=1)
                share = running.pop(done[0])
                node, refused, entries = _answer(ray, done[0])
                if refused:
                    raise _other_code([f"{node} {refused}"])
                todo.extendleft(reversed(share[len(entries) :]))
                self.made[node] += len(entries)
                yield from zip(share, entries, strict=False)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Give Ray, connected; a connection that was there already is used and left open."""
    if address != "auto":
        _check_reachable(address)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.cloudpickle
    except ModuleNotFoundError:
        advice = "Install it: pip install 'som-oracle[collect,ray]'."
        raise OracleError(must_be("--engine", "one whose library is here", "ray", advice)) from None
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # ConnectionError, RuntimeError, ValueError; versions of Ray, too
        raise _no_cluster(address, f"{type(error).__name__}: {_first_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    parts = taken_apart(address if "://" in address else f"//{address}")
    if parts is None or parts.scheme not in ("", "ray") or not parts.port:
        rule = "auto, HOST:PORT or ray://HOST:PORT"
        raise OracleError(must_be("--address", rule, address))
    try:
        socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from None


def _no_cluster(address: str, why: str) -> OracleError:
    advice = "`ray start --head` begins one, and prints its address."
    return OracleError(
        must_be("--address", "that of a Ray cluster", f"{address} ({why.rstrip('.')})", advice)
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _cores(ray: Any, workers: int | None) -> int:
    """Give the cores to use now: nodes come and go."""
    found = int(ray.cluster_resources().get("CPU", 0))
    return max(1, found if workers is None else min(workers, found))


def _check_nodes(ray: Any, packet: Any, code: Any) -> None:
    """Ask every node for its code before any work is done.

    Raises:
        OracleError: nodes that have another, or none, or do not answer; all of them are named.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    names = {
        node["NodeID"]: f"{node['NodeManagerHostname']}/{node['NodeID'][:6]}"
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    }
    if not names:
        rule = "a cluster with a node that has cores"
        raise OracleError(must_be("--engine ray", rule, "none", "`ray status` lists its nodes."))
    asked = {
        packet.options(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(b"", [], code, 0.0): name
        for node, name in names.items()
    }
    ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    wrong = [f"{asked[ref]} did not answer in {ANSWER_S:g} s" for ref in silent]
    for ref in ready:
        with suppress(_Lost):  # it died meanwhile, and gets no packet
            node, refused, _ = _answer(ray, ref)
            wrong += [f"{node} {refused}"] if refused else []
    if wrong:
        raise _other_code(wrong)


def _other_code(nodes: list[str]) -> OracleError:
    advice = "Install the same som-oracle[collect,ray] with the same libraries on all of them."
    return OracleError(
        f"`--engine ray` must find the code of this command on every node: {'; '.join(nodes)}. "
        f"{advice}"
    )


class _Lost(OracleError):
    """A packet was lost with its node, again and again."""


def _answer(ray: Any, ref: Any) -> tuple[str, str, list[str]]:
    """Take what a packet answers: node, why it refuses, the entries of its first indices."""
    try:
        node, refused, entries = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None
    except ray.exceptions.RayError as error:
        raise _Lost(
            f"A packet of runs was lost {MOST_LOST + 1} times ({_first_line(error)}), perhaps for "
            "lack of memory on a node. What was not finished is missing: run the command again "
            "to go on."
        ) from None
    return node, refused, entries


def _packet_by_value() -> Any:
    """Give what a node runs: sent as it is, so that a node without our package can say so."""

    def packet(
        work: bytes, indices: list[int], code: dict[str, str], seconds: float
    ) -> tuple[str, str, list[str]]:
        import platform
        import time

        import ray
        from ray import cloudpickle

        node = f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:6]}"
        try:
            from collector.shards import code_version
        except ImportError as error:
            return node, f"has no som-oracle ({error})", []
        here = code_version()
        if here != code:
            told = [f"{name} {here.get(name)} where this command has {code[name]}"
                    for name in code if here.get(name) != code[name]]  # fmt: skip
            return node, f"has other code: {', '.join(told)}", []
        entries: list[str] = []
        until = time.monotonic() + seconds
        try:
            make: Any = cloudpickle.loads(work) if indices else None
            for index in indices:
                entries.append(make(index))
                if time.monotonic() > until:
                    break
        except Exception:
            if not entries:
                raise
            # Those before it are kept; the one that fails comes first in the next packet.
        return node, "", entries

    return packet
