"""What a simulation found: requests, servers, events; in figures, over time, and as one canonical text."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _checks
from ...events import Event
from .requests import Floats, Mask, Requests
from .trace import lines


@dataclass(frozen=True, eq=False, slots=True)
class ServerLog:
    """One server over time: what it held at each sample, and what it had done by then.

    Attributes:
        at: float64, the seconds of the samples.
        waiting: Requests in its queue.
        working: Requests that were worked on.
        busy: Workers that worked.
        arrived: Requests that had come.
        refused: Requests that had been refused.
        answered: Requests that had been answered to a client that still waited.
        failed: Requests that had failed, to a client that still waited.
        wasted: Requests that had been worked on to the end for a client that had given up.
        busy_seconds: Work that had been done, in seconds of workers.
        wasted_seconds: The part of it that was for clients that had given up.
    """

    at: Floats
    waiting: Floats
    working: Floats
    busy: Floats
    arrived: Floats
    refused: Floats
    answered: Floats
    failed: Floats
    wasted: Floats
    busy_seconds: Floats
    wasted_seconds: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Timeline:
    """Rates over time, in requests per second; each of the arrays has one entry for each bin.

    Attributes:
        at: Where each bin begins, in seconds.
        bin: How long each is, in seconds.
        arrived: Requests that came.
        goodput: Full answers that were given.
        degraded: Answers of fallbacks that were given.
        failed: Requests that failed.
        rejected: Requests that a policy refused.
    """

    at: Floats
    bin: float
    arrived: Floats
    goodput: Floats
    degraded: Floats
    failed: Floats
    rejected: Floats


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Result:
    """What a simulation found.

    Attributes:
        seconds: For how long requests came.
        ended: When the last of them had ended.
        seed: The seed.
        requests: What became of them.
        servers: The servers over time, by name.
        events: What the policies told, in order.
    """

    seconds: float
    ended: float
    seed: int
    requests: Requests
    servers: Mapping[str, ServerLog]
    events: tuple[Event, ...]

    def __repr__(self) -> str:
        return (
            f"Result({len(self.requests):,} requests in {self.seconds:g} s, "
            f"availability {self.availability:.3f}, amplification {self.amplification:.2f})"
        )

    # -- in figures ----------------------------------------------------------------------------------------

    @property
    def availability(self) -> float:
        """The share of all requests that was answered, by a server or by a fallback."""
        return self.requests.availability

    @property
    def amplification(self) -> float:
        """Calls of servers per request."""
        return self.requests.amplification

    def latency(self, quantile: Any) -> Any:
        """Seconds within which that share of the answered requests was answered."""
        return self.requests.latency(quantile)

    def goodput(self, start: float = 0.0, end: float | None = None) -> float:
        """Full answers per second, of those given from second *start* up to *end*.

        Args:
            start: In seconds.
            end: In seconds; None for as long as requests came.
        """
        end = self.seconds if end is None else end
        if not end > start:
            raise ValueError(f"end must be after start, got {end:g} and {start:g}; swap them, perhaps")
        ended = self.requests.ended[self._full()]
        return float(np.count_nonzero((ended >= start) & (ended < end)) / (end - start))

    def _full(self) -> Mask:
        return self.requests.ok & ~self.requests.degraded

    def recovered_after(self, since: float, *, share: float = 0.95, bin: float = 1.0) -> float:  # noqa: A002
        """Seconds from *since* until all is well again, and stays so; ``inf`` if it never is.

        All is well in a bin if at least *share* of the requests that came in it were answered in full. What
        counts is the end of the last bin in which it was not; one at the very end means never.

        Args:
            since: An instant, in seconds from the start and before requests stopped: the end of an
                incident, say.
            share: Above 0 to 1.
            bin: How long each bin is, in seconds.
        """
        share = _checks.share("share", share, remedy="pass 0.95, say")
        since = _checks.seconds("since", since, zero=True, remedy="pass when the incident ended")
        if since >= self.seconds:
            raise ValueError(
                f"since must be before {self.seconds:g} s, when requests stopped, got {since:g}; "
                "simulate more seconds to see a recovery"
            )
        edges = self._edges(since, bin)
        came, _ = np.histogram(self.requests.arrived, edges)
        full, _ = np.histogram(self.requests.arrived[self._full()], edges)
        ill = np.flatnonzero(full < share * came)
        if not len(ill):
            return 0.0
        last = int(ill[-1])
        return math.inf if last == len(came) - 1 else float(edges[last + 1] - since)

    def _edges(self, start: float, width: float) -> Floats:
        width = _checks.seconds("bin", width, remedy="pass the length of a bin in seconds, 1 say")
        bins = max(1, math.floor((self.seconds - start) / width + 1e-9))
        return start + width * np.arange(bins + 1, dtype=np.float64)

    # -- over time -----------------------------------------------------------------------------------------

    def timeline(self, bin: float = 1.0) -> Timeline:  # noqa: A002
        """Rates in bins of so many seconds, for as long as requests came."""
        edges = self._edges(0.0, bin)
        requests = self.requests

        def rate(instants: Floats) -> Floats:
            return np.histogram(instants, edges)[0] / bin

        return Timeline(
            at=edges[:-1],
            bin=bin,
            arrived=rate(requests.arrived),
            goodput=rate(requests.ended[self._full()]),
            degraded=rate(requests.ended[requests.ok & requests.degraded]),
            failed=rate(requests.ended[requests.failed]),
            rejected=rate(requests.ended[requests.rejected]),
        )

    # -- as text -------------------------------------------------------------------------------------------

    def trace(self) -> str:
        """All that happened, a line each, the same to the byte for the same scenario and seed.

        First the requests in the order in which they came, then the events, then each server's last sample.
        """
        return "".join(f"{line}\n" for line in lines(self))

    @property
    def digest(self) -> str:
        """The SHA-256 of :meth:`trace`, in hexadecimal digits."""
        return hashlib.sha256(self.trace().encode()).hexdigest()
