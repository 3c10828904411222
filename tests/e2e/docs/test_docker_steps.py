"""The Dockerfile's steps for the service, run in a fresh virtual environment, then served from.

No container engine is needed: the same commands, with the image's folders below a temporary one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
from serving import until

from oracle.server.http import examples

ROOT = Path(__file__).parents[3]
#: What compose.yaml's `read_only` does, for all that Python opens: /tmp and two volumes stay.
READ_ONLY_ROOT = """
import errno, os, sys, tempfile
temporary = tempfile.gettempdir()
allowed = (os.environ["ORACLE_DATA_DIR"], os.environ["ORACLE_MODELS"], "/dev/", "/proc/")

def refuse(event, args):
    if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
        path = os.path.abspath(args[0])
        if not path.startswith(allowed) and os.path.dirname(path) != temporary:
            print("refused to write", path, file=sys.stderr)
            raise OSError(errno.EROFS, "Read-only file system", path)

sys.addaudithook(refuse)
"""


def steps() -> list[str]:
    """COPY and RUN of the build stage, as shell commands."""
    stage = (ROOT / "Dockerfile").read_text().partition("AS build\n")[2].partition("\nFROM")[0]
    lines = stage.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(("COPY", "RUN"))]


def test_the_image_without_an_engine(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "oracle"
    source.mkdir()
    for line in steps():
        kind, _, rest = line.partition(" ")
        if kind == "COPY":
            *names, where = rest.split()
            (source / where).mkdir(parents=True, exist_ok=True)
            for name in names:
                _copy(ROOT / name, source / where)
        else:
            command = rest.replace("/opt/oracle", str(target)).replace("python -m", "python3 -m")
            subprocess.run(command, shell=True, cwd=source, check=True, env=_environment())
    python = target / "bin/python"
    told = subprocess.run(
        [python, "-c", "import tensorflow"], capture_output=True, check=False, cwd=tmp_path
    )
    assert told.returncode == 1
    log = tmp_path / "log"
    (tmp_path / "sitecustomize.py").write_text(READ_ONLY_ROOT)
    folders = {"ORACLE_DATA_DIR": str(tmp_path / "data"), "ORACLE_MODELS": str(tmp_path / "models")}
    with log.open("wb") as stream:
        service = subprocess.Popen(
            [target / "bin/oracle", "serve", "--port", "0"],
            cwd=tmp_path,
            env=_environment() | folders | {"PYTHONPATH": str(tmp_path)},
            stderr=stream,
        )
    try:
        until(lambda: "http://" in log.read_text(), 60, "the service")
        found = re.search(r"http://\S+:(\d+)", log.read_text())
        assert found
        until(lambda: _ready(found[0]), 60, "ready")
        first = httpx.post(f"{found[0]}/v1/runs/r-1/checkpoints", json=examples.CHECKPOINT)
        assert first.status_code == 201
        assert _is_healthy(python, found[1])
    finally:
        service.terminate()
        service.wait(30)
    assert not _is_healthy(python, found[1])
    assert "refused to write" not in log.read_text()


def _is_healthy(python: Path, port: str) -> bool:
    """Run what HEALTHCHECK runs."""
    check = (ROOT / "Dockerfile").read_text().partition("HEALTHCHECK")[2].partition("CMD ")[2]
    _, *arguments = json.loads(check.splitlines()[0].replace(":8000", f":{port}"))
    told = subprocess.run([python, *arguments], capture_output=True, check=False)
    return told.returncode == 0


def _copy(source: Path, where: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__", "*.keras", "logs")
    if source.is_dir():
        shutil.copytree(source, where, dirs_exist_ok=True, ignore=skipped)
    else:
        shutil.copy(source, where)


def _environment() -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ORACLE_", "PYTHON"))}
    return inherited | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
