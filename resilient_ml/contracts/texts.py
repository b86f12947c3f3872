"""How long a text is, and what it must or must not hold."""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Any

from .. import _checks
from .rule import Action, Part, Rule, TextOf, Watch, kind_of_value, text_reader

_REACH = 256
_MOST = 1 << 18


class Length(Rule):
    """A text, or whatever has a length, is neither too short nor too long.

    On a stream it counts the characters of the text, and too long is known at once.

    Args:
        least: The fewest characters or items, from 0; 1 refuses an empty answer.
        most: The most, from *least*; None for any number.
        blank: Whether white space at either end of a text counts.
        then, of, repair, name: As for :class:`Rule`.

    >>> Length(1).flaw("  ")
    'is empty'
    """

    def __init__(
        self,
        least: int = 1,
        most: int | None = None,
        *,
        blank: bool = False,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.least: int = _checks.whole("least", least, at_least=0, remedy="pass 1 to refuse an empty answer")
        self.most: int | None = (
            None
            if most is None
            else _checks.whole("most", most, at_least=self.least, remedy="pass None for any length")
        )
        self.blank: bool = _checks.flag("blank", blank, remedy="True counts white space at the ends")

    def flaw(self, value: Any) -> str | None:
        """Its length, where that is out of bounds."""
        if not isinstance(value, Sized):
            return f"is {kind_of_value(value)}, which has no length"
        text = isinstance(value, str | bytes)
        return self.judged(
            len(value.strip() if isinstance(value, str | bytes) and not self.blank else value), text
        )

    def judged(self, length: int, text: bool) -> str | None:
        """What is wrong with a *length*."""
        unit = "characters" if text else "items"
        if self.most is not None and length > self.most:
            return f"has {length:,} {unit}, more than {self.most:,}"
        if length < self.least:
            return f"has {length:,} {unit}, fewer than {self.least:,}" if length else "is empty"
        return None

    def watch(self, text_of: TextOf) -> Watch:
        """Counts."""
        return _LengthWatch(self, text_of)


class _LengthWatch(Watch):
    def __init__(self, rule: Length, text_of: TextOf) -> None:
        self._rule = rule
        self._text = text_reader(text_of)
        self._length = 0
        self._space = 0  # at the end, which counts once something follows
        self._textual = True

    def take(self, chunk: Any) -> str | None:
        text = self._text(chunk)
        if text is None:
            self._textual = False
            self._length += 1
        elif self._rule.blank:
            self._length += len(text)
        else:
            text = text if self._length else text.lstrip()
            kept = text.rstrip()
            if kept:
                self._length += self._space + len(kept)
                self._space = 0
            self._space += len(text) - len(kept)
        most = self._rule.most
        return (
            self._rule.judged(self._length, self._textual)
            if most is not None and self._length > most
            else None
        )

    def end(self) -> str | None:
        return self._rule.judged(self._length, self._textual)


class Pattern(Rule):
    r"""A text matches a regular expression, or holds nothing that matches one.

    On a stream *never* is looked for as the text comes, in pieces that overlap by 256 characters; *must* is
    looked at in the end, in at most 262,144 characters.

    Args:
        must: The whole text matches this: ``re.fullmatch``.
        never: Nothing in the text matches this: ``re.search``; ``r"<\\|.*?\\|>"`` for special tokens, say.
        flags: As for ``re.compile``.
        then, of, repair, name: As for :class:`Rule`.

    >>> Pattern(r"positive|negative").flaw("I think it is positive")
    'does not match the pattern that it must'
    """

    def __init__(
        self,
        must: str | None = None,
        *,
        never: str | None = None,
        flags: int = 0,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        if must is None and never is None:
            raise ValueError(
                "must and never are both None; pass the expression that the text must match, or never"
            )
        self.must: re.Pattern[str] | None = _compiled("must", must, flags)
        self.never: re.Pattern[str] | None = _compiled("never", never, flags)

    def flaw(self, value: Any) -> str | None:
        """Which of the two is broken."""
        if not isinstance(value, str):
            return f"is {kind_of_value(value)}, not text"
        if self.must is not None and self.must.fullmatch(value) is None:
            return "does not match the pattern that it must"
        return self.forbidden(value)

    def forbidden(self, text: str) -> str | None:
        """Where the text holds what it never may."""
        found = self.never.search(text) if self.never is not None else None
        return None if found is None else f"holds what it never may, at character {found.start()}"

    def watch(self, text_of: TextOf) -> Watch:
        """Looks for what must not come as it comes."""
        return _PatternWatch(self, text_of)


class _PatternWatch(Watch):
    def __init__(self, rule: Pattern, text_of: TextOf) -> None:
        self._rule = rule
        self._text = text_reader(text_of)
        self._tail = ""
        self._before = 0
        self._whole = WholeText()

    def take(self, chunk: Any) -> str | None:
        text = self._text(chunk)
        if text is None:
            return f"has a chunk that is {kind_of_value(chunk)}, not text; pass text_of="
        if self._rule.must is not None:
            self._whole.add(text)
        if self._rule.never is None:
            return None
        self._tail += text
        found = self._rule.never.search(self._tail)
        if found is not None:
            return f"holds what it never may, at character {self._before + found.start()}"
        cut = max(0, len(self._tail) - _REACH)
        self._before += cut
        self._tail = self._tail[cut:]
        return None

    def end(self) -> str | None:
        if self._rule.must is None:
            return None
        if self._whole.text is None:
            return f"is longer than {_MOST:,} characters, which is as much as must= is matched with"
        return (
            None if self._rule.must.fullmatch(self._whole.text) else "does not match the pattern that it must"
        )


class WholeText:
    """All of a stream's text, up to a bound."""

    def __init__(self) -> None:
        self._parts: list[str] | None = []
        self._length = 0

    def add(self, text: str) -> None:
        """So much more has come."""
        self._length += len(text)
        if self._parts is not None:
            self._parts.append(text)
            if self._length > _MOST:
                self._parts = None

    @property
    def text(self) -> str | None:
        """The text; None where it was longer than the bound."""
        return None if self._parts is None else "".join(self._parts)


def _compiled(name: str, given: Any, flags: int) -> re.Pattern[str] | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a regular expression, got {_checks.shown(given)}; pass a string")
    try:
        return re.compile(given, flags)
    except re.error as error:
        raise ValueError(
            f"{name} must be a regular expression, got {_checks.shown(given)}: {error}"
        ) from error
