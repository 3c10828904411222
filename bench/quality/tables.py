"""Tables of docs/quality.md, from what `oracle evaluate` and `oracle replay` print."""

from __future__ import annotations

from typing import Any

#: Shares of the run at which forecasts are shown; 0 is the plan alone.
SHOWN = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)


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
