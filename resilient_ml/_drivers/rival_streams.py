"""What a stream that runs beside others has in hand, and what it means to its reader's call that it has won.

Items come into the hand until the first content is there: then the stream has arrived, and stands still. The
one that wins goes on, one item at a time, each when the reader asks for it, and with what the reader sends or
throws in. The others are closed. So no item of theirs is ever passed on.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .._call import Call
from .attempt import THROWN
from .outlet import Outlet


class RivalStream:
    """What is in hand of one stream.

    Attributes:
        call: Its own call.
    """

    __slots__ = ("_first", "_held", "_opened", "_over", "_returned", "call")

    def __init__(self, call: Call) -> None:
        self.call: Call = call
        self._held: deque[Any] = deque()
        self._first: tuple[Any, ...] = ()
        self._opened = False
        self._over = False
        self._returned: Any = None

    @property
    def _outlet(self) -> Outlet:
        outlet: Outlet = self.call.outlet
        return outlet

    def _opens(self) -> bool:
        """Take the item that has come in hand; whether the answer has begun with it, or before."""
        item = self._outlet.item
        self._held.append(item)
        if not self._opened and is_content(self.call, item):
            self._opened = True
            self._first = (item,)
        return self._opened

    def _first_content(self) -> tuple[Any, ...]:
        first, self._first = self._first, ()
        return first

    def _won(self, call: Call) -> None:
        """From here on *call*'s stream is this one, and an outer limit on the first content is met."""
        call.tape = self.call.tape
        if call.then is not None and self.call.then is None:
            (call.deadline, call.limit), call.then = call.then, None

    def _thrown(self, error: BaseException) -> None:
        """The reader has thrown *error* in, and it goes into the stream: what is in hand is void."""
        if self._over:
            if self.call.tape is not None:
                self.call.tape.lost = THROWN
            raise error
        self._held.clear()

    def _settle(self, call: Call) -> None:
        """It has ended: what it leaves behind is *call*'s."""
        call.orphans += self.call.orphans
        if getattr(self.call, "degraded", False):
            call.degraded = True


def is_content(call: Call, item: Any) -> bool:
    """Whether an answer begins with *item*; one that is ready as a whole is no chunk, and is one."""
    told = None if call.tape is None else call.tape.rules.is_content
    if told is None:
        return True
    try:
        return bool(told(item))
    except Exception:
        return True
