"""What a cache has for a call, and what it keeps of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import events
from .._call import Call
from .._keeping import Kept, keep
from ..kinds import kind_of
from ..machines.tinylfu import Entry, TinyLFU

Tell = Callable[..., None]


class Rules:
    """How long answers are of use, and which are kept."""

    __slots__ = ("copied", "jitter", "on_error", "stale", "ttl", "validate", "version")

    def __init__(
        self,
        ttl: float,
        stale: float,
        on_error: float,
        jitter: float,
        copied: bool,
        validate: Callable[[Any], object] | None,
        version: Callable[[], Any],
    ) -> None:
        self.ttl = ttl
        self.stale = stale
        self.on_error = on_error
        self.jitter = jitter
        self.copied = copied
        self.validate = validate
        self.version = version


class Shelf:
    """The entries of one cache."""

    def __init__(self, store: TinyLFU[Kept], rules: Rules, rng: Callable[[], float], tell: Tell) -> None:
        self.entries: TinyLFU[Kept] = store
        self.rules = rules
        self.rng = rng
        self.tell = tell
        self.epoch = 0
        """Rises when answers that are under way may not be kept any more."""

    def begin(self, key: bytes, call: Call) -> Lookup:
        """What there is for *call*."""
        return Lookup(self, key, call, self.entries.get(key, call.now()))


class Lookup:
    """What a cache has for one call.

    Attributes:
        entry: What was found, fresh or not.
    """

    __slots__ = ("_call", "_epoch", "_key", "_shelf", "_version", "entry")

    def __init__(self, shelf: Shelf, key: bytes, call: Call, entry: Entry[Kept] | None) -> None:
        self._shelf = shelf
        self._key = key
        self._call = call
        self._epoch = shelf.epoch
        self._version = shelf.rules.version()
        self.entry = entry

    def value(self) -> Any:
        """What was found, for the caller to keep."""
        assert self.entry is not None
        return self.entry.value.out()

    def again(self) -> bool:
        """Whether a fresh answer has come since the first look."""
        entry = self._shelf.entries.peek(self._key, self._call.now())
        if entry is None or entry is self.entry or entry.fresh_until <= self._call.now():
            return False
        self.entry = entry
        return True

    def is_stale(self) -> bool:
        """Whether what there is may be served while a new one is fetched."""
        entry, now = self.entry, self._call.now()
        return entry is not None and entry.fresh_until <= now < entry.fresh_until + self._shelf.rules.stale

    def ready(self, leads: Callable[[], bool]) -> Any:
        """What to serve at once; *leads* says whether this call fetches a new one instead of a stale one."""
        self.again()
        entry = self.entry
        if entry is None:
            return None
        if self._call.now() < entry.fresh_until:
            return entry.value.out()
        if not self.is_stale() or leads():
            return None
        self.served_stale("refreshing")
        return entry.value.out()

    def served_stale(self, reason: str, *, degraded: bool = False) -> None:
        """An old answer is served."""
        entry, call = self.entry, self._call
        assert entry is not None
        call.degraded = True
        if call.record is not None:
            call.record.served_by = "stale cache"
            call.record.degraded = degraded
        self._shelf.tell(events.StaleServed, call.now(), reason=reason, age=call.now() - entry.fresh_until)

    def may_stand_in(self, error: Exception) -> bool:
        """Whether an old answer is served in place of *error*."""
        entry, now = self.entry, self._call.now()
        return (
            entry is not None
            and now < entry.fresh_until + self._shelf.rules.on_error
            and kind_of(error).treatment.try_elsewhere
        )

    def stands_in(self, error: Exception) -> Any:
        """The old answer that is served in place of *error*; None if none is."""
        if not self.may_stand_in(error):
            return None
        assert self.entry is not None
        self.served_stale(str(kind_of(error)), degraded=True)
        return self.entry.value.out()

    def keep(self, result: Any) -> Kept | None:
        """Put *result* in; a private copy of it, or None where there can be none."""
        kept = keep(result, copied=self._shelf.rules.copied)
        self.store(result, kept)
        return kept

    def store(self, value: Any, kept: Kept | None, weight: int | None = None) -> None:
        """Put *value* in, kept as *kept*, unless there is a reason not to."""
        call, shelf = self._call, self._shelf
        rules = shelf.rules
        reason = None
        if getattr(call, "degraded", False):
            reason = "it is degraded"
        elif kept is None:
            reason = "it cannot be copied, or is too large"
        elif rules.validate is not None and not rules.validate(value):
            reason = "validate= refused it"
        elif self._epoch != shelf.epoch or self._version != rules.version():
            reason = "what it was made by is out of date"
        if reason is None and kept is not None:
            fresh = call.now() + rules.ttl * (1.0 - rules.jitter * shelf.rng() if rules.jitter else 1.0)
            dead = fresh + max(rules.stale, rules.on_error)
            size = kept.weight if weight is None else weight + kept.weight
            if not shelf.entries.put(self._key, kept, size, fresh_until=fresh, dead_at=dead):
                reason = "it is too large"
        if reason is not None:
            shelf.tell(events.NotStored, call.now(), reason=reason)


def from_cache(call: Call) -> None:
    """The answer of *call*, whose attempts are written down, came from a cache."""
    assert call.record is not None
    call.record.served_by = "cache"
