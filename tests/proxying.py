"""Debian's nginx in front of services under test, with the lines of docs/deploy.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from serving import free_port, until

PAGE = Path(__file__).parents[1] / "docs/deploy.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def documented(which: int = 0) -> str:
    """Give one of the page's configurations."""
    found = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.S)
    return str(found[which])


@contextmanager
def proxied(folder: Path, location: str, upstream: str = "") -> Iterator[str]:
    """Run nginx with one location; gives its address."""
    assert NGINX is not None, "apt-get install nginx-light"
    port = free_port()
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        textwrap.dedent(
            f"""
            daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 256; }}
            http {{
              access_log off;
              client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
              fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
              {upstream}
              server {{ listen 127.0.0.1:{port}; {location} }}
            }}
            """
        )
    )
    process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        until(lambda: _is_up(port, process), 60, "nginx")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _is_up(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        httpx.get(f"http://127.0.0.1:{port}/healthz")
    except httpx.TransportError:
        return False
    return True
