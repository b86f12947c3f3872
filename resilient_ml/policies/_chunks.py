"""A contract's rules as they follow one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..contracts.judge import Breach, mended_or_not
from ..contracts.rule import Missing, Rule, TextOf, Watch
from ..errors import InvalidOutput


class ChunkContract:
    """Holds one attempt's chunks against rules.

    Args:
        rules: The rules.
        text_of: The text of a chunk, or None where a chunk is text.
        tell: Called with the instant and a breach.
        policy: What messages call the contract.
    """

    __slots__ = ("_followed", "_policy", "_tell", "_warned")

    def __init__(
        self, rules: Sequence[Rule], text_of: TextOf, tell: Callable[[float, Breach], object], policy: str
    ) -> None:
        self._followed: list[tuple[Rule, Watch]] = [(rule, rule.watch(text_of)) for rule in rules]
        self._tell = tell
        self._policy = policy
        self._warned: set[str] = set()

    def recall(self, chunk: Any) -> None:
        """*chunk* was passed on by an attempt that this one continues."""
        for rule, watch in self._followed:
            self._asked(rule, watch, chunk)

    def take(self, chunk: Any, now: float) -> Any:
        """The chunk to pass on for *chunk*.

        Raises:
            InvalidOutput: It breaks a rule.
        """
        for rule, watch in self._followed:
            flaw = self._asked(rule, watch, chunk)
            if flaw is None:
                continue
            if rule.then == "repair":
                chunk = self._mended(rule, chunk, flaw, now)
            else:
                self._judge(rule, flaw, now)
        return chunk

    def end(self, now: float) -> None:
        """The stream has ended.

        Raises:
            InvalidOutput: Something is missing.
        """
        for rule, watch in self._followed:
            flaw = watch.end()
            if flaw is not None:
                self._judge(rule, flaw, now)

    def _asked(self, rule: Rule, watch: Watch, chunk: Any) -> str | None:
        try:
            return watch.take(chunk if rule.of is None else rule.part(chunk))
        except Missing as error:
            return str(error)

    def _judge(self, rule: Rule, flaw: str, now: float) -> None:
        """Refuse the stream, or warn once."""
        if rule.then == "warn":
            if rule.name not in self._warned:
                self._warned.add(rule.name)
                self._tell(now, Breach(rule.name, "warn", flaw))
            return
        self._tell(now, Breach(rule.name, "fail", flaw))
        raise InvalidOutput(
            f"the stream of {self._policy!r} breaks rule {rule.name!r}: it {flaw}; put a Retry or a Fallback "
            "outside, with Stream(on_interrupt=) to mend what was passed on",
            rule=rule.name,
        )

    def _mended(self, rule: Rule, chunk: Any, flaw: str, now: float) -> Any:
        """A better chunk."""
        mended, left = mended_or_not(rule, chunk)
        if left is not None:
            self._judge(rule, f"{flaw}; {left}", now)
        else:
            self._tell(now, Breach(rule.name, "repair", flaw))
        return mended
