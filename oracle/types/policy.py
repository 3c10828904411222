"""Policies: three rules by name, each with its own settings and refusing the others'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic_core import CoreSchema

from oracle.errors import InvalidHistory, must_be
from oracle.types.described import descriptions, split_docstring
from oracle.types.fields import (
    MAX_CHECKPOINTS,
    METRICS,
    UNION_TAG,
    Flag,
    Frozen,
    Many,
    Name,
    NonNegative,
    Positive,
    Ratio,
)
from oracle.types.forecast import Scale

MAX_REFERENCE_RUNS = 10_000
#: quality_score = sum of weight * metric (after METRICS); lower is better.
QUALITY_WEIGHTS = (1.0, 1.0, 0.5)
#: Share of a population that counts as good.
GOOD = 0.1

Weights = tuple[NonNegative, NonNegative, NonNegative]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
Runs = Annotated[int, Field(strict=True, ge=1, le=MAX_REFERENCE_RUNS)]


class Policy(Frozen):
    """Settings that every policy has; `Policy(name=...)` makes the one of that name.

    Attributes:
        name: threshold (the default), population, or pareto.
        patience: consecutive checks at which the rule wants a stop, before one.
        min_progress: no stop before this share of the budget.
        min_checkpoints: no stop with fewer checkpoints; 0, with a min_progress of 0, judges
            the plan alone too.
        min_support: below this support the policy abstains.
        control: share of stops let run to the end to measure wrong stops.
        converged: ends a run when what is left of its budget is worth less than this, units of
            its quality score, as finished with its present values; 0 = never.
        converged_risk: ... and P(it is worth more) is at most this.
        learn: whether the forecasts of a population's runs are corrected by those that ended.
    """

    name: str = "threshold"
    patience: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    min_progress: Ratio = 0.05
    min_checkpoints: Annotated[int, Field(strict=True, ge=0, le=MAX_CHECKPOINTS)] = 2
    min_support: Ratio = 0.05
    control: Ratio = 0.05
    converged: NonNegative = 0.0
    converged_risk: Share = 0.05
    learn: Flag = True

    if not TYPE_CHECKING:

        def __new__(cls, /, **settings: Any) -> Self:
            """Make the policy that `name` says."""
            if cls is Policy:
                cls = policy_named(settings)
            return super().__new__(cls)

    else:

        def __init__(self, **settings: Any) -> None: ...

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field that holds a Policy holds one of the three; the first pass knows none yet."""
        if "AnyPolicy" in globals() and cls is Policy:
            return handler.generate_schema(AnyPolicy)
        return handler(source)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the three as one object: settings without a name are a threshold's.

        A choice of three, each with an optional name, would call what is accepted ambiguous.
        """
        if cls is not Policy:
            return super().__get_pydantic_json_schema__(core, handler)
        each = [
            handler.resolve_ref_schema(handler(p.__pydantic_core_schema__))
            for p in POLICIES.values()
        ]
        merged = {name: value for schema in each for name, value in schema["properties"].items()}
        merged["name"] = {
            "enum": list(POLICIES), "default": "threshold", "type": "string",
            "description": descriptions(Policy)["name"],
        }  # fmt: skip
        return {
            **each[0], "title": "Policy", "properties": merged,
            "description": split_docstring(cls.__doc__ or "")[0],
        }  # fmt: skip

    @property
    def asks(self) -> tuple[str, ...]:
        """The metrics that the rule asks for, after METRICS."""
        return METRICS

    @property
    def quality_weights(self) -> tuple[float, float, float]:
        """Weights of the quality score by which runs of this policy are reported."""
        return QUALITY_WEIGHTS

    @property
    def good_share(self) -> float:
        """Share of the population that counts as good."""
        return GOOD

    @property
    def says_gain(self) -> bool:
        """Whether the probability it tells is P(gain), and not P(good)."""
        return says_gain(self.name, getattr(self, "goal", None))

    @property
    def judges_plans(self) -> bool:
        """Whether a run may be stopped before its first checkpoint."""
        return self.min_checkpoints == 0 and self.min_progress == 0.0

    @property
    def stops_nothing(self) -> bool:
        """Whether a run is trained to its end, whatever becomes of it."""
        return self.min_progress >= 1.0

    @model_validator(mode="before")
    @classmethod
    def _own_settings_only(cls, given: Any) -> Any:
        """Refuse another policy's setting; at its default it comes from before they were parted."""
        if not isinstance(given, dict):
            return given
        if given.get("name", "threshold") not in list(POLICIES):
            raise ValueError(must_be("name", f"one of {', '.join(POLICIES)}", given["name"]))
        own = {}
        for name, value in given.items():
            owner = None if name in cls.model_fields else owner_of(name)
            if owner is None:
                own[name] = value
            elif value not in (default := owner.model_fields[name].default, _as_json(default)):
                rule = f"left out of a {_title(cls)} policy"
                advice = f"It is a setting of the {_title(owner)} policy."
                raise ValueError(must_be(name, rule, value, advice))
        return own


