"""How often a detector of drift alarms on a quiet stream, how late on a change, and how it is tuned.

* A **run length** is the observations of many quiet streams by the alarms on them; after an alarm the
  detector begins anew. Its error is that of the alarms from stream to stream, each with its own reference.
* A **delay** is from the change to the first alarm after it, in a stream that was quiet for 1000 observations
  and up to 31 more, as some look only at every 32nd. The median is over all streams; one without an alarm
  within 2000 observations counts as later.
* **Tuned** is by bisection of the one knob, to a run length within 5 %. Where the knob moves in steps, as the
  statistic has few values, the delay is interpolated between the two steps beside the run length.

A run length is from 2 million observations, for tuning from 4 million: good to 5 %, or about 10 % where each
stream has its own reference. Slow peers are given a share of that, a quarter (HDDM) or a sixteenth (KSWIN).
As delays go with the logarithm of the run length, 20 % of it are 2 % of a delay.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

from drift_streams import STREAMS, source
from drift_watches import Entry, Watch

REFERENCE, BEFORE, CLOCK, HORIZON = 1000, 1000, 32, 2000
NEAR, TRIES = 0.05, 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        arl: The run length that ours are asked for, and that all are tuned to.
        seeds: Streams with a change.
        streams: Quiet streams, each twice as long as the run length.
    """

    arl: int = 10_000
    seeds: int = 100
    streams: int = 100


@dataclass(frozen=True, slots=True)
class RunLength:
    """Observations between false alarms.

    Attributes:
        observations: How many there were.
        alarms: How many alarms.
        error: The standard error of the mean, as a share of it.
    """

    observations: int
    alarms: int
    error: float

    @property
    def mean(self) -> float:
        return self.observations / self.alarms if self.alarms else math.inf

    @property
    def rate(self) -> float:
        return self.alarms / self.observations


