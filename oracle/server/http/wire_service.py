"""Bodies that tell of the service itself: its models, its card, whether it is ready."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from oracle.types import Frozen, ModelInfo

StoreState = Literal["ok", "not_writable", "unavailable"]


class ActiveModel(ModelInfo):
    """The model that answers now."""

    loaded_at: str


class AvailableModel(ModelInfo):
    """A model folder that could be activated."""

    active: bool


class ModelFailure(Frozen):
    """A newly activated model that was refused; the one before goes on."""

    message: str
    since: str
    next_try_at: str


class ModelsAnswer(Frozen):
    """The model in use and those that could be."""

    active: ActiveModel | None
    failure: ModelFailure | None
    available: tuple[AvailableModel, ...]


class ModelCard(Frozen):
    """What the model in use is, what it was trained on and how well it did.

    Attributes:
        training: facts as its manifest has them, free form.
        card: its card, Markdown.
    """

    model: ActiveModel
    created: str
    architecture: str
    training: dict[str, JsonValue]
    card: str


class Health(Frozen):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(Frozen):
    """Whether this worker can do all of its work.

    Attributes:
        store: `not_writable` where it is read but the last write failed, and so did a trial.
    """

    ready: bool
    model: ActiveModel | None
    model_failure: ModelFailure | None
    store: StoreState
