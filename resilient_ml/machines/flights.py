"""Who calls the model for a key, and who waits for that: one leader a key, all others follow.

::

    first in -> leads -- answers ------------------> all followers have the answer
                      -- fails, input to blame ----> all followers have the failure
                      -- fails otherwise ----------> the next follower leads, at most `hand_overs` times;
                                                     then all followers have the last failure
                      -- leaves (cancelled, late) -> the next follower leads, as often as it takes

So a flight calls the model at most ``1 + hand_overs`` times, besides the calls that were left, and whoever
waits for one waits at most that many calls: a dead model is neither asked once for each follower, nor by one
follower after the other for ever. A follower that leaves, at its own deadline or cancelled, leaves no trace;
one that was chosen to lead in that moment passes it on.

Source of the idea: ``golang.org/x/sync/singleflight``, whose leader takes its followers down with it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from .._forks import survive_forks


class Flight:
    """One key's call of the model, and those who wait for it.

    Attributes:
        key: The key.
        over: Whether it has ended: nobody joins it any more.
        answer: What it came to, once over; None where there is none.
        error: What it failed with, once over; None where it did not.
        handed: How often a failed leader has handed over.
        leader: Who leads, a thread or a task.
        thread: The leader's thread.
        followers: Who waits, the first to lead next.
        chunks: Of a stream, what has passed by and is kept for followers.
        dropped: Of a stream, how many chunks came before these and are kept no more.
        weight: What the chunks weigh.
        lost: Of a stream, why its chunks are not kept any more; None while they are.
    """

    __slots__ = (
        *("answer", "chunks", "dropped", "error", "followers", "handed", "key", "leader", "lost"),
        *("over", "thread", "weight"),
    )

    def __init__(self, key: bytes) -> None:
        self.key: bytes = key
        self.over: bool = False
        self.answer: Any = None
        self.error: Exception | None = None
        self.handed: int = 0
        self.leader: object = None
        self.thread: object = None
        self.followers: deque[Seat] = deque()
        self.chunks: list[Any] = []
        self.dropped: int = 0
        self.weight: int = 0
        self.lost: str | None = None


class Seat:
    """One call's part in a flight.

    Attributes:
        flight: Which; None while it is in none.
        leads: Whether it calls the model.
        wake: Wakes it where it waits; False when nobody can be woken any more.
    """

    __slots__ = ("flight", "leads", "wake", "who")

    def __init__(self, who: object) -> None:
        self.who: object = who
        self.flight: Flight | None = None
        self.leads: bool = False
        self.wake: Callable[[], bool] | None = None

    def call(self) -> bool:
        """Wake it, once; False when it cannot be woken any more."""
        wake, self.wake = self.wake, None
        return wake is None or wake()

    def lead(self, flight: Flight) -> None:
        """Call the model for *flight*."""
        flight.leader = self.who
        flight.thread = threading.get_ident()
        self.leads = True


class Flights:
    """The flights of now, one for each key at most.

    Args:
        hand_overs: How often a leader that failed hands over, from 0.

    >>> flights = Flights(1)
    >>> one, other = Seat("one"), Seat("other")
    >>> flights.join(b"key", one), flights.join(b"key", other)
    (True, False)
    >>> flights.land(one, "answer")
    >>> other.flight.answer
    'answer'
    """

    __slots__ = ("__weakref__", "_flights", "_lock", "hand_overs")

    def __init__(self, hand_overs: int) -> None:
        self.hand_overs: int = hand_overs
        self._flights: dict[bytes, Flight] = {}
        self._lock = threading.RLock()
        survive_forks(self)

    def join(self, key: bytes, seat: Seat, *, only_to_lead: bool = False) -> bool:
        """Whether *seat* leads; if not, it is to :meth:`follow`.

        A call from inside the leader itself, on its thread or in its task, must not wait for it: it is in no
        flight, and its seat says so.

        Args:
            key: Whose flight.
            seat: Whose place.
            only_to_lead: Be in no flight rather than follow.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = Flight(key)
                seat.flight = flight
                seat.lead(flight)
                self._flights[key] = flight
                return True
            if only_to_lead or seat.who in (flight.leader, flight.thread):
                return False
            seat.flight = flight
            return False

    def follow(self, seat: Seat, wake: Callable[[], bool]) -> bool:
        """Wait to be woken; False where there is nothing to wait for any more."""
        with self._lock:
            flight = seat.flight
            if flight is None or flight.over:
                return False
            seat.wake = wake
            flight.followers.append(seat)
            return True

    def stay(self, seat: Seat) -> None:
        """Follow a stream, whose followers may be chosen to lead while they do not wait for a chunk."""
        with self._lock:
            flight = seat.flight
            if flight is not None and not flight.over:
                flight.followers.append(seat)

    def listen(self, seat: Seat, position: int, wake: Callable[[], bool]) -> bool:
        """Wait for a chunk of a stream beyond *position*; False where there is news already."""
        with self._lock:
            flight = seat.flight
            if flight is None or flight.over or flight.lost is not None or seat.leads:
                return False
            if flight.dropped + len(flight.chunks) > position:
                return False
            seat.wake = wake
            return True

    def record(self, seat: Seat, chunk: Any, weight: int, most: int) -> None:
        """The leader of a stream has had *chunk*; the oldest go where all weigh more than *most*."""
        flight = seat.flight
        if flight is None or flight.lost is not None:
            return
        with self._lock:
            flight.chunks.append((chunk, weight))
            flight.weight += weight
            gone = 0
            while flight.weight > most:
                flight.weight -= flight.chunks[gone][1]
                gone += 1
            if gone:
                del flight.chunks[:gone]
                flight.dropped += gone
                self._remove(flight)  # who comes now has missed the beginning
        self._call_all(flight)

    def lose(self, seat: Seat, why: str) -> None:
        """The chunks of this stream cannot be kept."""
        flight = seat.flight
        if flight is None:
            return
        with self._lock:
            flight.lost = why
            flight.chunks.clear()
            self._remove(flight)
        self._call_all(flight)

    def _call_all(self, flight: Flight) -> None:
        """Wake those who wait for a chunk; they stay."""
        for follower in list(flight.followers):
            follower.call()

    def land(self, seat: Seat, answer: Any) -> None:
        """The leader has an answer; None for one that cannot be shared."""
        self._end(seat, answer, None)

    def fail(self, seat: Seat, error: Exception, *, shared: bool) -> None:
        """The leader has failed; where *shared*, it would be the same for everybody."""
        flight = seat.flight
        if flight is None or not seat.leads:
            return
        if shared or flight.handed >= self.hand_overs:
            self._end(seat, None, error)
            return
        flight.handed += 1
        self._hand_over(seat, error)

    def leave(self, seat: Seat) -> None:
        """Whoever it is, it is gone."""
        flight = seat.flight
        if flight is None:
            return
        if flight.over:
            self._wake_all(flight)  # where it was interrupted while it did
            return
        with self._lock:
            if not seat.leads:
                if seat in flight.followers:
                    flight.followers.remove(seat)
                seat.flight = None
                return
        self._hand_over(seat, None)

    def forget(self, key: bytes | None = None) -> None:
        """Let nobody join the flight of *key* any more, or any flight that is there now."""
        with self._lock:
            if key is None:
                self._flights.clear()
            else:
                self._flights.pop(key, None)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._flights)

    def _end(self, seat: Seat, answer: Any, error: Exception | None) -> None:
        flight = seat.flight
        if flight is None or not seat.leads:
            return
        with self._lock:
            if not flight.over:
                flight.answer, flight.error, flight.over = answer, error, True
                self._remove(flight)
        self._wake_all(flight)
        seat.leads = False
        seat.flight = None

    def _wake_all(self, flight: Flight) -> None:
        while True:
            try:
                follower = flight.followers.popleft()
            except IndexError:
                return
            follower.call()

    def _hand_over(self, seat: Seat, error: Exception | None) -> None:
        """The next follower that can be woken leads."""
        flight = seat.flight
        assert flight is not None
        while True:
            with self._lock:
                seat.leads = False
                seat.flight = None
                if not flight.followers:
                    flight.error, flight.over = error, True
                    self._remove(flight)
                    return
                seat = flight.followers.popleft()
                seat.lead(flight)
                flight.thread = None  # it is on another, which says so when it wakes
            if seat.call():
                return

    def _remove(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def after_fork(self) -> None:
        """Those who lead or wait are not in this process."""
        self._lock = threading.RLock()
        self._flights = {}