class _Weighed(Policy):
    """Judge by the quality score.

    Attributes:
        weights: of the quality score, after METRICS.
    """

    weights: Weights = QUALITY_WEIGHTS

    @property
    def asks(self) -> tuple[str, ...]:
        """The metrics of a weight above 0."""
        return tuple(name for name, w in zip(METRICS, self.weights, strict=True) if w)

    @property
    def quality_weights(self) -> tuple[float, float, float]:
        """Its own."""
        return self.weights

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not any(self.weights):
            raise ValueError(must_be("weights", "positive for one metric at least", self.weights))
        return self


class _ByRisk(Policy):
    """Stop where the probability of a good end is below a risk.

    Attributes:
        risk: stop when P(good) or P(gain) is below this.
        ramp: before this share of the budget the risk grows in proportion to progress from 0:
            an early stop is one of many chances to err, and waiting tells more than later.
        startup_runs: no stop before the population has this many outcomes. Few suffice: runs
            to come are taken as exchangeable with those seen, so a short record stops little.
    """

    risk: Share = 0.02
    ramp: Ratio = 0.3
    startup_runs: Runs = 3

    def risk_at(self, progress: float) -> float:
        """The risk in force at a share of the budget, 0..1."""
        return self.risk if progress >= self.ramp else self.risk * progress / self.ramp


class ThresholdPolicy(_Weighed):
    """Stop where the predicted quality score is beyond a fixed number.

    Attributes:
        name: threshold.
        threshold: stops above this quality score.
        caution: continues with a caution above this one.
        scale: units of mqe inside the score; None = raw.
    """

    name: Literal["threshold"] = "threshold"
    threshold: Positive = 1.0
    caution: Positive = 0.5
    scale: Scale | None = None

    @model_validator(mode="after")
    def _caution_comes_first(self) -> Self:
        if self.caution > self.threshold:
            rule = f"at most threshold ({self.threshold:g})"
            raise ValueError(must_be("caution", rule, self.caution))
        return self


class PopulationPolicy(_Weighed, _ByRisk):
    """Stop what is unlikely to end among the best of its population.

    Attributes:
        name: population.
        good: share q of the population that counts as good.
        goal: what a run must have a chance of: `good`, to end among the best share of all runs,
            of those that were stopped by their forecast; or `gain`, to end better than every
            finished one, for a search whose runs are all alike and that wants one best map.
    """

    name: Literal["population"] = "population"
    good: Share = GOOD
    goal: Literal["good", "gain"] = "good"

    @property
    def good_share(self) -> float:
        """Its own."""
        return self.good


class ParetoPolicy(_ByRisk):
    """Stop what is unlikely to add to the Pareto front.

    Attributes:
        name: pareto.
        epsilon: smallest hypervolume gain, share of the front's hypervolume.
        objectives: names of what the search minimises, after METRICS.
    """

    name: Literal["pareto"] = "pareto"
    epsilon: NonNegative = 0.001
    objectives: Many[Name] = Field(default=METRICS, min_length=1, max_length=16)

    @property
    def asks(self) -> tuple[str, ...]:
        """The objectives that are metrics."""
        return tuple(name for name in METRICS if name in self.objectives)


def says_gain(name: str, goal: str | None) -> bool:
    """Whether a policy of that name and goal tells P(gain): another event than a good end."""
    return name == "pareto" or goal == "gain"


def policy_named(given: Any) -> type[Policy]:
    """Find the policy that settings are of; what names none is the threshold, as it ever was."""
    name = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
    return POLICIES.get(name if isinstance(name, str) else "", ThresholdPolicy)


def owner_of(setting: str) -> type[Policy] | None:
    """Find a policy that has the setting."""
    return next((p for p in POLICIES.values() if setting in p.model_fields), None)


def _title(policy: type[Policy]) -> str:
    return str(policy.model_fields["name"].default)


def _as_json(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


#: Every policy by its name.
POLICIES: dict[str, type[Policy]] = {
    "threshold": ThresholdPolicy,
    "population": PopulationPolicy,
    "pareto": ParetoPolicy,
}
AnyPolicy = Annotated[
    Annotated[ThresholdPolicy, Tag(UNION_TAG + "threshold")]
    | Annotated[PopulationPolicy, Tag(UNION_TAG + "population")]
    | Annotated[ParetoPolicy, Tag(UNION_TAG + "pareto")],
    Discriminator(lambda given: UNION_TAG + _title(policy_named(given))),
]
Policy.model_rebuild(force=True)


def ranked_by(objectives: tuple[str, ...]) -> dict[str, Any]:
    """Give the fields of the policy that ranks runs by what a search minimises.

    Args:
        objectives: names after METRICS, or `score`.

    Raises:
        InvalidHistory: none, or one alone that no oracle forecasts.
    """
    if len(objectives) > 1:
        return {"name": "pareto", "objectives": objectives}
    if not {*objectives} & {*METRICS, "score"}:
        raise InvalidHistory(must_be("objectives", f"of {', '.join(METRICS)} or score", objectives))
    if objectives == ("score",):
        return {"name": "population"}
    weights = tuple(float(name in objectives) for name in METRICS)
    return {"name": "population", "weights": weights}
