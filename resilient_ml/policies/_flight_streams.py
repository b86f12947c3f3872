"""Streams that share one call of the model, and streams that are replayed from a cache.

The leader's own reader pulls the stream. Each item that passes by is kept; followers are given what was kept
and then wait for the next. Where the leader leaves, a follower calls the model anew: what has passed by is
dropped for as long as it comes again the same, as ``Stream(on_interrupt="skip_prefix")`` does, and a stream
that comes out another way is interrupted, never mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .._call import Call, Proceed
from .._keeping import Kept, keep
from .._late import expired
from .._passage import same
from .._policy import Policy
from .._stream_rules import Reset
from ..errors import StreamInterrupted
from ..machines.flights import Flight, Flights
from ._flight import Visit, another
from ._keys import Keys

T = TypeVar("T")


class Recording:
    """A stream that has ended whole: its chunks, kept, and what its generator returned."""

    __slots__ = ("chunks", "returned")

    def __init__(self, chunks: list[Kept], returned: Kept) -> None:
        self.chunks: list[Kept] = chunks
        self.returned: Kept = returned


class Shelf(Protocol):
    """Where whole streams are kept."""

    def begin(self, key: bytes, call: Call) -> Lookup: ...


class Lookup(Protocol):
    """What a cache has for one call."""

    def ready(self, leads: Callable[[], bool]) -> Recording | None:
        """A recording to replay; *leads* is asked where a stale one may be served by others."""

    def stands_in(self, error: Exception) -> Recording | None:
        """A recording to replay for a call that failed."""

    def store(self, value: Any, kept: Kept | None, weight: int) -> None:
        """Keep a whole one."""


class StreamVisits(Policy):
    """What Coalesce and Cache do about streams.

    Args:
        flights: The flights of now.
        keys: Makes keys.
        most: How many bytes of a running stream are kept.
        share_failures: Whether every failure is everybody's.
        copied: Whether each reader has copies.
        shelf: Where whole streams are kept; None for nowhere.
        coalesce: Whether calls follow one another.
    """

    role: str = "coalesce"

    def __init__(
        self,
        flights: Flights,
        keys: Keys,
        *,
        most: int,
        share_failures: bool = False,
        copied: bool = True,
        shelf: Shelf | None = None,
        coalesce: bool = True,
    ) -> None:
        super().__init__()
        self.flights = flights
        self.keys = keys
        self.most = most
        self.share_failures = share_failures
        self.copied = copied
        self.shelf = shelf
        self.coalesce = coalesce

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Replay what has passed by, wait for more, or be the one that calls the model."""
        if call.emitted:  # an attempt that goes on after others: what follows is no whole stream
            return await proceed(call)
        visit = _StreamVisit(self, call)
        if visit.lookup is None and not visit.has_key:
            return await proceed(call)
        try:
            visit.join()
            while visit.goes_on():
                if visit.has_next():
                    await call.runtime.relay(visit.next(), call)
                else:
                    signal = call.runtime.signal()
                    came = True
                    if self.flights.listen(visit.seat, visit.position, signal.set):
                        came = await call.runtime.wait(signal, call.deadline)
                    visit.heard(came)
            if visit.is_whole():
                whole: T = visit.returned()
                return whole
            visit.tap()
            result = await proceed(call)
            visit.landed(result)
            return result
        except Exception as error:
            visit.fail(error)
            if not visit.stands_in(error):
                raise
        except BaseException:
            visit.leave()
            raise
        finally:
            visit.untap()
        while visit.has_next():
            await call.runtime.relay(visit.next(), call)
        old: T = visit.returned()
        return old


