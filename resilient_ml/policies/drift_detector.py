"""Notice that what a model is asked, or what it answers, is no longer what it was."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

from .. import _checks
from .._call import Call, Proceed
from .._colour import Target
from .._policy import Policy
from ..drift.accuracy import AccuracyEstimate
from ..drift.calibration import Calibration
from ..drift.monitor import Change, Monitor, State
from ..drift.prediction_log import PredictionLog
from ..drift.signals import Losses, Numbers, Signal
from ..errors import Drifted
from ..events import CallRejected, DriftChanged, Subscription
from ._drift_watch import BATCH, UNANSWERED, DriftWatch

T = TypeVar("T")

Action = Literal["advise", "shadow", "refuse"]


class Breaker(Protocol):
    """What holds calls back when it is told to: a :class:`~resilient_ml.CircuitBreaker`."""

    def force_open(self) -> None:
        """Refuse every call until told otherwise."""

    def reset(self) -> None:
        """Start anew."""


_REASON = "the model has drifted"


class DriftDetector(Policy):
    """Watch inputs, answers and labels of a model against a reference, and act when they have drifted.

    Each call that is answered leaves its observations in a queue, which costs a few microseconds. Once 64
    stand there, a worker takes them up: nobody waits for it. The reference is the first *reference_size*
    observations of each signal, or what *references* holds, and belongs to one *version* of the model. One
    that is learned may grow to 4000 by quiet observations; one that is given stays as it is.

    By default it only tells: events, *on_change*, :meth:`state`, :meth:`states`. With ``action="refuse"``
    calls of a segment that has drifted are refused with :class:`Drifted`, for a Fallback outside to answer,
    but for a share of *probe* that goes on, labelled as degraded, and so finds out when the drift is over. A
    *breaker* is held open while anything has drifted, and reset when all has ended: put it where other
    traffic still feeds the detector, or the end will not be seen.

    Args:
        signals: What is watched: :class:`~resilient_ml.drift.Numbers`,
            :class:`~resilient_ml.drift.Classes`, :class:`~resilient_ml.drift.Vectors`,
            :class:`~resilient_ml.drift.Losses`, :class:`~resilient_ml.drift.Calibration`. None at all: the
            answers as numbers.
        arl: Answers between false alarms, of all signals and segments together, at the least (average run
            length), from 100. With 1000 calls a day and one false alarm a month to bear it is 30_000.
        reference_size: How many observations make a reference that is learned, from 100.
        references: Observations of quiet times by the name of the signal, as its *of* gives them.
        version: A function without arguments that names the model's version: when it changes, references
            are learned anew; those in *references* are kept.
        segment: The segment of a call, by its arguments: a customer, a language. References and states are
            by segment. Up to *max_segments* are told apart.
        sample: The share of calls that are watched, above 0 and at most 1.
        action: ``"advise"``, ``"shadow"`` (an event for each call that would be refused) or ``"refuse"``.
        probe: With ``"refuse"``, the share of calls that go on all the same, above 0.
        breaker: A :class:`CircuitBreaker` to open.
        on_change: Called with each :class:`~resilient_ml.drift.Change`, on the thread that notices it. What
            it raises is logged once.
        rearm: For how many observations a signal must be quiet for its drift to be over, from 1.
        max_segments: See *segment*; from 1.
        queue: The most calls whose observations wait; more are dropped, and counted in :attr:`dropped`.
        key: The id of a call, by its arguments: what :meth:`label` is called with.
        prediction: What of an answer is compared with a label; all of it by default.
        confidence: How sure the model was of an answer, from 0 to 1: for :meth:`accuracy`.
        calibration: ``(confidences, correct)`` of quiet times, for :meth:`accuracy`.
        window: Of how many answers :meth:`accuracy` is the estimate, from 1.
        pending: How many predictions wait for a label at most, from 1.
        label_seconds: For how long they do.
        rng: The source of randomness for *sample* and *probe*.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.DriftChanged` and
            :class:`~resilient_ml.events.CallRejected` events.

    Raises:
        Drifted: From the guarded function, with ``action="refuse"``, while its segment has drifted.

    >>> from resilient_ml.drift import Numbers
    >>> detector = DriftDetector(Numbers("score"), arl=10_000, reference_size=500)
    >>> @detector
    ... def predict(x):
    ...     return x * 0.5
    >>> import random
    >>> draw = random.Random(1).gauss
    >>> for _ in range(1000):
    ...     _ = predict(draw(0, 1))
    >>> for _ in range(200):
    ...     _ = predict(draw(3, 1))
    >>> detector.flush()
    >>> detector.state()
    'drifted'

    Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors", New England Journal of Statistics in Data Science
    2(2), 2024, for the detectors' promise; the policy's states are those of a circuit breaker.
    """

    role: str = "drift"

    def __init__(
        self,
        *signals: Signal,
        arl: float = 10_000,
        reference_size: int = 1000,
        references: Mapping[str, Any] | None = None,
        version: Callable[[], Hashable] | None = None,
        segment: Callable[..., Hashable] | None = None,
        sample: float = 1.0,
        action: Action = "advise",
        probe: float = 0.1,
        breaker: Breaker | None = None,
        on_change: Callable[[Change], object] | None = None,
        rearm: int = 500,
        max_segments: int = 16,
        queue: int = 4096,
        key: Callable[..., Hashable] | None = None,
        prediction: Callable[[Any], Any] | None = None,
        confidence: Callable[[Any], Any] | None = None,
        calibration: tuple[Any, Any] | None = None,
        window: int = 1000,
        pending: int = 10_000,
        label_seconds: float = math.inf,
        rng: random.Random | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._signals = _checked(signals, key, confidence)
        if references is not None and not isinstance(references, Mapping):
            raise TypeError(
                f"references must be a dict, got {_checks.shown(references)}; pass observations by the name "
                "of their signal, such as {'score': scores}"
            )
        fresh = partial(
            Monitor,
            self._signals,
            references=dict(references or {}),
            arl=_checks.at_least("arl", arl, 100, remedy="pass the answers between two false alarms"),
            size=_checks.whole("reference_size", reference_size, at_least=100, remedy="pass 1000, say"),
            rearm=_checks.whole("rearm", rearm, at_least=1, remedy="pass 500, say"),
            max_segments=_checks.whole("max_segments", max_segments, at_least=1, remedy="pass 16, say"),
        )
        self._arl = float(arl)
        self._sample = _checks.share("sample", sample, remedy="pass 1 to watch every call")
        self._action = _checks.one_of("action", action, get_args(Action))
        self._probe = _checks.share("probe", probe, remedy="pass 0.1, say: without it no end would be seen")
        self._breaker: Breaker | None = _breaker(breaker)
        self._opened = False
        checked = _function("on_change", on_change, "pass a function of a Change")
        self._on_change = None if checked is None else Subscription(checked)
        if calibration is not None:
            if confidence is None:
                raise ValueError("calibration needs confidence=, which says how sure the model was")
            pair: Any = calibration
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(
                    f"calibration must be (confidences, correct), got {_checks.shown(pair)}; pass two "
                    "arrays of one length"
                )
        waits = math.inf
        if label_seconds != math.inf:
            waits = _checks.seconds("label_seconds", label_seconds, remedy="leave it out for no limit")
        kept = _checks.whole("pending", pending, at_least=1, remedy="pass 10_000, say")
        self._watch = DriftWatch(
            self._signals,
            fresh,
            version=_function("version", version, "pass a function without arguments"),
            segment=_function("segment", segment, "pass a function of the call's arguments"),
            most=_checks.whole("queue", queue, at_least=BATCH, remedy="pass 4096, say"),
            key=_function("key", key, "pass a function of the call's arguments"),
            prediction=_function("prediction", prediction, "pass a function of the answer"),
            confidence=_function("confidence", confidence, "pass a function of the answer"),
            calibration=calibration,
            window=_checks.whole("window", window, at_least=1, remedy="pass 1000, say"),
            log=PredictionLog(kept, waits),
            tell=self._announce,
        )
        self._watch.monitor.check_references()
        self._draw = random.random if rng is None else rng.random

    def check(self, target: Target) -> None:
        """Refuse to watch the answers of a stream, which has none."""
        if target.colour.streams and any(one.side != "input" for one in self._signals):
            raise TypeError(
                f"DriftDetector cannot watch the answers of {target.colour.value} {target.name!r}, which "
                "come in pieces; watch its inputs, with side='input', or the function that calls it"
            )

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Proceed, and note what is watched; refuse where that was asked for."""
        watch = self._watch
        placed = watch.place(call)
        if placed is None:
            return await proceed(call)
        epoch, segment = placed
        held = bool(watch.drifted) and self._holds(segment, call)
        probes = held and self._draw() < self._probe
        answer: T = UNANSWERED
        if probes or not held:
            answer = await proceed(call)
        if probes:
            self._degrade(call)
        sampled = self._sample == 1.0 or self._draw() < self._sample
        if sampled and watch.note(call, epoch, segment, answer) and not call.runtime.aside(watch.take_up):
            watch.unask()  # no thread can be started: what stands in the queue waits for the next
        if answer is UNANSWERED:
            raise self._refusal(segment, call)
        return answer

    def _holds(self, segment: Hashable, call: Call) -> bool:
        """Whether this call is one of those that are refused, but for probes."""
        if self._action == "advise" or self._watch.monitor.segment(segment) not in self._watch.drifted:
            return False
        if self._action == "shadow":
            self.emit(CallRejected, call.now(), reason=_REASON, shadow=True)
            return False
        return True

    def _refusal(self, segment: Hashable, call: Call) -> Drifted:
        self.emit(CallRejected, call.now(), reason=_REASON)
        return Drifted(
            f"{self.name!r} holds this call back, as {self._what(segment)} has drifted from its reference; "
            "put a Fallback outside it, or call reset() once the model fits again",
            policy=self.name,
        )

    def _degrade(self, call: Call) -> None:
        call.degraded = True
        if call.record is not None:
            call.record.degraded = True

    def flush(self) -> None:
        """Take up all that stands in the queue, now and on this thread, and wait for who is at it."""
        self._watch.flush()

    def _announce(self, change: Change) -> None:
        self._steer()
        self._tell(change)

    def _steer(self) -> None:
        """Open or close the breaker."""
        if self._breaker is not None and bool(self._watch.drifted) != self._opened:
            self._opened = not self._opened
            self._breaker.force_open() if self._opened else self._breaker.reset()

    def _tell(self, change: Change) -> None:
        evidence = change.evidence
        self.emit(
            DriftChanged,
            self.clock(),
            signal=change.signal,
            segment=None if change.segment is None else str(change.segment)[:40],
            before=change.before,
            after=change.after,
            effect=0.0 if evidence is None else evidence.effect,
            since=0 if evidence is None else evidence.since,
            moved=", ".join(f"{name} {size:+.2g}" for name, size in change.parts[:3]),
        )
        if self._on_change is not None:
            self._on_change.deliver(cast(Any, change))

    # -- labels --------------------------------------------------------------------------------------------

    def label(self, key: Hashable, label: Any) -> bool:
        """The label of an earlier call has come.

        Args:
            key: What ``key=`` gave for that call.
            label: What would have been right.

        Returns:
            Whether the prediction was still known.
        """
        if self._watch._key is None:
            raise ValueError("label() needs key=, which gives each call an id that labels come with")
        return self._watch.label(key, label, self.clock())

    @property
    def labels(self) -> PredictionLog:
        """The predictions that wait for labels, with counts of those that came."""
        return self._watch.log

    def accuracy(self) -> AccuracyEstimate | None:
        """The accuracy of recent answers, estimated without labels; None without *calibration*."""
        return self._watch.accuracy()

    # -- looking and steering ------------------------------------------------------------------------------

    def state(self, segment: Hashable = None) -> State:
        """``learning``, ``ok``, ``warn`` or ``drifted``: the worst of all signals in *segment*."""
        return self._watch.monitor.state(segment)

    def states(self) -> dict[tuple[str, Hashable], State]:
        """The state of each signal in each segment."""
        return self._watch.monitor.states()

    def reset(self) -> None:
        """Begin anew: references are learned again, for a model that was trained again, say."""
        self._watch.begin()

    @property
    def dropped(self) -> int:
        """Calls whose observations were not taken up: too many in the queue, or nothing that can be read."""
        return self._watch.dropped

    @property
    def not_finite(self) -> int:
        """Observations that were NaN or infinite: they reach no detector, and no reference."""
        return self._watch.not_finite

    @property
    def version(self) -> Hashable:
        """The version of the model that the references belong to."""
        return self._watch.version

    def forgettable(self) -> bool:
        """One that has seen nothing is as good as new."""
        return not self._watch.monitor.states()

    def describe(self) -> str:
        """What it watches, and what it does."""
        watched = ", ".join(repr(signal) for signal in self._signals)
        return f"DriftDetector({watched}, arl={self._arl:g}, action={self._action!r})"

    def _what(self, segment: Hashable) -> str:
        """Which signals have drifted, for a message."""
        segment = self._watch.monitor.segment(segment)
        names = [
            name for (name, where), state in self.states().items() if where == segment and state == "drifted"
        ]
        return " and ".join(repr(name) for name in names) or "what it watches"


def _checked(signals: Sequence[Any], key: object, confidence: object) -> tuple[Signal, ...]:
    for signal in signals:
        if not isinstance(signal, Signal):
            raise TypeError(
                f"signals must be of resilient_ml.drift, got {_checks.shown(signal)}; pass them one by one, "
                "such as Numbers('score'), Classes('label')"
            )
    names = [signal.name for signal in signals]
    if len(set(names)) < len(names):
        raise ValueError(f"signals must have different names, got {', '.join(map(repr, names))}; rename one")
    if any(isinstance(signal, Losses) for signal in signals) and key is None:
        raise ValueError("Losses need key=, which gives each call an id that labels come with")
    if any(isinstance(signal, Calibration) for signal in signals) and None in (key, confidence):
        raise ValueError(
            "Calibration needs key=, which gives each call an id that labels come with, and confidence=, "
            "which says how sure the model was of an answer"
        )
    return tuple(signals) or (Numbers("answer"),)


def _breaker(given: Any) -> Any:
    holds = hasattr(given, "force_open") and hasattr(given, "reset") and not isinstance(given, type)
    if given is not None and not holds:
        raise TypeError(f"breaker must be a CircuitBreaker, got {_checks.shown(given)}; pass one")
    return given


def _function(name: str, given: Any, remedy: str) -> Any:
    return None if given is None else _checks.function(name, given, remedy=remedy)
