"""Forecast from an installed wheel: no checkout, no extras, no TensorFlow."""

from importlib.util import find_spec
from pathlib import Path

from oracle import History, Oracle, decide

checkout_only = [name for name in ("tests", "tensorflow", "fastapi") if find_spec(name)]
if checkout_only:
    raise SystemExit(f"the wheel must be tested alone, but found {checkout_only}")

history = History(
    epochs=(10, 50, 100),
    mqe=(0.5, 0.3, 0.25),
    topographic_error=(0.1, 0.09, 0.08),
    dead_neuron_ratio=(0.2, 0.15, 0.12),
    total_epochs=1000,
)
oracle = Oracle.load()
forecast = oracle.forecast(history)
low, median, high = (
    forecast.final["final_mqe"][0],
    forecast.median("final_mqe"),
    forecast.final["final_mqe"][-1],
)
if not low < median < high:
    raise SystemExit(f"the forecast must be an interval, but is {forecast.final}")
print(
    f"{Path.cwd()}: {oracle.info.name} {oracle.info.version}: {decide(history, forecast).message}"
)