class _StreamVisit(Visit):
    """One reader's part in a stream."""

    __slots__ = ("_alone", "_before", "_policy", "_rerun", "has_key", "lookup", "position", "replayed")

    def __init__(self, policy: StreamVisits, call: Call) -> None:
        version = policy.keys.version()
        key = policy.keys.of(call, version)
        super().__init__(
            policy.flights, key or b"", call, copied=policy.copied, share_failures=policy.share_failures
        )
        self._policy = policy
        self._before: Any = None
        self._alone = False
        self._rerun = 0
        self.has_key: bool = key is not None
        self.lookup: Lookup | None = None
        if key is not None and policy.shelf is not None:
            self.lookup = policy.shelf.begin(key, call)
        self.replayed: Recording | None = None
        self.position: int = 0

    def join(self) -> None:
        """Find out what to do: replay, follow, lead, or go alone."""
        if self.lookup is not None:
            self.replayed = self.lookup.ready(self._leads)
            if self.replayed is not None or self.leading:
                return
        if self._policy.coalesce and self.follows():
            self._flights.stay(self.seat)
        elif not self.leading:
            self._alone = True
        elif self.lookup is not None:
            # Another may have led and landed between the look and the joining.
            self.replayed = self.lookup.ready(self._leads)
            if self.replayed is not None:
                self.leave()

    def _leads(self) -> bool:
        """Whether this call fetches a new one, while others have the old."""
        if not self._policy.coalesce:
            return True
        if not self.leading and self._flights.join(self._key, self.seat, only_to_lead=True):
            self.flight = self.seat.flight
            self.begin()
        return self.leading

    def goes_on(self) -> bool:
        """Whether there is anything to replay or to wait for."""
        if self._alone:
            return False
        if self.seat.leads and not self.leading:  # chosen while its reader had an item
            self.begin()
        if self.replayed is not None or self.seat.leads:
            return self.has_next()
        flight = self.flight
        return flight is not None and (not flight.over or self.has_next())

    def has_next(self) -> bool:
        """Whether an item is there to be passed on."""
        if self.replayed is not None:
            return self.position < len(self.replayed.chunks)
        flight = self.flight
        assert flight is not None
        if flight.lost is not None or self.position < flight.dropped:
            self._fell_behind(flight)
            return False
        return self.position < flight.dropped + len(flight.chunks)

    def next(self) -> Any:
        """That item, for this reader to keep."""
        if self.replayed is not None:
            kept = self.replayed.chunks[self.position]
        else:
            assert self.flight is not None
            kept = self.flight.chunks[self.position - self.flight.dropped][0]
        self.position += 1
        return kept.out()

    def _fell_behind(self, flight: Flight) -> None:
        if self.leading:
            return
        if not self.position:
            self._flights.leave(self.seat)
            self._alone = True
            return
        why = flight.lost or "this reader fell behind by more than max_bytes= of it"
        raise StreamInterrupted(
            f"the stream that this call shares with others cannot be followed: {why}; put a Retry with "
            "Stream(on_interrupt=) outside, or raise max_bytes=",
            delivered=self.position,
        )

    def heard(self, came: bool) -> None:
        """After waiting."""
        flight = self.flight
        assert flight is not None
        if self.seat.leads:
            self.begin()
        elif not came and not flight.over:
            raise expired(self._call)

    def is_whole(self) -> bool:
        """Whether all has been replayed, and that was the end."""
        if self.replayed is not None:
            return True
        flight = self.flight
        if flight is None or self._alone or self.leading:
            return False
        error = flight.error
        if error is not None:
            try:
                raise another(error)
            finally:
                del error, flight  # its traceback holds this frame
        if flight.answer is None:  # it ended, and what it came to cannot be shared
            self._fell_behind(flight)
        return flight.answer is not None

    def returned(self) -> Any:
        """What the stream's generator returned."""
        recording = self.replayed
        if recording is None:
            assert self.flight is not None
            recording = self.flight.answer
        assert recording is not None
        return recording.returned.out()

    def tap(self) -> None:
        """Look at each item from here on."""
        if not self.leading:
            self.flight = self.seat.flight = Flight(b"")  # its own, which nobody joins
            self.seat.leads = True
        tape = self._call.tape
        resumes = self.position and tape is not None and tape.resumable()
        self._rerun = self.position if resumes else 0
        outlet = self._call.outlet
        self._before = outlet.tap
        outlet.tap = self._take

    def untap(self) -> None:
        """Look no more."""
        outlet = self._call.outlet
        if outlet.tap == self._take:
            outlet.tap = self._before

    def _take(self, item: Any) -> bool:
        flight = self.flight
        assert flight is not None
        if self._rerun < self.position:
            return self._compare(flight, item)
        if type(item) is Reset:
            self._flights.lose(self.seat, "it began anew")
        elif flight.lost is None:
            kept = keep(item, copied=self._policy.copied)
            if kept is None:
                self._flights.lose(self.seat, f"items of type {type(item).__name__!r} cannot be copied")
            else:
                self._flights.record(self.seat, kept, kept.weight, self._policy.most)
        return self._before is None or self._before(item)

    def _compare(self, flight: Flight, item: Any) -> bool:
        """Drop what has passed by already, as long as it is the same."""
        if flight.dropped or flight.lost is not None or not same(flight.chunks[self._rerun][0].value, item):
            raise self._another_stream()
        self._rerun += 1
        tape = self._call.tape
        if tape is not None:
            tape.passed_before()
        return False

    def _another_stream(self) -> StreamInterrupted:
        return StreamInterrupted(
            "the call that this stream was shared with has gone, and run again it is another stream; this "
            "needs a model that repeats itself, at temperature 0 say, or a Retry with Stream(on_interrupt=) "
            "outside",
            delivered=self.position,
        )

    def landed(self, result: Any) -> None:
        """The stream has ended whole."""
        if self._rerun < self.position:
            raise self._another_stream()
        flight = self.flight
        assert flight is not None
        kept = keep(result, copied=self._policy.copied)
        recording = None
        if kept is None:
            self._flights.lose(self.seat, "what its generator returned cannot be copied")
        elif flight.lost is None:
            recording = Recording([chunk for chunk, _ in flight.chunks], kept)
        if self.lookup is not None:
            whole = recording is not None and not flight.dropped
            self.lookup.store(
                recording if whole else None, Kept(recording, 0, None) if whole else None, flight.weight
            )
        if self.leading:
            self._flights.land(self.seat, recording)
            self.out()

    def stands_in(self, error: Exception) -> bool:
        """Whether an old recording is served for a call that failed before it had passed anything on."""
        if self.lookup is not None and not self._call.emitted:
            self.replayed = self.lookup.stands_in(error)
            self.position = 0
        return self.replayed is not None
