"""Stale answers: what was right for an earlier call is served for this one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from ... import _checks
from .case import Case
from .fault import OnAnswer


@dataclass(frozen=True, repr=False)
class _Stale(OnAnswer):
    age: int = 1

    def watch(self, case: Case, index: int, value: Any) -> None:
        kept: deque[Any] = case.remembered(lambda: deque(maxlen=self.age + 1), (case.target.ordinal, index))
        with case.plan.lock:
            kept.append(value)

    def answer(self, case: Case, value: Any) -> Any:
        kept: deque[Any] = case.remembered(deque, (case.target.ordinal, case.index))
        with case.plan.lock:
            return kept[0] if len(kept) > self.age else value


def stale(age: int = 1) -> OnAnswer:
    """The answer is the one to an earlier call of the same callable; of a stream, item by item.

    The callable is called all the same. There is nothing to replay in its first *age* calls.

    Args:
        age: How many calls earlier, from 1; that many answers are kept.

    >>> from resilient_ml.testing import faults
    >>> shout = faults.inject(str.upper, faults.stale().on_calls(3))
    >>> [shout(text) for text in "abcd"]
    ['A', 'B', 'B', 'D']
    """
    return _Stale(_checks.whole("age", age, at_least=1, remedy="1 is the answer before"), called="stale")
