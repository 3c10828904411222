"""What people are told of a training: what the oracle saw and how well it does; the model card."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from oracle.evaluation.summary import Summary
from oracle.history.dataset import MIN_TABLES_TO_HOLD_OUT, counted, listed
from oracle.model.artifact import Artifact

if TYPE_CHECKING:
    from oracle.training.finetune import Verdict

#: What runs are used for.
PARTS = ("train", "calibrate", "test")


@dataclass(frozen=True)
class Result:
    """One finished training.

    Attributes:
        name: stem of the files.
        artifact: None where fine-tuning was no better and the old oracle is kept.
        data: what was used, held out and left out.
        score: on unseen runs.
        verdict: old against new, where fine-tuned.
    """

    name: str
    artifact: Artifact | None
    data: dict[str, Any]
    score: Summary
    verdict: Verdict | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "artifact": str(self.artifact.path) if self.artifact else None,
            "data": self.data,
            "score": self.score.as_dict(),
            "verdict": asdict(self.verdict) | {"better": self.verdict.better}
            if self.verdict
            else None,
        }

    def text(self) -> str:
        """For people."""
        parts = ", ".join(f"{self.data[part]['runs']} {part}" for part in PARTS)
        excluded = self.data["excluded"]
        left_out = listed(excluded)
        lines = [
            f"Runs: {parts}; held out by {self.data['split_by']}. Left out: {left_out}.",
            *remarks(self.data),
            str(self.score),
        ]
        if self.verdict is not None:
            lines.append(str(self.verdict))
        if self.artifact is None:
            lines.append("The old oracle is kept.")
        else:
            lines.append(f"Wrote {self.artifact.path}. Use it: oracle models activate {self.name}")
        return "\n".join(lines)


def remarks(data: dict[str, Any]) -> list[str]:
    """Say plainly what the data could not teach.

    Args:
        data: as `oracle.training.recipe.Data.facts` tells it.
    """
    said = []
    if data["split_by"] == "run":
        tables = data["tables"]
        few = "One table" if tables == 1 else f"{counted(tables, 'table')} only"
        said.append(
            f"{few}: the runs judged on are of tables that were trained on, so nothing is known of "
            f"other tables. From {MIN_TABLES_TO_HOLD_OUT} tables on, whole ones are held out."
        )
    said += [
        f"{target} ends the same in all {counted(runs, 'training run')}: with nothing to learn, "
        "its outcomes had no weight and count in no error; without --from it cannot be forecast."
        for target, runs in data["constant"].items()
    ]
    return said


def _beside(error: float, last: float | None) -> str:
    """The last value's error and the ratio to it; none before the first checkpoint."""
    return f"{last:.4f} | {error / last:.2f}" if last else "- | -"


def card_text(name: str, facts: dict[str, Any], score: Summary) -> str:
    """Write the card of an artifact in Markdown.

    Args:
        name: of the artifact.
        facts: the manifest's `training`.
        score: on unseen runs.
    """
    data, settings = facts["data"], facts["settings"]
    rows = "\n".join(
        f"| {share:.0%} | {e['quality']:.4f} | {_beside(e['quality'], score.last_value[share])} "
        f"| {e['final_mqe']:.4f} "
        f"| {e['final_topographic_error']:.4f} | {e['final_dead_neuron_ratio']:.4f} |"
        for share, e in score.error.items()
    )
    covered = "\n".join(
        f"| {share:.0%} | {' | '.join(f'{hit:.1%}' for hit in levels.values())} |"
        for share, levels in score.coverage.items()
        if levels
    )
    parts = "\n".join(
        f"- {part}: {_amount(data[part]['runs'], data[part]['tables'])}"
        for part in ("train", "calibrate", "test")
    )
    excluded = ", ".join(f"{n} {why}" for why, n in data["excluded"].items()) or "none"
    held_out = "whole tables" if data["split_by"] == "table" else "single runs of the same tables"
    plainly = "".join(f"{remark}\n\n" for remark in remarks(data))
    parent = facts.get("parent")
    chose = (
        "\nThe same runs decided that this oracle replaces the one it was tuned from: its errors "
        "here are a little too good.\n"
        if parent
        else ""
    )
    origin = f"Fine-tuned from {parent['name']} ({parent['sha256'][:12]}).\n\n" if parent else ""
    legs = "".join(
        f"{number}. {leg['epochs']} epochs over {', '.join(leg['files'])}, from a learning rate of "
        f"{leg['learning_rate']}\n"
        for number, leg in enumerate(facts.get("legs", ()), 1)
    )
    if legs:
        legs = (
            f"Trained in legs; runs are counted of the last, and of what was held out:\n\n{legs}\n"
        )
    return f"""# {name}

Forecasts the final mqe, topographic error and dead-neuron ratio of a self-organizing map from its
first checkpoints. {origin}Architecture `{settings["architecture"]}`, {len(facts["seeds"])} seed(s)
averaged, {", ".join(str(n) for n in facts["epochs_run"])} epochs.

    {facts["command"]}

## Data

Held out for calibration and test: {held_out}. Left out as unusable: {excluded}.

{plainly}{legs}{parts}

## Mean absolute error on the test runs

{_amount(score.runs, score.tables)} that trained and calibrated nothing; mqe {score.scale};
the mean quality of the training runs as the forecast errs by {score.training_mean:.4f} at every
prefix.
{chose}
| seen | quality score | last value | ratio | mqe | topographic error | dead neurons |
|---|---|---|---|---|---|---|
{rows}

## Coverage on the test runs

Share of outcomes of the quality score inside the central intervals; where outcomes tie with the
forecast, by the randomised transform.

| seen | 50 % interval | 90 % interval |
|---|---|---|
{covered}

## Limits

The forecast is about runs like those it was trained on; its support score falls where a history is
unlike them, and policies then abstain. Without total_epochs or the schedule intervals are wider.
"""


def _amount(runs: int, tables: int) -> str:
    return f"{counted(runs, 'run')} of {counted(tables, 'table')}"
