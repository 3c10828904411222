"""`oracle evaluate`: how well the oracle forecasts, beside baselines, on recorded runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.evaluation.baselines import Baseline
    from oracle.evaluation.scored import Scored
    from oracle.types import Run


def evaluate(
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Recorded runs to forecast, .csv, .csv.gz or .parquet.")
    ] = None,
    sequence: Annotated[
        Path | None, typer.Option(help="Instead of a dataset: one partial history as JSON.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Fit and score all baselines too.")
    ] = False,
    train_dataset: Annotated[
        Path | None,
        typer.Option(help="Runs to fit the baselines on (default: the dataset's own train part)."),
    ] = None,
    hide: Annotated[
        str | None,
        typer.Option(
            help="Leave parts of the histories out, as users who tell less: plan, kind, table, "
            "geometry, sizes, budget, topographic_error, dead_neuron_ratio, separated by commas."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the transform.")] = 0,
    png: Annotated[Path | None, typer.Option(help="Folder to write pictures to.")] = None,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="HTML file to write, all in one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure forecasts by prefix, target, table and source, and stopping at the threshold."""
    if (dataset is None) == (sequence is None):
        raise OracleError(
            must_be("--dataset", "given, or else --sequence", dataset or sequence, "Give one.")
        )
    if sequence is not None:
        of_datasets = {
            "--baselines": baselines,
            "--train-dataset": train_dataset,
            "--hide": hide,
            "--seed": seed,
            "--png": png,
            "--report": report_to,
        }
        for option, value in of_datasets.items():
            if value:
                advice = "One history is forecast, not measured: give a --dataset."
                raise OracleError(must_be(option, "left out with --sequence", str(value), advice))
        from oracle.commands.predict import predict

        predict(sequence, model, 1.0, 0.5, False, as_json)
        return
    if dataset is None:  # said above
        return
    if train_dataset is not None and not baselines:
        rule = "left out without --baselines"
        raise OracleError(must_be("--train-dataset", rule, str(train_dataset)))
    from oracle.evaluation.accuracy import PROGRESS, report, score
    from oracle.evaluation.told_less import NEEDED_BY_PLANS, ToldLess, parts_of
    from oracle.forecast.forecaster import Oracle
    from oracle.history.dataset import read_dataset
    from oracle.reports.evaluation import conclude

    parts = parts_of(hide or "")
    progress = PROGRESS[1:] if NEEDED_BY_PLANS in parts else PROGRESS
    oracle = Oracle.load(model)
    runs = read_dataset(dataset)
    fitted: dict[str, Baseline] = {}
    facts: dict[str, Any] = {"dataset": str(dataset), "model": oracle.info.model_dump()}
    if baselines:
        train, runs, facts["baselines_fitted_on"] = _parts(runs, dataset, train_dataset, seed)
        fitted = _fit(train, parts)
    else:
        fitted = without_fit(runs)
    scored = score(runs, ToldLess(oracle, parts), fitted, progress, seed=seed)
    if parts:
        facts["hidden"] = parts
    found = {**facts, **report(scored)}
    conclusion = conclude(found)
    found["conclusion"] = conclusion._asdict()
    if png is not None:
        found["pictures"] = draw(png, scored)
    if report_to is not None:
        _report(report_to, found, scored)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{conclusion}\n")
        _print(found)


def without_fit(runs: list[Run]) -> dict[str, Baseline]:
    """Give the baselines that need no other runs: the last value, and the mean.

    The mean is that of these very runs, in its favour.
    """
    from oracle.evaluation.baselines import LastValue, TrainingMean
    from oracle.history.dataset import usable

    whole = usable(runs)[0]
    return {"mean": TrainingMean().fit(whole), "last": LastValue().fit(whole)}


def _parts(
    runs: list[Run], dataset: Path, train_dataset: Path | None, seed: int
) -> tuple[list[Run], list[Run], str]:
    """Runs to fit baselines on and runs to score on; no run, and no table, is in both."""
    from oracle.history.dataset import read_dataset, split_runs, usable

    if train_dataset is not None:
        tables = {run.dataset for run in runs}
        other = usable(read_dataset(train_dataset))[0]
        train = [run for run in other if run.dataset not in tables]
        if not train:
            raise OracleError(
                must_be("--train-dataset", "runs of other tables", str(train_dataset))
            )
        return train, runs, f"{len(train)} runs of {train_dataset}"
    split = split_runs(runs, seed)
    note = f"{len(split.train)} runs of {dataset} (split by {split.by}; scored on the test part)"
    return split.train, split.test, note


