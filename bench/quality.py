"""Write docs/quality.md: how good the shipped oracle's forecasts and decisions are.

    make quality                     # from data/*.csv.gz, see docs/training.md; about 20 minutes
    make quality ARGS="--quick"      # from the sample dataset alone, into a folder, in CI's time
    make quality ARGS="--foreign nexussom=runs.csv"   # beside data/foreign/*.csv, if there are any

Every table is what `oracle evaluate` and `oracle replay` print; the page names the command of
each, and their JSON is kept beside. Runs that others recorded need not be there: the page then
says how to add them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import readme
from bench.aims import FOREIGN, aims, foreign_table
from bench.floor import floor
from bench.told_less import (
    measure_others,
    measure_told_less,
    replay_searches,
    searches_table,
    told_less_table,
)
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import metadata_path, read_dataset, write_dataset
from oracle.history.tables import role_of
from oracle.pictures.style import MUTED, OURS, OURS_TOO, canvas
from oracle.types import LEVELS, Run

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
#: Read in full measure; docs/training.md tells the commands that collect them.
#: What the baselines are fitted on comes of a collection that the oracle is trained on too.
FOR_BASELINES = "pretraining-5.csv.gz"
NEEDED = ("test.csv.gz", FOR_BASELINES, "choose.csv.gz")
#: Runs that the baselines are fitted on: boosting gains little beyond, and takes minutes more.
BASELINE_RUNS = 12_000
#: Shares of the run at which forecasts are shown; 0 is the plan alone.
SHOWN = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
#: Checks of the second replay: what the hook does that looks at every checkpoint.
DENSE = "0.03,0.05,0.07,0.1,0.13,0.16,0.2,0.25,0.3,0.4,0.5,0.6,0.7,0.8"


def oracle(*arguments: str) -> dict[str, Any]:
    """Run one command with --json; the answer names it."""
    command = [sys.executable, "-m", "oracle", *arguments, "--json"]
    print("oracle", *arguments, flush=True)
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    told = " ".join(("oracle", *arguments, "--json")).replace(f"{ROOT}/", "")
    return answer | {"command": told}


def named(text: str) -> tuple[str, Path]:
    """Read NAME=FILE."""
    name, _, file = text.partition("=")
    if not name or not Path(file).is_file():
        raise argparse.ArgumentTypeError(
            f"must be NAME=FILE with an existing dataset, but got {text}."
        )
    return name, Path(file)


def of_main_score(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an evaluation: by table and source the main score alone, for its size."""
    for name in ("by_table", "by_source"):
        for key, rows in found.get(name, {}).items():
            found[name][key] = [row for row in rows if row["score"] == found["main_score"]]
    return found


