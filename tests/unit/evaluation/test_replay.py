"""Replays: what they count, that they decide as `decide` does, and how the risk is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import Insider, make_runs

from oracle.decision.policy import decide_population, outcome_of
from oracle.errors import DatasetError
from oracle.evaluation.baselines import Boosting
from oracle.evaluation.recorded_runs import (
    RecordedRuns,
    at_checks,
    by_table,
    compute_of,
    populations,
)
from oracle.evaluation.replay import (
    COLUMNS,
    Ended,
    ReplayCounts,
    Setting,
    by_decide,
    clairvoyant,
    counts_of,
    cut_short,
    in_step,
    one_after_another,
    replay,
    when_converged,
)
from oracle.evaluation.replay_figures import curve, figures, upper_bound
from oracle.evaluation.risk_choice import bound, choose, chosen_elsewhere, chosen_on
from oracle.types import Policy, Reference

RUNS = make_runs(40)
POLICY = Policy(name="population", control=0.0, risk=0.05)


@pytest.fixture(scope="module")
def population() -> RecordedRuns:
    return at_checks(RUNS, Insider(RUNS))


def counted(row: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, row.tolist(), strict=True))


def test_one_after_another_decides_as_decide_does(population: RecordedRuns) -> None:
    for policy in (POLICY, POLICY.model_copy(update={"patience": 2, "startup_runs": 6})):
        ours, theirs = one_after_another(policy)(population), by_decide(policy)(population)
        np.testing.assert_array_equal(ours, theirs)
        assert (ours < population.n_checks).any()


def converging(**settings: object) -> Policy:
    return POLICY.model_copy(update={"converged": 0.05, "converged_risk": 0.2, **settings})


def test_runs_that_have_converged_end_as_decide_ends_them(population: RecordedRuns) -> None:
    for policy in (converging(), converging(patience=2), converging(startup_runs=39)):
        ours, theirs = one_after_another(policy)(population), by_decide(policy)(population)
        assert isinstance(ours, Ended)
        assert isinstance(theirs, Ended)
        np.testing.assert_array_equal(ours.at, theirs.at)
        np.testing.assert_array_equal(ours.converged, theirs.converged)
        assert ours.converged.any()
        assert (ours.at[ours.converged] < population.n_checks).all()
    together = in_step(converging())(population)
    assert isinstance(together, Ended)
    assert together.converged.any()
    alone = when_converged(converging())(population)
    assert isinstance(alone, Ended)
    assert (alone.converged == (alone.at < population.n_checks)).all()


def test_a_converged_run_is_kept_as_it_is_and_lost_where_it_would_have_gained_more(
    population: RecordedRuns,
) -> None:
    at = np.full(population.n_runs, population.n_checks)
    best = int(population.final.argmin())
    at[best] = 1
    converged = at < population.n_checks
    gain = population.last[1, best] - population.final[best]
    for epsilon, lost in ((gain / 2, 1.0), (gain * 2, 0.0)):
        row = counted(counts_of(population, Ended(at, converged, epsilon)))
        assert (row["lost"], row["gained_more"], row["converged"]) == (lost, lost, 1.0)
        assert row["given_up"] == pytest.approx(gain)
        assert row["saved"] == pytest.approx(0.8)
    np.testing.assert_array_equal(
        cut_short(Ended(at, converged, 0.1), population.n_checks), population.n_checks
    )


def test_in_step_decides_as_decide_population_does(population: RecordedRuns) -> None:
    stops = in_step(POLICY)(population)
    result = np.full(population.n_runs, population.n_checks)
    outcomes: list[object] = []
    for c in range(population.n_checks):
        live = [i for i in range(population.n_runs) if result[i] == population.n_checks]
        reference = Reference(
            outcomes=tuple(outcomes),
            mqe_of_mean=2.0,
            population_size=population.n_runs,
        )
        decisions = decide_population(
            [h for i in live if (h := population.prefixes[c][i]) is not None],
            [population.forecasts[c][i] for i in live],
            reference,
            POLICY,
        )
        for i, decision in zip(live, decisions, strict=True):
            forecast = population.forecasts[c][i]
            if decision.stop and forecast is not None:
                result[i] = c
                outcomes.append(
                    outcome_of(population.prefixes[c][i], forecast, POLICY, mqe_of_mean=2.0)
                )
    # Stopped members enter in another order, so their noise is another: ties may tip.
    assert (stops != result).mean() <= 0.05


def test_the_clairvoyant_bounds_everybody(population: RecordedRuns) -> None:
    best = counted(counts_of(population, clairvoyant(population)))
    assert best["lost"] == best["regret"] == 0.0
    assert best["saved"] == pytest.approx(0.9 * 36)
    ours = counted(counts_of(population, in_step(POLICY)(population)))
    assert 0 < ours["saved"] < best["saved"]


def test_what_a_stop_saves_and_loses_is_counted(population: RecordedRuns) -> None:
    stops = np.full(population.n_runs, population.n_checks)
    best = int(population.final.argmin())
    stops[best] = 1
    row = counted(counts_of(population, stops))
    assert row["saved"] == pytest.approx(0.8)
    assert row["compute_saved"] == pytest.approx(0.8 * compute_of(RUNS[best].history))
    assert row["bad_saved"] == 0.0
    assert row["lost"] == 1.0
    assert row["regret"] == pytest.approx(np.sort(population.final)[1] - population.final.min())


def test_populations_are_cut_and_shuffled_without_losing_their_table(
    population: RecordedRuns,
) -> None:
    cut = list(populations(population, 15, shuffles=2))
    assert [p.n_runs for p in cut] == [15, 15, 10, 15, 15, 10]
    assert sorted(r.run_id for p in cut[3:] for r in p.runs) == sorted(r.run_id for r in RUNS)
    assert {p.table for p in cut} == {"made"}
    assert all(p.is_good.sum() == 1 for p in cut)
    assert [p.n_runs for p in populations(population, 30)] == [30]  # 10 left are too few


def test_what_cannot_be_replayed_is_counted() -> None:
    odd = [
        RUNS[0].model_copy(update={"censored": True}),
        RUNS[1].model_copy(update={"final_topographic_error": None}),
        RUNS[2].model_copy(
            update={"history": RUNS[2].history.model_copy(update={"total_epochs": None})}
        ),
        *make_runs(3, "small"),
        *RUNS[3:],
    ]
    tables, excluded = by_table(odd, 40)
    assert [len(t) for t in tables] == [37]
    assert excluded == {
        "censored": 1,
        "undefined final metric": 1,
        "unknown total_epochs": 1,
        "too few runs of the table": 3,
    }


def test_too_few_runs_for_a_population_are_refused() -> None:
    with pytest.raises(DatasetError, match="20 usable runs of one table"):
        by_table(RUNS[:10], 40)


def test_the_risk_is_chosen_where_it_is_not_scored() -> None:
    """Table "wild" loses everything at the greedy setting; choosing without it cannot know."""
    settings = [Setting("p", 0.1), Setting("p", 0.9), Setting("other")]
    counts = np.zeros((3, 2, len(COLUMNS)))
    counts[:, :, COLUMNS.index("runs")] = counts[:, :, COLUMNS.index("good")] = 100
    counts[:, :, COLUMNS.index("populations")] = 1
    counts[0, :, COLUMNS.index("saved")] = 30
    counts[1, :, COLUMNS.index("saved")] = 80
    counts[1, 1, COLUMNS.index("lost")] = 50
    replayed = ReplayCounts(settings, ["calm", "wild"], counts)
    assert choose(replayed.where({"calm"}), "p", 0.01, 0.5) == 1
    assert choose(replayed.where({"wild"}), "p", 0.01, 0.5) == 0
    assert choose(replayed.where({"wild"}), "p", 0.0001, 0.5) is None
    elsewhere = chosen_elsewhere(replayed, "p", 0.01, 0.5, splits=3)
    assert sorted(set(elsewhere.settings)) == [0.1, 0.9]
    assert elsewhere.figures["lost"].value == pytest.approx(0.25)  # the wild table's 50 of 200
    on = chosen_on(replayed.where({"calm"}), replayed.where({"wild"}), "p", 0.01, 0.5)
    assert on.figures["lost"].value == 0.5
    nothing = chosen_on(replayed.where({"wild"}), replayed, "p", 0.0001, 0.5)
    assert nothing.settings == [None]
    assert nothing.figures["saved"].value == 0.0


def test_no_loss_is_not_no_risk() -> None:
    """The rule of three: 0 of 100 still allows 3 to 4 %."""
    assert upper_bound(0, 100, 0.975) == pytest.approx(0.0362, abs=1e-3)
    counts = np.zeros((2, len(COLUMNS)))
    counts[:, COLUMNS.index("good")] = 50
    assert figures(counts, ["a", "b"])["lost"].high == pytest.approx(0.0362, abs=1e-3)


def test_one_table_has_an_interval_over_its_populations_and_one_population_none() -> None:
    counts = np.zeros((3, len(COLUMNS)))
    counts[:, COLUMNS.index("runs")] = 100
    counts[:, COLUMNS.index("saved")] = (20, 50, 80)
    low, high = figures(counts, ["a", "a", "a"])["saved"][1:]
    assert 0.2 <= low < 0.5 < high <= 0.8
    assert figures(counts[:1], ["a"])["saved"] == (0.2, None, None)


def test_the_bound_is_scored_without_a_choice() -> None:
    """So few good runs that no setting can be shown to keep a limit: it saves what it saves."""
    population = at_checks(RUNS[:12], None)
    replayed = replay([population, population], {Setting("clairvoyant"): clairvoyant})
    assert choose(replayed, "clairvoyant", 0.01, 0.8) is None
    scored = bound(replayed, "clairvoyant")
    assert scored.figures["saved"].value == pytest.approx(0.9 * 11 / 12)
    assert scored.settings == [0.0]


def test_optunas_pruners_have_grids_and_tell_users_nothing(population: RecordedRuns) -> None:
    from oracle.evaluation.rivals import rivals

    names = [s for s in rivals() if s.policy.startswith("Optuna ")]
    assert len({(s.policy, s.label) for s in names}) == len(names) >= 40
    assert any("percentile 97" in s.label for s in names)
    # One run goes unseen at the first check: its step is then missing from the best trial.
    late = population.last.copy()
    late[0, : population.n_runs // 2] = np.inf
    seen = replace(population, last=late)
    for setting, policy in rivals().items():
        if setting.policy == "Optuna Wilcoxon":
            policy(seen)  # a warning would be an error here


def test_rivals_play_by_the_same_rules() -> None:
    import optuna

    from oracle.evaluation.rivals import BoostingDraws, rivals

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    population = at_checks(RUNS, None)
    policies = rivals()
    boosting = Boosting(iterations=20).fit(make_runs(60, "train", seed=5))
    policies[Setting("boosting", 0.05)] = BoostingDraws(boosting)(in_step(POLICY))
    replayed = replay([population], policies)
    assert {s.policy for s in policies} >= {
        "Optuna Median",
        "Optuna Percentile",
        "Optuna SuccessiveHalving",
        "Optuna Hyperband",
        "Optuna Wilcoxon",
        "Optuna Patient(Percentile)",
        "curve fit + percentile",
        "keep top K at the first check",
    }
    bound = counted(replayed.counts[0, 0])["saved"]
    for name in replayed.policies:
        for setting, found in curve(replayed, name):
            assert 0 <= found["saved"].value <= 1, setting
            if found["lost"].value == 0:
                assert found["saved"].value <= bound / population.n_runs + 1e-9
    median = curve(replayed, "Optuna Median")[0][1]
    assert median["saved"].value > 0.1


def test_what_is_undefined_is_no_good_last_value() -> None:
    history = RUNS[0].history
    hidden = history.model_copy(update={"topographic_error": (None,) * len(history)})
    found = at_checks([RUNS[0].model_copy(update={"history": hidden}), *RUNS[1:4]], None, (0.5,))
    assert np.isinf(found.last[0, 0])
    assert np.isfinite(found.last[0, 1:]).all()