@dataclass(frozen=True, slots=True)
class Delay:
    """Observations from a change to its alarm: the median, infinite where most streams had none."""

    median: float
    error: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one detector on one quiet stream and its changes.

    Attributes:
        stream: The quiet stream.
        entry: The detector's name.
        quiet: Its run length at its defaults.
        delays: Its delays at its defaults, by change.
        knobs: What it was tuned to: one value, or the two beside the run length.
        lengths: The run length with each.
        tuned: The delays once tuned.
    """

    stream: str
    entry: str
    quiet: RunLength
    delays: dict[str, Delay]
    knobs: tuple[float, ...] = ()
    lengths: tuple[RunLength, ...] = ()
    tuned: dict[str, Delay] | None = None


def measured(entry: Entry, stream: str, plan: Plan, *, tune: bool) -> Found:
    """All there is to know of a detector on a stream."""
    quiet = run_length(entry, stream, None, streams=plan.streams, length=2 * plan.arl)
    late = delays(entry, stream, None, plan.seeds)
    if not (tune and STREAMS[stream].changes):
        return Found(stream, entry.name, quiet, late)
    points = tuned(entry, stream, plan)
    knobs, lengths = zip(*points, strict=True)
    each = [delays(entry, stream, knob, plan.seeds) for knob in knobs]
    both = {change: between([one[change] for one in each], lengths, plan.arl) for change in late}
    return Found(stream, entry.name, quiet, late, knobs, lengths, both)


def watch(entry: Entry, stream: str, number: int, knob: float | None) -> Watch:
    """The detector with the reference of stream *number*."""
    reference = STREAMS[stream].draw(source(stream, number, "reference"), REFERENCE)
    return entry.make(reference, knob)


def run_length(
    entry: Entry, stream: str, knob: float | None, *, streams: int, length: int, target: float | None = None
) -> RunLength:
    """The run length on a quiet stream; no further than to see that it is not *target*, if there is one."""
    counts: list[int] = []
    for number in range(max(4, round(streams * entry.share))):
        values = STREAMS[stream].draw(source(stream, number, "quiet"), length)
        counts.append(watch(entry, stream, number, knob).count(values))
        alarms = sum(counts)
        if target is not None and len(counts) >= 3:
            off = math.log((alarms + 0.5) / (len(counts) * length / target + 0.5))
            if abs(off) > 4.0 * math.sqrt(1.0 / (alarms + 1.0)) and abs(off) > 3.0 * spread(counts):
                break
    return RunLength(len(counts) * length, sum(counts), spread(counts))


def spread(counts: Sequence[int]) -> float:
    """The standard error of the mean of *counts*, as a share of it."""
    number, mean = len(counts), sum(counts) / len(counts)
    if not mean:
        return math.inf
    variance = sum((one - mean) ** 2 for one in counts) / max(number - 1, 1)
    return math.sqrt(variance / number) / mean


def tuned(entry: Entry, stream: str, plan: Plan) -> list[tuple[float, RunLength]]:
    """The knob whose run length is that of the plan, or those on either side of it."""
    sides: list[tuple[float, RunLength | None]] = [(0.0, None), (1.0, None)]
    for number in range(TRIES):
        share = middle(sides, plan.arl, halfway=number % 3 == 2)
        knob = entry.knob.at(share)
        length = run_length(
            entry, stream, knob, streams=2 * plan.streams, length=2 * plan.arl, target=plan.arl
        )
        off = math.log(length.mean / plan.arl)
        if abs(off) < NEAR:
            return [(knob, length)]
        sides[off > 0.0] = share, length
        if sides[1][0] - sides[0][0] < entry.knob.step:
            break
    return [(entry.knob.at(share), length) for share, length in sides if length is not None]


def middle(sides: Sequence[tuple[float, RunLength | None]], target: float, *, halfway: bool) -> float:
    """Where to try next: halfway, or where a straight line between the logarithms has the target."""
    (low, short), (high, long) = sides
    part = 0.5
    if short is not None and long is not None and long.alarms and not halfway:
        part = math.log(target / short.mean) / math.log(long.mean / short.mean)
    return low + (high - low) * min(max(part, 0.1), 0.9)


def delays(entry: Entry, stream: str, knob: float | None, seeds: int) -> dict[str, Delay]:
    """The delays of every change of a stream."""
    of = STREAMS[stream]
    found: dict[str, list[float]] = {change: [] for change in of.changes}
    for number in range(seeds if of.changes else 0):
        quiet = BEFORE + number % CLOCK
        values = of.draw(source(stream, number, "before"), quiet + HORIZON)
        watching = watch(entry, stream, number, knob)
        watching.count(values[:quiet])
        for change, turn in of.changes.items():
            after = turn(source(change, number, "after"), values[quiet:])
            place = copy.deepcopy(watching).first(after)
            found[change].append(math.inf if place < 0 else place + 1.0)
    return {change: median(one) for change, one in found.items()}


def median(values: Sequence[float]) -> Delay:
    """The median; its standard error is half of what is between the ranks that it is from by one such."""
    ordered, number = sorted(values), len(values)
    centre = (ordered[(number - 1) // 2] + ordered[number // 2]) / 2.0
    reach = math.sqrt(number) / 2.0
    low = ordered[max(0, math.floor((number - 1) / 2.0 - reach))]
    high = ordered[min(number - 1, math.ceil((number - 1) / 2.0 + reach))]
    return Delay(centre, (high - low) / 2.0 if high < math.inf else math.inf)


def between(sides: Sequence[Delay], lengths: Sequence[RunLength], target: float) -> Delay:
    """The delay at *target*: a straight line in the logarithm of the run length."""
    if len(sides) == 1:
        return sides[0]
    (short, long), (soon, late) = lengths, sides
    if not long.alarms or math.inf in (soon.median, late.median):
        return late
    part = math.log(target / short.mean) / math.log(long.mean / short.mean)
    return Delay(soon.median + part * (late.median - soon.median), max(soon.error, late.error))
