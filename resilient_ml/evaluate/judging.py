"""Judging answers: right or wrong against a label or an oracle, whole or cut short."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .kpis import KPI
from .replies import Reply

Judge = Callable[[Any, Any], bool]
"""Says of an answer and what it should be whether it is right."""


class Bench:
    """Judges the replies of a run.

    Args:
        expected: What each request's answer should be, by its number; None where its label says.
        judge: Whether an answer is right; :func:`same` unless the user knows better.
        complete: Whether a stream's items are all there; None to compare them with what is expected.
        streams: Whether answers are lists of items.
        kpis: The user's own KPIs, which see each answer.
    """

    def __init__(
        self,
        *,
        expected: Callable[[Reply], Any] | None,
        judge: Judge | None,
        complete: Callable[[list[Any]], bool] | None,
        streams: bool,
        kpis: Sequence[KPI],
    ) -> None:
        self._expected = expected
        self._judge = judge or same
        self._complete = complete
        self._streams = streams
        self._kpis = kpis

    def judge(self, reply: Reply) -> None:
        """Fill in what is to be said of *reply*."""
        expected = reply.request.label if self._expected is None else self._expected(reply)
        reply.judged = expected is not None
        if reply.ok and reply.judged:
            reply.right = bool(self._judge(reply.answer, expected))
        if self._streams:
            reply.truncated = self._truncated(reply, expected)
        reply.values = {kpi.name: kpi.judge(reply) for kpi in self._kpis}

    def _truncated(self, reply: Reply, expected: Any) -> bool | None:
        if not reply.ok or reply.degraded:
            return None if self._complete is None and expected is None else False
        if self._complete is not None:
            return not self._complete(reply.answer)
        if not isinstance(expected, Sequence):
            return None
        # Fewer items than there should be, and so far the right ones: cut short. Others are just wrong.
        came = len(reply.answer)
        return came < len(expected) and same(reply.answer, expected[:came])


def same(answer: Any, expected: Any) -> bool:
    """Whether *answer* is *expected*: numbers and arrays to a relative 1e-6, everything else by ``==``.

    NaN is right only where NaN is expected; shapes must be the same.

    >>> same([0.1 + 0.2, 1.0], [0.3, 1.0]), same(float("nan"), 1.0), same("a", "b")
    (True, False, False)
    """
    if isinstance(expected, str | bytes) or isinstance(answer, str | bytes):
        return bool(answer == expected)
    if isinstance(expected, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == expected.keys()
            and all(same(answer[key], value) for key, value in expected.items())
        )
    if isinstance(expected, float) and isinstance(answer, int | float):
        return math.isclose(answer, expected, rel_tol=1e-6) or (math.isnan(answer) and math.isnan(expected))
    if isinstance(expected, list | tuple):
        return (
            isinstance(answer, list | tuple | np.ndarray)
            and len(answer) == len(expected)
            and all(same(one, other) for one, other in zip(answer, expected, strict=True))
        )
    if isinstance(expected, np.ndarray | np.generic):
        return _same_arrays(np.asarray(answer), np.asarray(expected))
    return bool(answer == expected)


def _same_arrays(answer: Any, expected: Any) -> bool:
    if answer.shape != expected.shape:
        return False
    if answer.dtype.kind in "iufcb" and expected.dtype.kind in "iufcb":
        return bool(np.allclose(answer, expected, rtol=1e-6, atol=1e-12, equal_nan=True))
    return bool(np.array_equal(answer, expected))
