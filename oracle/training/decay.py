"""How the learning rate falls while a network is trained, by whichever library."""

from __future__ import annotations

import math


def cosine_rate(learning_rate: float, epoch: int, epochs: int) -> float:
    """The rate of an epoch, from 0: along a cosine from `learning_rate` to a fiftieth of it.

    >>> [round(cosine_rate(1.0, epoch, 2), 2) for epoch in (0, 1, 2)]
    [1.0, 0.51, 0.02]
    """
    return learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * epoch / epochs)))
