"""What was found to be bad lately, by its content; bounded in number and time."""

from __future__ import annotations

from collections import OrderedDict


class Quarantine:
    """Keys that are refused until their time is over; the oldest goes when there are too many.

    Each step is one of an ordered dict, so that threads share it without a lock.

    Args:
        size: The most keys, from 1.
        seconds: How long one stays, above 0.
    """

    __slots__ = ("_keys", "_seconds", "_size")

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._keys: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: bytes, now: float) -> None:
        """*key* is bad, as of *now*."""
        self._keys.pop(key, None)
        self._keys[key] = now + self._seconds
        while len(self._keys) > self._size:
            try:
                self._keys.popitem(last=False)
            except KeyError:  # another thread took the last
                return

    def trim(self, now: float) -> int:
        """Let those go whose time is over at *now*; how many are left."""
        while self._keys:
            try:
                key, until = next(iter(self._keys.items()))
            except (StopIteration, RuntimeError):  # another thread is at it
                break
            if now < until:
                break
            self._keys.pop(key, None)
        return len(self._keys)

    def holds(self, key: bytes, now: float) -> bool:
        """Whether *key* is refused at *now*."""
        until = self._keys.get(key)
        if until is None:
            return False
        if now < until:
            return True
        self._keys.pop(key, None)
        return False

    def clear(self) -> None:
        """Let all go."""
        self._keys.clear()
