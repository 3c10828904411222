"""What every type is made of: bounded numbers, names, and the order of metrics and targets."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Annotated, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from oracle.types.described import Described

MAX_CHECKPOINTS = 1000
MAX_SCHEDULE_POINTS = 64
RUN_ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

#: Order of the three targets wherever they stand in an array.
TARGETS = ("final_mqe", "final_topographic_error", "final_dead_neuron_ratio")
#: The metric of a checkpoint that each target is the final value of.
METRICS = ("mqe", "topographic_error", "dead_neuron_ratio")
#: Quantile levels of every forecast.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Levels that a network answers: LEVELS, and the tails on which decisions rest.
HEAD_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
#: What is known at a checkpoint, in the order of a row.
CHECKPOINT = ("epochs", *METRICS, "learning_rate", "radius")
#: ... and may be null there.
NULLABLE = CHECKPOINT[2:]

FloatArray = npt.NDArray[np.float64]

# strict: "0.5" and true are not numbers.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[float, Field(strict=True, gt=0, le=1e15, allow_inf_nan=False)]
#: Marks a population file as ours, so that no other program's database is ever written to.
POPULATION_FILE = 0x534F4D50  # "SOMP"
#: The largest mqe: sums and ratios of two stay finite.
MAX_MQE = 1e150
#: mqe in input-space units.
Mqe = Annotated[float, Field(strict=True, ge=0, le=MAX_MQE, allow_inf_nan=False)]
MqeOfMean = Annotated[float, Field(strict=True, ge=1 / MAX_MQE, le=MAX_MQE, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN)]


def one_form(name: Any) -> Any:
    r"""Write a name in one form, so that two that look alike are one: composed, no blanks around.

    >>> one_form(" cafe\u0301 ") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else name


#: Makes two ways to write a name one.
OneForm = BeforeValidator(one_form)
#: The longest name of a table or a population.
MAX_NAME = 200
Name = Annotated[str, OneForm, Field(min_length=1, max_length=MAX_NAME)]
T = TypeVar("T")
#: Any number of values, up to the first bad one: to tell 300,000 of them takes seconds.
Many = Annotated[tuple[T, ...], Field(fail_fast=True)]


#: Begins the names that pydantic puts into a path where one type of several was chosen.
UNION_TAG = "is:"


@cache
def _whole(kind: type[BaseModel]) -> tuple[set[str], dict[str, Any]]:
    """Every field of a type, one set for all that have them, and its private attributes."""
    private = {name: part.default for name, part in kind.__private_attributes__.items()}
    return set(kind.model_fields), private


class Frozen(Described):
    """Immutable, strict about unknown fields, silent about nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def of_valid(cls, fields: dict[str, Any]) -> Self:
        """Make one of what is known to be valid: a fifth of the time of checking it again.

        Args:
            fields: every field, in the order of the class; it is kept, not copied.
        """
        made = cls.__new__(cls)
        put = object.__setattr__
        put(made, "__dict__", fields)
        names, private = _whole(cls)
        put(made, "__pydantic_fields_set__", names)
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", {**private} or None)
        return made
