"""Examples of the interface's bodies, as /docs and /openapi.json show them."""

from __future__ import annotations

from typing import Any

HISTORY: dict[str, Any] = {
    "epochs": [10, 50, 100],
    "mqe": [0.5, 0.3, 0.25],
    "topographic_error": [0.1, 0.09, 0.08],
    "dead_neuron_ratio": [0.2, 0.15, 0.12],
    "total_epochs": 1000,
}
CHECKPOINT: dict[str, Any] = {
    "dataset": "iris",
    "population": "iris-ea-3",
    "total_epochs": 1000,
    "epochs": [10],
    "mqe": [0.5],
    "topographic_error": [0.1],
    "dead_neuron_ratio": [0.2],
}
_MODEL = {"name": "shipped-default", "version": "1.0.0", "sha256": "3f" * 32}
FORECAST: dict[str, Any] = {
    "run_id": None,
    "progress": 0.1,
    "n_checkpoints": 3,
    "model": _MODEL,
    "levels": [0.05, 0.25, 0.5, 0.75, 0.95],
    "final": {
        "final_mqe": [0.097, 0.148, 0.187, 0.23, 0.296],
        "final_topographic_error": [0.025, 0.067, 0.1, 0.152, 0.283],
        "final_dead_neuron_ratio": [0.001, 0.061, 0.09, 0.12, 0.167],
    },
    "quality": [
        {
            "scale": "raw",
            "weights": [1.0, 1.0, 0.5],
            "values": [0.201, 0.269, 0.337, 0.407, 0.578],
        }
    ],
    "coverage": 0.9,
    "support": 0.098,
    "will_worsen": 0.125,
    "mqe_of_mean": None,
}
#: The answer to HISTORY.
DECISION: dict[str, Any] = {
    "run_id": None,
    "progress": 0.1,
    "action": "continue",
    "reason": "good",
    "message": (
        "Continue: predicted quality score 0.337 (raw) is good (caution from 0.5); without "
        "`context.mqe_of_mean` such a threshold depends on the scale of the data."
    ),
    "p_good": None,
    "forecast": FORECAST,
    "expected_saving": None,
    "next_check": 0.15,
    "advice": [],
    "below_risk": 0,
    "policy": {
        "name": "threshold",
        "weights": [1.0, 1.0, 0.5],
        "threshold": 1.0,
        "caution": 0.5,
        "scale": None,
        "good": 0.1,
        "risk": 0.02,
        "ramp": 0.3,
        "patience": 1,
        "min_progress": 0.05,
        "min_checkpoints": 2,
        "startup_runs": 3,
        "min_support": 0.05,
        "epsilon": 0.001,
        "objectives": ["mqe", "topographic_error", "dead_neuron_ratio"],
        "control": 0.05,
    },
    "model": _MODEL,
}
#: The answer to CHECKPOINT.
FIRST_DECISION: dict[str, Any] = DECISION | {
    "run_id": "r-1",
    "progress": 0.01,
    "action": "abstain",
    "reason": "too_few_checkpoints",
    "message": "No verdict: 1 of the 2 checkpoints needed are there.",
    "forecast": FORECAST | {"run_id": "r-1", "progress": 0.01, "n_checkpoints": 1},
    "next_check": 0.05,
    "policy": DECISION["policy"] | {"name": "population"},
}
