"""A collection on a Ray cluster: as local processes make it, by the same code or not at all.

What kills cost it is checked by row S7 of docs/scale.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ray_nodes import ENVIRONMENT, ROOT, Nodes

from oracle.history.dataset import metadata_path

DEADLINE_S = 240.0


def run_command(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oracle", "collect", "run", "--tables", "iris,linnerud"]
    return subprocess.run(
        [*command, *map(str, args)], capture_output=True, text=True, check=False,
        env={**os.environ, **ENVIRONMENT, **environment}, timeout=DEADLINE_S,
    )  # fmt: skip


def test_the_command_makes_what_local_processes_make(ray_cluster: Nodes, tmp_path: Path) -> None:
    outs = tmp_path / "ray.csv", tmp_path / "local.csv"
    on_ray = "--engine", "ray", "--address", ray_cluster.address, "--json"
    for out, options in zip(outs, (on_ray, ("--workers", 1)), strict=True):
        done = run_command("--runs", 6, "--out", out, *options)
        assert done.returncode == 0, done.stderr
        if out == outs[0]:
            told: dict[str, Any] = json.loads(done.stdout)
            assert sum(told["nodes"].values()) == told["made"] == 6
    assert outs[0].read_bytes() == outs[1].read_bytes()
    facts = [json.loads(metadata_path(out).read_text()) for out in outs]
    assert facts[0]["sha256"] == facts[1]["sha256"]


def test_nodes_with_other_code_or_none_are_named(ray_cluster: Nodes, tmp_path: Path) -> None:
    other, without = tmp_path / "other", tmp_path / "without"
    for package in ("collector", "oracle"):
        shutil.copytree(ROOT / package, other / package)
    with (other / "collector" / "space.py").open("a") as file:
        file.write("# another version\n")
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['collector'] = None\n")
    bad = [ray_cluster.add(PYTHONPATH=str(folder)) for folder in (other, without)]
    try:
        # From another folder: Ray's workers look for code in that of the command first.
        done = subprocess.run(
            [sys.executable, "-m", "oracle", "collect", "run", "--out", str(tmp_path / "d.csv"),
             "--engine", "ray", "--address", ray_cluster.address],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, **ENVIRONMENT}, timeout=DEADLINE_S,
        )  # fmt: skip
    finally:
        for node in bad:
            ray_cluster.kill(node)
    assert done.returncode == 2
    told = done.stderr
    for node, what in zip(bad, ("has other code: source ", "has no som-oracle"), strict=True):
        assert f"/{node.node_id[:6]} {what}" in told, told
    assert "Install the same som-oracle" in told
    assert not (tmp_path / "d.csv").exists()


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    done = run_command("--out", tmp_path / "d.csv", "--engine", "ray", "--address", "127.0.0.1:1")
    assert done.returncode == 2
    assert "`--address` must be that of a Ray cluster, but got '127.0.0.1:1 (" in done.stderr
    assert "Traceback" not in done.stderr
