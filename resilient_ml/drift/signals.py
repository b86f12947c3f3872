"""What of a call is watched, and by which detector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from .. import _checks
from ._numbering import Strata, StratumOf
from .bounded_mean import swinging
from .combined import Combined
from .conformal import ConformalShiryaevRoberts
from .detector import Detector, Floats
from .e_shiryaev_roberts import EShiryaevRoberts
from .markov import MarkovShiryaevRoberts, few_errors, follows, left_over
from .random_features import RandomFeatureAverages
from .seasonal import SeasonalShiryaevRoberts
from .seasonal_features import SeasonalFeatureAverages, less_usual
from .stratified import StratifiedShiryaevRoberts
from .thinned import Thinned, spacing, spacing_of_shape
from .whitened import WhitenedShiryaevRoberts
from .windowed_ks import WindowedKS

Side = Literal["answer", "input"]


def _apart(
    make: Callable[[Floats, float], Detector], reference: Floats, arl: float, every: int | None = None
) -> Detector:
    """What *make* makes, given *every* so many observations, or as many as neighbours resemble each other."""
    every = every or spacing(reference)
    return make(reference, arl) if every == 1 else Thinned(make, reference, every=every, arl=arl)


class Signal(ABC):
    """One thing about calls that a :class:`~resilient_ml.DriftDetector` watches.

    Args:
        name: What events and messages call it.
        of: A function that gives the observations: of the answer, or of the call's arguments where *side* is
            ``"input"``. It runs on each call that is watched, so it should be quick. By default the answer
            itself, or the first argument.
        side: ``"answer"`` or ``"input"``.
    """

    least: ClassVar[int] = 100
    """The fewest observations that make a reference."""

    as_it_is: tuple[type, ...] = ()
    """Types whose values may wait as they are: they cannot change, and are read the same at any time."""

    def __init__(self, name: str, of: Callable[..., Any] | None = None, *, side: Side = "answer") -> None:
        if not name or type(name) is not str:
            raise TypeError(f"name must be a string, got {_checks.shown(name)}; events and messages show it")
        self.name: str = name
        self.of: Callable[..., Any] | None = (
            None
            if of is None
            else _checks.function("of", of, remedy="pass a function of the answer, or of the arguments")
        )
        self.side: str = _checks.one_of("side", side, ("answer", "input"))

    @abstractmethod
    def read(self, value: Any) -> Floats:
        """The observations in *value*, a copy: shape (n,), or (n, features); none where n is 0.

        Raises:
            ValueError: *value* is nothing of the kind.
        """

    @abstractmethod
    def detector(self, reference: Floats, arl: float) -> Detector:
        """What watches it, against observations of quiet times."""

    def read_reference(self, given: Any) -> Floats:
        """A reference that is given, as :meth:`read` reads those of calls."""
        return self.read(given)

    def tells_enough(self, reference: Floats) -> bool:
        """Whether a reference that is long enough also shows all that it must."""
        return True

    def part_name(self, part: int, detector: Detector) -> str:
        """What part number *part* of an alarm's evidence is called."""
        return str(part)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Numbers(Signal):
    """A number a call, or one a row: a confidence, a score, a latency, the length of a text.

    Args:
        name, of, side: As for :class:`Signal`.
        memory: Whether neighbouring observations may resemble each other, or swing slowly over the day. True
            costs a little delay; False is for calls that are known to be independent.
        shape: Whether any change of the distribution counts, one of two modes into one, say, and not only
            that of its level or spread, which are found a little sooner without.
        strata: A function without arguments that says at each call to which *stratum* its observations
            belong: the hour of the week, say, as with ``lambda: time.strftime("%a%H")``. Each is then judged
            among those of its stratum, so that cycles are no drift. The reference grows until the stream
            came to each stratum twice; one that is given has pairs of (stratum, observation), in order.

    Raises:
        ValueError: *shape* and *strata* are both given.
    """

    def __init__(
        self,
        name: str,
        of: Callable[..., Any] | None = None,
        *,
        side: Side = "answer",
        memory: bool = True,
        shape: bool = False,
        strata: StratumOf = None,
    ) -> None:
        super().__init__(name, of, side=side)
        self.memory: bool = _checks.flag("memory", memory, remedy="False says that calls are independent")
        self.shape: bool = _checks.flag("shape", shape, remedy="True finds any change of the distribution")
        self._strata = Strata(strata)
        self.strata: StratumOf = self._strata.of
        if shape and strata is not None:
            raise ValueError("shape and strata cannot both be asked for; watch the value as two signals")
        if strata is None:  # with strata, what is read depends on when
            self.as_it_is: tuple[type, ...] = (float,)

    def read(self, value: Any) -> Floats:
        """One number, or one a row; with *strata* each with the number of its stratum."""
        numbers = np.array(value, dtype=np.float64)
        if numbers.ndim > 1:
            numbers = numbers.reshape(len(numbers), -1) if numbers.ndim > 2 else numbers
            if numbers.shape[1] != 1:
                raise ValueError(
                    f"{self!r} was given shape {numbers.shape}; pass of= to take one number a row, or use "
                    "Vectors"
                )
        return self._strata.beside(numbers.reshape(-1))

    def read_reference(self, given: Any) -> Floats:
        """Numbers; with *strata* pairs of a stratum and a number."""
        return self.read(given) if self.strata is None else self._strata.given(given)

    def tells_enough(self, reference: Floats) -> bool:
        """Whether the stream came to each stratum twice."""
        return self._strata.known(reference)

    def detector(self, reference: Floats, arl: float) -> Detector:
        """Ranks, and what the past foretells taken off first; for *shape* counts below quantiles as well."""
        if self.strata is not None:
            return SeasonalShiryaevRoberts(reference, arl=arl)
        if self.shape:  # a third of the false alarms
            every = spacing_of_shape(reference) if self.memory else 1
            counts = _apart(lambda rows, run: WindowedKS(rows, arl=run), reference, 3.0 * arl, every)
            return Combined([counts, self._of_level_and_spread(reference, 1.5 * arl)])
        return self._of_level_and_spread(reference, arl)

    def _of_level_and_spread(self, reference: Floats, arl: float) -> Detector:
        if self.memory:
            return WhitenedShiryaevRoberts(reference, arl=arl)
        return ConformalShiryaevRoberts(reference, arl=arl)


