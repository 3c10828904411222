"""T22: a history that is better in some way and worse in none is judged no worse.

The rule itself never judges a better forecast worse (tests/property/test_policy_monotone.py). What
the network makes of a better history is learned, and is measured here.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from reliability import Result
from serving import MODEL

from fuzz.played import POLICY, played
from oracle.decision.policy import decide
from oracle.forecast.forecaster import Oracle
from oracle.types import METRICS, Action, History

#: How often a better history may be stopped where the worse one goes on.
PROMISED = 0.003
#: Fewer cases than this say nothing about such a rate.
ENOUGH = 3_000
MQE, ERROR, DEAD = METRICS
#: What is made better, to which share of its value: at every checkpoint, or at the last alone.
FACTORS = {MQE: (0.95, 0.9, 0.8), ERROR: (0.9, 0.8, 0.5), DEAD: (0.9, 0.8, 0.5)}


def better_histories(folder: Path, n: int) -> Result:
    """Make the histories of about `n` runs better at each check that does not stop them."""
    result, oracle = Result(), Oracle.load(MODEL or None)
    cases, turned = Counter[str](), Counter[str]()
    deepest = 0.0
    for check in played(oracle, n):
        if check.decision.p_good is None or check.decision.action is not Action.CONTINUE:
            continue
        made = _better(check.history)
        forecasts = oracle.forecast_many([history for _, history in made])
        for (kind, history), forecast in zip(made, forecasts, strict=True):
            again = decide(history, forecast, check.reference, POLICY)
            if again.p_good is None:
                continue  # in doubt: not judged
            cases[kind] += 1
            turned[kind] += again.stop
            if again.stop:
                deepest = max(deepest, check.decision.p_good - again.p_good)
    total, wrong = cases.total(), turned.total()
    result.check(total > 0, "nothing was judged")
    result.checked = total
    if total >= ENOUGH and wrong > PROMISED * total:
        result.missed = f"{wrong / total:.2%} of better histories, more than {PROMISED:.1%}"
    # Far beyond what any oracle here has shown, something is broken.
    result.check(wrong <= 10 * PROMISED * total, f"{wrong} of {total} better histories stopped")
    result.bound = "-"
    kinds = ", ".join(f"{kind} {turned[kind]} of {cases[kind]}" for kind in sorted(cases))
    result.seen |= {
        "stopped": f"{wrong} of {total:,} ({wrong / total:.2%}): {kinds}",
        "P(good) fell by at most": f"{deepest:.3f}",
    }
    return result


def _better(history: History) -> list[tuple[str, History]]:
    """Make better histories, each named by what is better."""
    made = []
    for metric, factors in FACTORS.items():
        for factor in factors:
            made.append((metric, scaled(history, {metric: factor}, 0)))
        made.append((f"{metric} at the last", scaled(history, {metric: factors[-1]}, -1)))
    made.append(("all", scaled(history, dict.fromkeys(METRICS, 0.9), 0)))
    return [(kind, better) for kind, better in made if better != history]


def scaled(history: History, factors: dict[str, float], start: int) -> History:
    """Scale columns from the checkpoint `start` on."""
    changed = {}
    for metric, factor in factors.items():
        column = np.array(getattr(history, metric), dtype=float)
        least = _must_stay_dead(history) if metric == DEAD else 0.0
        column[start:] = np.minimum(column[start:], np.maximum(least, factor * column[start:]))
        changed[metric] = tuple(None if np.isnan(v) else float(v) for v in column)
    return history.model_copy(update=changed)


def _must_stay_dead(history: History) -> float:
    """Share of the neurons that no map can win samples for: there are fewer samples."""
    context = history.context
    if not (context.n_samples and context.map_rows and context.map_cols):
        return 0.0
    return max(0.0, 1.0 - context.n_samples / (context.map_rows * context.map_cols))
