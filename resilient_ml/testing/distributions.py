"""Lengths of time drawn at random, each from one uniform number, so that a seed fixes it everywhere.

``draw(u)`` is the inverse of the cumulative distribution at *u* in [0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol, runtime_checkable

from .. import _checks

_NORMAL = NormalDist()
_LEAST = 2.0**-54
"""In place of a draw of exactly 0, whose normal quantile is infinite."""


@runtime_checkable
class Distribution(Protocol):
    """Anything that turns a uniform number into a length of time."""

    def draw(self, u: float) -> float:
        """Seconds, for *u* uniform in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless, as in the M/M/c queue: ``-mean * ln(1 - u)``.

    Args:
        mean: In seconds, above 0.

    >>> round(Exponential(0.01).draw(0.5), 6)
    0.006931
    """

    mean: float

    def __post_init__(self) -> None:
        _checks.seconds("mean", self.mean, remedy="pass the mean in seconds, 0.01 say")

    def draw(self, u: float) -> float:
        """Seconds, for *u* uniform in [0, 1)."""
        return -self.mean * math.log1p(-u)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Skewed as the latencies of real servers are: ``median * exp(sigma * z)``, *z* standard normal.

    Args:
        median: In seconds, above 0.
        sigma: How wide, from 0. At 0.5 the 99th percentile is 3.2 medians, at 1.0 it is 10.

    >>> Lognormal(0.02, sigma=0.5).draw(0.5)
    0.02
    """

    median: float
    sigma: float

    def __post_init__(self) -> None:
        _checks.seconds("median", self.median, remedy="pass the median in seconds, 0.01 say")
        _checks.seconds("sigma", self.sigma, zero=True, remedy="pass 0.5, say")

    def draw(self, u: float) -> float:
        """Seconds, for *u* uniform in [0, 1)."""
        return self.median * math.exp(self.sigma * _NORMAL.inv_cdf(max(u, _LEAST)))


@dataclass(frozen=True, slots=True)
class Pareto:
    """A heavy tail: ``least / (1 - u) ** (1 / shape)``.

    Args:
        least: The shortest, in seconds, above 0.
        shape: How fast the tail falls, above 0; at 1 or below the mean is infinite.

    >>> Pareto(0.01, shape=2.0).draw(0.75)
    0.02
    """

    least: float
    shape: float

    def __post_init__(self) -> None:
        _checks.seconds("least", self.least, remedy="pass the shortest in seconds, 0.01 say")
        _checks.seconds("shape", self.shape, remedy="pass 2.5, say")

    def draw(self, u: float) -> float:
        """Seconds, for *u* uniform in [0, 1)."""
        return self.least / math.pow(1.0 - u, 1.0 / self.shape)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anywhere from *low* to *high*.

    Args:
        low: In seconds, from 0.
        high: In seconds, at least *low*.

    >>> Uniform(1.0, 3.0).draw(0.5)
    2.0
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        low = _checks.seconds("low", self.low, zero=True, remedy="pass the shortest in seconds")
        high = _checks.seconds("high", self.high, zero=True, remedy="pass the longest in seconds")
        if high < low:
            raise ValueError(f"high must be at least low, got {high:g} and {low:g}; swap them, perhaps")

    def draw(self, u: float) -> float:
        """Seconds, for *u* uniform in [0, 1)."""
        return self.low + u * (self.high - self.low)


def lengths(name: str, given: Any, uniform: Callable[[], float]) -> Callable[[], float]:
    """A function that gives the next length: of a fixed number of seconds, or of a distribution."""
    if isinstance(given, Distribution):
        draw = given.draw
        return lambda: draw(uniform())
    seconds = _checks.seconds(
        name, given, zero=True, remedy="pass seconds, or a distribution such as Exponential(0.01)"
    )
    return lambda: seconds
