"""The page of all reasons, docs/reasons.md: each is provoked, and says its sentence itself.

Run by docs/generate.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from oracle.decision.policy import decide
from oracle.errors import OracleError
from oracle.server.runs.decisions import judge, overruled
from oracle.types import Decision, Forecast, Policy, Reason
from tests.made_up import forecast_of, history_of, reference_of

HEAD = """\
# Reasons

`make docs` writes this page from `oracle.types.Reason` and from decisions that it provokes.

Every decision says why in one word, `Decision.reason` (`reason` over HTTP), and in one sentence,
`Decision.message`. Any doubt is an `abstain`, which every caller treats as `continue`: only `stop`
ends a run. Where nothing is stopped at all: [nothing-stopped.md](nothing-stopped.md).

| Reason | When | What to do | It says, for example |
|---|---|---|---|
"""

population = partial(Policy, name="population", control=0.0)
OTHERS = reference_of(*np.linspace(0.3, 0.8, 20))


def expecting(mqe: float, spread: float = 0.05, **changes: object) -> Forecast:
    """A forecast around this final mqe."""
    noise = spread * np.random.default_rng(0).standard_normal((500, 3))
    draws = np.clip(np.abs(np.array([mqe, 0.1, 0.2]) + noise), 0, [9, 1, 1])
    return forecast_of(draws, **changes)  # type: ignore[arg-type]


def provoked() -> dict[Reason, Decision]:
    """One decision of each reason."""
    run, bad = history_of(), expecting(1.5)
    doubt = partial(decide, run, reference=OTHERS)
    pareto = Policy(name="pareto", control=0.0)
    stopped = doubt(bad, policy=population())
    steady = np.tile([run.mqe[-1], run.topographic_error[-1], run.dead_neuron_ratio[-1]], (300, 1))
    told = [
        decide(run, expecting(0.2), None, Policy()),
        decide(run, expecting(0.5), None, Policy()),
        doubt(expecting(0.4), policy=population()),
        decide(run, bad, None, Policy(control=0.0)),
        stopped,
        doubt(bad, policy=pareto),
        doubt(forecast_of(steady), policy=population(startup_runs=100, converged=0.01)),
        doubt(bad, policy=population(patience=3)),
        doubt(expecting(0.1, 0.01), policy=population(risk=0.9999)),
        doubt(bad, policy=population(control=1.0)),
        doubt(bad, policy=population(min_progress=0.5)),
        decide(run.prefix(1), bad, OTHERS, population()),
        decide(run, bad, reference_of(0.4, 0.5), population()),
        decide(history_of(total_epochs=None), bad, OTHERS, population()),
        doubt(expecting(1.5, support=0.01), policy=population()),
        decide(history_of(topographic_error=(0.2, 0.2, None)), bad, OTHERS, population()),
        decide(history_of(context={"mqe_of_mean": 9.0}), bad, OTHERS, population()),
        decide(run, expecting(1.5, mqe_of_mean=None), None, Policy(scale="relative")),
        decide(run, bad, None, population()),
        doubt(bad, policy=Policy(name="pareto", objectives=("mqe", "trustworthiness"))),
        doubt(None, policy=population()),
        decide(history_of(total_epochs=30), bad, OTHERS, population()),
        overruled(stopped, "keep"),
        judge(run, OracleError("failed"), None, population(), 0),
    ]
    return {decision.reason: decision for decision in told}


def page() -> str:
    """The page's whole text."""
    said = provoked()
    rows = [
        f"| <a id='{r}'></a>`{r}` | {r.when[0].upper()}{r.when[1:]}. | {r.advice} | "
        f"*{said[r].message}* |"
        for r in Reason
    ]
    return HEAD + "\n".join(rows) + "\n"
