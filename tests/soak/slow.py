"""T11: clients that say nothing, little by little, or never read, beside honest ones."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path

from reliability import Result
from serving import Server, checkpoint

from soak.load import Clients

TIMEOUT_S = 1.0
#: How much later than its deadline a socket may be closed.
SLACK_S = 4.0
#: When to give up waiting for it.
PATIENCE_S = 60.0
HEAD = b"POST /v1/forecast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
KINDS = {
    "silent": b"",
    "half a line": b"POST /v1/fore",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 500\r\n\r\n{",
    "endless head": HEAD + b"X: " + b"a" * 100,
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
}


def slow_clients(folder: Path, n: int) -> Result:
    """Open `n` slow sockets while two honest clients work."""
    result = Result()
    with Server(folder, receive_timeout_s=TIMEOUT_S, write_timeout_s=TIMEOUT_S) as server:
        with Clients(server.port, 2) as honest:
            sockets = []
            for i in range(n):
                kind = list(KINDS)[i % len(KINDS)]
                slow = socket.create_connection(("127.0.0.1", server.port))
                slow.sendall(KINDS[kind])
                slow.setblocking(False)
                sockets.append((kind, slow))
            opened = time.monotonic()
            open_ones = list(sockets)
            slowest_s = 0.0
            while open_ones and time.monotonic() - opened < PATIENCE_S:
                still = [one for one in open_ones if not _closed(one[1])]
                if len(still) < len(open_ones):
                    slowest_s = time.monotonic() - opened
                open_ones = still
                for kind, slow in open_ones:
                    if kind != "silent":
                        with suppress(OSError):
                            slow.send(b"a")  # drips
                time.sleep(0.05)
            for kind, slow in sockets:
                result.check((kind, slow) not in open_ones, f"{kind} is open")
                slow.close()
            seen = honest.begin_again()
        # A machine that answers honest clients slowly closes sockets slowly, too.
        allowed_s = TIMEOUT_S + SLACK_S + 2 * max(seen.took_s, default=0.0)
        result.check(slowest_s < allowed_s, f"closed after {slowest_s:.1f} s")
        result.check(seen.statuses.get(200), "no honest answer")
        result.check(set(seen.statuses) <= {200}, f"honest {seen.statuses}")
        result.check(not seen.problems, f"honest {seen.problems[:3]}")
        result.check(_unread_is_cut(server), "a client that never reads is never cut off")
    result.seen |= {
        "deadline": f"{TIMEOUT_S:g} s",
        "last closed after": f"{slowest_s:.1f} s",
        "honest answers": f"{sum(seen.statuses.values()):,}",
    }
    return result


def _closed(slow: socket.socket) -> bool:
    try:
        return slow.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _unread_is_cut(server: Server) -> bool:
    """Ask for a great deal over one connection and read nothing."""
    import httpx

    history = checkpoint(1)
    for name in ("epochs", "mqe", "topographic_error", "dead_neuron_ratio"):
        history[name] = [history[name][0] + (i if name == "epochs" else 0) for i in range(1000)]
    httpx.post(f"{server.url}/v1/runs/big/checkpoints", json=history, timeout=60).raise_for_status()
    with socket.create_connection(("127.0.0.1", server.port)) as deaf:
        # Its buffers keep their size: with tiny ones TCP stalls before the server has to wait.
        request = b"GET /v1/runs/big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                deaf.settimeout(0.5)
                deaf.sendall(request)
            except TimeoutError:
                continue
            except OSError:
                return True
            time.sleep(0.002)
    return False
