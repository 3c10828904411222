"""Pinball loss and non-crossing quantile head, the Keras side of `oracle.forecast.quantiles`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from oracle.model.network import outward_steps
from oracle.types import HEAD_LEVELS


@keras.saving.register_keras_serializable(package="oracle")
class QuantileHead(keras.layers.Layer):  # type: ignore[misc]
    """Non-crossing quantiles from the unconstrained outputs of a dense layer.

    Per target the middle output is the median; every other one becomes, through softplus, a
    step outward from its neighbour. Levels cannot cross, whatever the weights.

    Args:
        n_targets: number of targets.
        n_levels: number of levels, odd.
    """

    def __init__(self, n_targets: int, n_levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_targets, self.n_levels = n_targets, n_levels
        self._outward = outward_steps(n_levels)

    def call(self, raw: Any) -> Any:
        """Map [..., target * level] to [..., target, level]."""
        raw = ops.reshape(raw, (*self._leading(raw), self.n_targets, self.n_levels))
        middle = self.n_levels // 2
        return raw[..., middle : middle + 1] + ops.matmul(ops.softplus(raw), self._outward)

    @staticmethod
    def _leading(raw: Any) -> tuple[Any, ...]:
        # [batch] or [batch, time]: at most one of them may be unknown to reshape.
        return tuple(ops.shape(raw)[:-1])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """[..., target * level] -> [..., target, level]."""
        return (*input_shape[:-1], self.n_targets, self.n_levels)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same layer."""
        return {
            **super().get_config(),
            "n_targets": self.n_targets,
            "n_levels": self.n_levels,
        }


@keras.saving.register_keras_serializable(package="oracle")
class WeighedPinball(keras.losses.Loss):  # type: ignore[misc]
    """Mean pinball loss over levels (Koenker & Bassett 1978, doi:10.2307/1913643).

    Outcomes are [..., target, 2]: value and weight (0 = unknown or padding); forecasts are
    [..., target, level]. The mean is over steps, so that a batch with little weight pulls little.

    Args:
        levels: quantile levels.
    """

    def __init__(
        self, levels: Sequence[float] = HEAD_LEVELS, name: str = "pinball", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.levels = tuple(levels)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """[..., target, 2] and [..., target, level] -> loss [...]."""
        value, weight = y_true[..., 0], y_true[..., 1]
        error = ops.expand_dims(value, -1) - y_pred
        tau = ops.convert_to_tensor(self.levels, dtype=y_pred.dtype)
        loss = ops.mean(ops.maximum(tau * error, (tau - 1) * error), axis=-1)
        return ops.sum(loss * weight, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same loss."""
        return {**super().get_config(), "levels": self.levels}
