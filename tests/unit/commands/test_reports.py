"""The reports of `oracle evaluate` and `oracle replay` hold every figure that is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_the_report_of_an_evaluation_has_every_figure(
    oracle: Any, model: str, dataset: str, tmp_path: Path
) -> None:
    report = tmp_path / "r.html"
    args = ("evaluate", "--model", model, "--dataset", dataset, "--report", str(report))
    code, out, _ = oracle(*args, "--json")
    assert code == 0
    found, html = json.loads(out), report.read_text()
    word, sentence = found["conclusion"]["word"], found["conclusion"]["sentence"]
    assert html.index(f"<strong>{word}</strong>") < html.index("<section>")
    assert sentence in html
    rows = [*found["errors"]]
    for groups in (found["by_table"], found["by_source"]):
        rows += [r for g in groups.values() for r in g if r["score"] == found["main_score"]]
    for row in rows:
        if row["mae"] is None:
            continue
        low, high = row["mae_interval"]
        assert f"{row['mae']:.4f}<small>{low:.3f} to {high:.3f}</small>" in html, row
        for name in ("rmse", "r2", "spearman"):
            if row in found["errors"] and row["forecaster"] == "oracle" and row.get(name):
                assert f">{row[name]:.3f}<" in html, (name, row)
    for row in found["coverage"]:
        for level in ("50%", "90%"):
            low, high = row[f"coverage_{level}_interval"]
            shown = f"{100 * row[f'coverage_{level}']:.1f}\u00a0%"
            assert f"{shown}<small>{100 * low:.0f} to {100 * high:.0f}\u00a0%</small>" in html
    for row in found["stopping"]:
        if row["both_classes"]:
            assert f"{100 * row['accuracy']:.1f}\u00a0%" in html
    runs = {href.partition('"')[0] for href in html.split('href="#')[1:]}
    assert runs
    assert all(f'id="{name}"' in html for name in runs)  # every point leads to its run
    assert oracle(*args)[1].startswith(f"{word}. {sentence}")


def test_the_report_of_a_replay_begins_with_the_policy_in_force(
    oracle: Any, model: str, dataset: str, tmp_path: Path
) -> None:
    report = tmp_path / "r.html"
    args = ("replay", "--model", model, "--dataset", dataset, "--population-size", "12",
            "--checks", "0.1,0.5", "--risks", "0.01,0.2", "--good", "0.2",
            "--report", str(report), "--policy", '{"name": "population", "risk": 0.3}')  # fmt: skip
    code, out, _ = oracle(*args, "--json")
    assert code == 0
    found, html = json.loads(out), report.read_text()
    force = found["in_force"]
    assert force["says"] == "population, risk 0.3"
    assert force["policy"]["risk"] == 0.3
    first = html[html.index("<tbody>") : html.index("</tr>", html.index("<tbody>"))]
    assert "in force: population, risk 0.3" in first
    assert f"{100 * force['saved']['value']:.1f}\u00a0%" in first
    assert f"{100 * force['lost']['value']:.2f}\u00a0%" in first
    every = [one for curve in found["curves"].values() for one in curve]
    for one in every:
        low, high = one["saved"]["low"], one["saved"]["high"]
        shown = f"{100 * one['saved']['value']:.1f}\u00a0%"
        assert f"{shown}<small>{100 * low:.0f} to {100 * high:.0f}\u00a0%</small>" in html
        assert f"{one['regret']['value']:.4f}" in html
    good = [run for run in force["runs"] if run["good"]]
    assert (len(force["runs"]), len(good)) == (36, force["good_runs"])
    assert sum(run["stopped_at"] is not None for run in good) == force["lost_runs"]
    assert html.count('id="run-') == len(good)
    _, out, _ = oracle(*args)
    assert out.startswith(f"{found['conclusion']['word']}. ")
    assert "the policy in force" in out


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("none", "population"),
        ('{"name"', "--policy"),
        ('{"name": "population", "risk": 2}', "risk"),
    ],
)
def test_a_policy_that_is_none_is_refused(
    oracle: Any, model: str, dataset: str, policy: str, says: str
) -> None:
    code, _, err = oracle("replay", "--model", model, "--dataset", dataset, "--policy", policy)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1
