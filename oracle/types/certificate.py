"""What was proven of a policy: how many good runs it loses at most, and where that holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from oracle.errors import must_be
from oracle.types.fields import Frozen, Name, NonNegative, Ratio
from oracle.types.forecast import ModelInfo
from oracle.types.policy import Policy

Way = Literal["one after another", "in step"]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]


class Certificate(Frozen):
    """What was proven of a model's policy.

    Attributes:
        model: that forecast.
        policy: that holds, its risk included; any share of controls only keeps more runs.
        way: "one after another" or "in step".
        alpha: share of good runs that is lost at most, mean over tables.
        delta: probability, over the draw of the tables, that this is wrong.
        p_value: of the policy that holds.
        on_average: the most daring risk whose expected loss is at most alpha; None = none.
        loss, saved: of the policy, on these tables.
        tables, runs: replayed.
        population_size: runs of each population.
        checks: shares of a run at which it is judged; 0 is its plan alone.
        dataset: name and SHA-256 of the file of runs.
        tested: (risk, mean loss, p-value) in order, to the first that is not rejected.
        missed, unlike: of one table in a hundred a larger share of the kept runs ended outside the
            90 % interval told at a tenth of the run; was then unlike the training data.
        created: when.
    """

    model: ModelInfo
    policy: Policy
    way: Way
    alpha: Share
    delta: Share
    p_value: Ratio
    on_average: Share | None
    loss: Ratio
    saved: Ratio
    tables: Annotated[int, Field(ge=1)]
    runs: Annotated[int, Field(ge=1)]
    population_size: Annotated[int, Field(ge=1)]
    checks: tuple[Ratio, ...]
    dataset: tuple[Name, Name]
    tested: tuple[tuple[NonNegative, Ratio, Ratio], ...]
    missed: Ratio
    unlike: Ratio
    created: datetime

    def __str__(self) -> str:
        return (
            f"At most {self.alpha:.1%} of the good runs are lost (mean over tables), with "
            f"{1 - self.delta:.0%} confidence, by the {self.policy.name} policy at risk "
            f"{getattr(self.policy, 'risk', 0):g}, runs {self.way}, on tables drawn as the "
            f"{self.tables:,} of {self.dataset[0]}: {self.loss:.2%} were lost there and "
            f"{self.saved:.0%} of the epochs saved."
        )

    def not_for(self, policy: Policy, model: ModelInfo) -> str | None:
        """Say why it does not hold for a policy of a model, None where it does.

        Args:
            policy: whatever its share of controls.
            model: that forecasts.
        """
        if model.sha256 != self.model.sha256:
            rule = f"{_named(self.model)}, which the certificate was made of"
            return must_be("model", rule, _named(model))
        theirs, ours = (p.model_dump(exclude={"control"}) for p in (policy, self.policy))
        for name in ours | theirs:
            if theirs.get(name) != ours.get(name):
                rule = f"{ours.get(name)}, as it was certified"
                return must_be(f"policy.{name}", rule, theirs.get(name))
        return None

    def withdrawn(self, kept: int, missed: int, unlike: int) -> str | None:
        """Say why it no longer holds in a search that has left what it was made for.

        A search is one more table. If it is drawn as the others were, its share is beyond that of
        one table in a hundred with a probability of a hundredth (conformal p-value, exchangeable
        tables: Vovk, Gammerman & Shafer 2005, doi:10.1007/b106715).

        Args:
            kept: runs that ended by themselves after a forecast at a tenth of them.
            missed: those of them that ended outside its 90 % interval.
            unlike: those of them whose forecast had less support than a policy asks for.

        Returns:
            None where there is no sign of it, or fewer runs than a population had: those spread
            more by chance alone.
        """
        for found, most, what in (
            (missed, self.missed, "ended outside the 90 % interval told at a tenth of them"),
            (unlike, self.unlike, "were unlike the training data at a tenth of them"),
        ):
            if kept >= self.population_size and found > most * kept:
                return (
                    f"{found} of {kept} runs {what}: of the tables that it was made on, one in a "
                    f"hundred had more than {most:.0%}"
                )
        return None


def _named(model: ModelInfo) -> str:
    return f"{model.name} {model.version} (SHA-256 {model.sha256[:12]})"
