"""`oracle evaluate`: how well the oracle forecasts, beside baselines, on recorded runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.errors import OracleError, must_be

if TYPE_CHECKING:
    from oracle.baselines import Baseline
    from oracle.evaluation import Scored
    from oracle.types import Run


def evaluate(
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Recorded runs to forecast, .csv or .csv.gz.")
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
        from oracle.commands.predict import predict

        predict(sequence, model, 1.0, 0.5, False, as_json)
        return
    if dataset is None:  # said above
        return
    from oracle.dataset import read_dataset
    from oracle.evaluation import report, score
    from oracle.forecaster import Oracle

    oracle = Oracle.load(model)
    runs = read_dataset(dataset)
    fitted: dict[str, Baseline] = {}
    facts: dict[str, Any] = {"dataset": str(dataset), "model": oracle.info.model_dump()}
    if baselines:
        train, runs, facts["baselines_fitted_on"] = _parts(runs, dataset, train_dataset, seed)
        fitted = _fit(train)
    else:
        from oracle.baselines import LastValue, TrainingMean

        # Both without a fit on other runs: the mean is that of these very runs, in its favour.
        whole = [run for run in runs if not run.censored]
        fitted = {"mean": TrainingMean().fit(whole), "last": LastValue().fit(whole)}
    scored = score(runs, oracle, fitted, seed=seed)
    found = {**facts, **report(scored)}
    if png is not None:
        found["pictures"] = draw(png, scored)
    if report_to is not None:
        _report(report_to, found, scored)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)


def _parts(
    runs: list[Run], dataset: Path, train_dataset: Path | None, seed: int
) -> tuple[list[Run], list[Run], str]:
    """Runs to fit baselines on and runs to score on; no run, and no table, is in both."""
    from oracle.dataset import read_dataset, split_runs, usable

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


def _fit(train: list[Run]) -> dict[str, Baseline]:
    from oracle.baselines import BASELINES

    return {name: make().fit(train) for name, make in BASELINES.items()}


def _print(found: dict[str, Any]) -> None:
    print(
        f"{found['runs']} runs of {found['tables']} tables ({', '.join(found['sources'])}), "
        f"forecast by {found['model']['name']} {found['model']['version']}"
    )
    for reason, count in found["excluded"].items():
        if count:
            print(f"  left out: {count} runs, {reason}")
    for which in found["constant_outcomes"]:
        print(f"  {which} is the same in all runs: R2 and correlations are undefined")
    if "baselines_fitted_on" in found:
        print(f"  baselines fitted on {found['baselines_fitted_on']}")
    scores = list(dict.fromkeys(row["score"] for row in found["errors"]))
    for which in scores:
        rows = [row for row in found["errors"] if row["score"] == which and row["mae"] is not None]
        if not rows:
            print(f"\n{which}: unknown here (no `mqe_of_mean`)")
            continue
        _table(which, rows)
    for name in ("by_table", "by_source"):
        print(f"\n{name.replace('_', ' ')}: MAE of {rows_score(found)}, oracle")
        for key, rows in found[name].items():
            mine = [r for r in rows if r["forecaster"] == "oracle" and r["mae"] is not None]
            cells = "".join(f"{r['mae']:8.3f}" for r in mine)
            print(f"  {key[:30]:30}{cells}")
    print("\nCoverage of the 50 % and 90 % intervals (randomised transform)")
    for row in found["coverage"]:
        fifty, ninety = row["coverage_50%"], row["coverage_90%"]
        low, high = row["coverage_90%_interval"]
        print(
            f"  {row['score']:26}{row['progress']:5.0%}{fifty:8.1%}{ninety:8.1%}"
            f"  ({low:.0%}..{high:.0%})"
        )
    print("\nStopping where the forecast is beyond the threshold")
    for row in found["stopping"]:
        line = f"  {row['score']:18} > {row['threshold']:.2f} at {row['progress']:4.0%}: "
        line += f"accuracy {row['accuracy']:.1%}" if row["accuracy"] is not None else "unknown"
        if row["both_classes"]:
            precision = "none" if row["precision"] is None else f"{row['precision']:.1%}"
            line += f", precision {precision}, recall {row['recall']:.1%}"
        else:
            line += f" (only one class: {row['bad']} of {row['n']} end beyond)"
        print(line)


def rows_score(found: dict[str, Any]) -> str:
    """Name of the score that the tables by table and source are about."""
    first = next(iter(found["by_table"].values()))
    return str(first[0]["score"])


def _table(which: str, rows: list[dict[str, Any]]) -> None:
    prefixes = list(dict.fromkeys(row["progress"] for row in rows))
    print(f"\n{which}: MAE by share of the run seen")
    print(f"  {'':14}" + "".join(f"{p:>9.0%}" for p in prefixes))
    for name in dict.fromkeys(row["forecaster"] for row in rows):
        mine = [row for row in rows if row["forecaster"] == name]
        print(f"  {name:14}" + "".join(f"{row['mae']:9.4f}" for row in mine))
        if name == "oracle":
            for label in ("rmse", "r2", "pearson", "spearman", "ratio_to_last"):
                if any(row.get(label) is not None for row in mine):
                    values = (row.get(label) for row in mine)
                    cells = "".join("        -" if v is None else f"{v:9.3f}" for v in values)
                    print(f"    {label:12}{cells}")


def _report(path: Path, found: dict[str, Any], scored: Scored) -> None:
    from tempfile import TemporaryDirectory

    from oracle.report import of_evaluation, write_report

    model = found["model"]
    about = f"{found['runs']} runs of {found['tables']} tables ({found['dataset']})"
    with TemporaryDirectory(prefix="oracle-report-") as folder:
        sections = of_evaluation(found, draw(Path(folder), scored))
    footer = f"oracle evaluate --dataset {found['dataset']}; model SHA-256 {model['sha256']}"
    title = f"Evaluation of {model['name']} {model['version']}"
    write_report(path, title, about, sections, footer)


def draw(folder: Path, scored: Scored) -> list[str]:
    """Write the four pictures of an evaluation; returns their paths."""
    import numpy as np

    from oracle.evaluation import ORACLE, SCORES, coverages, errors, main_score
    from oracle.plots import coverage, error_by_prefix, residuals, scatter

    folder.mkdir(parents=True, exist_ok=True)
    which = main_score(scored)
    s = SCORES.index(which)
    early = min(range(len(scored.progress)), key=lambda p: abs(scored.progress[p] - 0.2))
    columns = [*range(3), s]
    titles = ["final mqe", "topographic error", "dead-neuron ratio", "quality score"]
    paths = [folder / f"{name}.png" for name in ("scatter", "residuals", "error", "coverage")]
    shown = scored.predicted[ORACLE]
    scatter(
        paths[0],
        scored.true[:, columns],
        shown[early][:, columns],
        titles,
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
