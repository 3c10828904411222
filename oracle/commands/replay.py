"""`oracle replay`: what the policies would have saved on recorded runs, and what they lose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.commands.check_policy import policy_in
from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.evaluation.recorded_runs import RecordedRuns
    from oracle.evaluation.replay import ReplayCounts, Setting, StopPolicy
    from oracle.evaluation.replay_figures import Estimate
    from oracle.evaluation.risk_choice import Chosen
    from oracle.types import Run

#: Risks on the curve of our policies; the choice is made among them.
RISKS = "0.001,0.002,0.003,0.005,0.007,0.01,0.0125,0.015,0.02,0.025,0.03,0.04,0.05,0.08,0.12,0.2"


def replay(
    dataset: Annotated[Path, typer.Option(help="Recorded runs, .csv, .csv.gz or .parquet.")],
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    population_size: Annotated[int, typer.Option(min=4, help="Runs of a population.")] = 45,
    good: Annotated[float, typer.Option(help="Share of a population that counts as good.")] = 0.1,
    checks: Annotated[str, typer.Option(help="Progress of the checks.")] = "0.1,0.2,0.3,0.5,0.7",
    policy: Annotated[
        str | None,
        typer.Option(
            help="The policy in force: a name, or settings as JSON (default: population)."
        ),
    ] = None,
    risks: Annotated[str, typer.Option(help="Risks on the curve.")] = RISKS,
    converged: Annotated[
        str | None,
        typer.Option(
            help="End runs, too, when the rest is worth less than each of these, quality score."
        ),
    ] = None,
    converged_risk: Annotated[
        float, typer.Option(help="... with P(it is worth more) at most this.")
    ] = 0.05,
    lost: Annotated[str, typer.Option(help="Limits on good runs lost.")] = "0.01,0.05",
    confidence: Annotated[
        float, typer.Option(help="Of the upper bound that the risk is chosen by.")
    ] = 0.8,
    choose_on: Annotated[
        Path | None,
        typer.Option(help="Other recorded runs to choose the risk on (default: half and half)."),
    ] = None,
    shuffles: Annotated[int, typer.Option(min=1, help="Orders each table is cut in.")] = 1,
    baselines: Annotated[bool, typer.Option(help="Replay pruners and simple rules too.")] = False,
    train_dataset: Annotated[
        Path | None, typer.Option(help="Runs to fit the boosting rival on, with --baselines.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of orders and halves.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    png: Annotated[Path | None, typer.Option(help="Picture of saved against lost.")] = None,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="HTML file to write, all in one.")
    ] = None,
) -> None:
    """Replay decisions over recorded runs: epochs and compute saved, good runs lost."""
    from oracle.evaluation.recorded_runs import at_checks, by_table, populations
    from oracle.evaluation.replay import Setting
    from oracle.evaluation.replay import replay as play
    from oracle.evaluation.replay_policies import (
        CLAIRVOYANT,
        IN_FORCE,
        InForce,
        converging,
        policies_of,
    )
    from oracle.evaluation.risk_choice import bound, chosen_elsewhere, chosen_on
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import read_dataset
    from oracle.reports.replay import OTHER_HALF, conclude
    from oracle.types import PopulationPolicy

    if train_dataset is not None and not baselines:
        rule = "left out without --baselines"
        raise OracleError(must_be("--train-dataset", rule, str(train_dataset)))
    shares = [("--good", good), ("--confidence", confidence), ("--converged-risk", converged_risk)]
    for option, value in shares:
        if not 0.0 < value < 1.0:
            raise OracleError(must_be(option, "between 0 and 1", value))
    when = numbers("--checks", checks)
    limits = numbers("--lost", lost)
    in_force = InForce(PopulationPolicy(good=good) if policy is None else policy_in(policy))
    oracle = Oracle.load(model)
    tables, excluded = by_table(read_dataset(dataset), population_size)
    policies = policies_of(numbers("--risks", risks), good, baselines, train_dataset, tables)
    if converged is not None:
        policies |= converging(numbers("--converged", converged), converged_risk, good)

    played: dict[Setting, StopPolicy] = {
        Setting(IN_FORCE, 0.0, str(in_force)): in_force,
        **policies,
    }

    def seen(tables: Sequence[list[Run]]) -> Iterator[RecordedRuns]:
        for runs in tables:
            table = at_checks(runs, oracle, when, good)
            yield from populations(table, population_size, shuffles, seed)

    replayed = play(seen(tables), played)
    if choose_on is None:
        choice: Callable[..., Chosen] = partial(chosen_elsewhere, replayed, seed=seed)
    else:
        others, _ = by_table(read_dataset(choose_on), population_size)
        shared = {run.dataset for runs in others for run in runs} & set(replayed.tables)
        if shared:
            raise OracleError(
                must_be("--choose-on", "runs of other tables", sorted(shared)[0], "Choose others.")
            )
        choice = partial(chosen_on, play(seen(others), policies), replayed)
    chosen = {
        limit: [
            bound(replayed, name)
            if name == CLAIRVOYANT
            else choice(policy=name, limit=limit, confidence=confidence, shuffles=shuffles)
            for name in replayed.policies
            if name != IN_FORCE
        ]
        for limit in limits
    }
    if png is not None:
        _draw(png, replayed, dataset)
    facts = {
        "dataset": str(dataset),
        "model": oracle.info.model_dump(),
        "tables": len(set(replayed.tables)),
        "populations": len(replayed.tables),
        "population_size": population_size,
        "good": good,
        "checks": when,
        "excluded": excluded,
        "confidence": confidence,
        "chosen_on": str(choose_on) if choose_on else OTHER_HALF,
    }
    found = _as_dict(facts, replayed, chosen, in_force.told(replayed, shuffles))
    conclusion = conclude(found)
    found["conclusion"] = conclusion._asdict()
    if report_to is not None:
        _report(report_to, found)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{conclusion}\n")
        _print(facts, replayed, chosen)


def numbers(option: str, text: str, *, from_0: bool = False) -> tuple[float, ...]:
    """Read increasing shares between 0 and 1 from an option; 0 itself where it may be the first."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OracleError(must_be(option, "numbers separated by commas", text)) from None
    between = all(0.0 < v < 1.0 or (from_0 and v == 0.0) for v in values)
    if not between or list(values) != sorted(set(values)):
        raise OracleError(must_be(option, "increasing, between 0 and 1", text))
    return values


