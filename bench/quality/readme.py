"""The README's figures, by `make quality` from docs/quality/*.json; a test holds them there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.quality.aims import IN_STEP, ONE_BY_ONE, by_forecaster

ROOT = Path(__file__).parents[2]
README, KEPT = ROOT / "README.md", ROOT / "docs" / "quality"
BEGIN, END = "<!-- figures: written by make quality -->", "<!-- end of figures -->"
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
ROWS = {
    "oracle": "**oracle**",
    "boosting": "gradient boosting, same inputs",
    "curve": "curve fit",
    "last": "last value",
}
LIMIT = "0.01"


def figures() -> str:
    """Compose the block from what is kept of the last measurement."""
    found, minisom, replayed = (
        json.loads((KEPT / f"{name}.json").read_text())
        for name in ("evaluate", "evaluate-minisom", "replay")
    )
    score = found["main_score"]
    covered = {
        level: [r[f"coverage_{level}"] for r in found["coverage"] if r["score"] == score]
        for level in ("50%", "90%")
    }
    step, one = (_row(replayed, policy) for policy in (IN_STEP, ONE_BY_ONE))
    errors = by_forecaster(minisom)["oracle"]
    theirs = ", ".join(_short(errors[share]["mae"]) for share in SHARES if share in errors)
    inside = " and ".join(
        f"{100 * min(values):.0f} to {_percent(max(values))} inside the "
        f"{level.replace('%', ' %')} intervals"
        for level, values in covered.items()
    )
    return f"""\
On {found["runs"]:,} runs of {found["tables"]} tables that nothing was fitted to, mean absolute
error of the quality score (mqe / mqe_of_mean + topographic error + 0.5 · dead-neuron ratio)
by share of the run seen; 0 % is the plan and the table alone:

{_table(by_forecaster(found))}

Of the outcomes are {inside}.
On MiniSom's own runs of such tables the errors are {theirs}.

Deciding for whole populations of {replayed["population_size"]} at once, with the risk chosen on
other tables to lose at most {_percent(float(LIMIT))} of the best tenth,
it saves {_saved(step)};
for one run after the other {_saved(one)}."""


def _table(errors: dict[str, dict[float, dict[str, Any]]]) -> str:
    lines = ["| | " + " | ".join(f"{100 * share:g} %" for share in SHARES) + " |"]
    lines.append("|---|" + "---|" * len(SHARES))
    for name, called in ROWS.items():
        rows = errors.get(name, {})
        cells = (_short(rows[share]["mae"]) if share in rows else "-" for share in SHARES)
        lines.append(f"| {called} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _row(replayed: dict[str, Any], policy: str) -> dict[str, Any]:
    row: dict[str, Any] = next(r for r in replayed["chosen"][LIMIT] if r["policy"] == policy)
    return row


def _saved(row: dict[str, Any]) -> str:
    lost = row["lost"]
    return (
        f"{_percent(row['saved']['value'])} of all epochs and loses {_percent(lost['value'], 1)} "
        f"of the good runs ({100 * lost['low']:.1f} to {_percent(lost['high'], 1)})"
    )


def with_figures(text: str) -> str:
    """Put the figures into the README's text, between its marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{figures()}\n{END}{after}"


def write() -> None:
    """Write the README anew."""
    README.write_text(with_figures(README.read_text()))


if __name__ == "__main__":
    write()
