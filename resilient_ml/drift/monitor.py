"""Several signals, watched in each segment against a reference, with one budget of false alarms for all.

Each signal of each segment is a *channel*, which goes through these states::

    learning --(reference is full)--> ok <--> warn --> drifted --(quiet for a while)--> ok

No channel drifts without a warning. Where both are reached among observations that are fed together, one is
told right after the other.

A channel is *quiet* while its detector raises no alarm: for *rearm* observations, and three times as long as
the alarm took. The detector keeps its reference and begins anew after each alarm, so a drift that lasts
raises alarm after alarm, and one that ends lets the channel come back by itself; one that returns is noticed
again.

Every observation that is used feeds each signal once, in one segment. So with *k* signals each channel is
given the run length ``k * arl``: the rates of their false alarms, each no more than ``1 / (k * arl)`` an
observation, add up to no more than ``1 / arl``, however the traffic is shared among the segments.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import _checks
from .calibration import Calibration
from .detector import Detector, Evidence, Floats
from .signals import Losses, Signal, finite_rows
from .thinned import Thinned

State = Literal["learning", "ok", "warn", "drifted"]
_ORDER: tuple[State, ...] = ("learning", "ok", "warn", "drifted")
_QUIET_ALARMS = 3
"""So many times the delay of the alarm a channel must be quiet, where that is more than *rearm*."""
_LARGEST = 4
"""So many times its size a reference grows to where it does not tell enough."""
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Change:
    """A channel has changed its state.

    Attributes:
        signal: The name of the signal.
        segment: The segment; None where traffic is not divided.
        before: The state that it was in.
        after: The state that it is in now.
        at: How many observations the channel has used.
        evidence: What the alarm rests on, where it has drifted.
        parts: What moved most, by name: (feature or class, its effect), the largest first.
    """

    signal: str
    segment: Hashable
    before: State
    after: State
    at: int
    evidence: Evidence | None = None
    parts: tuple[tuple[str, float], ...] = ()


class Channel:
    """One signal in one segment.

    Args:
        signal: The signal.
        segment: The segment.
        arl: Observations between false alarms of this channel.
        size: How many observations make its reference.
        rearm: For how many observations it must be quiet before a drift is over.
        reference: The reference, where it is known.
    """

    def __init__(
        self,
        signal: Signal,
        segment: Hashable,
        arl: float,
        *,
        size: int,
        rearm: int,
        reference: Floats | None = None,
    ) -> None:
        self.signal: Signal = signal
        self.segment: Hashable = segment
        self.state: State = "learning"
        self.seen: int = 0
        self.detector: Detector | None = None
        self._arl = arl
        self._size = max(size, signal.least)
        self._rearm = rearm
        self._learn_anew()
        self._quiet = 0
        self._needed = rearm
        if reference is not None:
            self._begin(reference).fix_reference()  # it says how things should be
        elif isinstance(signal, Losses | Calibration) and signal.tolerated is not None:
            self._begin(np.empty(0))

    def _learn_anew(self) -> None:
        self._learnt: list[Floats] = []
        self._wanted = self._size
        self._count = 0
        self._stride = 1
        self._passed = 0

    def _begin(self, reference: Floats) -> Detector:
        make = self.signal.detector
        self.detector = (
            make(reference, self._arl)
            if self._stride == 1
            else Thinned(lambda _, run: make(reference, run), reference, every=self._stride, arl=self._arl)
        )
        self.state = "ok"
        self._learnt = []
        return self.detector

    def feed(self, values: Floats) -> list[Change]:
        """Use *values*; how the state has changed, in order."""
        changes: list[Change] = []
        if self.detector is None:
            values = self._learn(values, changes)
        if self.detector is None or not len(values):
            return changes
        alarms = self.detector.update_many(values)
        self.seen += len(values)
        if len(alarms):
            evidence = self.detector.evidence
            assert evidence is not None
            if self.state != "drifted":
                self._needed = max(self._rearm, _QUIET_ALARMS * evidence.since)
                if self.state == "ok":  # both were reached among the same observations
                    changes.append(self._change("warn"))
                changes.append(self._change("drifted", evidence))
            self._quiet = len(values) - 1 - int(alarms[-1])
            return changes
        near = self.detector.level != "stable"
        if self.state == "drifted":
            self._quiet += len(values)
            if self._quiet >= self._needed:
                changes.append(self._change("ok"))
        elif near != (self.state == "warn"):
            changes.append(self._change("warn" if near else "ok"))
        return changes

    def _learn(self, values: Floats, changes: list[Change]) -> Floats:
        """Put what is finite into the reference; what is left over once it is full."""
        values = values[finite_rows(values)]
        while len(values):
            room = (self._wanted - self._count) * self._stride
            kept = values[:room][-self._passed % self._stride :: self._stride]
            self._passed += len(values[:room])
            values = values[room:]
            self._learnt.append(kept)
            self._count += len(kept)
            if self._count < self._wanted:
                break
            reference = np.concatenate(self._learnt)
            if self.signal.tells_enough(reference):
                try:
                    self._begin(reference)
                except ValueError:  # no detector can use this one; the next may do
                    self._learn_anew()
                    raise
                changes.append(Change(self.signal.name, self.segment, "learning", "ok", self.seen))
                break
            self._learnt = [reference]
            if self._wanted < _LARGEST * self._size:
                self._wanted += self._size
            else:  # to reach further back it is kept more thinly, and so will the stream be watched
                self._learnt = [reference[::2]]
                self._count = len(self._learnt[0])
                self._stride *= 2
                self._passed = 0
        return values

    def _change(self, after: State, evidence: Evidence | None = None) -> Change:
        before, self.state = self.state, after
        parts: tuple[tuple[str, float], ...] = ()
        if evidence is not None and self.detector is not None:
            named = self.signal.part_name
            parts = tuple((named(part, self.detector), size) for part, size in evidence.parts)
        return Change(self.signal.name, self.segment, before, after, self.seen, evidence, parts)


class Monitor:
    """All channels, and the state of each segment, which is the worst of its channels.

    Args:
        signals: What is watched, by different names.
        arl: Observations between false alarms of all signals together.
        size: How many observations make a reference.
        rearm: For how many observations a channel must be quiet before its drift is over.
        max_segments: So many segments are told apart; the rest are one, ``"others"``.
        references: Observations of quiet times by the name of the signal; what is not there is learned.

    Raises:
        ValueError: A reference is of no signal, or none that its detector can use.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        *,
        arl: float,
        size: int = 1000,
        rearm: int = 500,
        max_segments: int = 16,
        references: Mapping[str, Any] | None = None,
    ) -> None:
        self.signals: tuple[Signal, ...] = tuple(signals)
        self._arl = arl * max(1, len(self.signals))
        self._size = size
        self._rearm = rearm
        self._max_segments = max_segments
        self._channels: dict[Hashable, dict[str, Channel]] = {}
        known = {signal.name: signal for signal in self.signals}
        for name in references or {}:
            if name not in known:
                raise ValueError(
                    f"references must name signals, got {_checks.shown(name)}; there are "
                    + (", ".join(map(repr, sorted(known))) or "none")
                )
        self._references = {name: _read(known[name], one) for name, one in (references or {}).items()}

    def check_references(self) -> None:
        """Refuse references that no detector can be made of.

        Raises:
            ValueError: There is one.
        """
        for signal in self.signals:
            if signal.name in self._references:
                try:
                    signal.detector(self._references[signal.name], self._arl)
                except ValueError as error:
                    raise ValueError(f"references[{signal.name!r}] cannot be used: {error}") from None

    def segment(self, segment: Hashable) -> Hashable:
        """The segment that *segment* is counted to."""
        full = len(self._channels) >= self._max_segments
        return OTHERS if full and segment not in self._channels else segment

    def channel(self, signal: Signal, segment: Hashable) -> Channel:
        """The channel of *signal* in *segment*."""
        channels = self._channels.setdefault(self.segment(segment), {})
        found = channels.get(signal.name)
        if found is None:
            found = channels[signal.name] = Channel(
                signal,
                self.segment(segment),
                self._arl,
                size=self._size,
                rearm=self._rearm,
                reference=self._references.get(signal.name),
            )
        return found

    def feed(self, signal: Signal, segment: Hashable, values: Floats) -> list[Change]:
        """Observations of *signal* in *segment*; which states have changed."""
        return self.channel(signal, segment).feed(values)

    def state(self, segment: Hashable = None) -> State:
        """The worst state of any signal in *segment*; ``learning`` before anything was seen there."""
        channels = self._channels.get(self.segment(segment), {})
        return max((one.state for one in list(channels.values())), key=_ORDER.index, default="learning")

    def ended(self) -> list[Change]:
        """The changes that tell of its end: all that was known is to be learned again."""
        return [
            Change(name, segment, channel.state, "learning", channel.seen)
            for segment, channels in self._channels.items()
            for name, channel in channels.items()
            if channel.state != "learning"
        ]

    def states(self) -> dict[tuple[str, Hashable], State]:
        """The state of each channel, by signal and segment."""
        return {
            (name, segment): channel.state
            for segment, channels in list(self._channels.items())
            for name, channel in list(channels.items())
        }


def _read(signal: Signal, reference: Any) -> Floats:
    """Observations of quiet times, as the signal reads those of a call."""
    try:
        return signal.read_reference(reference)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"references[{signal.name!r}] cannot be read as {signal!r}: {error}; pass what its of= gives, of "
            "100 calls at least, and with strata= pairs of a stratum and that"
        ) from error
