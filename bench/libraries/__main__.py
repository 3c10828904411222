"""What one line gives in each SOM library: docs/libraries.md, and runs for docs/quality.md.

    make libraries                                     # installs them
    python -m bench.libraries                          # minutes; writes the page's tables
    python -m bench.libraries --runs 100 --record      # and data/foreign/*.csv.gz
    make quality                                       # then shows them beside the others

Each map is trained by `train_map`, on tables that trained nothing of the oracle, with settings that
a search would try; nothing is told but what is read from the map. A library that is not installed
is said to be missing and keeps its row.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.libraries.accuracy import ROOT, judged, worth
from bench.libraries.maps import LIBRARIES
from bench.libraries.page import RESULT, tables, write
from bench.libraries.recorded import record
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import write_dataset


def main() -> None:
    """Record and judge every library that is installed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.libraries", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--runs", type=int, default=20, help="of each library")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="a model folder; none = the default one")
    parser.add_argument("--only", nargs="*", help="libraries; the others keep their rows")
    parser.add_argument("--record", action="store_true", help="write data/foreign/, too")
    options = parser.parse_args()
    oracle = Oracle.load(options.model)
    model = f"{oracle.info.name} {oracle.info.version} ({oracle.info.sha256[:12]})"
    found: dict[str, Any] = {"model": model, "libraries": dict.fromkeys(LIBRARIES)}
    if options.only and RESULT.is_file():
        before = json.loads(RESULT.read_text(encoding="utf-8"))
        if before["model"] != model:
            raise SystemExit(f"bench.libraries: the other rows are of {before['model']}")
        found = before
    found["worth"] = worth(oracle)
    for library in options.only or LIBRARIES:
        if find_spec(LIBRARIES[library][0]) is None:
            print(f"{library} is not installed: make libraries")
            found["libraries"][library] = None
            continue
        done = [record(library, i, options.seed) for i in tqdm(range(options.runs), desc=library)]
        runs = [one.run for one in done]
        apart = np.array([one.apart for one in done])
        found["libraries"][library] = {
            "runs": len(runs),
            "apart": [None if np.isnan(c).all() else float(np.nanmax(c)) for c in apart.T],
            "same": sum(one.same is True for one in done),
            "repeated": sum(one.same is not None for one in done),
            "judged": judged(runs, oracle),
        }
        if options.record:
            path = ROOT / "data/foreign" / f"{library.lower()}.csv.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_dataset(path, runs, {"library": library, "seed": options.seed})
        write(found)
    print(tables(found))


if __name__ == "__main__":
    main()
