"""Oracles: what the right answers are, by a function or by the first run without faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from .. import _checks
from .._colour import Colour, known_colour
from .replies import Reply

Oracle = Callable[..., Any] | Literal["healthy"]


class Expected:
    """What the answers should be, by an oracle or by the first healthy run."""

    def __init__(self, oracle: Oracle | None, *, healthy: bool) -> None:
        if oracle == "healthy" and not healthy:
            raise ValueError(
                "oracle='healthy' needs the run without faults, got healthy=False; leave that out"
            )
        if oracle is not None and oracle != "healthy":
            if not callable(oracle):
                raise TypeError(
                    f"oracle must be a function, 'healthy' or None, got {_checks.shown(oracle)}; "
                    "pass a function that answers right"
                )
            if known_colour(oracle) is not Colour.CALL:
                raise TypeError(
                    f"oracle must be a plain function, got one of colour {known_colour(oracle).value!r}; "
                    "pass oracle='healthy' for what the model answers without faults"
                )
        self._oracle = oracle
        self._learning = oracle == "healthy"
        self._answers: dict[int, Any] = {}

    @property
    def known(self) -> bool:
        """Whether there is an oracle."""
        return self._oracle is not None

    def learn(self, reply: Reply) -> None:
        """Take what a healthy run answered."""
        if self._learning and reply.ok:
            self._answers[reply.number] = reply.answer

    def learned(self) -> None:
        """The first configuration has been heard; the others are judged by it."""
        self._learning = False

    def answer(self, reply: Reply) -> Any:
        """What *reply* should hold; the oracle is asked once for each request."""
        if reply.number not in self._answers and callable(self._oracle):
            self._answers[reply.number] = self._oracle(*reply.request.args, **reply.request.kwargs)
        return self._answers.get(reply.number)
