"""Samples that fill [0, 1) evenly, however many are drawn: for who needs spread, and no surprise."""

from __future__ import annotations

import itertools
from collections.abc import Callable


def golden() -> Callable[[], float]:
    """Multiples of the golden ratio, without their whole part.

    >>> draw = golden()
    >>> [round(draw(), 3) for _ in range(4)]
    [0.618, 0.236, 0.854, 0.472]
    """
    numbers = itertools.count(1)
    return lambda: next(numbers) * 0.6180339887498949 % 1.0
