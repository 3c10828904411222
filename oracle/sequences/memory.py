"""The memory task: is the first of n digits even? All that comes after it says nothing.

Digits are given one-hot, for whether a number is even is no matter of its size: as one number, a
network would have to learn ten steps up and down first, and the task would measure that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oracle.errors import InvalidSeries, must_be

Float32 = npt.NDArray[np.float32]

#: Lengths that the task is defined for.
LENGTHS = (5, 200)
DIGITS = 10


class Memory(NamedTuple):
    """Sequences and their answers.

    Attributes:
        sequence: [example, n, 10] one-hot digits.
        even: [example, 1] 1 where the first digit is even.
    """

    sequence: Float32
    even: Float32


def memory(examples: int, n: int, seed: int = 0) -> Memory:
    """Draw `examples` sequences of `n` digits; about half of the first digits are even.

    Who does not remember is right about half of the time; who does, always.

    Raises:
        InvalidSeries: a value out of range.
    """
    if not LENGTHS[0] <= n <= LENGTHS[1]:
        raise InvalidSeries(must_be("n", f"within {LENGTHS[0]}..{LENGTHS[1]}", n))
    if examples < 1:
        raise InvalidSeries(must_be("examples", "at least 1", examples))
    digits = np.random.default_rng(seed).integers(0, DIGITS, (examples, n))
    return Memory(
        np.eye(DIGITS, dtype=np.float32)[digits],
        (digits[:, :1] % 2 == 0).astype(np.float32),
    )
