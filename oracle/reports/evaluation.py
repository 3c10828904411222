"""The report of `oracle evaluate`: good enough or not, and every figure that it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.evaluation.accuracy import ORACLE
from oracle.evaluation.scored import SCORES, Scored
from oracle.reports.evaluation_figures import (
    EARLY,
    MAX_RUNS,
    Rows,
    early_of,
    pictures,
    rows_of,
    scatters,
    transform,
    worst_first,
)
from oracle.reports.page import Cell, Conclusion, Section, anchor, folded, side_by_side, table
from oracle.reports.words import NONE, between, number, percent, plain, span

#: Runs below which nothing is concluded; share of forecasts that may be refused; 90 % intervals
#: that hold less than this are too narrow, whatever the luck of these runs.
ENOUGH, REFUSED, NARROW = 20, 0.2, 0.85
#: What else is known of the oracle's forecasts.
MEASURES = {
    "rmse": "its RMSE",
    "r2": "its R²",
    "pearson": "its Pearson",
    "spearman": "its Spearman",
    "ratio_to_last": "of the last value's error",
}


def conclude(found: dict[str, Any]) -> Conclusion:
    """Say in a sentence whether the oracle is good enough for these runs, and why.

    Good enough is: better than the last value and than the mean, at every share of a run from a
    tenth to a half; 90 % intervals that hold what they promise, as far as these runs can tell; at
    most a fifth of the forecasts refused as unlike the training data.

    Args:
        found: as `oracle evaluate --json` has it.
    """
    main = found["main_score"]
    rows = [r for r in found["errors"] if r["score"] == main and r["mae"] is not None]
    ours = {r["progress"]: r for r in rows if r["forecaster"] == ORACLE and 0 < r["progress"] < 1}
    if not ours:
        return Conclusion("Cannot say", "warn", "No run's quality score is known.")
    early = min(ours, key=lambda p: abs(p - EARLY))
    row, wrong = ours[early], []
    said = f"after {percent(early)} of a run it misses the quality score by {row['mae']:.4f}"
    if row.get("mae_interval"):
        said += f" ({between(row['mae_interval'])})"
    if row.get("ratio_to_last") is not None:
        said += f", {percent(row['ratio_to_last'])} of what the last value misses"
    for name in ("last", "mean"):
        theirs = {r["progress"]: r["mae"] for r in rows if r["forecaster"] == name}
        worse = [p for p, r in ours.items() if p <= 0.5 and p in theirs and r["mae"] >= theirs[p]]
        if worse:
            what = {"last": "the last value", "mean": "the mean of all runs"}[name]
            wrong.append(f"{what} is no worse a forecast at {percent(worse[0])}")
    covered = [r for r in found["coverage"] if r["score"] == main and r["progress"] == early]
    for held in covered:
        ends = held["coverage_90%_interval"]
        said += f"; its 90 % intervals held {percent(held['coverage_90%'])}"
        said += f" ({span(*ends)}) of the outcomes" if ends else " of the outcomes"
        if (ends is None or ends[1] < 0.9) and held["coverage_90%"] < NARROW:
            wrong.append("its intervals are too narrow")
    refused = next((r["no_support"] for r in found["refused"] if r["progress"] == early), 0.0)
    if refused > REFUSED:
        wrong.append(f"{percent(refused)} of the forecasts are not judged: unlike its training")
    if found["runs"] < ENOUGH:
        few = f"{found['runs']} runs are too few ({ENOUGH} are needed); {said}."
        return Conclusion("Cannot say yet", "warn", few)
    if wrong:
        sentence = f"{plain('; '.join(wrong))}. {plain(said)}.{_untold(found)}"
        return Conclusion("Not good enough for these runs", "bad", sentence)
    return Conclusion("Good enough for these runs", "good", f"{plain(said)}.")


def _untold(found: dict[str, Any]) -> str:
    """Say what most of the runs leave out, which may be why the oracle is off."""
    parts = [part for part in found.get("untold", ()) if 2 * part["runs"] > found["runs"]]
    fields = [name for part in parts for name in part["fields"]]
    if not fields:
        return ""
    advice = "with columns of these names (docs/data.md) its forecasts are better"
    return f" Most runs do not tell {', '.join(fields)}: {advice}."


def of_evaluation(found: dict[str, Any], scored: Scored) -> list[Section]:
    """Lay out what was found: pictures, then every figure that the terminal prints.

    Args:
        found: as `oracle evaluate --json` has it.
        scored: the forecasts that it is of.
    """
    main = found["main_score"]
    over = f"Below each error its 95 % interval, a bootstrap over {found['intervals_over']}."
    if found["tables"] == 1:
        over += " One table: nothing is known of other tables."
    sections = [
        Section("How far off, and how honest", "Of the quality score, by the share of the run "
                "that was seen.", side_by_side(*pictures(found, scored))),
        Section("Forecast against outcome", _when(scored) + " A point leads to its run, below.",
                side_by_side(*scatters(scored))),
        Section(plain(main), f"Mean absolute error, lower is better. {over}",
                _errors(rows_of(found["errors"], main)) + _others(found)),
        Section("By source", f"Mean absolute error of the {plain(main).lower()}.",
                _by(found["by_source"], main)),
        Section("By table", f"Mean absolute error of the {plain(main).lower()}.",
                _by(found["by_table"], main)),
        Section("Coverage", "Share of outcomes inside the interval, by the randomised transform, "
                "with its 95 % interval.", transform(scored, main) + _coverage(found)),
    ]  # fmt: skip
    if screened := [row for row in found["screening"] if row["progress"] == 0]:
        lead = "How many of the best tenth of a table's runs a forecast from the plan alone loses."
        sections.append(Section("Before the first checkpoint", lead, _screening(screened)))
    if found["stopping"]:
        lead = "What would be if a run were stopped where its forecast is beyond the threshold."
        sections.append(Section("Stopping at a threshold", lead, _stopping(found["stopping"])))
    if left_out := [[reason, str(n)] for reason, n in found["excluded"].items() if n]:
        sections.append(Section("Left out", "", table(["why", "runs"], left_out)))
    notes = [
        f"{name} ends the same in all runs: its errors say nothing of a metric that moves."
        for name in found["constant_outcomes"]
    ]
    if "baselines_fitted_on" in found:
        notes.append(f"Baselines were fitted on {found['baselines_fitted_on']}.")
    if found.get("hidden"):
        notes.append(f"Told less: hidden are {', '.join(found['hidden'])}.")
    if notes:
        sections.append(Section("To know", " ".join(notes), ""))
    return [*sections, _runs(scored)]


def _when(scored: Scored) -> str:
    return f"{len(scored.runs)} runs, forecast after {percent(scored.progress[early_of(scored)])}."


def _errors(rows: Rows) -> str:
    """One row a forecaster, below each error its interval, then what else is known of ours."""
    shares = list(dict.fromkeys(row["progress"] for row in rows))
    lines: list[list[Any]] = []
    for name in dict.fromkeys(row["forecaster"] for row in rows):
        mine = {row["progress"]: row for row in rows if row["forecaster"] == name}
        lines.append([name, *(_error(mine.get(p)) for p in shares)])
    ours = {row["progress"]: row for row in rows if row["forecaster"] == ORACLE}
    for label, said in MEASURES.items():
        values = [ours[p].get(label) if p in ours else None for p in shares]
        if any(v is not None for v in values):
            lines.append([said, *(NONE if v is None else f"{v:.3f}" for v in values)])
    return table(["", *(f"{percent(p)} seen" for p in shares)], lines, ORACLE)


def _error(row: dict[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    ends = row["mae_interval"]
    return Cell(f"{row['mae']:.4f}", f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "")


def _others(found: dict[str, Any]) -> str:
    parts = []
    for which in dict.fromkeys(row["score"] for row in found["errors"]):
        rows = rows_of(found["errors"], which)
        if which != found["main_score"]:
            body = _errors(rows) if rows else "<p>Unknown here.</p>"
            parts.append(folded(plain(which), body))
    return "".join(parts)


def _by(groups: dict[str, Rows], main: str) -> str:
    lines, shares = [], list(dict.fromkeys(r["progress"] for g in groups.values() for r in g))
    for group, all_rows in groups.items():
        rows = rows_of(all_rows, main)
        for name in dict.fromkeys(row["forecaster"] for row in rows):
            mine = {row["progress"]: row for row in rows if row["forecaster"] == name}
            cells = [_error(mine.get(p)) for p in shares]
            first = group if name == ORACLE else ""
            n = str(int(all_rows[0]["n"] or 0)) if name == ORACLE else ""
            lines.append([Cell(first), Cell(name), n, *cells])
    return table(["", "", "runs", *(f"{percent(p)} seen" for p in shares)], lines, words=2)


def _coverage(found: dict[str, Any]) -> str:
    parts: list[str] = []
    for which in dict.fromkeys(row["score"] for row in found["coverage"]):
        lines = [
            [f"{percent(row['progress'])} seen", str(row["n"])]
            + [
                Cell(percent(row[f"coverage_{level}"], 1),
                     span(*(row[f"coverage_{level}_interval"] or (None, None))))
                for level in ("50%", "90%")
            ]
            for row in found["coverage"]
            if row["score"] == which
        ]  # fmt: skip
        body = table(["", "runs", "50 % interval", "90 % interval"], lines)
        main = which == found["main_score"]
        parts.insert(0 if main else len(parts), body if main else folded(plain(which), body))
    refused = [[f"{percent(r['progress'])} seen", str(r["n"]), percent(r["no_support"], 1)]
               for r in found["refused"]]  # fmt: skip
    head = ["", "forecasts", "not judged, unlike all that was trained"]
    return "".join(parts) + table(head, refused)


def _screening(rows: Rows) -> str:
    shares = list(dict.fromkeys(row["left_out"] for row in rows))
    lines = []
    for name in dict.fromkeys(row["forecaster"] for row in rows):
        mine = {row["left_out"]: row for row in rows if row["forecaster"] == name}
        cells = [
            Cell(percent(mine[s]["lost"], 1), span(*(mine[s]["lost_interval"] or (None, None))))
            for s in shares
        ]
        lines.append([name, *cells])
    return table(["", *(f"worst {percent(s)} left out" for s in shares)], lines, ORACLE)


def _stopping(rows: Rows) -> str:
    lines = []
    for row in rows:
        cells = [percent(row[name], 1) for name in ("accuracy", "precision", "recall")]
        if not row["both_classes"]:
            cells[1:] = [f"only one class: {row['bad']} of {row['n']} end beyond", ""]
        at = f"{plain(row['score'])} > {row['threshold']:.2f}"
        lines.append([at, percent(row["progress"]), str(row["n"]), *cells])
    return table(["", "seen", "runs", "accuracy", "precision", "recall"], lines)


def _runs(scored: Scored) -> Section:
    early = early_of(scored)
    which = [s for s in ("quality_relative", "quality_raw", "final_mqe", "final_topographic_error",
                         "final_dead_neuron_ratio")]  # fmt: skip
    s_main = next(
        (s for s in which if np.isfinite(scored.true[:, SCORES.index(s)]).any()), which[0]
    )
    lines = []
    for i in worst_first(scored):
        run = scored.runs[i]
        cells: list[Any] = [Cell(run.run_id, name=anchor(run.run_id)), Cell(run.dataset)]
        for name in (s_main, *which[2:]):
            s, form = SCORES.index(name), percent if name.endswith(("error", "ratio")) else number
            said = f"forecast {form(scored.predicted[ORACLE][early, i, s])}"
            cells.append(Cell(form(scored.true[i, s]), said))
        support = scored.support[early, i]
        lines.append([*cells, percent(float(support))])
    n = len(scored.runs)
    lead = f"After {percent(scored.progress[early])} of each; the worst forecast first."
    if n > MAX_RUNS:
        lead += f" The first {MAX_RUNS} of {n}."
    lead += " Draw one from its own file: oracle show HISTORY."
    head = ["run", "table", plain(s_main), *(plain(name) for name in which[2:]), "support"]
    return Section("The runs", lead, table(head, lines, words=2))
