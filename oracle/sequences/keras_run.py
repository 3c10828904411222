"""A Keras architecture on a series, as the file of `oracle sequences run` sets it."""

from __future__ import annotations

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.model.recurrent import Recurrent
from oracle.sequences.cells import Floats
from oracle.sequences.config import Config
from oracle.sequences.forecasting import Task
from oracle.sequences.networks import Examples, Told, WindowSettings, answer, fit_windows, sized
from oracle.sequences.run import Fitted
from oracle.sequences.series import Array
from oracle.sequences.states import layers_in
from oracle.training.architectures import ARCHITECTURES, Architecture
from oracle.training.correction import Correction, Corrector


def registered(name: str) -> Architecture:
    """One of the registry.

    Raises:
        InvalidSeries: there is none of that name.
    """
    if name not in ARCHITECTURES:
        rule = f"one of {', '.join(ARCHITECTURES)}"
        raise InvalidSeries(must_be("model.architecture", rule, name))
    return ARCHITECTURES[name]


def is_sized(name: str) -> bool:
    """Whether an architecture has recurrent layers, so that `hidden_dim` means something."""
    return isinstance(registered(name).network.trunk, Recurrent)


def fit_keras(config: Config, task: Task, told: Told) -> Fitted:
    """Fit one network of the registry.

    Raises:
        InvalidSeries: an unknown architecture, or the loss ceased to be a number.
    """
    model, training = config.model, config.training
    settings = WindowSettings(
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        clip_norm=training.clip_norm,
        loss="pinball" if model.quantiles else "squared",
        seed=config.data.random_seed,
    )
    spec = sized(registered(model.architecture), model.hidden_dim, model.layers, model.dropout)
    corrector = corrector_of(config, task)
    part = task.split
    steps = np.arange(part.train.length)
    fitted = fit_windows(
        spec,
        Examples(
            task.inputs(part.train.x), task.targets(part.train), part.train.start[:, None] + steps
        ),
        Examples(task.inputs(part.test.x), task.targets(part.test)),
        settings,
        corrector=corrector,
        told=told,
    )

    def network(x: Floats) -> Floats:
        made = answer(fitted.model, x)
        return made if model.quantiles else made[..., 0]

    corrected: Array | None = None
    remarks: tuple[str, ...] = ()
    if corrector is not None:
        if corrector.stopped is None:
            corrected = task.series.values + corrector.offset * task.scaling.scale
        else:
            remarks = (corrector.stopped,)
    weights = {layer.name: layer.get_weights() for layer in fitted.model.layers}
    return Fitted(
        task.forecaster(network),
        fitted.model,
        lambda: layers_in(spec.network, weights),
        fitted.train,
        fitted.test,
        corrected,
        remarks,
    )


def corrector_of(config: Config, task: Task) -> Corrector | None:
    """What corrects the points of training, if the file asks for it.

    A point that moves by more than the whole range of its feature is lost, not corrected.

    Raises:
        OracleError: the correction would begin after the last epoch.
    """
    wanted = config.training.correction
    if wanted is None:
        return None
    scaled = task.scaling.apply(task.series.values[task.split.train_points])
    return Corrector(
        task.movable,
        scaled.shape[1],
        Correction(**wanted.model_dump()),
        config.training.epochs,
        furthest=np.ptp(scaled, axis=0),
    )
