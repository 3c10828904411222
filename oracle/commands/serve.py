"""`oracle serve`: the HTTP API and the live page."""

from __future__ import annotations

import math
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 lets the system choose.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    model: Annotated[str | None, typer.Option(help="Name or folder of the model.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the service's files.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen publicly without API keys.")
    ] = False,
    new_key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make an API key for NAME and exit.")
    ] = None,
) -> None:
    """Serve the HTTP API and the live page; every limit is an ORACLE_* variable."""
    if new_key is not None:
        _make_key(new_key)
        return
    from oracle.server.http.keys import read_keys
    from oracle.server.settings import Settings, refuse_public_without_keys, variable_of
    from oracle.server.storage.reading import refuse_stranger

    settings = Settings.from_environment(
        host=host,
        port=port,
        workers=workers,
        model=model,
        data_dir=data_dir,
        insecure=insecure or None,
    )
    refuse_public_without_keys(settings, has_keys=bool(read_keys(settings)))
    refuse_stranger(settings.store_url, settings.store_timeout_s)
    listening = listen(settings.host, settings.port)
    for name in Settings.model_fields:  # an option may have gone back to a default
        os.environ.pop(variable_of(name), None)
    os.environ.update(settings.to_environment())  # workers read it there
    metrics = _share_metrics() if settings.workers > 1 else None
    try:
        _run(listening, settings.workers)
    finally:
        if metrics is not None:
            shutil.rmtree(metrics, ignore_errors=True)


def _make_key(name: str) -> None:
    from oracle.server.http.keys import new_key

    secret, line = new_key(name)
    print(secret)
    print(
        f"The line above is the key, shown this once. For the server:\nORACLE_API_KEYS={line}",
        file=sys.stderr,
    )


def listen(host: str, port: int) -> socket.socket:
    """Take the port here, so that one in use is an error before anything starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where TCP is named; else answers wait 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def _share_metrics() -> str:
    """Give the workers a folder in which prometheus_client adds their numbers up."""
    from oracle.server.workers import METRICS

    folder = tempfile.mkdtemp(prefix="oracle-metrics-")
    os.environ[METRICS] = folder
    return folder


def _run(listening: socket.socket, workers: int) -> None:
    import uvicorn

    from oracle.server.http.logs import configure
    from oracle.server.settings import Settings
    from oracle.server.workers import PATIENCE_S, Workers

    settings = Settings.from_environment()
    configure(settings.log_level)
    _raise_descriptor_limit()
    config = uvicorn.Config(
        "oracle.server.app:create_app",
        factory=True,
        http="oracle.server.http.protocol:DeadlineProtocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        workers=workers,
        timeout_keep_alive=math.ceil(settings.keep_alive_s),  # uvicorn takes whole seconds
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout_s),
        timeout_worker_healthcheck=PATIENCE_S,
        backlog=2048,
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"SOM Oracle on http://{shown}:{port} (docs: /docs, stop: Ctrl-C)", file=sys.stderr)
    server = uvicorn.Server(config)
    if workers == 1:
        server.run(sockets=[listening])
        if not server.started:
            raise SystemExit(1)
        return
    Workers(config, sockets=[listening]).run()


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system lets us: a connection each."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