def picked(runs: Sequence[Run], count: int) -> list[Run]:
    """Every n-th run, `count` at most."""
    return list(runs[:: max(1, len(runs) // count)])[:count]


def forget(dataset: Path) -> None:
    """Remove a dataset made on the way, and what stands beside it."""
    metadata_path(dataset).unlink()
    dataset.unlink()


def fans(path: Path, model: Oracle, runs: Sequence[Run]) -> None:
    """Draw how the forecast of the final mqe moved and narrowed on five unseen runs."""
    with canvas(path, len(runs), width=3.0, height=3.2) as (_, panels):
        for axes, run in zip(panels, runs, strict=True):
            history = run.history
            budget = history.total_epochs or history.epochs[-1]
            progress = [epoch / budget for epoch in history.epochs]
            seen = [n for n in range(1, len(history) + 1) if progress[n - 1] <= 0.9]
            forecasts = model.forecast_many([history.prefix(n) for n in seen])
            x = [progress[n - 1] for n in seen]
            low, lower, middle, upper, high = zip(
                *(f.final["final_mqe"] for f in forecasts), strict=True
            )
            axes.fill_between(x, low, high, color=OURS_TOO, alpha=0.25, linewidth=0)
            axes.fill_between(x, lower, upper, color=OURS_TOO, alpha=0.5, linewidth=0)
            axes.plot(x, middle, color=OURS)
            axes.plot(progress, history.mqe, ".", color=MUTED, markersize=3)
            axes.axhline(run.final_mqe, color=MUTED, linewidth=0.8, linestyle=":")
            top = max(max(history.mqe[1:]), run.final_mqe) * 1.15
            axes.set(xlim=(0, 1), ylim=(0, top), title=run.dataset, xlabel="share of the run")
        panels[0].set_ylabel("mqe: measured, and its end as forecast")


def error_table(found: dict[str, Any], score: str) -> str:
    """MAE of every forecaster by prefix, and the oracle's ratio to the last value."""
    rows = [r for r in found["errors"] if r["score"] == score and r["progress"] in SHOWN]
    shown = [p for p in SHOWN if any(r["progress"] == p for r in rows)]
    head = "| |" + "".join(f" {p:.0%} |" for p in shown) + "\n|---|" + "---|" * len(shown)
    lines = [head]
    for name in dict.fromkeys(r["forecaster"] for r in rows):
        mine = {r["progress"]: r["mae"] for r in rows if r["forecaster"] == name}
        cells = "".join(" - |" if mine[p] is None else f" {mine[p]:.4f} |" for p in shown)
        lines.append(f"| {'**oracle**' if name == 'oracle' else name} |{cells}")
    ours = {r["progress"]: r for r in rows if r["forecaster"] == "oracle"}
    cells = "".join(f" {_ratio(ours[p])} |" for p in shown)
    return "\n".join([*lines, f"| oracle / last value |{cells}"])


def _ratio(row: dict[str, Any]) -> str:
    if row.get("ratio_to_last") is None:  # before the first checkpoint there is no last value
        return "-"
    ends = row["ratio_interval"]
    return f"{row['ratio_to_last']:.3f} ({ends[0]:.2f}..{ends[1]:.2f})"


def plan_table(found: dict[str, Any]) -> str:
    """How well every forecaster ranks the runs of one table before the first checkpoint."""
    errors = {
        r["forecaster"]: r
        for r in found["errors"]
        if r["score"] == "quality_relative" and r["progress"] == 0 and r["mae"] is not None
    }
    lost = {
        (r["forecaster"], r["left_out"]): r
        for r in found.get("screening", ())
        if r["progress"] == 0
    }
    shares = sorted({out for _, out in lost}, reverse=True)
    head = "".join(f" best tenth lost, worst {out:.0%} left out |" for out in shares)
    lines = [f"| | MAE | Spearman within a table |{head}", "|---|---|---|" + "---|" * len(shares)]
    for name, row in errors.items():
        rank = "-" if row["spearman"] is None else f"{row['spearman']:.3f}"
        cells = "".join(f" {_share(lost.get((name, out)))} |" for out in shares)
        told = "**oracle**" if name == "oracle" else name
        lines.append(f"| {told} | {row['mae']:.4f} | {rank} |{cells}")
    return "\n".join(lines)


def _share(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    ends = row["lost_interval"]
    return f"{row['lost']:.1%}" + ("" if ends is None else f" ({ends[0]:.1%}..{ends[1]:.1%})")


def target_table(found: dict[str, Any]) -> str:
    """MAE and Pearson's r of each target at 20 and 50 %."""
    lines = ["| | MAE 20 % | r 20 % | MAE 50 % | r 50 % |", "|---|---|---|---|---|"]
    for score in ("relative_mqe", "final_topographic_error", "final_dead_neuron_ratio"):
        rows = {
            r["progress"]: r
            for r in found["errors"]
            if r["score"] == score and r["forecaster"] == "oracle"
        }
        cells = "".join(f" {rows[p]['mae']:.4f} | {rows[p]['pearson']:.3f} |" for p in (0.2, 0.5))
        lines.append(f"| {score} |{cells}")
    return "\n".join(lines)


def coverage_table(found: dict[str, Any]) -> str:
    """Coverage of the 50 and 90 % intervals by prefix, with intervals over tables."""
    rows = [r for r in found["coverage"] if r["progress"] in SHOWN]
    shown = [p for p in SHOWN if any(r["progress"] == p for r in rows)]
    lines = ["| | " + " | ".join(f"{p:.0%}" for p in shown) + " |", "|---|" + "---|" * len(shown)]
    for score in dict.fromkeys(r["score"] for r in rows):
        mine = {r["progress"]: r for r in rows if r["score"] == score}
        cells = " | ".join(
            f"{mine[p]['coverage_50%']:.0%} / {mine[p]['coverage_90%']:.0%}" if p in mine else "-"
            for p in shown
        )
        lines.append(f"| {score} | {cells} |")
    return "\n".join(lines)


def replay_table(found: dict[str, Any], limit: str) -> str:
    """Saved and lost of every policy, its setting chosen on other tables."""
    lines = [
        "| policy | epochs saved | compute saved | of the not good | good lost | regret |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["chosen"][limit]:
        settings = row["settings"]
        if row["policy"] != "clairvoyant" and all(s is None for s in settings):
            lines.append(f"| {row['policy']} | no setting keeps the limit | | | | |")
            continue
        saved, lost = row["saved"], row["lost"]
        lines.append(
            f"| {row['policy']} | {saved['value']:.1%} ({saved['low']:.0%}..{saved['high']:.0%}) "
            f"| {row['compute_saved']['value']:.1%} | {row['bad_saved']['value']:.1%} "
            f"| {lost['value']:.2%} ({lost['low']:.1%}..{lost['high']:.1%}) "
            f"| {row['regret']['value']:.4f} |"
        )
    return "\n".join(lines)


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


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="shipped-default")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--quick", action="store_true", help="sample data, no baselines")
    parser.add_argument(
        "--foreign", action="append", type=named, metavar="NAME=FILE", help="runs others recorded"
    )
    options = parser.parse_args()
    missing = [] if options.quick else [name for name in NEEDED if not (DATA / name).is_file()]
    if missing:
        parser.error(
            f"data/ must hold {', '.join(NEEDED)}, but there is no {', '.join(missing)}. "
            "docs/training.md gives the commands that collect them; --quick needs none."
        )
    recorded = {path.name.split(".")[0]: path for path in sorted((DATA / "foreign").glob("*.csv*"))}
    recorded |= dict(options.foreign or ())
    out: Path = options.out
    pictures, results = out / "img", out / "quality"
    pictures.mkdir(parents=True, exist_ok=True)
    results.mkdir(exist_ok=True)
    model = Oracle.load(options.model)

    test = DATA / ("sample.csv.gz" if options.quick else "test.csv.gz")
    runs = read_dataset(test)
    extra: list[str] = []
    if not options.quick:
        fit_on = results / "baseline-runs.csv.gz"
        write_dataset(fit_on, picked(read_dataset(DATA / FOR_BASELINES), BASELINE_RUNS), {})
        extra = ["--baselines", "--train-dataset", str(fit_on)]
    with_model = ["--model", options.model]
    measured = oracle(
        "evaluate", *with_model, "--dataset", str(test), *extra, "--png", str(pictures)
    )
    foreign: dict[str, Any] = {}
    minisom = DATA / "minisom-2000.csv.gz"
    if minisom.is_file() and not options.quick:
        unseen = results / "minisom-unseen.csv.gz"
        write_dataset(
            unseen, [r for r in read_dataset(minisom) if role_of(r.dataset) == "test"], {}
        )
        foreign = oracle("evaluate", *with_model, "--dataset", str(unseen), *extra)
        forget(unseen)
    others = {
        name: oracle(
            "evaluate", *with_model, "--dataset", str(path), *(extra if name in FOREIGN else ())
        )
        for name, path in recorded.items()
    }
    told_less = {} if options.quick else measure_told_less(oracle, with_model, test, extra)
    others_less = measure_others(oracle, with_model, recorded)
    searches = replay_searches(oracle, with_model, recorded)
    choose = ["--choose-on", str(DATA / "choose.csv.gz")]
    size = ["--population-size", "8"] if options.quick else []
    saved = pictures / "saved-against-lost.png"
    replayed = oracle(
        "replay",
        *with_model,
        "--dataset",
        str(test),
        *([] if options.quick else [*choose, *extra]),
        *size,
        "--png",
        str(saved),
    )
    dense: dict[str, Any] = {}
    if not options.quick:
        forget(fit_on)
        dense = oracle("replay", *with_model, "--dataset", str(test), *choose, "--checks", DENSE)
    luck = floor(*((20, 3) if options.quick else (400, 8)))
    fans(pictures / "fans.png", model, picked([r for r in runs if len(r.history) > 12], 5))
    for name, found in (
        ("evaluate", measured),
        ("floor", luck),
        ("evaluate-minisom", foreign),
        ("replay", replayed),
        ("replay-dense", dense),
        *((f"evaluate-foreign-{name}", found) for name, found in others.items()),
        *((f"replay-{name}", found) for name, found in searches.items()),
    ):
        if found:
            text = json.dumps(of_main_score(found), indent=1).replace(f"{ROOT}/", "")
            (results / f"{name}.json").write_text(text + "\n")
    less = told_less | others_less
    text = page(model, measured, luck, foreign, others, replayed, dense, less, searches)
    (out / "quality.md").write_text(text)
    if out == readme.KEPT.parent and not options.quick:
        readme.write()
    print(f"wrote {out / 'quality.md'}")


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

The floor (`python -m bench.floor`): {luck["configurations"]} configurations of these tables, each
trained {luck["repeats"]} times with other random numbers, end {luck[score]:.4f} from the median of
their repetitions (mqe {luck["relative_mqe"]:.4f}, topographic error
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


if __name__ == "__main__":
    main()
