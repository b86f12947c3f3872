"""What a drift detector has seen and not yet taken up, and what it knows."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._call import Call
from .._forks import ForkSafeLock, survive_forks
from ..drift.accuracy import AccuracyEstimate, ConfidenceEstimator
from ..drift.calibration import Calibration
from ..drift.detector import Floats
from ..drift.monitor import Change, Monitor
from ..drift.prediction_log import Pending, PredictionLog
from ..drift.signals import Losses, Signal, finite_rows
from ._arguments import Arguments, value_at

_log = logging.getLogger("resilient_ml")

BATCH = 64
"""So many calls are taken up at a time."""

MOST_AT_ONCE = 16 * BATCH
"""So many at most before listeners are told."""

UNANSWERED: Any = object()
"""In place of the answer to a call that was refused."""

Read = Callable[..., Any]


class Noted(NamedTuple):
    """What one call has left.

    Attributes:
        epoch: The number of the references when the call began.
        segment: Its segment.
        taken: For each signal its observations, or a value that is yet to be read.
        sure: The confidence of the answer, where accuracy is estimated; else None.
    """

    epoch: int
    segment: Hashable
    taken: list[tuple[Signal, Any]]
    sure: Any


class DriftWatch:
    """A queue that calls leave their observations in, and the monitor that takes them up.

    Args:
        signals: What is watched.
        fresh: Makes a monitor that knows nothing.
        version: Names the model's version, or None.
        segment: The segment of a call, or None.
        most: The most calls in the queue.
        key: The id of a call, or None.
        prediction: What of an answer is compared with labels, or None for all of it.
        confidence: How sure the model was of an answer, or None.
        calibration: What the estimator of accuracy learns from, or None.
        window: Of how many answers it estimates that.
        log: Where predictions wait for labels.
        tell: Called with each change, in order, with no lock held that a call waits for.

    Attributes:
        dropped: Calls whose observations were not taken up.
        not_finite: Observations that were not finite.
        drifted: The segments that have drifted.
        version: The version that the references belong to.
        epoch: The number of these references: they begin anew with each version, and when told to.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        fresh: Callable[[], Monitor],
        *,
        version: Callable[[], Hashable] | None,
        segment: Read | None,
        most: int,
        key: Read | None,
        prediction: Read | None,
        confidence: Read | None,
        calibration: tuple[Any, Any] | None,
        window: int,
        log: PredictionLog,
        tell: Callable[[Change], object],
    ) -> None:
        self._answers, self._inputs = (
            tuple((one, one.of, one.as_it_is) for one in signals if one.side == side)
            for side in ("answer", "input")
        )
        self._segment = segment
        self._labelled = tuple(one for one in signals if isinstance(one, Losses | Calibration))
        self._fresh = fresh
        self._version = version
        self._most = most
        self._key = key
        self._prediction = prediction
        self._confidence = confidence
        self._calibration = calibration
        self._window = window
        self._arguments = Arguments()
        self._queue: deque[Noted] = deque()
        self._asked = False
        self._changes: deque[Change] = deque()
        self._tell = tell
        self._lock = ForkSafeLock()
        self._telling = ForkSafeLock()
        self.log: PredictionLog = log
        self._said: set[str] = set()
        self.dropped: int = 0
        self.not_finite: int = 0
        self.epoch: int = 0
        self.version: Hashable = None if version is None else version()
        self._begin()
        survive_forks(self)

    def after_fork(self) -> None:
        """A worker that was asked for is not in this process."""
        self._asked = False

    def _begin(self) -> None:
        self.epoch += 1
        self._queue.clear()
        self.drifted: frozenset[Hashable] = frozenset()
        self.monitor: Monitor = self._fresh()
        calibration = self._calibration
        self.estimator: ConfidenceEstimator | None = (
            None if calibration is None else ConfidenceEstimator(*calibration, window=self._window)
        )

    def begin(self) -> None:
        """Forget all that was learned, and tell of what had been known."""
        with self._lock:
            self._begin_anew()
        self._tell_on()

    def _begin_anew(self) -> None:
        ended = self.monitor.ended()
        self._begin()
        self._changes.clear()
        self._changes.extend(ended)

    def place(self, call: Call) -> tuple[int, Hashable] | None:
        """The number of the references that a call belongs to, and its segment; None where it has none."""
        try:
            if self._version is not None:
                self._see_version(self._version)
            if self._segment is None:
                return self.epoch, None
            segment: Hashable = self._segment(*call.args, **call.kwargs)
            hash(segment)  # TypeError where it has none
        except Exception as error:  # noqa: BLE001 - what cannot be watched must not fail a call
            self.dropped += 1
            self._cannot("tell", "the version or segment of a call", error)
            return None
        return self.epoch, segment

    def _see_version(self, named: Callable[[], Hashable]) -> None:
        if named() == self.version:
            return
        with self._lock:
            version = named()
            if version != self.version:
                self.version = version
                self._begin_anew()  # a worker tells of it: this call is not to wait for listeners

    def note(self, call: Call, epoch: int, segment: Hashable, answer: Any) -> bool:
        """Put the observations of one call into the queue; whether enough stand there for a worker.

        The inputs of a call that is refused are watched all the same: they say when the drift is over.
        A call that saw the version change is of neither: who answered it cannot be known.
        """
        taken, whole = self._observe(call, answer)
        sure = None
        try:
            if self._version is not None:
                self._see_version(self._version)
            if epoch != self.epoch:
                return False
            if answer is not UNANSWERED and (self._key is not None or self.estimator is not None):
                sure = self._remember(call, epoch, segment, answer)
        except Exception as error:  # noqa: BLE001 - what cannot be watched must not fail a call
            whole = self._cannot("keep", "the prediction of a call", error)
        standing = len(self._queue)
        if not whole or standing >= self._most:
            self.dropped += 1
        if standing < self._most:
            self._queue.append(Noted(epoch, segment, taken, sure))
        if self._asked or standing < BATCH - 1:
            return False
        self._asked = True  # one worker at a time
        return True

    def _observe(self, call: Call, answer: Any) -> tuple[list[tuple[Signal, Any]], bool]:
        """What each signal is to take up of the call, and whether all could be read."""
        taken: list[tuple[Signal, Any]] = []
        whole = True
        for signal, of, plain in () if answer is UNANSWERED else self._answers:
            try:
                value = answer if of is None else of(answer)
                taken.append((signal, value if type(value) in plain else signal.read(value)))
            except Exception as error:  # noqa: BLE001 - one that cannot be read must not keep the others from it
                whole = self._cannot("read", signal, error)
        for signal, of, plain in self._inputs:
            try:
                value = self._first(call) if of is None else of(*call.args, **call.kwargs)
                taken.append((signal, value if type(value) in plain else signal.read(value)))
            except Exception as error:  # noqa: BLE001 - as above
                whole = self._cannot("read", signal, error)
        return taken, whole

    def _cannot(self, act: str, what: object, error: Exception) -> bool:
        """Say so once, by its type alone as its words may hold what was asked; False, as it is not whole."""
        said = f"could not {act} {what}"
        if said not in self._said:
            self._said.add(said)
            _log.warning(
                "a drift detector %s: %s; the call was answered and is counted in dropped, and so are "
                "further ones, unsaid; see what of=, key=, prediction=, confidence=, segment= return",
                said,
                type(error).__name__,
            )
        return False

    def unask(self) -> None:
        """No worker will come."""
        self._asked = False

    def _first(self, call: Call) -> Any:
        where = self._arguments.find(call, 0)
        if where is None:
            raise ValueError("the call has no argument")
        return value_at(call, where)

    def _remember(self, call: Call, epoch: int, segment: Hashable, answer: Any) -> Any:
        """Let the prediction wait for its label; how sure the model was, where accuracy is estimated."""
        sure = math.nan if self._confidence is None else self._confidence(answer)
        if type(sure) is not float:
            sure = np.array(sure, dtype=np.float64)
        if self._key is not None:
            made = answer if self._prediction is None else self._prediction(answer)
            mean = sure if isinstance(sure, float) else float(sure.mean())
            key = self._key(*call.args, **call.kwargs)
            self.log.put(key, Pending(made, mean, segment, epoch, call.now()))
        return None if self.estimator is None else sure

    def take_up(self) -> None:
        """Take up what stands in the queue, and tell what has changed; who comes meanwhile goes on."""
        try:
            while self._queue and self._lock.try_enter():
                try:
                    self._changes.extend(self._digest())
                finally:
                    self._lock.__exit__()
        finally:
            self._asked = False
        self._tell_on()

    def flush(self) -> None:
        """The same with all that stands there now, and wait for whoever is at it."""
        with self._lock:
            self._digest_all()
        # Held while listeners are told, so that we can wait for it; calls never do.
        with self._telling:
            while self._changes:
                self._tell(self._changes.popleft())

    def accuracy(self) -> AccuracyEstimate | None:
        """The estimate, with what stands in the queue."""
        with self._lock:
            self._digest_all()
            estimate = None if self.estimator is None else self.estimator.estimate()
        self._tell_on()
        return estimate

    def _tell_on(self) -> None:
        while self._changes and self._telling.try_enter():
            try:
                self._tell(self._changes.popleft())
            finally:
                self._telling.__exit__()

    def _digest_all(self) -> None:
        for _ in range(0, len(self._queue), MOST_AT_ONCE):  # not what comes meanwhile, or it might never end
            self._changes.extend(self._digest())

    def _digest(self) -> list[Change]:
        batch: dict[tuple[int, Hashable], tuple[Signal, list[Any]]] = {}
        for _ in range(min(len(self._queue), MOST_AT_ONCE)):
            noted = self._queue.popleft()
            if noted.epoch != self.epoch:  # it came as these references began
                continue
            if noted.sure is not None and self.estimator is not None:
                self.estimator.update_many(noted.sure)
            for signal, values in noted.taken:
                batch.setdefault((id(signal), noted.segment), (signal, []))[1].append(values)
        changes: list[Change] = []
        for (_, segment), (signal, parts) in batch.items():
            changes += self._feed(signal, segment, parts)
        return changes

    def _feed(self, signal: Signal, segment: Hashable, parts: Sequence[Any]) -> list[Change]:
        try:
            rows = _rows(signal, parts)
            self.not_finite += len(rows) - int(finite_rows(rows).sum())
            changes = self.monitor.feed(signal, segment, rows)
        except Exception as error:  # noqa: BLE001 - rows of another width, say
            self.dropped += len(parts)
            self._cannot("use", signal, error)
            return []
        if changes:
            states = self.monitor.states().items()
            self.drifted = frozenset(segment for (_, segment), state in states if state == "drifted")
        return changes

    def label(self, key: Hashable, label: Any, now: float) -> bool:
        """A label has come; whether its prediction was still known."""
        found = self.log.take(key, now)
        if found is None:
            return False
        judged: list[tuple[Signal, Floats]] = []
        for signal in self._labelled:
            try:
                judged.append((signal, _judged(signal, found, label)))
            except Exception as error:  # noqa: BLE001 - as for what calls leave
                self.dropped += 1
                self._cannot("judge", signal, error)
        with self._lock:
            if found.epoch == self.epoch:  # else it is of another model
                for one, values in judged:
                    self._changes.extend(self._feed(one, found.segment, [values]))
        self._tell_on()
        return True


def _rows(signal: Signal, parts: Sequence[Any]) -> Floats:
    """The observations of several calls, in order."""
    if all(type(part) is not np.ndarray for part in parts):
        return signal.read(list(parts))
    return np.concatenate([part if type(part) is np.ndarray else signal.read(part) for part in parts])


def _judged(signal: Losses | Calibration, pending: Pending, label: Any) -> Floats:
    """What *label* says about the prediction that waited for it."""
    if isinstance(signal, Calibration):
        return signal.gaps(pending.confidence, pending.prediction, label)
    return signal.read(signal.loss(pending.prediction, label))
