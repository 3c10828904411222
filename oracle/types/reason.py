"""Why a decision is what it is: one word for machines, and for people when it comes and what to do.

docs/reasons.md is written from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why; one word for machines, `Decision.message` is for persons."""

    #: In which case it is given.
    when: str
    #: What its reader may do.
    advice: str

    def __new__(cls, word: str, when: str, advice: str) -> Self:
        """Make a member of its word; the two texts come along."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.when, member.advice = when, advice
        return member

    GOOD = (
        "good",
        "the predicted quality score is at most the policy's `caution`",
        "Nothing: the run is worth its budget.",
    )
    CAUTION = (
        "caution",
        "the predicted quality score is between `caution` and `threshold`",
        "Nothing. A lower `threshold` stops such runs.",
    )
    PROMISING = (
        "promising",
        "P(good) or P(gain) is at least the risk",
        "Nothing. A larger `risk` stops more, and loses more (`oracle replay` tells how much).",
    )
    ABOVE_THRESHOLD = (
        "above_threshold",
        "the predicted quality score is beyond the policy's `threshold`",
        "End the run. On data of another scale give `context.mqe_of_mean` and `scale=relative`.",
    )
    UNLIKELY_GOOD = (
        "unlikely_good",
        "P(the run ends among the best share of its population) is below the risk, `patience` is "
        "used up",
        "End the run; its forecast stands for it. The best of the stopped ones can be finished "
        "later: a second look.",
    )
    UNLIKELY_GAIN = (
        "unlikely_gain",
        "P(the outcome enlarges the Pareto front, or by the goal `gain` beats every finished run) "
        "is below the risk, `patience` is used up",
        "End the run; its forecast stands for it. The best of the stopped ones can be finished "
        "later: a second look.",
    )
    CONVERGED = (
        "converged",
        "what is left of the budget is worth less than the policy's `converged`",
        "End the run as finished: its present values stand.",
    )
    WAITING = (
        "waiting",
        "the rule wants a stop, but not yet at `patience` checks in a row",
        "Nothing: the next check tells.",
    )
    BEST = (
        "best",
        "the rule wants a stop, but the run is expected to be the best so far",
        "Nothing: the best of a population is never stopped.",
    )
    CONTROL = (
        "control",
        "the rule wants a stop, but the run was drawn to run on, so that wrong stops are measured",
        "Nothing. `control=0` stops these too, and then nothing measures wrong stops.",
    )
    TOO_EARLY = (
        "too_early",
        "the run is before `min_progress`",
        "Wait for the next checkpoint.",
    )
    TOO_FEW_CHECKPOINTS = (
        "too_few_checkpoints",
        "fewer checkpoints than `min_checkpoints`",
        "Wait for the next checkpoint; report more often if the run is short.",
    )
    TOO_FEW_RUNS = (
        "too_few_runs",
        "the population has fewer outcomes than `startup_runs`; `pareto` and the goal `gain` count "
        "finished ones only",
        "Let the first runs end, and say so (`run.finish()`, `POST .../finish`). If it stays so: "
        "do all runs name the same population, and do they report the metrics that the policy asks "
        "for?",
    )
    NO_PROGRESS = (
        "no_progress",
        "`total_epochs` is unknown, and the rule needs the share of the budget",
        "Give `total_epochs`, in the unit of `epochs`.",
    )
    NO_SUPPORT = (
        "no_support",
        "the history is unlike those that the oracle was trained on: its support is below "
        "`min_support`",
        "Look for a slip (units of mqe, `total_epochs`, the plan, `mqe_of_mean`); if there is "
        "none, fine-tune the oracle on runs of yours.",
    )
    NOT_MEASURED = (
        "not_measured",
        "a metric that the policy asks for has no known value now",
        "Report it, or give it the weight 0; with `pareto`, leave it out of `objectives`.",
    )
    OTHER_SCALE = (
        "other_scale",
        "the run's `mqe_of_mean` is not that of its population",
        "Give each table, and each scaling of it, a population of its own.",
    )
    TOO_UNCERTAIN = (
        "too_uncertain",
        "the forecast is too wide to tell, has no joint draws, or lacks the scale it is asked on",
        "Wait for more checkpoints. Give `context.mqe_of_mean` where the scale is relative.",
    )
    NO_POPULATION = (
        "no_population",
        "the rule compares runs, and this one has no population",
        "Give `population=` to `watch`, `population` or `dataset` to the service, a reference to "
        "`decide`; or take the policy `threshold`.",
    )
    UNKNOWN_OBJECTIVE = (
        "unknown_objective",
        "the search minimises something that the oracle does not forecast",
        "Leave it out of `objectives`, or do without stops: a run could be good in it alone.",
    )
    NO_MODEL = (
        "no_model",
        "no oracle could be loaded, or it failed",
        "`oracle models list`, `oracle models verify`; the service tells it at /readyz.",
    )
    FINISHED = (
        "finished",
        "the run has used its budget, or nearly all of it",
        "Nothing: there is nothing left to save.",
    )
    OVERRULED = (
        "overruled",
        "a person said keep or stop",
        "Obey.",
    )
    ERROR = (
        "error",
        "what was reported cannot be used, or the check failed",
        "Read the warning, the log or `run.problems.messages`; the training goes on.",
    )


#: Why a run can have been stopped.
STOPS = frozenset(
    {Reason.ABOVE_THRESHOLD, Reason.UNLIKELY_GOOD, Reason.UNLIKELY_GAIN, Reason.OVERRULED}
)
