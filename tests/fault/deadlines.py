"""T21: the deadline of the hook and of the client, against every hostile service there is.

Beside them a thread waits for the same time again and again with no service at all: what is
allowed is twice the longest of these waits, which on an idle machine is twice the deadline.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from made_up import history_of
from reliability import Result

from fault.hostile_services import (
    HANDSHAKE_FAULTS,
    SERVER_FAULTS,
    FaultyServer,
    certificate,
    stop_at_once,
)
from oracle.client import Client
from oracle.errors import OracleError
from oracle.hook import watch

TIMEOUT_S = 1.0
#: Of the deadline: what is promised, and what a machine that waits that long itself cannot explain.
PROMISED, BROKEN = 1.2, 2.0
#: Services at a time: most of them only wait.
TOGETHER = 8
HISTORY = history_of((1.0,), total_epochs=10.0)


def deadlines(folder: Path, n: int) -> Result:
    """Ask every hostile service once by the hook and once by the client, `n` rounds."""
    result = Result()
    pem = certificate(folder)
    tls = None
    if pem is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
    services = _services(tls)
    late: list[float] = []
    with _trusted(pem), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked = [(ask, *one) for _ in range(n) for ask in (_hook, _client) for one in services]
        with _waits() as waits_s, ThreadPoolExecutor(TOGETHER) as pool:
            timed = list(pool.map(_timed, *zip(*asked, strict=True)))
        allowed_s = BROKEN * max(waits_s)
        for name, took in timed:
            result.check(took < allowed_s, f"{name}: {took:.2f} s, {allowed_s:.2f} s are allowed")
            late.append(took / TIMEOUT_S)
        begun = time.monotonic()
        while _left_behind() and time.monotonic() < begun + TIMEOUT_S:
            time.sleep(0.01)
        result.check(not _left_behind(), f"threads left behind: {_left_behind()}")
    beyond = sum(share > PROMISED for share in late)
    if beyond:
        result.missed = f"{beyond} of {len(late)} later than {PROMISED} deadlines"
    result.seen |= {"services": len(services), "slowest": f"{max(late):.2f} deadlines"}
    return result


def _services(tls: ssl.SSLContext | None) -> list[tuple[str, Callable[[], FaultyServer]]]:
    """Name every service and how it is started."""
    found: list[tuple[str, Callable[[], FaultyServer]]] = [
        (name, lambda fault=fault: FaultyServer(fault)) for name, fault in SERVER_FAULTS.items()
    ]
    found += [
        (name, lambda handshake=handshake: FaultyServer(handshake=handshake))
        for name, handshake in HANDSHAKE_FAULTS.items()
    ]
    if tls is not None:
        found += [
            (f"{name}, TLS", lambda fault=fault: FaultyServer(fault, tls=tls))
            for name, fault in SERVER_FAULTS.items()
        ]
    return found


def _timed(
    ask: Callable[[str], float], name: str, start: Callable[[], FaultyServer]
) -> tuple[str, float]:
    service = start()
    try:
        return f"{ask.__name__} of {name}", ask(service.url)
    finally:
        service.close()


def _hook(url: str) -> float:
    """Report once; seconds that it took."""
    run = watch(total_epochs=10, url=url, run_id="r", policy=stop_at_once(), timeout_s=TIMEOUT_S)
    begin = time.monotonic()
    answer = run.report(1, mqe=1.0, topographic_error=0.1, dead_neuron_ratio=0.1)
    took = time.monotonic() - begin
    assert not answer.stop
    assert run.fitness().mqe == 1.0
    return took


def _client(url: str) -> float:
    """Append once; seconds that it took."""
    with Client(url, timeout_s=TIMEOUT_S, attempts=1) as client:
        begin = time.monotonic()
        with suppress(OracleError, ValueError):
            client.append("r", HISTORY, stop_at_once())
        return time.monotonic() - begin


@contextmanager
def _waits() -> Iterator[list[float]]:
    """Wait for the deadline again and again meanwhile; gives the seconds of each."""
    over, waits_s = threading.Event(), list[float]()

    def wait() -> None:
        while not over.is_set():
            begin = time.monotonic()
            threading.Event().wait(TIMEOUT_S)
            waits_s.append(time.monotonic() - begin)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield waits_s
    finally:
        over.set()
        thread.join()


def _left_behind() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "som-oracle-post"]


@contextmanager
def _trusted(pem: Path | None) -> Iterator[None]:
    """Let the client's side believe the certificate."""
    before = os.environ.get("SSL_CERT_FILE")
    if pem is not None:
        os.environ["SSL_CERT_FILE"] = str(pem)
    try:
        yield
    finally:
        os.environ.pop("SSL_CERT_FILE")
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
