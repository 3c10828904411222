"""Figures, picture and page of the searches, from the entries of its journal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.ea.libraries import LIBRARIES, LOOKS, Library
from bench.ea.pace import at_one_pace

Entry = dict[str, Any]
#: Who says when to stop, by kind of search.
JUDGES = {
    "single": (
        *("none", "oracle", "screened", "median", "halving"),
        *("tpe", "tpe, oracle", "tpe, screened", "forest", "forest, oracle", "forest, screened"),
    ),
    "multi": ("none", "oracle", "screened"),
}
SPENT = ("epochs_needed", "time_needed")
#: Those that know no oracle.
RIVALS = {
    "median": "the median pruner", "halving": "successive halving", "tpe": "TPE",
    "forest": "the random forest",
}  # fmt: skip

#: What a picture shows in full begins at this share of a curve.
SETTLED = 0.06
GRID = np.linspace(0.02, 1.0, 99)


def curve(entries: list[Entry], spent: str, grid: np.ndarray) -> np.ndarray:
    """[seed, grid] best found when `spent` (epochs or cpu_s) reached the grid; NaN before."""
    rows = []
    for e in entries:
        at = np.searchsorted(e[spent], grid, side="right") - 1
        rows.append(np.where(at >= 0, np.array(e["best"])[at], np.nan))
    values = np.array(rows, dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def needed(entries: list[Entry], plain: list[Entry], spent: str) -> float:
    """Share of the plain search's spending after which the mean best equals its mean end."""
    if not entries:
        return float("nan")
    sign = 1.0 if plain[0]["kind"] == "single" else -1.0
    target = sign * float(np.mean([e["best"][-1] for e in plain]))
    whole = float(np.mean([e[spent][-1] for e in plain]))
    longest = max(e[spent][-1] for e in entries)
    grid = np.linspace(0.02 * whole, longest, 500)
    means = sign * curve(entries, spent, grid).mean(axis=0)
    reached = np.flatnonzero(means <= target + 1e-12)
    return float(grid[reached[0]] / whole) if len(reached) else float("inf")


def figures(entries: list[Entry]) -> list[Entry]:
    """One row a library, kind, table and judge."""
    rows = []
    for library in dict.fromkeys(e["library"] for e in entries):
        rows += _figures_of([e for e in entries if e["library"] == library])
    return rows


def _figures_of(entries: list[Entry]) -> list[Entry]:
    rows = []
    for kind, judges in JUDGES.items():
        for table in dict.fromkeys(e["table"] for e in entries):
            mine = [e for e in entries if (e["kind"], e["table"]) == (kind, table)]
            plain = [e for e in mine if e["judge"] == "none"]
            clocked = at_one_pace(mine)
            for judge in judges:
                its = [e for e in mine if e["judge"] == judge]
                best = np.array([e["best"][-1] for e in its])
                timed = [e for e in clocked if e["judge"] == judge]
                beside = {e["seed"] for e in timed}
                plainly = [e for e in clocked if e["judge"] == "none" and e["seed"] in beside]
                rows.append(
                    {
                        "library": its[0]["library"],
                        "search": kind,
                        "table": table,
                        "stops": judge,
                        "best": float(best.mean()),
                        "best_sd": float(best.std(ddof=1)) if len(best) > 1 else 0.0,
                        "better": _better(its, plain),
                        "runs": float(np.mean([len(e["best"]) for e in its])),
                        "stopped": float(np.mean([e["stopped"] for e in its])),
                        "epochs_needed": needed(its, plain, "epochs"),
                        "time_needed": needed(timed, plainly, "cpu_s"),
                        "timed": len(timed),
                    }
                )
    return rows


def _better(entries: list[Entry], plain: list[Entry]) -> str:
    """Count the seeds whose search ended better than the plain one."""
    if entries[0]["judge"] == "none":
        return ""
    sign = 1.0 if plain[0]["kind"] == "single" else -1.0
    ends = {e["seed"]: e["best"][-1] for e in plain}
    wins = sum(sign * e["best"][-1] < sign * ends[e["seed"]] for e in entries)
    return f"{wins} of {len(entries)}"


