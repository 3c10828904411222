"""What the store is asked, with more and more runs in it: `python -m bench.speed.growth`.

CPU milliseconds of one question, the least of several; nothing is waited for.
"""

# ruff: noqa: E402  (tests/ is put on the path before anything is imported)
from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from soak.growth import measured

from bench.speed.page import enter

SIZES = (1_000, 10_000, 100_000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="of the population")
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measured(Path(name), tuple(args.sizes))
    told = ["CPU ms of one question to the store, by runs of one population"]
    told.append(f"{'':26}" + "".join(f"{size:>12,}" for size in args.sizes))
    for what in found[0]:
        told.append(f"{what:26}" + "".join(f"{costs[what]:12.2f}" for costs in found))
    print("\n".join(told))
    if args.write_docs:
        enter("python -m bench.speed.growth", "\n".join(told))


if __name__ == "__main__":
    main()
