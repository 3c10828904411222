"""A real server under test: started by the documented command, on a free loopback port."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import psycopg

from oracle.model.artifact import Artifact, read_artifact, resolve, write_artifact

#: A machine that trains on all cores starts a server slowly.
START_DEADLINE_S = float(os.environ.get("START_DEADLINE_S", "60"))
#: Model under test; empty: the shipped default.
MODEL = os.environ.get("SERVED_MODEL", "")
JSON_HEADERS = {"Content-Type": "application/json"}
#: A history of the brief's form with its budget.
HISTORY: dict[str, Any] = {
    "epochs": [10, 50, 100],
    "mqe": [0.5, 0.3, 0.25],
    "topographic_error": [0.1, 0.09, 0.08],
    "dead_neuron_ratio": [0.2, 0.15, 0.12],
    "total_epochs": 1000,
}


def until(condition: Callable[[], object], deadline_s: float, what: str = "condition") -> float:
    """Poll until `condition` holds; returns the seconds it took.

    Raises:
        TimeoutError: after `deadline_s`.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > deadline_s:
            raise TimeoutError(f"{what}: not within {deadline_s:g} s")
        time.sleep(0.02)
    return time.monotonic() - began


class Server:
    """`oracle serve` as a process; `url` once it is up.

    Args:
        folder: for its data and its log.
        options: of its command line, beside the port.
        settings: ORACLE_* settings in lower case without the prefix.
    """

    def __init__(self, folder: Path, *options: str, **settings: object) -> None:
        self._options = options
        self.folder = folder
        self.log = folder / "server.log"
        self.port = int(settings.pop("port", 0))  # type: ignore[call-overload]
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ORACLE_")
        }
        settings = {"data_dir": folder / "data", "model": MODEL, **settings}
        for name, value in settings.items():
            self.environment[f"ORACLE_{name.upper()}"] = str(value)
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, *, ready: bool = True) -> float:
        """Start the process; returns the seconds until it was ready (or just up)."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oracle", "serve", "--port", str(self.port), *self._options],
                env=self.environment,
                stderr=log,
                stdout=subprocess.DEVNULL,
            )
        try:
            until(self._announced, START_DEADLINE_S, "the server's first line")
            until(lambda: self._answers(ready=ready), START_DEADLINE_S, "the server")
        except TimeoutError as error:
            self.kill()
            raise TimeoutError(f"{error}\n{self.log.read_text()}") from None
        return time.monotonic() - began

    def _announced(self) -> bool:
        assert self.process is not None
        text = self.log.read_text()
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended with {self.process.returncode}:\n{text}")
        found = re.search(r"SOM Oracle on (http://\S+):(\d+)", text)
        if found:
            self.url, self.port = f"{found[1]}:{found[2]}", int(found[2])
        return bool(found)

    def _answers(self, *, ready: bool) -> bool:
        # httpx reads certificates for every client it makes: not for what is asked again and again.
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        try:
            connection.request("GET", "/readyz" if ready else "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    def memory_bytes(self) -> int:
        """Resident memory of the server, workers included."""
        main = psutil.Process(self.pid)
        return sum(p.memory_info().rss for p in (main, *main.children(recursive=True)))

    def kill(self) -> None:
        """kill -9, workers included."""
        if self.process is not None and self.process.poll() is None:
            for child in psutil.Process(self.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """Ask it to end; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def checkpoint(epoch: float, mqe: float = 0.5, **fixed: Any) -> dict[str, Any]:
    """One checkpoint as the body of an append."""
    return {
        "epochs": [epoch],
        "mqe": [mqe],
        "topographic_error": [0.1],
        "dead_neuron_ratio": [0.2],
        **fixed,
    }


def copy_model(target: Path, source: str | Path | None = None) -> Artifact:
    """Write a copy of a model under another name, hence with another digest."""
    artifact = read_artifact(resolve(source or MODEL or None))
    return write_artifact(
        target,
        artifact.manifest.model_copy(update={"name": target.name}),
        weights=artifact.weights,
        calibration=artifact.calibration,
        golden=artifact.golden,
        card=artifact.card,
        replace=True,
    )


def body(value: object) -> bytes:
    """JSON bytes of a body."""
    return json.dumps(value).encode()


def postgres_binaries() -> Path | None:
    """Folder of PostgreSQL's programs, None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Postgres:
    """A PostgreSQL cluster of its own on a free loopback port; `url` leads to it.

    PostgreSQL refuses to run as root, so root becomes the user `postgres` or `nobody` for it.

    Args:
        durable: whether commits wait for the disk; tests that cut no power need not.
    """

    def __init__(self, *, durable: bool = True) -> None:
        binaries = postgres_binaries()
        if binaries is None:
            raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
        self.binaries, self.port = binaries, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="oracle-postgres-"))
        self.url = f"postgresql://oracle@127.0.0.1:{self.port}/postgres"
        self._fsync = f"fsync={'on' if durable else 'off'}"
        self._made = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = "postgres" if "postgres" in names else "nobody"
            self._as = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            shutil.chown(self.folder, user)

    def create(self) -> None:
        """Make the cluster."""
        self._call("initdb", "-D", "db", "-U", "oracle", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")  # fmt: skip # noqa: E501

    def database(self) -> str:
        """Make one more database, empty; returns its URL."""
        self._made += 1
        name = f"made_{self._made}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url.removesuffix("postgres") + name

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(
            [self.binaries / "postgres", "-D", "db", "-p", str(self.port), "-h", "127.0.0.1",
             "-k", str(self.folder), "-c", "log_min_messages=fatal", "-c", self._fsync],
            cwd=self.folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **self._as,
        )  # fmt: skip
        ready = [self.binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        until(lambda: subprocess.run(ready, check=False).returncode == 0, 60, "PostgreSQL")

    def stop(self) -> None:
        """End the server at once (immediate shutdown)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.create()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.binaries / program, *arguments],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as,
        )


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def post(client: httpx.Client, path: str, value: object) -> httpx.Response:
    """Post a value as a client of JSON does."""
    return client.post(path, content=body(value))
