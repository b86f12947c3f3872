"""How long to wait between attempts."""

from __future__ import annotations

from typing import Protocol

from .. import _checks


class Delay(Protocol):
    """Anything that says how long to wait after a failed attempt."""

    def delay(self, attempt: int, draw: float, previous: float = 0.0) -> float:
        """Seconds to wait after failed attempt *attempt* (from 1), given a uniform *draw* in [0, 1)."""


class Backoff:
    """Exponential back-off with full jitter.

    Args:
        base: The most to wait after the first attempt, in seconds.
        cap: The most to wait ever, in seconds.

    Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    __slots__ = ("base", "cap")

    def __init__(self, base: float = 0.1, cap: float = 10.0) -> None:
        self.base: float
        self.cap: float
        self.base, self.cap = _bounds(base, cap)

    def delay(self, attempt: int, draw: float, previous: float = 0.0) -> float:
        """Seconds to wait after failed attempt *attempt*, with full jitter.

        ``delay = draw * min(cap, base * 2 ** (attempt - 1))``

        Args:
            attempt: The attempt that failed, from 1.
            draw: A uniform sample in [0, 1); the caller owns the randomness.
            previous: Not used.

        >>> Backoff(base=0.1, cap=5.0).delay(3, draw=0.5)
        0.2
        """
        # 2.0 ** 1024 overflows; any cap is reached long before.
        return draw * min(self.cap, self.base * 2.0 ** min(attempt - 1, 500))

    def __repr__(self) -> str:
        return f"Backoff(base={self.base:g}, cap={self.cap:g})"


class DecorrelatedBackoff:
    """Back-off whose next wait is drawn from the last one, which spreads clients that failed together.

    ``delay = min(cap, base + draw * (3 * previous - base))``, where *previous* is at least *base*.

    Args:
        base: The least to wait, in seconds.
        cap: The most to wait, in seconds.

    Source: as for :class:`Backoff`.
    """

    __slots__ = ("base", "cap")

    def __init__(self, base: float = 0.1, cap: float = 10.0) -> None:
        self.base: float
        self.cap: float
        self.base, self.cap = _bounds(base, cap)

    def delay(self, attempt: int, draw: float, previous: float = 0.0) -> float:
        """Seconds to wait, given the *previous* wait (0 after the first attempt).

        >>> DecorrelatedBackoff(base=1.0, cap=60.0).delay(2, draw=0.5, previous=2.0)
        3.5
        """
        return min(self.cap, self.base + draw * (3.0 * max(previous, self.base) - self.base))

    def __repr__(self) -> str:
        return f"DecorrelatedBackoff(base={self.base:g}, cap={self.cap:g})"


class ConstantBackoff:
    """The same wait every time, without jitter: for tests, and for a single client.

    Args:
        seconds: How long to wait; 0 to try again at once.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds: float = _checks.seconds(
            "seconds", seconds, zero=True, remedy="pass the wait in seconds"
        )

    def delay(self, attempt: int, draw: float, previous: float = 0.0) -> float:
        """The same wait after every attempt.

        >>> ConstantBackoff(0.5).delay(7, draw=0.9)
        0.5
        """
        return self.seconds

    def __repr__(self) -> str:
        return f"ConstantBackoff({self.seconds:g})"


def _bounds(base: float, cap: float) -> tuple[float, float]:
    first = _checks.seconds("base", base, remedy="pass the first wait in seconds, 0.1 say")
    most = _checks.seconds("cap", cap, remedy="pass the longest wait in seconds, 10 say")
    if most < first:
        raise ValueError(
            f"cap must be at least base, got cap={most:g} and base={first:g}; swap them, perhaps"
        )
    return first, most
