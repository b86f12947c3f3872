"""A policy of its own for each model, tenant or endpoint."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed, when_all_finished
from .._colour import Target
from .._policy import Policy
from ..machines.keyed_registry import Entry, KeyedRegistry

T = TypeVar("T")


class Keyed(Policy):
    """Give each key a policy of its own, made when the key is first seen.

    At most *max_keys* are kept; the least recently used is forgotten first. A key with calls inside is never
    forgotten, and among the oldest one whose policy remembers nothing (a closed breaker) goes before one
    whose policy does (an open one), so that a flood of new keys does not let traffic back onto a sick model.

    Args:
        factory: Makes the policy of a key; takes no arguments.
        key: Says which key a call belongs to; takes the arguments of the call. The key is never shown in
            messages.
        max_keys: How many keys to remember, from 1.
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
        self._registry: KeyedRegistry[Policy] = KeyedRegistry(
            _checks.whole("max_keys", max_keys, at_least=1, remedy="pass how many keys to remember"),
            forgettable=lambda policy: policy.forgettable(),
        )
        self._sample = self._make()
        self.role: str = self._sample.role

    @property
    def max_keys(self) -> int:
        """How many keys are remembered."""
        return self._registry.max_keys

    def check(self, target: Target) -> None:
        """Whatever the factory makes must be able to guard *target*."""
        follows = target.colour.streams and type(self._sample).follow is not Policy.follow
        if self._sample.stream_rules is not None or follows:
            raise TypeError(
                f"Keyed cannot give each key a {type(self._sample).__name__}: what the chunks of "
                f"{target.name!r} mean is said once; put it beside Keyed"
            )
        self._sample.check(target)

    def runs(self) -> Sequence[Policy]:
        """A policy as the factory makes it."""
        return (self._sample,)

    def adopt(self, name: str) -> None:
        """The policies of all keys carry the name."""
        super().adopt(name)
        self._sample.adopt(self.name)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Run the policy of the call's key."""
        entry = self._enter(call)
        before = call.orphans
        try:
            return await call.runtime.run(entry.value, proceed, call)
        finally:
            if call.orphans is not before:
                self._leave_late(entry, call, len(before))
            else:
                self._registry.leave(entry)

    def _enter(self, call: Call) -> Entry[Policy]:
        key = self._key(*call.args, **call.kwargs)
        try:
            entry = self._registry.find(key)
        except TypeError:
            raise TypeError(
                f"key must return something hashable, got {_checks.shown(key)}; "
                "return a string or a tuple of strings"
            ) from None
        # The factory is the user's code: it runs before the registry takes its lock.
        return self._registry.enter(key, self._make() if entry is None else entry.value)

    def _leave_late(self, entry: Entry[Policy], call: Call, before: int) -> None:
        """What was left behind is still inside: its key, forgotten now, would begin anew beside it."""
        when_all_finished(call.orphans[before:], lambda: self._registry.leave(entry))

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
        return len(self._registry)

    def policy_of(self, key: Hashable) -> Policy | None:
        """The policy of *key*, or None if it was never seen or is forgotten."""
        entry = self._registry.find(key)
        return None if entry is None else entry.value

    def describe(self) -> str:
        """What each key has."""
        return f"Keyed({self._sample.describe()}, at most {self.max_keys} keys)"