class Vectors(Signal):
    """A vector a call, or one a row: an embedding, or a row of features.

    Args:
        name, of, side: As for :class:`Signal`.
        names: What the features are called in evidence; their numbers by default.
        strata: As for :class:`Numbers`: each row is judged among those of its stratum.
    """

    def __init__(
        self,
        name: str,
        of: Callable[..., Any] | None = None,
        *,
        side: Side = "answer",
        names: tuple[str, ...] = (),
        strata: StratumOf = None,
    ) -> None:
        super().__init__(name, of, side=side)
        remedy = "pass a tuple of strings, one a feature, such as ('age', 'income')"
        if not isinstance(names, tuple | list):
            raise TypeError(f"names must be a tuple, got {_checks.shown(names)}; {remedy}")
        for one in names:
            if not isinstance(one, str):
                raise TypeError(f"names must be strings, got {_checks.shown(one)}; {remedy}")
        self.names: tuple[str, ...] = tuple(names)
        self._strata = Strata(strata)
        self.strata: StratumOf = self._strata.of

    def read(self, value: Any) -> Floats:
        """One row, or several; with *strata* each with the number of its stratum."""
        rows = np.array(value, dtype=np.float64)
        if rows.ndim == 1:
            rows = rows[None]
        if rows.ndim != 2:
            raise ValueError(f"{self!r} was given shape {rows.shape}; pass of= to take one vector a row")
        return self._strata.beside(rows)

    def read_reference(self, given: Any) -> Floats:
        """Rows; with *strata* pairs of a stratum and a row."""
        return super().read_reference(given) if self.strata is None else self._strata.given_rows(given)

    def tells_enough(self, reference: Floats) -> bool:
        """Whether the stream came to each stratum twice."""
        return self._strata.known(reference)

    def detector(self, reference: Floats, arl: float) -> Detector:
        """Averages of random features; where rows remember, of every so many."""
        if self.strata is not None:
            return self._in_strata(reference, arl)
        every = spacing_of_shape(reference)
        return _apart(lambda rows, run: RandomFeatureAverages(rows, arl=run), reference, arl, every)

    def _in_strata(self, reference: Floats, arl: float) -> Detector:
        every = spacing_of_shape(less_usual(reference))
        if every == 1:
            return SeasonalFeatureAverages(reference, arl=arl)
        size = len(reference) / every

        def make(known: Floats, run: float) -> Detector:  # every so many may be of a few strata alone
            return SeasonalFeatureAverages(reference, arl=run, effective_size=size)

        return Thinned(make, reference, every=every, arl=arl)

    def part_name(self, part: int, detector: Detector) -> str:
        """The feature."""
        return self.names[part] if part < len(self.names) else str(part)


