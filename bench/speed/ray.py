"""Collecting on two Ray nodes against two local processes: `python -m bench.speed.ray`.

The same runs of the preset `pretraining`, in turn, each from nothing: worker processes are begun
and import what they need within the time that is taken; the cluster itself stands. Both datasets
must be the same to the byte. The ratio is the median over pairs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from ray_nodes import ray_nodes

from bench.speed.page import enter
from collector.collect import Engine, collect, local_processes
from collector.on_ray import RayEngine
from collector.presets import run_one

TARGET = 0.9


def seconds(out: Path, runs: int, engine: Engine) -> float:
    """Collect once."""
    begin = time.perf_counter()
    settings = {"preset": "pretraining"}
    collect(run_one, runs, out, seed=1, settings=settings, workers=2, engine=engine)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    run_one(0, 0, {"preset": "pretraining"})  # compiles, for both
    local, on_ray = [], []
    with tempfile.TemporaryDirectory() as folder, ray_nodes(2) as nodes:
        for pair in range(args.pairs):
            outs = Path(folder) / f"local-{pair}.csv", Path(folder) / f"ray-{pair}.csv"
            local.append(seconds(outs[0], args.runs, local_processes))
            on_ray.append(seconds(outs[1], args.runs, RayEngine(nodes.address)))
            if outs[0].read_bytes() != outs[1].read_bytes():
                raise SystemExit("the datasets differ")
    ratio = statistics.median(a / b for a, b in zip(local, on_ray, strict=True))
    told = (
        f"{args.runs} runs of the preset pretraining, {args.pairs} times in turn, runs a second:\n"
        f"  2 local processes  {args.runs / statistics.median(local):8.1f}\n"
        f"  2 Ray nodes        {args.runs / statistics.median(on_ray):8.1f}\n"
        f"  ratio, median      {ratio:8.2f}   (target {TARGET})"
    )
    print(told)
    if args.write_docs:
        enter("python -m bench.speed.ray", told)


if __name__ == "__main__":
    main()
