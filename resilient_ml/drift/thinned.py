"""Streams with memory: a detector that supposes independence is given only every so many observations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import function, whole
from .detector import Detector, Evidence, Floats, Level, restored

NOTICEABLE = 1.35
"""A correlation time up to this is taken for none: 1000 independent observations seldom show more."""

APART = 1.5
"""So many correlation times apart, what is left of an exponential memory is a twentieth."""

PART = 4
"""Correlations are looked at up to this part of a reference."""

NEXT = 4
"""So many of those that are a spacing apart are asked whether they resemble each other."""

UNIMPORTANT = 0.2
"""So much longer they may remember."""

FURTHER = 8
"""No more than so many times further apart than by their correlation time."""

ENOUGH = 100
"""The reference is thinned too, as far as this many observations are left of it."""


class Thinned(Detector):
    """Gives a detector every so many observations of a stream with memory, which it takes for independent.

    Errors come in bursts, embeddings follow a conversation, routes repeat: neighbours resemble each other,
    and what supposes independence takes that for news. Observations far enough apart are independent for all
    that matters. *make* is asked for a detector of the run length that is left, so *arl* counts all
    observations, seen or passed over; where there is no memory nothing is passed over.

    A single score loses less with `WhitenedShiryaevRoberts`, which uses every observation.

    Effects, parts and the statistic are those of the detector inside.

    Args:
        make: ``(reference, arl) -> detector``, such as ``EShiryaevRoberts.from_reference`` with a keyword
            bound, or ``lambda rows, arl: RandomFeatureAverages(rows, arl=arl)``.
        reference: Observations of quiet times in the order in which they came; shape (n,), or (n, features).
        every: Of how many observations one is used, from 1; by default one and a
            half times the `correlation_time`, or 1 where there is none.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Attributes:
        inner: The detector inside.
        every: Of how many observations one is used.

    Raises:
        ValueError: A parameter is out of its range.

    >>> from resilient_ml.drift import EShiryaevRoberts
    >>> draw = np.random.default_rng(3).random
    >>> bad = np.repeat(draw(400) < 0.1, 5)  # errors come five at a time
    >>> detector = Thinned(lambda quiet, arl: EShiryaevRoberts.from_reference(quiet, arl=arl), bad[:1500])
    >>> detector.every, len(detector.update_many(bad[1500:]))
    (8, 0)
    >>> len(detector.update_many(np.repeat(draw(60) < 0.5, 5))) > 0
    True

    Source: A. D. Sokal, "Monte Carlo Methods in Statistical Mechanics", 1996, section 3, for the correlation
    time; C. J. Geyer, Statistical Science 7(4), 1992, for where its sum ends.
    """

    _kind: ClassVar[str] = "Thinned"

    def __init__(
        self,
        make: Callable[[Floats, float], Detector],
        reference: npt.ArrayLike,
        *,
        every: int | None = None,
        arl: float = 10_000,
    ) -> None:
        super().__init__(arl)
        function("make", make, remedy="pass a function of a reference and a run length")
        rows = np.asarray(reference, dtype=np.float64)
        every = (
            spacing(rows)
            if every is None
            else whole("every", every, at_least=1, remedy="leave it out to have it found")
        )
        kept = rows[:: max(1, min(every, len(rows) // ENOUGH))]
        self._setup(make(kept, max(self.arl / every, 2.0)), every)

    def _setup(self, inner: Detector, every: int) -> None:
        self.every: int = every
        self.inner: Detector = inner
        self._mirror()

    def _mirror(self) -> None:
        self.statistic: float = self.inner.statistic
        self.threshold: float = self.inner.threshold

    @property
    def level(self) -> Level:
        """``drift`` when the latest observation raised an alarm, otherwise that of the detector inside."""
        return "drift" if self.alarmed_last else self.inner.level

    def update(self, value: Any) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not np.isfinite(value).all():
            return self._refuse()
        return bool(len(self.update_many(np.asarray(value, dtype=np.float64)[None])))

    def _rows(self, values: npt.ArrayLike) -> Floats:
        return self.inner._rows(values)

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        first = -self.seen % self.every
        picked = rows[first :: self.every]
        done, alarm = self.inner._feed(picked)
        self._mirror()
        return (first + (done - 1) * self.every + 1 if alarm else len(rows)), alarm

    def _explain(self) -> Evidence:
        found = self.inner._explain()
        return replace(found, at=self.seen, since=(found.since - 1) * self.every + 1)

    def _begin(self) -> None:
        self.inner._begin()
        self._mirror()

    def reset(self) -> None:
        """Begin anew with the reference that was given: nothing has been seen."""
        self.inner.reset()
        super().reset()

    def fix_reference(self) -> None:
        """Keep the reference of the detector inside as it is."""
        self.inner.fix_reference()
        self._mirror()

    def _save(self) -> dict[str, Any]:
        return {"arl": self.arl, "every": self.every, "inner": self.inner.state()}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        Detector.__init__(detector, state["arl"])
        detector._setup(restored(state["inner"]), int(state["every"]))
        return detector


def spacing(reference: npt.ArrayLike) -> int:
    """How many observations apart those of a stream are independent for all that matters."""
    return _spacing([correlations(reference)])


def spacing_of_shape(reference: Floats) -> int:
    """The same where calm and wild times count as memory too: how far values are from the middle."""
    distances = np.abs(reference - np.median(reference, axis=0))
    return _spacing([correlations(reference), correlations(distances)])


def _spacing(memories: Sequence[Floats]) -> int:
    """The same for what has all of these *memories*.

    Some come back: of what resembles the third last alone, or swings to and fro. So those as far apart are
    asked whether they still resemble each other.
    """
    times = [_time(memory) for memory in memories]
    every = max(1 if time <= NOTICEABLE else math.ceil(APART * time) for time in times)
    for further in range(every, FURTHER * every + 1):
        if all(_resembling(memory, further) <= _chance(memory) for memory in memories):
            return further
    return every


def _resembling(memory: Floats, every: int) -> float:
    """How much longer than one those that are *every* apart remember, by the next few of them."""
    return 2.0 * float(np.maximum(memory[every : NEXT * every + 1 : every], 0.0).sum())


def _chance(memory: Floats) -> float:
    """The most of it that may be of chance: its mean and two deviations, and what does not matter."""
    return UNIMPORTANT + NEXT * 2.0 / math.sqrt(len(memory) * PART)


def correlation_time(reference: npt.ArrayLike) -> float:
    """For how many observations a stream remembers: 1 where they are independent.

    ``1 + 2 * sum of the autocorrelations``, up to the lag at which two in a row no longer add up to more
    than 0. Of rows it is that of all features together, each standardised.

    Args:
        reference: Observations in the order in which they came, finite; shape (n,), or (n, features).

    >>> correlation_time(np.arange(8) % 2)
    1.0
    >>> noise = np.random.default_rng(0).normal(size=4000)
    >>> for place in range(1, 4000):
    ...     noise[place] += 0.5 * noise[place - 1]
    >>> round(correlation_time(noise), 1)
    3.1
    """
    return _time(correlations(reference))


def effective_size(reference: npt.ArrayLike) -> float:
    """How many independent observations a reference is worth whose neighbours resemble each other, from 1.

    It is its size by the correlation time, which is taken to be a standard error longer: of *n* observations
    it is known to ``sqrt(20 time / n)`` of itself (Sokal, section 3, with lags up to five times as long).
    """
    count = len(np.asarray(reference))
    time = correlation_time(reference)
    return max(1.0, count / (time * (1.0 + math.sqrt(20.0 * time / count))))


def _time(memory: Floats) -> float:
    total = 1.0
    for lag in range(1, len(memory) - 1, 2):
        pair = float(memory[lag] + memory[lag + 1])
        if pair <= 0.0:
            break
        total += 2.0 * pair
    return max(1.0, total)


def correlations(reference: npt.ArrayLike) -> Floats:
    """How much observations resemble those so many before: by lag from 0, up to a quarter of all.

    Args:
        reference: As for `correlation_time`.
    """
    values = np.asarray(reference, dtype=np.float64)
    rows = values.reshape(len(values), -1)
    spread = rows.std(axis=0)
    rows = ((rows - rows.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0))[:, spread > 0.0]
    lags = max(2, len(rows) // PART)
    if not rows.size:
        return np.zeros(lags)
    sizes = 1 << (2 * len(rows) - 1).bit_length()
    powers = np.square(np.abs(np.fft.rfft(rows, sizes, axis=0))).sum(axis=1)
    found: Floats = np.fft.irfft(powers, sizes)[:lags] / rows.size
    return found
