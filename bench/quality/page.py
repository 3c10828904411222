"""docs/quality.md: every section, from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.quality.aims import aims, foreign_table
from bench.quality.tables import (
    coverage_table,
    error_table,
    plan_table,
    replay_table,
    target_table,
)
from bench.quality.told_less import searches_table, told_less_table
from oracle.forecast.forecaster import Oracle
from oracle.types import LEVELS

ROOT = Path(__file__).parents[2]
#: What the baselines are fitted on comes of a collection that the oracle is trained on too.
FOR_BASELINES = "pretraining-5.csv.gz"
#: Runs that the baselines are fitted on: boosting gains little beyond, and takes minutes more.
BASELINE_RUNS = 12_000


def page(
    model: Oracle,
    measured: dict[str, Any],
    luck: dict[str, float],
    foreign: dict[str, Any],
    others: dict[str, dict[str, Any]],
    replayed: dict[str, Any],
    dense: dict[str, Any],
    told_less: dict[str, dict[str, Any]],
    searches: dict[str, dict[str, Any]],
) -> str:
    """Compose docs/quality.md."""
    limits = list(replayed["chosen"])
    score = "quality_relative"
    fitted_on = measured.get("baselines_fitted_on", "these very runs, in their favour")
    fitted_on = fitted_on.replace(f"{ROOT}/", "")
    parts = [
        f"""# How good it is

Written by `make quality`, do not edit; each section names the command that printed its tables. The
oracle is `{model.info.name}` ({model.info.sha256[:12]}).
{measured["runs"]:,} runs of {measured["tables"]} tables that nothing was fitted to (role `test` in
`oracle/history/tables.py`), trained by the compiled core over the whole space: online, blocks,
mini-batches, batch maps. Baselines are fitted on
{fitted_on}
and see the same inputs. Intervals are bootstraps over tables. Where a command names
`docs/quality/baseline-runs.csv.gz`, that file is every n-th run of `data/{FOR_BASELINES}`,
{BASELINE_RUNS:,} in all, made on the way and removed again.

## Aims, and what is reached

Set before the first oracle was trained, for tables that nothing was fitted to. The tables below
give the rest; what was tried where a line is missed stands at the end of this page.

{aims(measured, replayed, others, told_less, searches)}

## Forecasts

{printed(measured)}

Mean absolute error of the quality score (mqe / mqe_of_mean + topographic error + 0.5 · dead-neuron
ratio) by share of the run seen:

{error_table(measured, score)}

The floor (`python -m bench.quality.floor`): {luck["configurations"]} configurations of these
tables, each trained {luck["repeats"]} times with other random numbers, end {luck[score]:.4f} from
the median of their repetitions (mqe {luck["relative_mqe"]:.4f}, topographic error
{luck["topographic_error"]:.4f}, dead neurons {luck["dead_neuron_ratio"]:.4f}). Whoever knew
everything but the seed, and saw no checkpoint, would err by that much.

![error by prefix](img/error.png)

### Before the first checkpoint

What plan and table alone tell, and what a search loses that leaves out the candidates which the
forecast holds for the worst; the best tenth is that of each table's runs:

{plan_table(measured)}

### Targets

{target_table(measured)}

![forecast against outcome](img/scatter.png)

### Coverage

Share of outcomes inside the 50 % / 90 % intervals, by the randomised probability integral
transform:

{coverage_table(measured)}

![coverage](img/coverage.png)

Five unseen runs: the forecast of the final mqe as checkpoints come in (dots: measured; dotted: how
it ended):

![fans](img/fans.png)
""",
    ]
    if foreign:
        parts.append(
            f"""### MiniSom

{foreign["runs"]:,} runs of MiniSom itself, on {foreign["tables"]} of the test tables; no MiniSom
run trained the oracle. `minisom-unseen.csv.gz` holds the runs of data/minisom-2000.csv.gz on these
tables. {printed(foreign)}

{error_table(foreign, score)}

{target_table(foreign)}

{coverage_table(foreign)}
"""
        )
    parts.append(others_section(others))
    if told_less:
        parts.append(less_section(told_less))
    parts.append(
        f"""## Decisions

{replayed["populations"]} populations of {replayed["population_size"]} runs of one table each; good
= the true best {replayed["good"]:.0%}; checks at
{", ".join(f"{c:.0%}" for c in replayed["checks"])} of the run. Each policy's setting is chosen on
other tables ({str(replayed["chosen_on"]).replace(str(ROOT) + "/", "")}) by a bound on good runs
lost, and scored on these. {printed(replayed)}

{settings_tried(replayed)}
"""
    )
    for limit in limits:
        parts.append(f"### At most {float(limit):.0%} lost\n\n{replay_table(replayed, limit)}\n")
    parts.append("![saved against lost](img/saved-against-lost.png)\n")
    if dense:
        parts.append(
            "### Looking more often\n\nThe same with checks at "
            f"{', '.join(f'{c:.0%}' for c in dense['checks'])}; at most 1 % lost. "
            f"{printed(dense)}\n\n{replay_table(dense, next(iter(dense['chosen'])))}\n"
        )
    if searches:
        commands = "\n".join(f"    {found['command']}" for found in searches.values())
        parts.append(
            "### Searches that others recorded\n\nEach as one population, in the order in which it "
            "was trained; the risk is what the policy is set to,\nnot chosen on anything. Printed "
            f"by\n\n{commands}\n\n{searches_table(searches)}\n"
        )
    tried = ROOT / "docs" / "tried.md"
    if tried.is_file():
        parts.append(tried.read_text())
    parts.append(f"Levels shown: {', '.join(f'{level:g}' for level in LEVELS)}.\n")
    return "\n".join(parts)


def printed(found: dict[str, Any]) -> str:
    """By which command a section's tables were printed."""
    return f"Printed by\n\n    {found['command']}"


def settings_tried(replayed: dict[str, Any]) -> str:
    """How many settings each policy could be chosen from."""
    counts = {name: len(rows) for name, rows in replayed["curves"].items()}
    optuna = sum(count for name, count in counts.items() if name.startswith("Optuna "))
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    claim = (
        f' "No setting keeps the limit" speaks of these alone ({optuna} of Optuna\'s pruners, '
        "the grids of `oracle/evaluation/rivals.py`)."
        if optuna
        else ""
    )
    return f"Settings to choose from: {told}.{claim}"


def others_section(others: dict[str, dict[str, Any]]) -> str:
    """Runs that others recorded, or how to add some."""
    head = "### Runs that others recorded\n\n"
    if not others:
        return head + (
            "None were there when this was written. Put dataset files (docs/data.md) into "
            "data/foreign/, named after\ntheir source, or run "
            '`make quality ARGS="--foreign NAME=FILE"`.\n'
        )
    commands = "\n".join(f"    {found['command']}" for found in others.values())
    return (
        f"{head}Error of the quality score by share of the run seen. susi's, XPySom's and "
        "sklearn-som's are recorded by\n`python -m bench.libraries`, on the test tables. "
        f"Printed by\n\n{commands}\n\n{foreign_table(others)}\n"
    )


def less_section(found: dict[str, dict[str, Any]]) -> str:
    """What leaving things out costs: width, and never an answer that claims more than it knows."""
    commands = "\n".join(f"    {one['command']}" for one in found.values())
    return (
        "### Told less\n\nThe same runs, with parts of their histories left out; errors are of the "
        "quality score, on the scale\nthat stays known to the one who measures. Refused are "
        f"forecasts that no policy judges by. Printed by\n\n{commands}\n\n"
        f"{told_less_table(found)}\n"
    )
