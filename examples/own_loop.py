"""Any SOM, any loop: a map of twenty lines, watched by two.

pip install .                   # in the clone
python examples/own_loop.py
"""

import numpy as np

from oracle import context_of, measure, watch
from oracle.types import Policy

rng = np.random.default_rng(0)
data = rng.normal(size=(300, 4)) * [3.0, 1.0, 0.5, 0.1]
rows, cols, epochs = 8, 8, 40
grid = np.stack(np.meshgrid(range(rows), range(cols), indexing="ij"), axis=-1)
progress = np.linspace(0, 1, 21)
policy = Policy(name="threshold", scale="relative", threshold=0.6, caution=0.5, control=0)


def train(start_radius):
    """Train one map whose radius falls from `start_radius` to a tenth of it."""
    weights = np.random.default_rng(1).normal(size=(rows, cols, 4))
    schedule = {
        "progress": progress.tolist(),
        "learning_rate": (0.5 * (1 - progress)).tolist(),
        "radius": (start_radius * 0.1**progress).tolist(),
    }
    context = context_of(
        weights, data, topology="rectangular", neighborhood="gaussian", initialization="random",
        batch_size=1, total_updates=epochs * len(data), schedule=schedule,
    )  # fmt: skip
    with watch(total_epochs=epochs, context=context, policy=policy) as run:
        for epoch in range(1, epochs + 1):
            rate = 0.5 * (1 - epoch / epochs)
            radius = start_radius * 0.1 ** (epoch / epochs)
            for sample in rng.permutation(data):
                distance = ((weights - sample) ** 2).sum(axis=-1)
                winner = grid[np.unravel_index(distance.argmin(), distance.shape)]
                near = np.exp(-((grid - winner) ** 2).sum(axis=-1) / (2 * radius**2))
                weights += rate * near[..., None] * (sample - weights)
            metrics = measure(weights, data, "rectangular")
            decision = run.report(epoch, **metrics._asdict(), learning_rate=rate, radius=radius)
            if epoch % 8 == 0 and decision.forecast is not None:
                low, *_, high = decision.forecast.final["final_mqe"]
                print(f"epoch {epoch:2}: mqe {metrics.mqe:.3f}, expected end {low:.3f}..{high:.3f}")
            if decision.stop:
                print(f"{decision.message} {decision.expected_saving:.0%} of the epochs saved.")
                break
    print(run.summary())


for start_radius in (4.0, 0.5):  # one map that unfolds, and one that never orders itself
    print(f"radius from {start_radius:g}")
    train(start_radius)
