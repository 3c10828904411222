"""A batch SOM of one's own over HTTP, with nothing but NumPy and the standard library.

oracle serve                                  # in another terminal
python examples/http_batch_som.py             # or: ... http://127.0.0.1:9000

Each checkpoint is posted, and the answer says whether to go on. The first post tells what is known
of the run; an evolutionary search would send its `policy` along, see docs/searches.md.
"""

import json
import sys
import urllib.request
import uuid

import numpy as np

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
SEARCH = f"batch-som-{uuid.uuid4().hex[:6]}"
EPOCHS = 30

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(100, 6)) for c in (-2.0, 0.0, 1.5)])


def post(path, body):
    """Post JSON to the service and read its answer."""
    request = urllib.request.Request(
        f"{URL}/v1/runs/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def train(name, rows, cols, radius, end):
    """Train one map whose radius falls from `radius` to `end`, grid units; how it ended."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    apart = (row[:, None] - row) ** 2 + (col[:, None] - col) ** 2
    weights = rng.normal(size=(rows * cols, data.shape[1]))
    radii = radius * (end / radius) ** np.linspace(0, 1, EPOCHS)
    about = {
        "population": SEARCH,
        "dataset": "clusters",
        "total_epochs": EPOCHS,
        "config": {"rows": rows, "cols": cols, "radius": radius, "end": end},
        "context": {
            "map_rows": rows,
            "map_cols": cols,
            "topology": "rectangular",
            "neighborhood": "gaussian",
            "initialization": "random",
            "n_samples": len(data),
            "n_features": data.shape[1],
            "mqe_of_mean": float(np.linalg.norm(data - data.mean(axis=0), axis=1).mean()),
            "total_updates": EPOCHS,
            "batch_size": len(data),
            "schedule": {"progress": np.linspace(0, 1, EPOCHS).tolist(), "radius": radii.tolist()},
        },
    }
    for epoch in range(EPOCHS):
        distance = np.linalg.norm(data[:, None] - weights, axis=2)
        first, second = np.argsort(distance, axis=1)[:, :2].T
        near = np.exp(-apart[first] / (2 * radii[epoch] ** 2))
        weights = near.T @ data / np.maximum(near.sum(axis=0), 1e-12)[:, None]
        if (epoch + 1) % 2:
            continue
        checkpoint = {
            "epochs": [epoch + 1],
            "mqe": [float(distance.min(axis=1).mean())],
            "topographic_error": [float((apart[first, second] > 2).mean())],
            "dead_neuron_ratio": [1 - len(np.unique(first)) / len(weights)],
            "radius": [float(radii[epoch])],
        }
        if post(f"{name}/checkpoints", {**about, **checkpoint})["action"] == "stop":
            break
    return post(f"{name}/finish", {})["ending"]


for i in range(20):
    sizes = [int(side) for side in rng.integers(4, 12, size=2)]
    ending = train(f"{SEARCH}-{i}", *sizes, rng.uniform(1, 6), rng.uniform(0.3, 1.5))
    print(f"run {i}: {ending}")
with urllib.request.urlopen(f"{URL}/v1/populations/{SEARCH}", timeout=30) as found:
    print(f"{json.load(found)['savings']['saved_share']:.0%} of all epochs saved")
print(f"Look at {URL}/#/?population={SEARCH}")
