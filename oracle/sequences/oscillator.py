"""The driven damped oscillator x'' = -2 gamma x' - x + F cos(Omega t), by Runge-Kutta and exactly.

Time is dimensionless: the free oscillator has angular frequency 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.series import MAX_POINTS, Array, Series

#: Steps of the integration that are accurate to 1e-8 or better over hundreds of periods.
STEPS = (0.001, 0.01)
#: Time between two points: 63 of them are a period of the usual driving force.
SPACING = 0.2


@dataclass(frozen=True)
class Oscillator:
    """One oscillator and where it begins.

    Attributes:
        gamma: damping, within 0..1 (beyond, it does not oscillate).
        omega: angular frequency of the driving force.
        force: amplitude of the driving force.
        x, v: position and velocity at t = 0.
    """

    gamma: float = 0.2
    omega: float = 0.5
    force: float = 1.0
    x: float = 1.0
    v: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            rule = "above 0 and below 1"
            raise InvalidSeries(must_be("gamma", rule, self.gamma, "Only such oscillators swing."))
        if not self.omega > 0:
            raise InvalidSeries(must_be("omega", "above 0", self.omega))

    @property
    def amplitude(self) -> float:
        """Of the motion that remains in the end: F / |1 - Omega^2 + 2i gamma Omega|.

        >>> round(Oscillator().amplitude, 4)
        1.2883
        """
        return self.force / math.hypot(1 - self.omega**2, 2 * self.gamma * self.omega)

    @property
    def period(self) -> float:
        """Of the driving force, in units of time."""
        return 2 * math.pi / self.omega

    def exact(self, t: Array) -> Array:
        """Positions [time] in closed form: the driven motion and the decaying free one."""
        phase = math.atan2(2 * self.gamma * self.omega, 1 - self.omega**2)
        free = math.sqrt(1 - self.gamma**2)
        # Constants of the free motion from x(0) and v(0).
        cosine = self.x - self.amplitude * math.cos(phase)
        driven_v = self.amplitude * self.omega * math.sin(phase)
        sine = (self.v - driven_v + self.gamma * cosine) / free
        driven = self.amplitude * np.cos(self.omega * t - phase)
        decay = np.exp(-self.gamma * t)
        return np.asarray(
            driven + decay * (cosine * np.cos(free * t) + sine * np.sin(free * t)), np.float64
        )

    def integrate(self, step: float, n: int) -> Array:
        """Positions [n + 1] at 0, step, ..., n * step by the fourth-order Runge-Kutta method."""
        x, v = self.x, self.v
        damping, omega, force = 2 * self.gamma, self.omega, self.force
        positions = np.empty(n + 1)
        positions[0] = x
        half = step / 2
        pushes = force * np.cos(omega * half * np.arange(2 * n + 1))  # at every half step
        for i in range(n):
            now, middle, later = pushes[2 * i : 2 * i + 3].tolist()
            a1 = -damping * v - x + now
            v2, x2 = v + half * a1, x + half * v
            a2 = -damping * v2 - x2 + middle
            v3, x3 = v + half * a2, x + half * v2
            a3 = -damping * v3 - x3 + middle
            v4, x4 = v + step * a3, x + step * v3
            a4 = -damping * v4 - x4 + later
            x += step / 6 * (v + 2 * v2 + 2 * v3 + v4)
            v += step / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
            positions[i + 1] = x
        return positions


def oscillator(
    points: int = 400,
    *,
    spacing: float = SPACING,
    step: float = 0.01,
    system: Oscillator | None = None,
) -> Series:
    """Positions of a driven damped oscillator; no noise, so the exact solution is the answer.

    Args:
        points: 20..10,000.
        spacing: time between two points, a multiple of `step`.
        step: of the integration, .001..01: at .01 within 1e-8 of the closed form.
        system: the oscillator; None is gamma .2, Omega .5, F 1 from x = 1 at rest.

    Raises:
        InvalidSeries: a value out of range.
    """
    if not 20 <= points <= MAX_POINTS:
        raise InvalidSeries(must_be("points", f"within 20..{MAX_POINTS:,}", points))
    if not STEPS[0] <= step <= STEPS[1]:
        raise InvalidSeries(must_be("step", f"within {STEPS[0]}..{STEPS[1]}", step))
    every = round(spacing / step)
    if every < 1 or not math.isclose(every * step, spacing):
        raise InvalidSeries(must_be("spacing", f"a multiple of step ({step:g})", spacing))
    system = system or Oscillator()
    positions = system.integrate(step, every * (points - 1))[::every]
    period = round(system.period / spacing)
    return Series(
        "oscillator",
        positions[:, None],
        features=("x",),
        clean=positions,
        noise=0.0,
        period=period if 1 < period < points else None,
    )
