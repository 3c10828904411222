"""What the oracle should reach, and the table that says what it does: docs/quality.md's first one.

All were set before the oracle that is judged by them was trained. `aim` is the figure wanted,
`must` the one that is asked for at least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

#: Share of the run seen -> error of the quality score: aim, must. At 0 the plan alone is known.
ERRORS = {0.0: (0.11, 0.14), 0.1: (0.055, 0.066), 0.2: (0.045, 0.052), 0.3: (0.038, 0.044),
          0.5: (0.027, 0.031), 0.7: (0.019, 0.021)}  # fmt: skip
#: Before the first checkpoint: rank correlation within a table, and share of the best tenth that is
#: lost when the worse half is left out: aim, must.
SPEARMAN, WORSE_HALF_LOST = (0.93, 0.86), (0.003, 0.015)
#: Share of the run seen -> error of the quality score as a ratio to the last value's: aim, must.
RATIOS = {0.1: (0.145, 0.18), 0.2: (0.16, 0.20), 0.3: (0.18, 0.23), 0.5: (0.24, 0.31),
          0.7: (0.32, 0.42)}  # fmt: skip
#: Interval -> least and most of the outcomes inside, at every prefix: aim, must.
COVERAGE = {"90%": ((0.88, 0.93), (0.85, 0.96)), "50%": ((0.45, 0.56), (0.40, 0.62))}
COVERED = (
    "quality_relative", "final_mqe", "final_topographic_error", "final_dead_neuron_ratio",
)  # fmt: skip
IN_STEP, ONE_BY_ONE = "oracle, population in step", "oracle, one after another"
#: Limit of good runs lost, policy, figure, what it is called, aim, must.
SAVINGS = (
    ("0.01", IN_STEP, "saved", "epochs saved", 0.72, 0.62),
    ("0.01", ONE_BY_ONE, "saved", "epochs saved", 0.65, 0.54),
    ("0.01", IN_STEP, "compute_saved", "compute saved", 0.53, None),
    ("0.05", IN_STEP, "saved", "epochs saved", 0.77, None),
)
#: Runs that others recorded -> share seen -> error of the quality score: aim, must.
FOREIGN = {
    "nexussom": {0.2: (0.030, 0.040), 0.5: (0.019, 0.025)},
    "minisom": {0.2: (0.038, 0.048), 0.5: (0.023, 0.030)},
    "reference": {0.2: (0.036, 0.048), 0.5: (0.022, 0.029)},
}
#: Share of others' runs that no policy judges by, at most, at every prefix from 10 % on: aim, must.
REFUSED = (0.03, 0.08)
#: Four arrays and the budget alone, 20 % seen: error as a ratio to boosting's: aim, must.
FOUR_ARRAYS = (0.85, 1.0)
#: Recorded searches at the default policy: figure, policy -> aim, must; and the good lost.
SEARCHES = {ONE_BY_ONE: (0.60, 0.45), IN_STEP: (0.65, 0.50)}
SEARCHES_LOST, DEFAULT_RISK = (0.01, 0.02), 0.02
#: A forecaster's errors by prefix.
Errors = dict[str, dict[float, dict[str, Any]]]


class Row(NamedTuple):
    """One target beside what was reached, as told."""

    what: str
    aim: str
    must: str
    reached: str
    aim_met: str
    must_met: str


def aims(
    measured: dict[str, Any],
    replayed: dict[str, Any],
    foreign: dict[str, dict[str, Any]],
    told_less: dict[str, dict[str, Any]],
    searches: dict[str, dict[str, Any]],
) -> str:
    """Lay out every target beside the figure reached, in Markdown.

    Args:
        measured: what `oracle evaluate --baselines --json` found on unseen tables.
        replayed: what `oracle replay --json` found on them.
        foreign: name -> what `oracle evaluate --json` found on runs that others recorded.
        told_less: name -> the same with parts of the histories left out.
        searches: name -> what `oracle replay --json` found on a search that others recorded.
    """
    rows = [*_errors(measured), *_plan(measured), *_ratios(measured), *_boosting(measured)]
    rows += [*_coverage(measured), *_savings(replayed)]
    for name, found in foreign.items():
        rows += _foreign(name, found)
    theirs = {name: found for name, found in told_less.items() if " without " in name}
    others = foreign | theirs
    tests = {name: found for name, found in told_less.items() if name not in theirs}
    rows += [*_refused(others), *_covered_elsewhere(others), *_four_arrays(tests)]
    rows += _searches(searches)
    told = ["| | aim | must | reached | aim met | must met |", "|---|---|---|---|---|---|"]
    missed = [r.what for r in rows if "no" in (r.aim_met, r.must_met)]
    told += [f"| {' | '.join(row)} |" for row in rows]
    count = f"{len(missed)} of {len(rows)} lines hold a miss." if missed else "Every line is met."
    return "\n".join([*told, "", count])


def by_forecaster(found: dict[str, Any], score: str = "quality_relative") -> Errors:
    """Errors of one score: forecaster -> share of the run seen -> row."""
    told: Errors = {}
    for row in found["errors"]:
        if row["score"] == score and row["mae"] is not None:
            told.setdefault(row["forecaster"], {})[row["progress"]] = row
    return told


def _met(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "no"


def _at_most(what: str, value: float, aim: float, must: float, told: str, form: str) -> Row:
    met = _met(value <= aim), _met(value <= must)
    return Row(what, f"{aim:{form}}", f"{must:{form}}", told, *met)


def _errors(measured: dict[str, Any]) -> Iterator[Row]:
    ours = by_forecaster(measured)["oracle"]
    for share, (aim, must) in ERRORS.items():
        if share in ours:
            value = ours[share]["mae"]
            yield _at_most(f"error, {share:.0%} seen", value, aim, must, f"{value:.4f}", ".3f")


def _plan(measured: dict[str, Any]) -> Iterator[Row]:
    """What is known before the first checkpoint."""
    ours = by_forecaster(measured)["oracle"].get(0.0)
    if ours is not None and ours["spearman"] is not None:
        aim, must = SPEARMAN
        rank = ours["spearman"]
        met = _met(rank >= aim), _met(rank >= must)
        what = "Spearman within a table, 0% seen, at least"
        yield Row(what, f"{aim:g}", f"{must:g}", f"{rank:.3f}", *met)
    for row in measured.get("screening", ()):
        if (row["forecaster"], row["progress"], row["left_out"]) == ("oracle", 0, 0.5):
            what = "best tenth lost, worse half left out at 0%, at most"
            yield _at_most(what, row["lost"], *WORSE_HALF_LOST, f"{row['lost']:.2%}", ".1%")


def _ratios(measured: dict[str, Any]) -> Iterator[Row]:
    ours = by_forecaster(measured)["oracle"]
    for share, (aim, must) in RATIOS.items():
        value = ours[share]["ratio_to_last"]
        what = f"error / last value's, {share:.0%} seen, at most"
        yield _at_most(what, value, aim, must, f"{value:.3f}{_ends(ours[share])}", ".3g")


def _ends(row: dict[str, Any]) -> str:
    ends = row["ratio_interval"]
    return "" if ends is None else f" ({ends[0]:.3f}..{ends[1]:.3f})"


def _boosting(measured: dict[str, Any]) -> Iterator[Row]:
    errors = by_forecaster(measured)
    theirs = errors.get("boosting")
    if theirs is None:
        return
    for share in sorted(theirs.keys() & ERRORS.keys()):
        ours, its = errors["oracle"][share]["mae"], theirs[share]["mae"]
        what = f"error below boosting's, {share:.0%} seen"
        met = _met(ours < its)
        yield Row(what, f"< {its:.4f}", f"< {its:.4f}", f"{ours:.4f}", met, met)


def _coverage(measured: dict[str, Any]) -> Iterator[Row]:
    for score in COVERED:
        rows = [r for r in measured["coverage"] if r["score"] == score]
        for level, wanted in COVERAGE.items():
            if not rows:
                continue
            values = [r[f"coverage_{level}"] for r in rows]
            met = []
            for least, most in wanted:
                within = _met(min(values) >= least and max(values) <= most)
                if within == "no" and all(_touches(r, level, least, most) for r in rows):
                    within = "within sampling error"
                met.append(within)
            aim, must = (f"{least:.0%}..{most:.0%}" for least, most in wanted)
            reached = f"{min(values):.1%}..{max(values):.1%}"
            what = f"{score} inside the {level.replace('%', ' %')} interval, over all prefixes"
            yield Row(what, aim, must, reached, *met)


def _touches(row: dict[str, Any], level: str, least: float, most: float) -> bool:
    """Whether what is wanted lies within the sampling error of a coverage."""
    ends = row[f"coverage_{level}_interval"]
    return ends is not None and ends[0] <= most and ends[1] >= least


def _savings(replayed: dict[str, Any]) -> Iterator[Row]:
    for limit, policy, figure, called, aim, must in SAVINGS:
        for row in replayed["chosen"].get(limit, ()):
            if row["policy"] != policy:
                continue
            saved, lost = row[figure]["value"], row["lost"]
            kept = lost["value"] <= float(limit)
            yield Row(
                f"{called}, {policy.removeprefix('oracle, ')}, at most {float(limit):.0%} lost",
                f"{aim:.0%}",
                "-" if must is None else f"{must:.0%}",
                f"{saved:.1%} at {lost['value']:.2%} ({lost['low']:.1%}..{lost['high']:.1%}) lost",
                _met(kept and saved >= aim),
                _met(None if must is None else kept and saved >= must),
            )


def _foreign(name: str, found: dict[str, Any]) -> Iterator[Row]:
    ours = by_forecaster(found)["oracle"]
    for share, (aim, must) in FOREIGN.get(name, {}).items():
        value = ours[share]["mae"]
        what = f"error on {name}'s runs, {share:.0%} seen, at most"
        yield _at_most(what, value, aim, must, f"{value:.4f}", ".3f")


def _refused(others: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """The runs of others that the oracle is least at home with."""
    rows = [
        (row["no_support"], row["progress"], name)
        for name, found in others.items()
        for row in found.get("refused", ())
        if row["progress"] > 0
    ]
    if rows:
        share, progress, name = max(rows)
        told = f"{share:.1%} ({name}, {progress:.0%} seen)"
        yield _at_most("refused of others' runs, at most", share, *REFUSED, told, ".0%")


def _covered_elsewhere(others: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """The quality score of others' runs inside its intervals, the worst prefix of the worst."""
    for level, (aim, must) in COVERAGE.items():
        rows = [
            (row[f"coverage_{level}"], name, row)
            for name, found in others.items()
            for row in found["coverage"]
            if row["score"] == found["main_score"]
        ]
        if not rows:
            continue
        (low, low_name, _), (high, high_name, _) = (
            f(rows, key=lambda row: row[0]) for f in (min, max)
        )
        met = [_met(low >= least and high <= most) for least, most in (aim, must)]
        yield Row(
            f"others' runs inside the {level.replace('%', ' %')} interval, every prefix",
            *(f"{least:.0%}..{most:.0%}" for least, most in (aim, must)),
            f"{low:.0%} ({low_name})..{high:.0%} ({high_name})",
            *met,
        )