def _fit(train: list[Run], parts: tuple[str, ...]) -> dict[str, Baseline]:
    from oracle.evaluation.baselines import BASELINES
    from oracle.evaluation.told_less import BaselineToldLess

    fitted: dict[str, Baseline] = {}
    for name, make in BASELINES.items():
        one: Baseline = BaselineToldLess(make(), parts) if parts else make()
        fitted[name] = one.fit(train)
    return fitted


def _print(found: dict[str, Any]) -> None:
    from oracle.history.dataset import counted

    print(
        f"{counted(found['runs'], 'run')} of {counted(found['tables'], 'table')} "
        f"({', '.join(found['sources'])}), "
        f"forecast by {found['model']['name']} {found['model']['version']}"
    )
    for reason, count in found["excluded"].items():
        if count:
            print(f"  left out: {counted(count, 'run')}, {reason}")
    for part in found["untold"]:
        worth = part["worth"]
        larger = f": errors at a fifth are {worth:.2g} times as large" if worth else ""
        print(f"  {counted(part['runs'], 'run')} without {', '.join(part['fields'])}{larger}")
    if found["tables"] == 1:
        print("  one table: intervals are over its runs; nothing is known of other tables")
    for which in found["constant_outcomes"]:
        print(
            f"  {which} ends the same in all runs: its errors say nothing of a metric that moves, "
            "R2 and correlations are undefined"
        )
    if "baselines_fitted_on" in found:
        print(f"  baselines fitted on {found['baselines_fitted_on']}")
    if found.get("hidden"):
        print(f"  told less: hidden are {', '.join(found['hidden'])}")
    print(f"  below each error its 95 % interval, a bootstrap over {found['intervals_over']}")
    for which in dict.fromkeys(row["score"] for row in found["errors"]):
        rows = _rows(found["errors"], which)
        if not rows:
            print(f"\n{which}: unknown here")
            continue
        print(f"\n{which}: MAE by share of the run seen")
        _table(rows)
        _more(rows)
    for name in ("by_table", "by_source"):
        print(f"\n{name.replace('_', ' ')}: MAE of {found['main_score']}; all scores in --json")
        for key, rows in found[name].items():  # at progress 0 those alone that tell a plan
            print(f"{key}: {counted(max(int(row['n'] or 0) for row in rows), 'run')}")
            _table(_rows(rows, found["main_score"]))
    _screening(found)
    _coverage(found["coverage"])
    refused = ", ".join(f"{r['no_support']:.1%} at {r['progress']:.0%}" for r in found["refused"])
    print(f"\nNot judged, unlike all that was trained: {refused}")
    _stopping(found["stopping"])


def _rows(rows: list[dict[str, Any]], which: str) -> list[dict[str, Any]]:
    """Those of one score, where it is known."""
    return [row for row in rows if row["score"] == which and row["mae"] is not None]


def _table(rows: list[dict[str, Any]]) -> None:
    """One line of errors a forecaster, and below it their intervals."""
    prefixes = list(dict.fromkeys(row["progress"] for row in rows))
    print(f"  {'':13}" + "".join(f"{p:>15.0%}" for p in prefixes))
    for name in dict.fromkeys(row["forecaster"] for row in rows):
        mine = [row for row in rows if row["forecaster"] == name]
        print(f"  {name:13}" + "".join(f"{row['mae']:15.4f}" for row in mine))
        print(f"  {'':13}" + "".join(f"{_interval(row['mae_interval']):>15}" for row in mine))


def _interval(ends: tuple[float, float] | None, form: str = ".3f") -> str:
    return "-" if ends is None else f"{ends[0]:{form}}..{ends[1]:{form}}"


def _more(rows: list[dict[str, Any]]) -> None:
    """What else is known of the oracle's forecasts."""
    mine = [row for row in rows if row["forecaster"] == "oracle"]
    for label in ("rmse", "r2", "pearson", "spearman", "ratio_to_last"):
        values = [row.get(label) for row in mine]
        if any(v is not None for v in values):
            cells = "".join(f"{'-' if v is None else f'{v:.3f}':>15}" for v in values)
            print(f"  {label:13}{cells}")


