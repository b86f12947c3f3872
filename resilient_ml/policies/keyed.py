"""A policy of its own for each model, tenant or endpoint."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._colour import Target
from .._forks import survive_forks
from .._policy import Policy

T = TypeVar("T")

_LOOK_AT = 16
"""How many of the least recently used keys are looked at for one that forgetting does not hurt."""


class _Entry:
    """A key's policy, and how many calls are inside it."""

    __slots__ = ("in_use", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.in_use = 0


class Keyed(Policy):
    """Give each key a policy of its own, made when the key is first seen.

    At most *max_keys* are kept; the least recently used is forgotten first. A key with calls inside is never
    forgotten, and among the oldest one whose policy remembers nothing (a closed breaker) goes before one
    whose policy does (an open one), so that a flood of new keys does not let traffic back onto a sick model.

    Args:
        factory: Makes the policy of a key; takes no arguments.
        key: Says which key a call belongs to; takes the arguments of the call. The key is never shown in
        messages. max_keys: How many keys to remember, from 1.
        name: How messages call it; by default the name of the function it guards.
        on_event: Not called by Keyed itself; give the factory's policies one.

    >>> from resilient_ml import CircuitBreaker
    >>> @Keyed(lambda: CircuitBreaker(consecutive_failures=5), key=lambda text, tenant: tenant)
    ... def classify(text, tenant):
    ...     return "positive"
    >>> classify("fine", "acme")
    'positive'
    """

    def __init__(
        self,
        factory: Callable[[], Policy],
        *,
        key: Callable[..., Hashable],
        max_keys: int = 1024,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._factory = _checks.function("factory", factory, remedy="pass a function that makes a policy")
        self._key = _checks.function("key", key, remedy="pass a function of the call's arguments")
        self.max_keys = _checks.whole(
            "max_keys", max_keys, at_least=1, remedy="pass how many keys to remember"
        )
        self._sample = self._make()
        self.role = self._sample.role
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.RLock()
        survive_forks(self)

    def check(self, target: Target) -> None:
        """Whatever the factory makes must be able to guard *target*."""
        self._sample.check(target)

    def adopt(self, name: str) -> None:
        """The policies of all keys carry the name."""
        super().adopt(name)
        self._sample.adopt(self.name)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Run the policy of the call's key."""
        entry = self._enter(call)
        try:
            return await call.runtime.run(entry.policy, proceed, call)
        finally:
            self._leave(entry)

    def _enter(self, call: Call) -> _Entry:
        key = self._key(*call.args, **call.kwargs)
        try:
            entry = self._entries.get(key)
        except TypeError:
            raise TypeError(
                f"key must return something hashable, got {_checks.shown(key)}; "
                "return a string or a tuple of strings"
            ) from None
        # The factory is the user's code: it runs before the lock is taken.
        made = _Entry(self._make()) if entry is None else entry
        with self._lock:
            entry = self._entries.setdefault(key, made)
            entry.in_use += 1
            self._entries.move_to_end(key)
            if len(self._entries) > self.max_keys:
                self._forget()
        return entry

    def _leave(self, entry: _Entry) -> None:
        with self._lock:
            entry.in_use -= 1

    def _forget(self) -> None:
        """Forget old keys until the bound holds again, or all that are left are in use."""
        while len(self._entries) > self.max_keys:
            idle = (key for key, entry in self._entries.items() if not entry.in_use)
            oldest = [key for key, _ in zip(idle, range(_LOOK_AT), strict=False)]
            if not oldest:
                return
            forgettable = (key for key in oldest if self._entries[key].policy.forgettable())
            del self._entries[next(forgettable, oldest[0])]

    def _make(self) -> Policy:
        policy = self._factory()
        if not isinstance(policy, Policy):
            raise TypeError(
                f"factory must return a Policy, got {_checks.shown(policy)}; return CircuitBreaker(), say"
            )
        if self._name is not None:
            policy.adopt(self._name)
        return policy

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._entries)

    def policy_of(self, key: Hashable) -> Policy | None:
        """The policy of *key*, or None if it was never seen or is forgotten."""
        entry = self._entries.get(key)
        return None if entry is None else entry.policy

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is gone."""
        self._lock = threading.RLock()

    def describe(self) -> str:
        """What each key has."""
        return f"Keyed({self._sample.describe()}, at most {self.max_keys} keys)"