def _four_arrays(told_less: dict[str, dict[str, Any]]) -> Iterator[Row]:
    for found in told_less.values():
        errors = by_forecaster(found)
        if "boosting" in errors:
            ours, its = (errors[name][0.2]["mae"] for name in ("oracle", "boosting"))
            what = "error / boosting's, the four arrays alone, 20% seen, at most"
            yield _at_most(
                what, ours / its, *FOUR_ARRAYS, f"{ours / its:.2f} ({ours:.3f} / {its:.3f})", ".2f"
            )


def _searches(searches: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """All recorded searches together, at the policy's default risk."""
    for policy, (aim, must) in SEARCHES.items():
        rows = [
            row
            for found in searches.values()
            for row in found["curves"].get(policy, ())
            if row["setting"] == DEFAULT_RISK
        ]
        if not rows:
            continue
        saved, lost = (sum(r[f]["value"] for r in rows) / len(rows) for f in ("saved", "lost"))
        met = [
            _met(saved >= least and lost <= most)
            for least, most in zip((aim, must), SEARCHES_LOST, strict=True)
        ]
        what = f"saved in others' searches, {policy.removeprefix('oracle, ')}, at most 2% lost"
        yield Row(what, f"{aim:.0%}", f"{must:.0%}", f"{saved:.1%} at {lost:.1%} lost", *met)


def foreign_table(found: dict[str, dict[str, Any]], shares: Sequence[float] = (0.2, 0.5)) -> str:
    """Error of the quality score on others' runs, beside the last value and boosting.

    Last comes how many outcomes the oracle's 90 % intervals hold, over all prefixes.
    """
    names = ("oracle", "last", "boosting")
    head = [*(f"{name}, {share:.0%}" for share in shares for name in names), "inside 90 %"]
    told = [f"| | runs | {' | '.join(head)} |", "|---|---|" + "---|" * len(head)]
    for source, result in found.items():
        errors = by_forecaster(result)
        cells = [
            f"{errors[name][share]['mae']:.4f}" if name in errors else "-"
            for share in shares
            for name in names
        ]
        held = [r["coverage_90%"] for r in result["coverage"] if r["score"] == result["main_score"]]
        cells.append(f"{min(held):.0%}..{max(held):.0%}")
        told.append(f"| {source} | {result['runs']} of {result['tables']} tables | "
                    f"{' | '.join(cells)} |")  # fmt: skip
    return "\n".join(told)
