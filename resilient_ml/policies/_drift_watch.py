"""What a drift detector has seen and not yet taken up, and what it knows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from .._call import Call
from .._forks import ForkSafeLock
from ..drift.accuracy import ConfidenceEstimator
from ..drift.calibration import Calibration
from ..drift.detector import Floats
from ..drift.monitor import Change, Monitor
from ..drift.prediction_log import Pending, PredictionLog
from ..drift.signals import Losses, Signal
from ._arguments import Arguments, value_at

BATCH = 64
"""So many calls are taken up at a time."""

UNANSWERED: Any = object()
"""In place of the answer to a call that was refused."""

Read = Callable[..., Any]


class DriftWatch:
    """A queue that calls leave their observations in, and the monitor that takes them up.

    Args:
        signals: What is watched.
        fresh: Makes a monitor that knows nothing.
        version: Names the model's version, or None.
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
        drifted: The segments that have drifted.
        version: The version that the references belong to.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        fresh: Callable[[], Monitor],
        *,
        version: Callable[[], Hashable] | None,
        most: int,
        key: Read | None,
        prediction: Read | None,
        confidence: Read | None,
        calibration: tuple[Any, Any] | None,
        window: int,
        log: PredictionLog,
        tell: Callable[[Change], object],
    ) -> None:
        self._answers = tuple(one for one in signals if one.side == "answer")
        self._inputs = tuple(one for one in signals if one.side == "input")
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
        self._queue: deque[tuple[Hashable, list[tuple[Signal, Floats]]]] = deque()
        self._asked = False
        self._changes: deque[Change] = deque()
        self._tell = tell
        self._lock = ForkSafeLock()
        self._telling = ForkSafeLock()
        self.log: PredictionLog = log
        self.dropped: int = 0
        self.drifted: frozenset[Hashable] = frozenset()
        self.version: Hashable = None if version is None else version()
        self._begin()

    def _begin(self) -> None:
        self._queue.clear()
        self.drifted = frozenset()
        self.monitor: Monitor = self._fresh()
        calibration = self._calibration
        self.estimator: ConfidenceEstimator | None = (
            None if calibration is None else ConfidenceEstimator(*calibration, window=self._window)
        )

    def begin(self) -> None:
        """Forget all that was learned."""
        with self._lock:
            self._begin()
            self._changes.clear()

    def _change_version(self) -> None:
        assert self._version is not None
        with self._lock:
            version = self._version()
            if version != self.version:
                self.version = version
                self._begin()

    def note(self, call: Call, segment: Hashable, answer: Any) -> bool:
        """Put the observations of one call into the queue; whether enough stand there for a worker.

        The inputs of a call that is refused are watched all the same: they say when the drift is over.
        """
        args, kwargs = call.args, call.kwargs
        if self._version is not None and self._version() != self.version:
            self._change_version()
        try:
            answers = () if answer is UNANSWERED else self._answers
            taken = [(one, one.read(answer if one.of is None else one.of(answer))) for one in answers]
            for signal in self._inputs:
                value = self._first(call) if signal.of is None else signal.of(*args, **kwargs)
                taken.append((signal, signal.read(value)))
            if answer is not UNANSWERED and (self._key is not None or self.estimator is not None):
                self._remember(call, segment, answer)
        except Exception:  # noqa: BLE001 - what cannot be watched must not fail a call that was answered
            self.dropped += 1
            return False
        standing = len(self._queue)
        if standing >= self._most:
            self.dropped += 1
        else:
            self._queue.append((segment, taken))
        if self._asked or standing < BATCH - 1:
            return False
        self._asked = True  # one worker at a time
        return True

    def unask(self) -> None:
        """No worker will come."""
        self._asked = False

    def _first(self, call: Call) -> Any:
        where = self._arguments.find(call, 0)
        if where is None:
            raise ValueError("the call has no argument")
        return value_at(call, where)

    def _remember(self, call: Call, segment: Hashable, answer: Any) -> None:
        sure = math.nan if self._confidence is None else self._confidence(answer)
        if self.estimator is not None:
            self.estimator.update_many(sure)
        if self._key is not None:
            made = answer if self._prediction is None else self._prediction(answer)
            key = self._key(*call.args, **call.kwargs)
            self.log.put(key, Pending(made, float(np.mean(sure)), segment, self.version, call.now()))

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
        """The same, and wait for whoever is at it."""
        with self._lock:
            while self._queue:
                self._changes.extend(self._digest())
        # Held while listeners are told, so that we can wait for it; calls never do.
        with self._telling:
            while self._changes:
                self._tell(self._changes.popleft())

    def _tell_on(self) -> None:
        while self._changes and self._telling.try_enter():
            try:
                self._tell(self._changes.popleft())
            finally:
                self._telling.__exit__()

    def _digest(self) -> list[Change]:
        batch: dict[tuple[int, Hashable], tuple[Signal, list[Floats]]] = {}
        for _ in range(min(len(self._queue), 16 * BATCH)):
            segment, taken = self._queue.popleft()
            for signal, values in taken:
                batch.setdefault((id(signal), segment), (signal, []))[1].append(values)
        changes: list[Change] = []
        for (_, segment), (signal, parts) in batch.items():
            changes += self._feed(signal, segment, parts)
        return changes

    def _feed(self, signal: Signal, segment: Hashable, parts: Sequence[Floats]) -> list[Change]:
        try:
            changes = self.monitor.feed(signal, segment, np.concatenate(parts))
        except ValueError:  # rows of another width, say
            self.dropped += len(parts)
            return []
        if changes:
            states = self.monitor.states().items()
            self.drifted = frozenset(segment for (_, segment), state in states if state == "drifted")
        return changes

    def label(self, key: Hashable, label: Any, now: float) -> bool:
        """A label has come; whether its prediction was still known."""
        found = self.log.take(key, now)
        if found is None or found.version != self.version:  # too late, or of another model
            return found is not None
        losses: list[tuple[Signal, Floats]] = []
        for signal in self._labelled:
            try:
                losses.append((signal, _judged(signal, found, label)))
            except Exception:  # noqa: BLE001 - as for what calls leave
                self.dropped += 1
        with self._lock:
            for one, loss in losses:
                self._changes.extend(self._feed(one, found.segment, [loss]))
        self._tell_on()
        return True


def _judged(signal: Losses | Calibration, pending: Pending, label: Any) -> Floats:
    """What *label* says about the prediction that waited for it."""
    if isinstance(signal, Calibration):
        return signal.gaps(pending.confidence, pending.prediction, label)
    return signal.read(signal.loss(pending.prediction, label))
