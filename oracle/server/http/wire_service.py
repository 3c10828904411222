"""Bodies that tell of the service itself: its models, its card, whether it is ready."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from oracle.types import Certificate, Frozen, ModelInfo

StoreState = Literal["ok", "not_writable", "unavailable"]


class ActiveModel(ModelInfo):
    """The model that answers now.

    Attributes:
        loaded_at: when this worker loaded it, UTC, ISO 8601.
    """

    loaded_at: str


class AvailableModel(ModelInfo):
    """A model folder that could be activated.

    Attributes:
        active: whether it is the one in use.
    """

    active: bool


class ModelFailure(Frozen):
    """A newly activated model that was refused; the one before goes on.

    Attributes:
        message: why it was refused.
        since: when it first was, UTC, ISO 8601.
        next_try_at: when it is tried again, UTC, ISO 8601.
    """

    message: str
    since: str
    next_try_at: str


class ModelsAnswer(Frozen):
    """The model in use and those that could be.

    Attributes:
        active: the model in use; null where none could be loaded.
        failure: a model that was activated and refused; null where none was.
        available: the model folders that there are.
        certificates: what was proven of the model in use: for which policy, how many good runs
            it loses at most.
    """

    active: ActiveModel | None
    certificates: tuple[Certificate, ...] = ()
    failure: ModelFailure | None
    available: tuple[AvailableModel, ...]


class ModelCard(Frozen):
    """What the model in use is, what it was trained on and how well it did.

    Attributes:
        model: the model in use.
        created: when it was trained, ISO 8601.
        architecture: of its network.
        training: facts as its manifest has them, free form.
        card: its card, Markdown.
    """

    model: ActiveModel
    created: str
    architecture: str
    training: dict[str, JsonValue]
    card: str


class Health(Frozen):
    """The process is alive.

    Attributes:
        status: ok, whenever it answers.
    """

    status: Literal["ok"] = "ok"


class Readiness(Frozen):
    """Whether this worker can do all of its work.

    Attributes:
        ready: whether requests are served: a model is loaded and the store is there.
        model: the model in use; null where none could be loaded.
        model_failure: a model that was activated and refused; null where none was.
        store: `not_writable` where it is read but the last write failed, and so did a trial.
    """

    ready: bool
    model: ActiveModel | None
    model_failure: ModelFailure | None
    store: StoreState
