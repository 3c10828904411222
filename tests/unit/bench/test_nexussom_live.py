"""The lines that examples/nexussom_attach.py documents do in `evaluate_individual` what it says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.nexussom_live import interval, judged, table_of
from bench.nexussom_search import MEASURED, documented

DATA = np.random.default_rng(0).random((60, 4))
STEPS = 240


class Som(SimpleNamespace):
    """Train as NexusSOM does, to a level that is known."""

    def train(self, data: Any, ignore_mask: Any, lstm_early_stop_fn: Any) -> dict[str, Any]:
        checkpoints: list[dict[str, Any]] = []
        for step in range(0, STEPS, STEPS // 40):
            level = self.level * (1 + 2 * np.exp(-6 * step / STEPS))
            checkpoints.append({
                "iteration": step, "progress": step / STEPS, "mqe": level,
                "topographic_error": 0.1 * level, "dead_neuron_ratio": 0.1,
            })  # fmt: skip
            if lstm_early_stop_fn and len(checkpoints) > 8 and lstm_early_stop_fn(checkpoints)[0]:
                break
        mqe = [(one["iteration"], one["mqe"]) for one in checkpoints]
        return {"best_mqe": mqe[-1][1], "history": {"mqe": mqe}, "steps": checkpoints}


def evaluate(folder: Path, uid: str, level: float, **fixed_params: Any) -> dict[str, Any]:
    head, first, second, *_ = documented()
    lines = f"def evaluate_individual():\n    try:\n{head}{first}{MEASURED}{second}"
    lines += (
        "        training_results.update(te=topographic_error, dead=dead_ratio, fit=topo_corr)\n"
    )
    lines += "        return training_results\n    finally:\n        pass\n"
    som = Som(
        level=level, m=6, n=6, map_type="hex", epoch_multiplier=STEPS / len(DATA),
        start_learning_rate=0.9, end_learning_rate=0.1, lr_decay_type="linear-drop",
        start_radius=6.0, end_radius=1.0, radius_decay_type="linear-drop", growth_g=10.0,
        start_batch_percent=1.0, end_batch_percent=1.0, batch_growth_type="static",
        num_batches=1, get_decay_value=None,
    )  # fmt: skip
    # What NexusSOM has measured of the map as it is by then.
    lines = lines.replace(
        MEASURED, f"        distance_map_max, topographic_error = 9.0, 0.9\n{MEASURED}"
    )
    lines = lines.replace(MEASURED, f"        dead_ratio = topo_corr = 0.9\n{MEASURED}")
    known = {
        "som": som, "data": DATA, "ignore_mask": None, "uid": uid, "fixed_params": fixed_params,
        "working_dir": str(folder), "os": __import__("os"),
    }  # fmt: skip
    exec(lines, known)
    found: dict[str, Any] = known["evaluate_individual"]()
    return found


def test_a_stopped_run_is_ranked_and_constrained_by_forecasts(tmp_path: Path) -> None:
    for i in range(12):
        assert not evaluate(tmp_path, f"good-{i}", 0.05 + i / 1000)["ds_censored"] or i >= 3
    bad = evaluate(tmp_path, "bad", 0.4)
    assert bad["ds_censored"]
    seen = bad["history"]["mqe"][-1][1]
    assert bad["best_mqe"] < seen
    assert bad["te"] < 0.9
    assert bad["fit"] == 0
    assert bad["dead"] == bad["dead_neuron_ratio"] < 0.9
    assert bad["distance_map_max"] == pytest.approx(9.0 * bad["best_mqe"] / seen)


def test_what_finish_evaluates_is_trained_whole(tmp_path: Path) -> None:
    for i in range(12):
        evaluate(tmp_path, f"good-{i}", 0.05 + i / 1000)
    whole = evaluate(tmp_path, "bad", 0.4, ds_censored=False)
    assert len(whole["steps"]) == 40
    assert (whole["ds_censored"], whole["distance_map_max"], whole["fit"]) == (False, 9.0, 0.9)


def test_volumes_and_their_table() -> None:
    arm = {"runs": 3, "stopped": 0, "updates": 1.0, "seconds": 1.0}
    pairs = [
        {"table": "t", "seed": s, "rows": 100, "budget": 6.0, "finished": 1, "finish": 0.1,
         "arms": {"plain": {**arm, "points": [[0.2, 0.2, 0.2], [1, 1, 1]]},
                  "stops": {**arm, "points": [[0.1, 0.2, 0.2]]}}}
        for s in (1, 2)
    ]  # fmt: skip
    judged(pairs)
    plain, stops = pairs[0]["arms"].values()  # type: ignore[attr-defined]
    assert all(more > less for more, less in zip(stops["volumes"], plain["volumes"], strict=True))
    assert "| t | stops | 3 | 0 | 100% | 100% | +" in (text := table_of(pairs))
    assert "more in 2 of 2 |" in text
    assert "takes 6 s of CPU, 2.00 s for each of its runs" in text
    assert interval([1.0, 1.0, 1.0]) == (1.0, 1.0, 1.0)