def _screening(found: dict[str, Any]) -> None:
    rows = [row for row in found["screening"] if row["progress"] == 0]
    if not rows:
        return
    print("\nBefore the first checkpoint: best tenth of a table's runs lost, the worst left out")
    shares = list(dict.fromkeys(row["left_out"] for row in rows))
    print(f"  {'':13}" + "".join(f"{f'worst {share:.0%}':>22}" for share in shares))
    for name in dict.fromkeys(row["forecaster"] for row in rows):
        cells = (
            f"{row['lost']:.1%} ({_interval(row['lost_interval'], '.0%')})"
            for row in rows
            if row["forecaster"] == name
        )
        print(f"  {name:13}" + "".join(f"{cell:>22}" for cell in cells))


def _coverage(rows: list[dict[str, Any]]) -> None:
    print("\nCoverage of the 50 % and 90 % intervals (randomised transform)")
    for row in rows:
        cells = "".join(
            f"{row[name]:9.1%} ({_interval(row[f'{name}_interval'], '.0%')})"
            for name in ("coverage_50%", "coverage_90%")
        )
        print(f"  {row['score']:26}{row['progress']:5.0%}{cells}")


def _stopping(rows: list[dict[str, Any]]) -> None:
    print("\nStopping where the forecast is beyond the threshold")
    for row in rows:
        line = f"  {row['score']:18} > {row['threshold']:.2f} at {row['progress']:4.0%}: "
        line += f"accuracy {row['accuracy']:.1%}" if row["accuracy"] is not None else "unknown"
        if row["both_classes"]:
            precision = "none" if row["precision"] is None else f"{row['precision']:.1%}"
            line += f", precision {precision}, recall {row['recall']:.1%}"
        else:
            line += f" (only one class: {row['bad']} of {row['n']} end beyond)"
        print(line)


def _report(path: Path, found: dict[str, Any], scored: Scored) -> None:
    from oracle.history.dataset import counted
    from oracle.reports.evaluation import conclude, of_evaluation
    from oracle.reports.page import write_report

    model = found["model"]
    runs, tables = counted(found["runs"], "run"), counted(found["tables"], "table")
    write_report(
        path,
        f"Evaluation of {model['name']} {model['version']}",
        conclude(found),
        f"{runs} of {tables} ({', '.join(found['sources'])}; {found['dataset']}).",
        of_evaluation(found, scored),
        f"oracle evaluate --dataset {found['dataset']}; model SHA-256 {model['sha256']}",
    )


def draw(folder: Path, scored: Scored) -> list[str]:
    """Write the four pictures of an evaluation; returns their paths."""
    import numpy as np

    from oracle.evaluation.accuracy import ORACLE, coverages, errors, main_score
    from oracle.evaluation.scored import SCORES
    from oracle.pictures.figures import coverage, error_by_prefix, residuals, scatter

    folder.mkdir(parents=True, exist_ok=True)
    which = main_score(scored)
    s = SCORES.index(which)
    early = min(range(len(scored.progress)), key=lambda p: abs(scored.progress[p] - 0.2))
    titles = {0: "final mqe", 1: "topographic error", 2: "dead-neuron ratio", s: "quality score"}
    columns = [i for i in titles if np.isfinite(scored.true[:, i]).any()]
    paths = [folder / f"{name}.png" for name in ("scatter", "residuals", "error", "coverage")]
    shown = scored.predicted[ORACLE]
    scatter(
        paths[0],
        scored.true[:, columns],
        shown[early][:, columns],
        [titles[i] for i in columns],
        f"{len(scored.runs)} runs, forecast after {scored.progress[early]:.0%} of the training",
    )
    moved = {p: shown[i, :, s] - scored.true[:, s] for i, p in enumerate(scored.progress)}
    residuals(paths[1], moved, f"Quality score ({which.removeprefix('quality_')})")
    by_prefix: dict[str, dict[float, float]] = {}
    for row in errors(scored, which):
        if row["progress"] < 1.0:
            by_prefix.setdefault(row["forecaster"], {})[row["progress"]] = row["mae"]
    error_by_prefix(paths[2], by_prefix, "Quality score", ORACLE)
    rows = [row for row in coverages(scored) if row["score"] == which]
    inside = {
        level: {row["progress"]: row[f"coverage_{level:.0%}"] for row in rows}
        for level in (0.5, 0.9)
    }
    before_end = [i for i, p in enumerate(scored.progress) if p < 1.0]
    pit = scored.pit[before_end, :, s].ravel()
    coverage(paths[3], pit[np.isfinite(pit)], inside)
    return [str(path) for path in paths]
