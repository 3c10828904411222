"""A report's first sentence follows from its figures."""

from __future__ import annotations

from typing import Any

import pytest

from oracle.reports import evaluation, replay


def evaluated(**changes: Any) -> dict[str, Any]:
    """Give an evaluation that is good enough, but for the changes."""
    said = {"ours": 0.05, "last": 0.2, "mean": 0.3, "covered": (0.9, 0.85, 0.94), "runs": 60}
    said |= {"refused": 0.01, "untold": 0} | changes
    rows = [
        {
            "score": "quality_relative", "forecaster": name, "progress": 0.2, "mae": mae,
            "mae_interval": [mae * 0.9, mae * 1.1], "ratio_to_last": mae / 0.2,
        }
        for name, mae in (("oracle", said["ours"]), ("last", said["last"]), ("mean", said["mean"]))
        if mae is not None
    ]  # fmt: skip
    held, low, high = said["covered"]
    covered = {"score": "quality_relative", "progress": 0.2, "coverage_90%": held,
               "coverage_90%_interval": [low, high]}  # fmt: skip
    return {
        "main_score": "quality_relative", "errors": rows, "coverage": [covered],
        "runs": said["runs"], "refused": [{"progress": 0.2, "no_support": said["refused"]}],
        "untold": [
            {"fields": ["schedule", "batch_size"], "runs": said["untold"], "worth": 1.9},
            {"fields": ["topology"], "runs": 30, "worth": 1.3},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "tone", "words"),
    [
        ({}, "good", "25\u00a0% of what the last value misses"),
        ({"ours": 0.25}, "bad", "The last value is no worse a forecast"),
        ({"ours": 0.15, "mean": 0.1}, "bad", "the mean of all runs is no worse"),
        ({"covered": (0.7, 0.6, 0.8)}, "bad", "too narrow"),
        ({"ours": 0.25, "untold": 31}, "bad", "Most runs do not tell schedule, batch_size: with"),
        ({"covered": (0.84, 0.7, 0.92)}, "good", "84\u00a0%"),
        ({"refused": 0.5}, "bad", "50\u00a0% of the forecasts are not judged"),
        ({"runs": 5}, "warn", "5 runs are too few"),
        ({"ours": None}, "warn", "no run's quality score is known"),
    ],
)
def test_an_evaluation_says_whether_it_is_good_enough(
    changes: dict[str, Any], tone: str, words: str
) -> None:
    found = evaluation.conclude(evaluated(**changes))
    assert found.tone == tone
    assert words.lower() in found.sentence.lower()


def replayed(saved: float, lost: int, good: int, low: float, high: float) -> dict[str, Any]:
    """Give a replay whose limit is 5 %."""
    return {
        "chosen": {"0.01": [], "0.05": []},
        "in_force": {
            "says": "population, risk 0.02", "good_runs": good, "lost_runs": lost,
            "saved": {"value": saved, "low": saved - 0.02, "high": saved + 0.02},
            "lost": {"value": lost / good, "low": low, "high": high},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "tone", "words"),
    [
        ((0.5, 0, 200, 0.0, 0.018), "good", "lost 0 of 200 good runs"),
        ((0.5, 0, 16, 0.0, 0.206), "good", "72 would"),
        ((0.01, 0, 16, 0.0, 0.206), "warn", "saved 1.0\u00a0%"),
        ((0.5, 1, 16, 0.0, 0.3), "warn", "at most 5\u00a0% was the limit"),
        ((0.5, 4, 16, 0.07, 0.5), "bad", "at most 5\u00a0% was the limit"),
    ],
)
def test_a_replay_says_whether_the_policy_is_good_enough(
    figures: tuple[float, int, int, float, float], tone: str, words: str
) -> None:
    found = replay.conclude(replayed(*figures))
    assert found.tone == tone
    assert words in found.sentence
