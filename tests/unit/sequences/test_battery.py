"""The battery's tables: medians, limits from above and below, what was not tried."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oracle.errors import InvalidSeries
from oracle.sequences.battery import TASKS, Mark, Table, chosen, config_of, may_try, memory_text
from oracle.sequences.corrected import ALL, SERIES, interval, text
from oracle.sequences.corrected import config_of as correction_config_of
from oracle.sequences.run import task_of


def marks(*figures: float) -> list[Mark]:
    return [Mark(figure, 2.0, 1.0) for figure in figures]


def test_a_table_tells_medians_and_what_misses_its_limit() -> None:
    tasks = chosen(["sine", "memory 10"])
    good = {"lstm": {"sine": marks(1.2, 9.0, 1.1), "memory 10": marks(0.99)}}
    assert Table(tasks, good).holds
    assert "1.200 " in Table(tasks, good).text()
    bad = {**good, "rnn": {"memory 10": marks(0.5)}, "numpy": {"sine": marks(math.nan)}}
    table = Table(tasks, bad)
    assert not table.holds
    lines = {line.split()[0]: line for line in table.text().splitlines()}
    assert "0.500!" in lines["rnn"]
    assert "-" in lines["rnn"]
    assert "nan!" in lines["numpy"]
    assert lines["naive"].count("2.000") == 2
    assert table.as_dict()["limits"] == {"sine": 1.3, "memory 10": 0.95}


def test_tasks_are_files_that_can_be_run() -> None:
    for name, task in TASKS.items():
        if task.data:
            made = task_of(config_of(name, "numpy", 3).data)
            assert len(made.split.test) > 50
            assert not may_try("numpy", "memory 10")
    with pytest.raises(InvalidSeries, match="`task` must be one of sine"):
        chosen(["chess"])


def test_the_test_part_of_the_oscillator_holds_a_whole_roll_out() -> None:
    made = task_of(config_of("oscillator", "numpy", 0).data)
    start = int(made.split.test.start[0]) + made.split.test.length
    assert made.series.period == 63
    assert len(made.series) - start >= 3 * made.series.period


def test_memory_is_told_by_length() -> None:
    told = memory_text({"rnn": {10: [0.9, 0.8, 1.0], 50: [0.5]}, "lstm": {10: [1.0]}})
    assert told.splitlines()[1].split() == ["rnn", "90.0%", "50.0%"]
    assert told.splitlines()[2].split() == ["lstm", "100.0%", "-"]


def test_corrections_are_compared_seed_by_seed() -> None:
    low, high = interval(np.array([-0.2, -0.1, -0.3, -0.2]))
    assert -0.3 <= low < -0.2 < high < 0
    rows = {"sine": {"none": [[0.5, 0.1], [0.7, 0.1]], "raw": [[0.4, 0.08], [0.6, 0.09]]}}
    raw = text(rows).splitlines()[2].split()
    assert raw == ["sine,", "raw", "0.5000", "-0.1000..-0.1000", "0.0850", "2"]
    for name in SERIES:
        for kind in ALL:
            config = correction_config_of("lstm", name, kind, 1)
            assert (config.training.correction is None) == (kind == "none")
            assert task_of(config.data).movable.sum() > 300
