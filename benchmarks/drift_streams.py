"""Quiet streams, and the changes that some of them undergo: what detectors of drift are judged on."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kind = Literal["errors", "scores", "rows", "classes"]
Draw = Callable[[np.random.Generator, int], Floats]
"""So many observations of a quiet stream."""
Turn = Callable[[np.random.Generator, Floats], Floats]
"""What comes in the place of these quiet observations."""

FEATURES, RAMP = 32, 1000
SHARES = np.array([0.25, 0.2, 0.15, 0.1, 0.08, 0.07, 0.06, 0.04, 0.03, 0.02])
SHIFTED = (SHARES + 0.13 * np.eye(10)[5]) / 1.13


@dataclass(frozen=True, slots=True)
class Stream:
    """A quiet stream.

    Attributes:
        kind: Which detectors it is for.
        draw: Its observations.
        changes: What may become of it, by name.
    """

    kind: Kind
    draw: Draw
    changes: Mapping[str, Turn] = field(default_factory=dict)


def source(name: str, number: int, part: str) -> np.random.Generator:
    """The randomness of one *part* of one stream: the same for every detector."""
    return np.random.default_rng([zlib.crc32(name.encode()), number, zlib.crc32(part.encode())])


def normal(draw: np.random.Generator, count: int) -> Floats:
    return draw.normal(size=count)


def heavy(draw: np.random.Generator, count: int) -> Floats:
    """t(3) with a deviation of 1."""
    return draw.standard_t(3, count) / math.sqrt(3.0)


def autoregressive(draw: np.random.Generator, count: int) -> Floats:
    """Each value half of the one before it and noise; the deviation is 1."""
    noise = draw.normal(size=count) * math.sqrt(0.75)
    noise[0] = draw.normal()
    return np.array(list(accumulate(noise.tolist(), lambda last, fresh: 0.5 * last + fresh)))


def overshooting(draw: np.random.Generator, count: int) -> Floats:
    """Swings within a few observations: 1.2 of the last value less half of the one before it, and noise."""
    values = [0.0, 0.0]
    for noise in draw.normal(size=count + 100).tolist():
        values.append(1.2 * values[-1] - 0.5 * values[-2] + noise)
    return np.array(values[-count:]) / 1.92


def restless(draw: np.random.Generator, count: int) -> Floats:
    """Calm and wild times: the deviation remembers for twenty observations, the level never."""
    noise = (draw.normal(size=count) * math.sqrt(1.0 - 0.95**2)).tolist()
    logarithms = np.array(list(accumulate(noise, lambda last, fresh: 0.95 * last + fresh)))
    return np.exp(0.5 * logarithms - 0.25) * draw.normal(size=count)


def daily(draw: np.random.Generator, count: int) -> Floats:
    """A cycle of 1000 observations, half a deviation up and down; the deviation is 1."""
    days = (np.arange(count) + draw.integers(1000)) / 1000.0
    return math.sqrt(0.875) * draw.normal(size=count) + 0.5 * np.sin(2.0 * np.pi * days)


def confidence(first: float, second: float) -> Draw:
    return lambda draw, count: draw.beta(first, second, count)


def errors(rate: float) -> Draw:
    return lambda draw, count: (draw.random(count) < rate).astype(np.float64)


def persistent(rate: float) -> Draw:
    """A chain of two states: every other error flag is drawn, the others are as the one before them."""

    def drawn(draw: np.random.Generator, count: int) -> Floats:
        fresh = np.where(draw.random(count) < 0.5, np.arange(count), 0)
        flags: Floats = errors(rate)(draw, count)[np.maximum.accumulate(fresh)]
        return flags

    return drawn


def categories(shares: Floats) -> Draw:
    return lambda draw, count: draw.choice(len(shares), count, p=shares).astype(np.float64)


def tail(count: int, steepness: float = 1.0) -> Floats:
    """Shares of categories of which the k-th comes k to the *steepness* times as seldom as the first."""
    seldom = 1.0 / np.arange(1, count + 1) ** steepness
    shares: Floats = seldom / seldom.sum()
    return shares


def raised(shares: Floats, place: int, share: float) -> Floats:
    """The same with another *share* at *place*, and the others less by as much."""
    moved: Floats = shares * (1.0 - share) / (1.0 - shares[place])
    moved[place] = share
    return moved


def rows(draw: np.random.Generator, count: int) -> Floats:
    return draw.normal(size=(count, FEATURES))


def to(other: Draw) -> Turn:
    """Another stream takes its place."""
    return lambda draw, quiet: other(draw, len(quiet))


def by(shift: float, columns: int | None = None) -> Turn:
    """Every value is higher by so much, or those in the first columns."""

    def turned(draw: np.random.Generator, quiet: Floats) -> Floats:
        moved = quiet.copy()
        moved[..., slice(columns)] += shift
        return moved

    return turned


def times(factor: float, columns: int | None = None) -> Turn:
    def turned(draw: np.random.Generator, quiet: Floats) -> Floats:
        spread = quiet.copy()
        spread[..., slice(columns)] *= factor
        return spread

    return turned


def rising(draw: np.random.Generator, quiet: Floats) -> Floats:
    return quiet + slope(len(quiet))


def more_and_more_errors(draw: np.random.Generator, quiet: Floats) -> Floats:
    return (draw.random(len(quiet)) < 0.1 + 0.2 * slope(len(quiet))).astype(np.float64)


def slope(count: int) -> Floats:
    ramp: Floats = np.minimum(1.0, np.arange(count) / RAMP)
    return ramp


def two_modes(draw: np.random.Generator, quiet: Floats) -> Floats:
    """Two modes with the mean and the deviation of a standard normal distribution."""
    return 0.9 * draw.choice([-1.0, 1.0], len(quiet)) + math.sqrt(0.19) * draw.normal(size=len(quiet))


def in_pairs(draw: np.random.Generator, quiet: Floats) -> Floats:
    """Every other feature has a correlation of 0.5 with the one before it."""
    paired = quiet.copy()
    paired[:, 1::2] = 0.5 * quiet[:, 0::2] + math.sqrt(0.75) * quiet[:, 1::2]
    return paired


STREAMS = {
    "normal": Stream(
        "scores",
        normal,
        {
            "mean +0.25 sd": by(0.25),
            "mean +0.5 sd": by(0.5),
            "mean +1 sd": by(1.0),
            "mean -1 sd": by(-1.0),
            "ramp to +1 sd in 1000": rising,
            "sd x 1.5": times(1.5),
            "sd x 2": times(2.0),
            "two modes, mean and sd kept": two_modes,
        },
    ),
    "t(3)": Stream("scores", heavy),
    "AR(1) of 0.5": Stream("scores", autoregressive, {"AR(1), mean +1 sd": by(1.0)}),
    "AR(2) of 1.2, -0.5": Stream("scores", overshooting),
    "calm and wild times": Stream("scores", restless),
    "daily cycle": Stream("scores", daily),
    "Beta(8, 2)": Stream("scores", confidence(8, 2), {"Beta(8, 2) to Beta(6, 3)": to(confidence(6, 3))}),
    "errors 0.1": Stream(
        "errors",
        errors(0.1),
        {
            "errors 0.1 to 0.15": to(errors(0.15)),
            "errors 0.1 to 0.2": to(errors(0.2)),
            "errors 0.1 to 0.3": to(errors(0.3)),
            "errors 0.1 to 0.3 in 1000": more_and_more_errors,
        },
    ),
    "errors 0.01": Stream("errors", errors(0.01), {"errors 0.01 to 0.05": to(errors(0.05))}),
    "errors 0.3": Stream("errors", errors(0.3)),
    "errors 0.1 in a chain": Stream(
        "errors", persistent(0.1), {"errors 0.1 to 0.2 in a chain": to(persistent(0.2))}
    ),
    "32 features": Stream(
        "rows",
        rows,
        {
            "mean +1 sd in 2 of 32": by(1.0, 2),
            "mean +0.25 sd in all 32": by(0.25),
            "correlation 0.5 in pairs": in_pairs,
            "sd x 1.5 in 8 of 32": times(1.5, 8),
        },
    ),
    "10 classes": Stream("classes", categories(SHARES), {"a class from .07 to .18": to(categories(SHIFTED))}),
    "300 classes, a long tail": Stream(
        "classes",
        categories(tail(300)),
        {
            "the 10th class to .1": to(categories(raised(tail(300), 9, 0.1))),
            "the 200th class to .1": to(categories(raised(tail(300), 199, 0.1))),
        },
    ),
}