def table_of(rows: list[Entry]) -> str:
    """Render the rows as Markdown."""
    lines = [
        "| library | search | table | stops by | best found, mean ± sd | better | runs "
        "| of them stopped | epochs needed | CPU time needed |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        shares = [_share(r[name]) for name in SPENT]
        lines.append(
            f"| {LIBRARIES[r['library']].title} | {r['search']} | {r['table']} | {r['stops']} "
            f"| {r['best']:.4f} ± {r['best_sd']:.4f} | {r['better']} | {r['runs']:.0f} "
            f"| {r['stopped']:.0f} | {shares[0]} | {shares[1]} |"
        )
    return "\n".join(lines)


def picture(entries: list[Entry], path: Path) -> None:
    """Draw mean best found against epochs and against time, one column a table."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    tables = list(dict.fromkeys(e["table"] for e in entries))
    clocked = at_one_pace(entries)
    colors = {
        "none": "#64748b",
        "oracle": "#0f766e",
        "screened": "#1f4e8c",
        "median": "#d97706",
        "halving": "#b91c1c",
        "tpe": "#7c3aed",
        "forest": "#65a30d",
    }
    names = {
        "none": "no stopping",
        "oracle": "oracle",
        "screened": "oracle, screened first",
        "median": "median pruner",
        "halving": "successive halving",
        "tpe": "TPE, no stopping",
        "forest": "random forest, no stopping",
    }
    figure, axes = plt.subplots(
        4, len(tables), figsize=(3.6 * len(tables), 10.5), layout="constrained", squeeze=False
    )
    for row, (kind, spent) in enumerate(
        (k, s) for k in ("single", "multi") for s in ("epochs", "cpu_s")
    ):
        for column, table in enumerate(tables):
            axis = axes[row, column]
            for judge in (judge for judge in JUDGES[kind] if judge in colors):
                its = [
                    e for e in (clocked if spent == "cpu_s" else entries)
                    if (e["kind"], e["table"], e["judge"]) == (kind, table, judge)
                ]  # fmt: skip
                last = max(e[spent][-1] for e in its)
                grid = GRID if spent == "epochs" else np.linspace(0.02, 1.0, 99) * last
                values = curve(its, spent, grid)
                shown = np.isfinite(values).all(axis=0)
                x = grid[shown] * (100 if spent == "epochs" else 1)
                mean, sd = values[:, shown].mean(axis=0), values[:, shown].std(axis=0)
                axis.plot(x, mean, color=colors[judge], label=names[judge], lw=1.8)
                error = sd / np.sqrt(len(its))
                axis.fill_between(
                    x, mean - error, mean + error, color=colors[judge], alpha=0.15, lw=0
                )
            # The first, random runs would flatten all that follows.
            lines = [line.get_xydata() for line in axis.lines]
            late = np.concatenate([xy[xy[:, 0] > SETTLED * xy[-1, 0], 1] for xy in lines])
            margin = 0.15 * (late.max() - late.min())
            axis.set_ylim(late.min() - margin, late.max() + margin)
            if row == 0:
                axis.set_title(table)
            axis.set_xlabel("epochs, % of the budget" if spent == "epochs" else "CPU time, s")
            if column == 0:
                axis.set_ylabel(
                    "best quality score\n(lower is better)" if kind == "single"
                    else "hypervolume\n(higher is better)"
                )  # fmt: skip
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.2)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def page(entries: list[Entry], rows: list[Entry], about: Mapping[str, Any]) -> str:
    """Compose docs/savings.md.

    Args:
        entries, rows: the journal's, and their figures.
        about: model, policies and budget of the searches, and the command.
    """
    drawn = about["screened"]
    one, several = about["policies"]["single"], about["policies"]["multi"]
    sections = [
        _section(LIBRARIES[name], [e for e in entries if e["library"] == name],
                 [r for r in rows if r["library"] == name], drawn)
        for name in dict.fromkeys(e["library"] for e in entries)
    ]  # fmt: skip
    return rf"""# What stopping saves

This page is written by `{about["command"]}` (some ten seconds a search on one core; what was
interrupted goes on where it stopped); the figures are those of the model {about["model"]}.

Evolutionary searches over the settings of two libraries' maps, on tables that no oracle was
trained or calibrated on. Every search has the same budget: the epochs of {about["budget"]} whole
runs. Only runs that went to their end count as found. A stopped run is worth its forecast to the
search.

The policies are those that `policy_for` gives to any search: for one objective `population` with
good {one.good:g} and risk {one.risk:g}, for several `pareto` with risk {several.risk:g}; where
the oracle chooses, too, what is trained, by one objective with the goal `gain`. All were
chosen on calibrate tables (the command is in bench/ea/, at `POLICY`). A share of
{one.control:.0%} of the stops is let run on as controls, and is paid for here.

Time is CPU time of the process, which is wall-clock time on an idle machine. It counts the loading
of the model, the metrics at {len(LOOKS)} checkpoints a run, forecasts, decisions and the shared
population file; the search without stopping measures each map once, at its end. MiniSom's
trainings last about a tenth of a second here, XPySom's a tenth of that; watching weighs less the
longer they last. Searches that were run before are kept with the page, so that not all are of one
machine and one load: a time counts by what a fixed training takes beside it (`bench/ea/pace.py`).

"Epochs needed" and "CPU time needed" are shares of what the search without stopping spends in
all, until the mean best found over seeds equals its mean end; for that search itself the share is
where its last improvement came. "Best found" is at the end of the budget: the quality score
(relative, lower is better) or the hypervolume (higher is better); "better" counts the seeds whose
search ended with a better one than the search without stopping.

The two pruners of Optuna ("median", "halving") rank by the values so far, and their stopped runs
keep those. "tpe" is Optuna's sampler, "forest" a random forest of scikit-learn on what was
trained, which starts from twelve random runs; both learn within the search alone. "Screened" gives
the former the best of several draws by the oracle (`oracle.search.optuna`), the latter twelve
suggested runs in place of random ones; the oracle then stops either. What is screened learns of
the runs that have ended ("forest" begins before any has).

The bands are one standard error over seeds. Searches are short and noisy, so single tables can
go either way; `oracle replay` judges decisions over many more runs.

{"".join(sections).rstrip()}
"""


def _section(
    library: Library, entries: list[Entry], rows: list[Entry], drawn: tuple[int, int]
) -> str:
    seeds = len({e["seed"] for e in entries})
    single, first, multi, both = (
        [middle(rows, kind, judge, spent) for spent in SPENT]
        for kind in ("single", "multi")
        for judge in ("oracle", "screened")
    )
    return f"""## {library.title}

Searched are its settings ({library.varies}; {library.updates:,} updates a run), {seeds} seeds a
table. To find what the search without stopping finds in its whole budget, the search with the
oracle needs, in the median over tables (and on the worst of them):

- one objective (DEAP): **{single[0]} of the epochs, {single[1]} of the time**;
- ... where its first generation is drawn {drawn[0]} times as large as it is trained and each
  later one {drawn[1]} times, and the oracle chooses before anything is trained (`screen`,
  [suggest.md](suggest.md); "screened" below): **{first[0]} of the epochs, {first[1]} of the time**;
- two objectives (pymoo's NSGA-II, hypervolume of mqe and topographic error):
  **{multi[0]} of the epochs, {multi[1]} of the time**;
- ... and screened likewise, by the volume that candidates cover together:
  **{both[0]} of the epochs, {both[1]} of the time**.

Reached at all on so many of the tables, with one objective: {_reached(rows)}.{_timed(rows)}

{_won(rows)}

{table_of(rows)}

![Best found against epochs and time, {library.title}](img/{picture_name(library.name)})

"""


def picture_name(library: str) -> str:
    """Name a library's picture in docs/img."""
    return "savings.png" if library == "minisom" else f"savings-{library}.png"


def middle(rows: list[Entry], kind: str, judge: str, spent: str) -> str:
    """Render a search's median over tables of a share needed, and the worst."""
    shares = [r[spent] for r in rows if (r["search"], r["stops"]) == (kind, judge)]
    return f"{_share(float(np.median(shares)))} ({_share(max(shares))})"


def _timed(rows: list[Entry]) -> str:
    """Tell of how many seeds the times are, where they are not of all."""
    seeds = {r["stops"]: r["timed"] for r in rows}
    most, least = max(seeds.values()), min(seeds.values())
    if most == least:
        return ""
    whole = ", ".join(judge for judge, n in seeds.items() if n == most)
    return f" Times of {whole} are of {most} seeds, of the others of {least}."


def _won(rows: list[Entry]) -> str:
    """Tell on which tables a rival ends better than the screened search."""
    single = [r for r in rows if r["search"] == "single"]
    own = {r["table"]: r["best"] for r in single if r["stops"] == "screened"}
    told = [
        f"on {r['table']} {RIVALS[r['stops']]} ({r['best']:.4f}, screened {own[r['table']]:.4f})"
        for r in single
        if r["stops"] in RIVALS and r["best"] < own[r["table"]]
    ]
    return f"Rivals without an oracle that end better than screened: {'; '.join(told) or 'none'}."


def _reached(rows: list[Entry]) -> str:
    """Count, for each judge, the tables on which the plain search's end was reached."""
    told = []
    for judge in JUDGES["single"][1:]:
        mine = [r for r in rows if (r["search"], r["stops"]) == ("single", judge)]
        told.append(f"{judge} {sum(np.isfinite(r['epochs_needed']) for r in mine)} of {len(mine)}")
    return ", ".join(told)


def _share(value: float) -> str:
    if np.isnan(value):
        return "not measured"
    return f"{value:.0%}" if np.isfinite(value) else "not reached"
