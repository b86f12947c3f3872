"""The caller's own deadline, carried by context: ``with deadline(0.5): ...`` and ``remaining()``."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from . import _checks

AMBIENT: ContextVar[float] = ContextVar("resilient_ml_deadline", default=math.inf)
"""The instant the current context must end by, on the monotonic clock."""


PANIC: ContextVar[bool] = ContextVar("resilient_ml_panic", default=False)
"""Whether open breakers let calls through all the same: every target is held back, and one is to be asked."""


class Clock:
    """The clocks outside of any call: ``now`` is monotonic, ``wall`` only reads a server's dates.

    Virtual time replaces them.
    """

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


class deadline:  # noqa: N801 - reads as a statement: with deadline(0.5)
    """Everything guarded in this block, and in what it calls, must end within *seconds*.

    Nested blocks only tighten: the earliest instant counts.
    Waits of policies (back-off, queues) end by then, async calls are cancelled then,
    and user code can read :func:`remaining` and stop by itself.
    What passes is the kind ``deadline``: it counts against no model.

    Args:
        seconds: From now; 0 or more.

    >>> with deadline(5.0):
    ...     0.0 < remaining() <= 5.0
    True
    """

    __slots__ = ("_seconds", "_tokens")

    def __init__(self, seconds: float) -> None:
        self._seconds = _checks.seconds(
            "seconds", seconds, zero=True, remedy="pass the seconds this block may take"
        )
        self._tokens: list[Token[float]] = []

    def __enter__(self) -> Self:
        at = Clock.now() + self._seconds
        self._tokens.append(AMBIENT.set(min(at, AMBIENT.get())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:  # noqa: SIM105 - suppress() would cost each call
            AMBIENT.reset(self._tokens.pop())
        except ValueError:
            pass  # a generator's block, left in another context than it was entered in


def remaining() -> float:
    """Seconds left until the nearest deadline around this code; ``inf`` when there is none, never below 0.

    Inside a guarded function this includes the limit of its Timeout.

    >>> remaining()
    inf
    """
    return max(0.0, AMBIENT.get() - Clock.now())