def _as_dict(
    facts: dict[str, Any],
    replayed: ReplayCounts,
    chosen: dict[float, list[Chosen]],
    in_force: dict[str, Any],
) -> dict[str, Any]:
    from oracle.evaluation.replay_figures import curve
    from oracle.evaluation.replay_policies import IN_FORCE

    return {
        **facts,
        "in_force": in_force,
        "chosen": {
            str(limit): [
                {"policy": c.policy, "settings": c.settings, **_values(c.figures), **_few(c)}
                for c in rows
            ]
            for limit, rows in chosen.items()
        },
        "curves": {
            name: [
                {"setting": s.value, "label": s.label, **_values(f)}
                for s, f in curve(replayed, name)
            ]
            for name in replayed.policies
            if name != IN_FORCE
        },
    }


def _few(chosen: Chosen) -> dict[str, Any]:
    return {} if chosen.too_few is None else {"too_few": chosen.too_few._asdict()}


def _values(figures: dict[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: estimate._asdict() for name, estimate in figures.items()}


def _print(
    facts: dict[str, Any], replayed: ReplayCounts, chosen: dict[float, list[Chosen]]
) -> None:
    from oracle.evaluation.replay_figures import curve
    from oracle.history.dataset import counted
    from oracle.reports.replay import ONE_TABLE, OTHER_HALF

    print(f"{_about(facts)}.")
    for reason, count in facts["excluded"].items():
        print(f"  left out: {counted(count, 'run')}, {reason}")
    if facts["tables"] < 2 and facts["chosen_on"] == OTHER_HALF:
        print(f"  {ONE_TABLE}")
    head = f"{'':34}{'saved':>16}{'compute':>9}{'not good':>10}{'lost':>18}{'regret':>9}"
    for limit, rows in chosen.items():
        print(f"\nAt most {limit:.0%} of the good runs lost, setting chosen on other tables")
        print(head)
        for row in rows:
            if row.too_few is not None:
                print(f"{row.policy:34}{row.too_few}")
            elif all(s is None for s in row.settings):
                print(f"{row.policy:34}{'no setting keeps the limit':>30}")
            else:
                print(_line(row.policy, row.figures))
    print("\nEvery setting, scored where it was picked")
    for name in replayed.policies:
        print(f"{name:34}{head[34:]}")
        for setting, figures in curve(replayed, name):
            print(_line(setting.label or f"{setting.value:g}", figures))
            if figures["converged"].value:
                print(_converged(figures))


def _about(facts: dict[str, Any]) -> str:
    from oracle.history.dataset import counted

    return (
        f"{counted(facts['populations'], 'population')} of up to {facts['population_size']} runs "
        f"on {counted(facts['tables'], 'table')} of {facts['dataset']}; "
        f"good = best {facts['good']:.0%}"
    )


def _line(name: str, figures: dict[str, Estimate]) -> str:
    saved, lost = figures["saved"], figures["lost"]
    return (
        f"{name:34}{saved.value:6.1%} {_span(saved, '4.0%', '4.0%'):10}"
        f"{figures['compute_saved'].value:9.1%}{figures['bad_saved'].value:10.1%}"
        f"{lost.value:7.2%} {_span(lost, '4.1%', '5.1%'):11}{figures['regret'].value:9.4f}"
    )


def _converged(figures: dict[str, Estimate]) -> str:
    return (
        f"{'':34}{figures['converged'].value:6.1%} converged; of these "
        f"{figures['gained_more'].value:.1%} would have gained more, "
        f"on average {figures['given_up'].value:+.4f}"
    )


def _span(estimate: Estimate, low: str, high: str) -> str:
    if estimate.low is None or estimate.high is None:
        return ""  # one population: nothing to resample
    return f"{estimate.low:{low}}..{estimate.high:{high}}"


def _draw(png: Path, replayed: ReplayCounts, dataset: Path) -> None:
    from oracle.evaluation.replay_figures import curve
    from oracle.evaluation.replay_policies import CLAIRVOYANT, IN_FORCE
    from oracle.history.dataset import counted
    from oracle.pictures.figures import saved_against_lost

    points = {
        name: [(f["lost"].value, f["saved"].value) for _, f in curve(replayed, name)]
        for name in replayed.policies
        if name != IN_FORCE
    }
    bound = points.pop(CLAIRVOYANT)[0][1]
    ours = [name for name in points if name.startswith("oracle, ")]
    populations = counted(len(replayed.tables), "population")
    note = f"{populations} on {counted(len(set(replayed.tables)), 'table')} of {dataset.name}"
    saved_against_lost(png, points, ours, bound, note)


def _report(path: Path, found: dict[str, Any]) -> None:
    from oracle.reports.page import write_report
    from oracle.reports.replay import conclude, of_replay

    model = found["model"]
    write_report(
        path,
        f"Replay of {model['name']} {model['version']}",
        conclude(found),
        f"{_about(found)}.",
        of_replay(found),
        f"oracle replay --dataset {found['dataset']}; model SHA-256 {model['sha256']}",
    )
