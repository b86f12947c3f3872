"""Embeddings, or many features at once, have moved: averages of random features against a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import whole
from ._averages import BLOCK, filters, remains
from ._growth import LARGEST
from .detector import Detector, Evidence, Floats

RATES = (0.08, 0.02, 0.005)
FILTERS, REMAINS = filters(RATES).astype(np.float32), remains(RATES).astype(np.float32)
STREAMS, STEPS = 64, 1200
"""How many streams are drawn from the reference to set the threshold, and how long each is."""

KEPT = 32
"""The latest rows, which say by how much each feature has moved."""
LONGEST = 1000
"""A change is taken to have begun no more rows ago than this."""
FURTHEST = 1e6
"""How far off a feature is taken to be at most, in standard deviations: so its cosine is a number."""

SAFETY = 1.5
"""The run length is asked this many times over: a sample that is drawn from repeats itself."""
FIXED_SAFETY = 2.5
"""And this many where the reference is fixed, as an unlucky one stays so."""
DOUBT = 1.07
"""How much further off the mean of the reference is taken to be than a sample of its size is."""

LAG = 1024
"""How many rows come after one before it may join the reference: five times what the averages span."""

Singles = npt.NDArray[np.float32]


class RandomFeatureAverages(Detector):
    """Alarms when rows of numbers are no longer distributed as a reference, whatever about them changed.

    Each row, standardised, becomes 256 features ``cos(w z)`` and ``sin(w z)`` with random ``w``, whose means
    together tell distributions apart as the maximum mean discrepancy with a Gaussian kernel does. They are
    averaged with weights that fall by 8, 2 and 0.5 percent a row, so fast and slow changes are found::

        m_r <- (1 - r) m_r + r phi(x)
        statistic = max over r of |m_r - mean of the reference|^2 / (its expectation without drift)

    The mean of the reference follows what is observed: rows join it when 1024 more have come without an
    alarm, up to 4000 in all.

    Without a window: the memory and the cost of a row are the same whatever the traffic. The threshold is set
    when the detector is made, from streams drawn from the reference itself, whose mean is redrawn for each as
    the reference is a sample too; the largest values fit a Gumbel law, which gives any run length. The run
    length is measured, no theorem.

    The statistic is about 1 without drift. Effects are the square root of its excess over 1; the parts name
    the features of the row whose recent mean moved most, in standard deviations of the reference.

    Args:
        reference: float64, shape (rows, features), at least 100 rows, all finite; 1000 are good.
        arl: Rows between false alarms, from 2; the default is one in 10 000.
        seed: Chooses the random features.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> draw = np.random.default_rng(0).normal
    >>> detector = RandomFeatureAverages(draw(size=(500, 8)), arl=5000)
    >>> stream = draw(size=(300, 8))
    >>> stream[200:, 3] += 2.0
    >>> bool(200 < detector.update_many(stream)[0] < 240), detector.evidence.parts[0][0]
    (True, 3)

    Source: A. Rahimi, B. Recht, "Random features for large-scale kernel machines", NIPS 2007; N. Keriven,
    D. Garreau, I. Poli, "NEWMA: a new method for scalable model-free online change-point detection", IEEE
    Transactions on Signal Processing 68, 2020.
    """

    _kind: ClassVar[str] = "RandomFeatureAverages"
    _averages: list[Singles]
    _recent: Floats
    _waiting: list[Singles]

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000, seed: int = 0) -> None:
        rows = np.asarray(reference, dtype=np.float64)
        mapped = self._learn(rows, arl, seed)
        self._expect(mapped - self._mean)
        self._thresholds = self._calibrate(mapped - self._mean)
        self._set_threshold()
        self._begin()

    def _learn(self, rows: Floats, arl: float, seed: int) -> Singles:
        """Learn the scales and the mean of a reference; its random features."""
        super().__init__(arl)
        if rows.ndim != 2 or len(rows) < 100 or rows.shape[1] < 1 or not np.isfinite(rows).all():
            raise ValueError(
                "reference must hold at least 100 finite rows of features, got an array of shape "
                f"{rows.shape}; collect 1000 rows in quiet times"
            )
        self._seed = whole("seed", seed, at_least=0, remedy="pass any whole number from 0")
        self.features: int = rows.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            self._centre = rows.mean(axis=0)
            spread = rows.std(axis=0)
        if not np.isfinite(spread).all():
            raise ValueError(
                f"reference must have features of a finite spread, got values up to {np.abs(rows).max():g}; "
                "divide what is that large"
            )
        self._scale = 1.0 / np.where(spread > 0.0, spread, 1.0)
        self._frequencies = self._draw_frequencies(((rows - self._centre) * self._scale).astype(np.float32))
        mapped = self._map(rows)
        self._given: tuple[Singles, int] = mapped.mean(axis=0), len(rows)
        self._mean, self._count = self._given
        self._grows = True
        return mapped

    def _expect(self, centred: Singles) -> None:
        """Learn from the mapped reference, without its mean, what squares to expect of the averages."""
        variance = float(centred.var(axis=0).sum())
        self._expected = [max(variance, 1e-6) * rate / (2.0 - rate) for rate in RATES]

    def fix_reference(self) -> None:
        """Keep the reference as it is: nothing that is observed joins it."""
        super().fix_reference()
        self._waiting = []
        self._set_threshold()

    def _set_threshold(self) -> None:
        """The threshold of a reference as large as this one is by now: in between by what chance moves it."""
        at_first, at_last, surer = self._thresholds
        given = self._given[1]
        if given < LARGEST:
            part = (1.0 / self._count - 1.0 / LARGEST) / (1.0 / given - 1.0 / LARGEST)
            self.threshold: float = at_last + (at_first - at_last) * part
        else:
            self.threshold = at_first
        if not self._grows:
            self.threshold += surer

    def _draw_frequencies(self, rows: Singles) -> Singles:
        generator = np.random.default_rng(self._seed)
        half = len(rows) // 2
        distances = np.sqrt(((rows[:half] - rows[half : 2 * half]) ** 2).sum(axis=1))
        bandwidth = max(float(np.median(distances)), 1e-6)
        return (generator.normal(size=(self.features, 128)) / bandwidth).astype(np.float32)

    def _map(self, rows: Floats) -> Singles:
        with np.errstate(over="ignore"):  # of numbers near the largest, which are far either way
            far = np.clip((rows - self._centre) * self._scale, -FURTHEST, FURTHEST)
        angles = far.astype(np.float32) @ self._frequencies
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    def _calibrate(self, mapped: Singles) -> tuple[float, float, float]:
        """The thresholds for this reference, and for one that has grown, from streams drawn from it.

        The third number is what is added where the reference is fixed.

        The largest statistic of each stream is taken, as if the mean of the reference were off by what that
        of a sample of its size is, or of :data:`LARGEST`.
        """
        generator = np.random.default_rng([self._seed, 1])
        count = len(mapped)
        off = np.array([mapped[generator.integers(0, count, count)].mean(axis=0) for _ in range(STREAMS)])
        shares = DOUBT * np.array([1.0, min(1.0, math.sqrt(count / LARGEST))])[:, None]
        size = np.einsum("ij,ij->i", off, off)
        largest = np.zeros((2, STREAMS))
        averages = [np.zeros((STREAMS, mapped.shape[1]), np.float32) for _ in RATES]
        for step in range(1, STEPS + 1):
            fresh = mapped[generator.integers(0, count, STREAMS)]
            for average, rate, expected in zip(averages, RATES, self._expected, strict=True):
                np.add(average, np.float32(rate) * (fresh - average), out=average)
                # |average - share * off|^2, as far as the average has come
                here = shares * (1.0 - (1.0 - rate) ** step)
                square = np.einsum("ij,ij->i", average, average)
                square = square - 2.0 * here * np.einsum("ij,ij->i", average, off) + here**2 * size
                np.maximum(largest, square / expected, out=largest)
        first, last, fixed = (
            rarely(one, safety * self.arl)
            for one, safety in ((largest[0], SAFETY), (largest[1], SAFETY), (largest[0], FIXED_SAFETY))
        )
        return first, last, fixed - first

    def _warning(self) -> float:
        return 0.8 * self.threshold

    def _rows(self, values: npt.ArrayLike) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(
                f"values must have 2 dimensions and {self.features} features, got shape {rows.shape}; "
                "pass one row an observation"
            )
        return rows

    def update(self, row: npt.ArrayLike) -> bool:
        """Feed one row; whether it raised an alarm."""
        return bool(len(self.update_many(np.asarray(row, dtype=np.float64)[None])))

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        rows = rows[: BLOCK - self._held % BLOCK]
        count = len(rows)
        features, mapped = self._centred(rows)
        averages: list[Singles] = []
        largest = np.zeros(count)
        for number, (average, expected) in enumerate(zip(self._averages, self._expected, strict=True)):
            path: Singles = FILTERS[number, :count, :count] @ mapped
            path += REMAINS[number, :count, None] * average
            np.maximum(largest, np.einsum("ij,ij->i", path, path) / expected, out=largest)
            averages.append(path)
        reached = largest >= self.threshold
        alarm = bool(reached.any())
        used = int(reached.argmax()) + 1 if alarm else count
        self._averages = [path[used - 1].copy() for path in averages]
        self.statistic = float(largest[used - 1])
        self._keep(rows[:used])
        if self._grows and self._count + BLOCK <= LARGEST and not alarm:
            self._wait(features)
        self._held += used
        return used, alarm

    def _centred(self, rows: Floats) -> tuple[Singles, Singles]:
        """The random features of *rows*, and what is left of them without what is usual."""
        features = self._map(rows)
        return features, features - self._mean

    def _from_centre(self, rows: Floats) -> Floats:
        """How far *rows* are from where they usually are."""
        off: Floats = rows - self._centre
        return off

    def _wait(self, features: Singles) -> None:
        """Add *features* to the block that they belong to; the oldest one joins the reference in its time."""
        if self._held % BLOCK == 0:
            self._waiting.append(np.zeros_like(self._mean))
        self._waiting[-1] += features.sum(axis=0)
        held = self._held + len(features)
        if held % BLOCK or len(self._waiting) <= LAG // BLOCK:
            return
        fresh = self._waiting.pop(0) - BLOCK * self._mean
        self._count += BLOCK
        self._set_threshold()
        moved = fresh / np.float32(self._count)
        self._mean = self._mean + moved
        for average, rate in zip(self._averages, RATES, strict=True):
            np.subtract(average, moved * np.float32(1.0 - (1.0 - rate) ** held), out=average)

    def _keep(self, rows: Floats) -> None:
        """Keep the latest rows, clipped at 4 standard deviations: no single one rules."""
        with np.errstate(over="ignore"):
            far = np.clip(self._from_centre(rows[-KEPT:]) * self._scale, -4.0, 4.0)
        self._recent = np.concatenate([self._recent[len(far) :], far]) if len(far) < KEPT else far

    def _explain(self) -> Evidence:
        since = self._since()
        moved = self._recent[-since:].mean(axis=0)
        order = np.argsort(-np.abs(moved), kind="stable")[:10]
        parts = tuple((int(one), float(moved[one])) for one in order)
        effect = math.sqrt(max(self.statistic - 1.0, 0.0))
        return Evidence(self.statistic, self.threshold, self.seen, since, effect, parts)

    def _since(self) -> int:
        """When the change began, as averages of different rates have come differently far since.

        ``|m_r| = size * (1 - (1 - r) ** since)``, less what chance adds: the *since* of least squares.
        """
        squares = [float(one @ one) for one in self._averages]
        found = np.sqrt(np.maximum(np.array(squares) - self._expected, 0.0))
        longest = max(1, min(self.seen, LONGEST))
        came = 1.0 - (1.0 - np.array(RATES)) ** np.arange(1.0, longest + 1)[:, None]
        came /= np.sqrt(self._expected)
        weighed = found / np.sqrt(self._expected)
        fit = came @ weighed / np.sqrt((came * came).sum(axis=1))
        return int(np.argmax(fit)) + 1

    def reset(self) -> None:
        """Begin anew with the reference that was given: nothing has been seen."""
        self._mean, self._count = self._given
        self._set_threshold()
        super().reset()

    def _begin(self) -> None:
        self._averages = [np.zeros_like(self._mean) for _ in RATES]
        self._held = 0
        self._waiting = []
        self._recent = np.zeros((KEPT, self.features))
        self.statistic: float = 0.0

    def _save(self) -> dict[str, Any]:
        return {
            "arl": self.arl,
            "seed": self._seed,
            "thresholds": list(self._thresholds),
            "centre": self._centre.tolist(),
            "scale": self._scale.tolist(),
            "frequencies": self._frequencies.tolist(),
            "given": [self._given[0].tolist(), self._given[1]],
            "mean": [self._mean.tolist(), self._count],
            "grows": self._grows,
            "held": self._held,
            "waiting": [one.tolist() for one in self._waiting],
            "expected": list(self._expected),
            "averages": [one.tolist() for one in self._averages],
            "recent": self._recent.tolist(),
        }

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        Detector.__init__(detector, state["arl"])
        detector._seed = int(state["seed"])
        detector._centre, detector._scale = np.array(state["centre"]), np.array(state["scale"])
        detector.features = len(detector._centre)
        detector._frequencies = np.array(state["frequencies"], dtype=np.float32)
        (given, at_first), (mean, count) = state["given"], state["mean"]
        detector._given = np.array(given, dtype=np.float32), int(at_first)
        detector._mean, detector._count = np.array(mean, dtype=np.float32), int(count)
        first, last, surer = state["thresholds"]
        detector._thresholds = float(first), float(last), float(surer)
        detector._grows, detector._held = bool(state["grows"]), int(state["held"])
        detector._set_threshold()
        detector._waiting = [np.array(one, dtype=np.float32) for one in state["waiting"]]
        detector._expected = [float(one) for one in state["expected"]]
        detector._averages = [np.array(one, dtype=np.float32) for one in state["averages"]]
        detector._recent = np.array(state["recent"])
        return detector


def rarely(largest: Floats, arl: float) -> float:
    """What is exceeded once in *arl* rows, if *largest* are the largest in STEPS rows of some streams."""
    scale = float(largest.std()) * math.sqrt(6.0) / math.pi
    place = float(largest.mean()) - 0.5772 * scale
    # In STEPS rows the largest exceeds h with probability exp(-(h - place) / scale) when that is small.
    # The statistic is 1 on average, but 0 where the reference is all the same.
    return max(1.0, place + scale * math.log(max(arl / STEPS, 1.0)))
