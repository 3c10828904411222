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
#: What is known before the first checkpoint.
PLAN: dict[str, Any] = {
    "total_epochs": 1000,
    "context": {
        "map_rows": 12,
        "map_cols": 12,
        "n_samples": 150,
        "n_features": 4,
        "mqe_of_mean": 1.95,
        "total_updates": 150_000,
        "schedule": {
            "progress": [0, 0.5, 1],
            "learning_rate": [0.5, 0.2, 0.01],
            "radius": [6, 2, 1],
        },
    },
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
        "final_mqe": [0.089, 0.146, 0.199, 0.24, 0.333],
        "final_topographic_error": [0.0, 0.052, 0.093, 0.148, 0.258],
        "final_dead_neuron_ratio": [0.0, 0.061, 0.097, 0.125, 0.182],
    },
    "curve": {
        "of_the_rest": [0.25, 0.5, 0.75, 1.0],
        "mqe": [
            [0.108, 0.18, 0.219, 0.243, 0.298],
            [0.092, 0.157, 0.207, 0.241, 0.323],
            [0.089, 0.151, 0.203, 0.245, 0.343],
            [0.089, 0.146, 0.199, 0.24, 0.333],
        ],
        "topographic_error": [
            [0.0, 0.058, 0.084, 0.111, 0.191],
            [0.0, 0.057, 0.085, 0.121, 0.223],
            [0.0, 0.054, 0.088, 0.137, 0.246],
            [0.0, 0.052, 0.093, 0.148, 0.258],
        ],
        "dead_neuron_ratio": [
            [0.023, 0.082, 0.105, 0.121, 0.165],
            [0.002, 0.07, 0.101, 0.123, 0.174],
            [0.0, 0.067, 0.099, 0.124, 0.178],
            [0.0, 0.061, 0.097, 0.125, 0.182],
        ],
    },
    "quality": [
        {"scale": "raw", "weights": [1.0, 1.0, 0.5], "values": [0.183, 0.281, 0.356, 0.425, 0.592]}
    ],
    "coverage": 0.9,
    "support": 0.263,
    "will_worsen": 0.185,
    "mqe_of_mean": None,
    "learned": None,
}
#: What did it.
EXPLANATION: dict[str, Any] = {
    "run_id": None,
    "progress": 0.1,
    "model": _MODEL,
    "scale": "raw",
    "levels": [0.05, 0.25, 0.5, 0.75, 0.95],
    "quality": [0.177, 0.278, 0.343, 0.415, 0.554],
    "parts": [
        {
            "part": "the topographic error",
            "epochs": None,
            "without": [0.167, 0.278, 0.382, 0.565, 1.019],
            "shift": -0.039,
            "width": 0.443,
            "moved": 0.133,
        },
        {
            "part": "the dead neurons",
            "epochs": None,
            "without": [0.131, 0.28, 0.414, 0.584, 0.831],
            "shift": -0.071,
            "width": 0.539,
            "moved": 0.113,
        },
        {
            "part": "the budget",
            "epochs": None,
            "without": [0.182, 0.283, 0.34, 0.409, 0.57],
            "shift": 0.003,
            "width": 0.973,
            "moved": 0.007,
        },
        {
            "part": "the checkpoint at 1%",
            "epochs": [10.0, 10.0],
            "without": [0.138, 0.239, 0.317, 0.41, 0.584],
            "shift": 0.026,
            "width": 0.846,
            "moved": 0.028,
        },
        {
            "part": "the checkpoint at 5%",
            "epochs": [50.0, 50.0],
            "without": [0.168, 0.27, 0.336, 0.411, 0.559],
            "shift": 0.007,
            "width": 0.963,
            "moved": 0.007,
        },
        {
            "part": "the checkpoint at 10%",
            "epochs": [100.0, 100.0],
            "without": [0.189, 0.298, 0.371, 0.47, 0.657],
            "shift": -0.029,
            "width": 0.806,
            "moved": 0.044,
        },
    ],
    "attention": [],
}
#: A table by its numbers, and what is wanted for it.
SUGGEST: dict[str, Any] = {
    "context": {"n_samples": 150, "n_features": 4, "mqe_of_mean": 1.95},
    "n": 1,
    "space": {"sigma": [1, 4], "neighborhood_function": "gaussian"},
    "candidates": 200,
}
_MAP: dict[str, Any] = {
    "x": 12,
    "y": 6,
    "sigma": 1.38,
    "learning_rate": 0.4607,
    "decay_function": "linear_decay_to_zero",
    "sigma_decay_function": "asymptotic_decay",
    "neighborhood_function": "gaussian",
    "topology": "rectangular",
}
SUGGESTIONS: dict[str, Any] = {
    "library": "minisom",
    "objectives": ["quality"],
    "levels": [0.05, 0.25, 0.5, 0.75, 0.95],
    "candidates": 200,
    "refused": 0,
    "unlike": None,
    "learned": 0,
    "not_learned": None,
    "model": _MODEL,
    "plans": [
        {
            "parameters": {**_MAP, "initialization": "pca"},
            "make": {"input_len": 4, **_MAP},
            "train": {"num_iteration": 3000, "random_order": True},
            "code": (
                "som = MiniSom(input_len=4, x=12, y=6, sigma=1.38, learning_rate=0.4607, "
                "decay_function='linear_decay_to_zero', sigma_decay_function='asymptotic_decay', "
                "neighborhood_function='gaussian', topology='rectangular')\n"
                "som.pca_weights_init(data)\n"
                "som.train(data, 3000, random_order=True)"
            ),
            "expected": {"quality": [0.121, 0.234, 0.329, 0.452, 0.705]},
            "support": 0.775,
            "cost": 864_000.0,
        }
    ],
}
#: The answer to HISTORY.
DECISION: dict[str, Any] = {
    "run_id": None,
    "progress": 0.1,
    "action": "continue",
    "reason": "good",
    "message": (
        "Continue: predicted quality score 0.356 (raw) is good (caution from 0.5); without "
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
        "patience": 1,
        "min_progress": 0.05,
        "min_checkpoints": 2,
        "min_support": 0.05,
        "control": 0.05,
        "converged": 0.0,
        "converged_risk": 0.05,
        "weights": [1.0, 1.0, 0.5],
        "threshold": 1.0,
        "caution": 0.5,
        "scale": None,
        "learn": True,
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
    "policy": {
        "name": "population",
        "patience": 1,
        "min_progress": 0.05,
        "min_checkpoints": 2,
        "min_support": 0.05,
        "control": 0.05,
        "converged": 0.0,
        "converged_risk": 0.05,
        "risk": 0.02,
        "ramp": 0.3,
        "startup_runs": 3,
        "weights": [1.0, 1.0, 0.5],
        "good": 0.1,
        "goal": "good",
        "learn": True,
    },
}
#: A history as the tensors of KServe's protocol.
INFERENCE: dict[str, Any] = {
    "inputs": [
        {"name": name, "shape": [len(values)], "datatype": "FP64", "data": values}
        for name, values in {**HISTORY, "total_epochs": [HISTORY["total_epochs"]]}.items()
    ]
}
INFERENCE_ANSWER: dict[str, Any] = {
    "model_name": _MODEL["name"],
    "model_version": _MODEL["version"],
    "outputs": [
        {"name": name, "datatype": "FP64", "shape": [len(values)], "data": values}
        for name, values in {
            "levels": FORECAST["levels"],
            **FORECAST["final"],
            "support": [FORECAST["support"]],
        }.items()
    ]
    + [
        {"name": name, "datatype": "BYTES", "shape": [1], "data": [DECISION[name]]}
        for name in ("action", "reason")
    ],
}
