"""Stored runs that go on from an earlier map."""

from __future__ import annotations

import pytest
from storing import Bench

from oracle.errors import RunConflict


def test_a_run_goes_on_from_an_earlier_map(bench: Bench) -> None:
    before = {e: bench.append("a", [e], mqe=1 / e)[0] for e in (10, 20, 30, 40)}
    with pytest.raises(RunConflict, match="says so by `rewind_from`"):
        bench.append("a", [30], mqe=0.5)
    again, stored = bench.append("a", [30], mqe=0.5, rewind_from=30)
    assert stored == 1
    run = bench.detail("a")
    assert run.history.epochs == (10, 20, 30)
    assert run.history.mqe == (1 / 10, 1 / 20, 0.5)
    assert run.track.epochs == (10, 20, 30)
    assert [r.epoch for r in run.run.rewinds] == [30]
    assert (run.run.epoch, run.run.mqe, run.run.n_checkpoints) == (30, 0.5, 3)
    # The same again is no second rewind, and a whole history may be told.
    assert bench.append("a", [30], mqe=0.5, rewind_from=30) == (again, 0)
    assert bench.append("a", [30, 40], mqe=0.5, rewind_from=30)[1] == 1
    assert len(bench.detail("a").run.rewinds) == 1
    # Honest in the log: what was decided before is made again from what was known then.
    for epoch, attempt in ((20, before[20]), (30, again)):
        found = bench.replay("a", epoch)
        assert found.decision == attempt
        assert not found.inputs.rewound
        assert found.inputs.history.mqe[-1] == bench.detail("a").history.mqe[epoch // 10 - 1]
    bench.append("a", [25], mqe=0.4, rewind_from=25)  # an epoch that was never stored
    found = bench.replay("a", 40)
    assert found.inputs.rewound
    assert found.inputs.history.epochs == (10, 20, 30, 40)
    assert found.inputs.history.mqe == (1 / 10, 1 / 20, 0.5, 0.5)
    assert bench.detail("a").history.epochs == (10, 20, 25)
    bench.append("a", [5], mqe=0.9, rewind_from=0)  # from the beginning
    assert bench.detail("a").history.epochs == (5,)
    assert [r.epoch for r in bench.detail("a").run.rewinds] == [30, 25, 5]
    # What it went back over and did not tell again is gone, too.
    bench.append("b", [10, 20, 30, 40])
    bench.append("b", [60], rewind_from=20.5)
    assert bench.detail("b").history.epochs == (10, 20, 60)
    # What lies before is no matter of the rewind.
    with pytest.raises(RunConflict, match=r"`mqe\.0` must be"):
        bench.append("b", [10, 60], mqe=0.7, rewind_from=20.5)


def test_a_run_goes_on_from_among_checkpoints_that_were_not_kept(bench: Bench) -> None:
    close = (20.0, 20.1, 20.2, 20.3, 20.4)
    bench.append("a", [10])
    decisions = {}
    for times, back in enumerate((None, 20.1, 20.0, 20.2)):  # the last had been thinned twice
        for epoch in close:
            if back is None or epoch >= back:
                fixed = {"rewind_from": back} if epoch == back else {}
                mqe = (0.5 - 0.1 * times) / epoch
                decisions[epoch], stored = bench.append("a", [epoch], mqe=mqe, **fixed)
                assert stored == 1
                # The same again is known, kept or not.
                assert bench.append("a", [epoch], mqe=mqe) == (decisions[epoch], 0)
    run = bench.detail("a")
    assert run.history.epochs == (10, 20, 20.4)
    assert [r.epoch for r in run.run.rewinds] == [20.1, 20, 20.2]
    for epoch, decision in decisions.items():
        found = bench.replay("a", epoch)
        assert found.decision == decision
        assert found.inputs.history.epochs[-1] == epoch
        assert len(found.inputs.history) == decision.forecast.n_checkpoints


def test_a_stopped_run_that_is_rewound_is_live_again(bench: Bench) -> None:
    bench.fill()
    bench.append("bad", [10, 20], mqe=5.0)
    assert bench.detail("bad").run.state == "stopped"
    bench.append("bad", [20], mqe=0.001, rewind_from=20)
    assert bench.detail("bad").run.state == "running"
    assert bench.population().running == 1
    assert not any(o.run_id == "bad" for o in bench.population().outcomes)
    bench.finish("bad", censored=True)
    with pytest.raises(RunConflict, match="The run has finished"):
        bench.append("bad", [20], mqe=0.5, rewind_from=20)