class Losses(Signal):
    """How wrong an answer was, from 0 to 1, once its label is known: see ``DriftDetector.label``.

    Args:
        name: What events and messages call it.
        of: ``(prediction, label) -> loss``, from 0 to 1; by default whether they differ.
        tolerated: The highest mean loss that is no cause for alarm, above 0 and below 1. By default that of
            the reference, and a little more. Where it is given no reference is learned, so errors in bursts,
            after which the mean is above it for a while, alarm more often than asked.
        strata: As for :class:`Numbers`, asked when the label comes: each loss is held against what is
            tolerated in its stratum, so hours that are hard every day are no drift.

    Raises:
        ValueError: *tolerated* and *strata* are both given.
    """

    def __init__(
        self,
        name: str = "errors",
        of: Callable[..., Any] | None = None,
        *,
        tolerated: float | None = None,
        strata: StratumOf = None,
    ) -> None:
        super().__init__(name, of)
        self.side: str = "label"
        self.tolerated: float | None = (
            None if tolerated is None else _checks.share("tolerated", tolerated, remedy="pass 0.1, say")
        )
        if self.tolerated == 1.0:
            raise ValueError("tolerated must be below 1, got 1.0, which every loss is within; pass 0.1, say")
        self._strata = Strata(strata)
        self.strata: StratumOf = self._strata.of
        if tolerated is not None and strata is not None:
            raise ValueError(
                "tolerated and strata cannot both be given, as each stratum has a mean of its own that is "
                "tolerated; leave one of them out"
            )

    def loss(self, prediction: Any, label: Any) -> float:
        """How wrong *prediction* was."""
        if self.of is not None:
            return float(self.of(prediction, label))
        return float(not np.array_equal(prediction, label))

    def read(self, value: Any) -> Floats:
        """One loss; with *strata* with the number of its stratum."""
        return self._strata.beside(np.array(value, dtype=np.float64).reshape(-1))

    def read_reference(self, given: Any) -> Floats:
        """Losses; with *strata* pairs of a stratum and a loss."""
        return self.read(given) if self.strata is None else self._strata.given(given)

    def tells_enough(self, reference: Floats) -> bool:
        """Whether the stream came to each stratum twice."""
        return self._strata.known(reference)

    def detector(self, reference: Floats, arl: float) -> Detector:
        """Bets on a mean that has risen: by stratum, or after what came last where that tells something."""
        if self.tolerated is not None:
            return EShiryaevRoberts(self.tolerated, arl=arl)
        if self.strata is not None:
            return StratifiedShiryaevRoberts(reference, arl=arl)
        losses = np.clip(
            reference, 0.0, 1.0
        )  # one beyond is no better witness of memory than one at the bound
        # Too few errors may have come in bursts without showing it.
        bursts = few_errors(losses) or follows(losses) or spacing(losses) > 1
        rest = left_over(losses)
        if bursts and spacing(rest) == 1 and not swinging(rest):
            return MarkovShiryaevRoberts(losses, arl=arl)
        return _apart(lambda known, run: EShiryaevRoberts.from_reference(known, arl=run), losses, arl)


def finite_rows(rows: Floats) -> npt.NDArray[np.bool_]:
    """Which rows are finite: those that a reference is made of."""
    finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
    return finite
