"""A model that is caught in a loop says the same thing over and over."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import _checks
from .rule import Action, Part, Rule, TextOf, Watch, kind_of_value, text_reader

_STEP = 64
"""No more characters are read at once of a text that comes in chunks."""
_PROBE = 16
"""So many characters are searched for before them: where they are found gives the period."""
_LONGEST = 512
"""The longest period, in characters."""
_WORDS = 200
"""The window in which phrases are counted."""
_HOP = 50
"""From one window to the next, in a text that came as a whole."""
_FEW = 50
"""Fewer phrases are not judged."""
_PHRASE = 4
_WORD = re.compile(
    r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]+"
)
_ASCII = (
    "".join(chr(code).lower() if chr(code).isalnum() or code == ord("_") else " " for code in range(128))
    .encode()
    .ljust(256)
)
"""Letters in small and all else as blanks: the same words where there are no other letters, in less time."""


class NoRepetition(Rule):
    """A text is not caught in a loop.

    Two signs of it are looked for, on streams as the text comes:

    * the same piece of up to 512 characters comes *times* times in a row, over at least *span* characters;
    * of the last 200 words, more than *share* begin a phrase of four words that is there already.

    A row of blanks, dots or rules as in a table is a loop too once it is as long as *span*.

    Args:
        times: How often in a row is a loop, from 2.
        span: The fewest characters that a loop is long, from 32.
        share: Above 0 and at most 1; prose has 0.0 to 0.1, lists of like sentences up to 0.5.
        then, of, repair, name: As for :class:`Rule`.

    >>> NoRepetition().flaw("The answer is 42. " + "I am sorry. " * 30)
    'repeats one piece of 12 characters again and again'
    """

    def __init__(
        self,
        times: int = 6,
        *,
        span: int = 128,
        share: float = 0.65,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.times: int = _checks.whole("times", times, at_least=2, remedy="pass 6, say")
        self.span: int = _checks.whole("span", span, at_least=32, remedy="pass 128, say")
        self.share: float = _checks.share("share", share, remedy="pass 0.65, say")

    def flaw(self, value: Any) -> str | None:
        """What is repeated; every loop is found, wherever in the text it is."""
        if not isinstance(value, str):
            return f"is {kind_of_value(value)}, not text"
        if len(value) < self.span:
            return None
        return self._loop(value) or self._phrases(value)

    def _loop(self, text: str) -> str | None:
        """What is wrong with *text* if the same piece comes in a row anywhere.

        A loop with the period p is max(p * times, span) characters long, so a look need not be near its end:
        a probe in it that is there a period before too shows the period; what is around it, the length.
        The longer the period, the fewer looks that takes: every second one goes twice as far back.
        """
        probe = min(_PROBE, self.span // 4)
        shortest = self.span // self.times or 1
        step = self.span - shortest - probe + 1
        longest = min(_LONGEST, len(text) // self.times)
        for look in range(1, (len(text) - probe) // step + 1):
            begin = look * step
            end = begin + probe
            sought = text[begin:end]
            lowest = max(0, begin - min(2 * shortest * (look & -look), longest))
            place = text.rfind(sought, lowest, end - 1)
            while place >= 0:
                period = begin - place
                if self._goes_on(text, begin, end, period):
                    return _loop_of(period)
                if period < probe:
                    # A row that is too short for a loop; no loop has two places of one row a period apart.
                    place -= _most(functools.partial(_same_before, text, begin, period), begin - lowest)
                place = text.rfind(sought, lowest, place + probe - 1)
        return None

    def _goes_on(self, text: str, begin: int, end: int, period: int) -> bool:
        """Whether text[begin:end], which came a *period* before too, is in a loop with that period."""
        # So many characters more must be those of a period before, and half of them on one side.
        more = max(period * self.times, self.span) - period - (end - begin)
        half = (more + 1) // 2
        if not (_same_before(text, begin, period, half) or _same_after(text, end, period, half)):
            return False
        before = _most(functools.partial(_same_before, text, begin, period), more)
        after = _most(functools.partial(_same_after, text, end, period), more)
        return before + after >= more

    def _phrases(self, text: str) -> str | None:
        words: Sequence[object] = (
            text.encode().translate(_ASCII).split() if text.isascii() else _WORD.findall(text.lower())
        )
        count = len(words) - _PHRASE + 1
        # Of all phrases no fewer differ than of every second, and in a window no more come again than in all.
        first, second = words[::2], words[1::2]
        again = (count + 1) // 2 - len(set(zip(first, second, first[1:], second[1:], strict=False)))
        for begin in range(0, count - _FEW + 1, _HOP):
            size = min(_WORDS, count - begin)
            if not self._too_few(size, (size + 1) // 2 - again):
                continue
            window = set(_in_phrases(words[begin : begin + size + _PHRASE - 1]))
            found = self.judged(size, len(window))
            if found is not None:
                return found
        return None

    def looked(self, text: str, end: int) -> str | None:
        """What is wrong with *text* as it is up to *end*, if it ends in the same piece again and again."""
        probe = max(0, end - _PROBE)
        # A longer period has not had the room to come *times* times.
        place = text.rfind(text[probe:end], max(0, probe - min(_LONGEST, end // self.times)), end - 1)
        if place < 0:
            return None
        period = end - _PROBE - place
        stretch = max(period * self.times, self.span)
        if stretch > end or text[end - stretch : end - period] != text[end - stretch + period : end]:
            return None
        return _loop_of(period)

    def judged(self, phrases: int, different: int) -> str | None:
        """What is wrong with so many phrases, of which so many are different."""
        if phrases < _FEW or not self._too_few(phrases, different):
            return None
        return f"says {phrases} phrases of {_PHRASE} words, of which {different} differ"

    def _too_few(self, phrases: int, different: int) -> bool:
        return 1.0 - different / phrases > self.share

    def watch(self, text_of: TextOf) -> Watch:
        """Looks at the end of what has come."""
        return _RepetitionWatch(self, text_of)


def _in_phrases(words: Sequence[object]) -> Iterable[tuple[object, ...]]:
    return zip(*(words[at:] for at in range(_PHRASE)), strict=False)


def _loop_of(period: int) -> str:
    unit = "character" if period == 1 else "characters"
    return f"repeats one piece of {period} {unit} again and again"


def _same_before(text: str, begin: int, period: int, count: int) -> bool:
    """Whether *count* characters before *begin* are those of a *period* before."""
    start = begin - count - period
    return start >= 0 and text.startswith(text[begin - count : begin], start)


def _same_after(text: str, end: int, period: int, count: int) -> bool:
    """Whether *count* characters from *end* on are those of a *period* before."""
    stop = end + count
    return stop <= len(text) and text.startswith(text[end - period : stop - period], end)


def _most(holds: Callable[[int], bool], limit: int) -> int:
    """The largest count up to *limit* for which it holds, as it does for all below and for 0."""
    return bisect_left(range(1, limit + 1), True, key=lambda count: not holds(count))


class _RepetitionWatch(Watch):
    def __init__(self, rule: NoRepetition, text_of: TextOf) -> None:
        self._text = text_reader(text_of)
        self._loops = _Loops(rule)

    def take(self, chunk: Any) -> str | None:
        text = self._text(chunk)
        if text is None:
            return f"has a chunk that is {kind_of_value(chunk)}, not text; pass text_of="
        for begin in range(0, len(text), _STEP):
            found = self._loops.read(text[begin : begin + _STEP])
            if found is not None:
                return found
        return None

    def end(self) -> str | None:
        return self._loops.last_word()


class _Loops:
    """The end of a text, and the phrases in its last words; bounded."""

    def __init__(self, rule: NoRepetition) -> None:
        self._rule = rule
        self._room = max(_LONGEST * rule.times, rule.span) + _PROBE
        self._tail = ""
        self._unseen = 0
        self._open = ""
        self._words: deque[str] = deque(maxlen=_PHRASE)
        self._phrases: deque[tuple[str, ...]] = deque()
        self._counts: Counter[tuple[str, ...]] = Counter()

    def read(self, text: str) -> str | None:
        """The text goes on with *text*, of at most 64 characters."""
        self._tail += text
        self._unseen += len(text)
        if len(self._tail) > 2 * self._room:
            self._tail = self._tail[-self._room :]
        if self._unseen >= _PROBE:  # a look for each token would be a look too many
            self._unseen = 0
            found = self._rule.looked(self._tail, len(self._tail))
            if found is not None:
                return found
        return self._count(text)

    def last_word(self) -> str | None:
        """The text has ended, and with it its last word."""
        return self._count(" ")

    def _count(self, text: str) -> str | None:
        """Count the phrases that end in *text*; a word may go on in what comes next."""
        text = self._open + text
        ends = [match.span() for match in _WORD.finditer(text)]
        self._open = ""
        if ends and ends[-1][1] == len(text) and len(text) - ends[-1][0] < 2 * _STEP:
            self._open = text[ends.pop()[0] :]
        for begin, end in ends:
            self._words.append(text[begin:end].lower())
            if len(self._words) < _PHRASE:
                continue
            phrase = tuple(self._words)
            self._phrases.append(phrase)
            self._counts[phrase] += 1
            if len(self._phrases) > _WORDS:
                old = self._phrases.popleft()
                self._counts[old] -= 1
                if not self._counts[old]:
                    del self._counts[old]
        return self._rule.judged(len(self._phrases), len(self._counts))
