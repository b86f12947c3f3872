"""A model that is caught in a loop says the same thing over and over."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _checks
from .rule import Action, Part, Rule, TextOf, Watch, kind_of_value, text_reader

_SMALL_IN_TWO = "\u0130"
"""A letter that is two characters in small, of which one is in no word."""
_LAST_SIGMA = "\u03c2"
"""What a sigma is in small where a word ends."""
_STEP = 64
"""No more characters are read at once of a text that comes in chunks."""
_PROBE = 16
"""So many characters are searched for before them: where they are found gives the period."""
_ROUND = 64
"""After so many looks those follow that go as far back."""
_LONGEST = 512
"""The longest period, in characters."""
_WORDS = 200
"""The window in which phrases are counted."""
_HOP = 50
"""From one window to the next, in a text that came as a whole."""
_FEW = 50
"""Fewer phrases are not judged."""
_PHRASE = 4
_ALONE = ((0x0E00, 0x0EFF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF))
"""Scripts without blanks, each letter of which is a word: Thai and Lao, Chinese, Japanese and Korean."""
_EACH = "".join(f"{chr(first)}-{chr(last)}" for first, last in _ALONE)
_WORD = re.compile(rf"[{_EACH}]|[^\W{_EACH}]+")
_ASCII = (
    "".join(chr(code).lower() if chr(code).isalnum() or code == ord("_") else " " for code in range(128))
    .encode()
    .ljust(256)
)
"""Letters in small and all else as blanks."""
_PLANE = 0x10000
"""So many characters are in the tables; beyond are few letters and many signs."""
_INSIDE = 0x7FFF
"""The largest number of a letter that makes words with others; one that is a word has a larger one."""
_STRANGE = 32
"""So many different signs beyond are looked at one by one; with more the text is read in a slower way."""


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
        shortest = self.span // self.times or 1
        self._probe = min(_PROBE, self.span // 4)
        self._step = self.span - shortest - self._probe + 1
        apart = (2 * (look & -look) * self._step for look in range(1, _ROUND))
        reaches = [min(_LONGEST, (far + self._probe - 2) // (times - 1)) for far in apart]
        self._reaches = (*reaches, _LONGEST)
        self._first_reaches = tuple(min(far, at * self._step) for at, far in enumerate(self._reaches, 1))

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
        The longer the period, the fewer looks that takes: every m-th meets all that are long enough for
        ``(times - 1) * p >= m * step + probe - 1``, so every second look goes about twice as far back.
        """
        probe, step = self._probe, self._step
        longest = min(_LONGEST, len(text) // self.times)
        looks = range(step, len(text) - probe + 1, step)
        for begin, reach in zip(looks, chain(self._first_reaches, cycle(self._reaches)), strict=False):
            lowest = begin - reach if reach < longest else begin - longest
            if text[begin : begin + probe] in text[lowest : begin + probe - 1]:
                period = self._period(text, begin, lowest)
                if period is not None:
                    return _loop_of(period)
        return None

    def _period(self, text: str, begin: int, lowest: int) -> int | None:
        """The period of the loop that the probe at *begin* is in, of those that begin from *lowest* on."""
        probe = self._probe
        end = begin + probe
        sought = text[begin:end]
        place = end - probe
        while (place := text.rfind(sought, lowest, place + probe - 1)) >= 0:
            period = begin - place
            if self._goes_on(text, begin, end, period):
                return period
            if period < probe:
                # A row that is too short for a loop; no loop has two places of one row a period apart.
                place -= _most(functools.partial(_same_before, text, begin, period), begin - lowest)
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
        phrases = _alike(text)
        again = _come_again(phrases)
        words: Sequence[str] = ()
        for begin in range(0, len(phrases) - _FEW + 1, _HOP):
            size = min(_WORDS, len(phrases) - begin)
            # In a window no more come again than in all, and no more of the phrases than of what makes them
            # alike.
            if not (
                self._too_many(size, again)
                and self._too_many(size, _come_again(phrases[begin : begin + size]))
            ):
                continue
            words = words or _WORD.findall(text.lower())
            found = self.judged(size, len(set(_in_phrases(words[begin : begin + size + _PHRASE - 1]))))
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
        if phrases < _FEW or not self._too_many(phrases, phrases - different):
            return None
        return f"says {phrases} phrases of {_PHRASE} words, of which {different} differ"

    def _too_many(self, phrases: int, again: int) -> bool:
        return again > self.share * phrases

    def watch(self, text_of: TextOf) -> Watch:
        """Looks at the end of what has come."""
        return _RepetitionWatch(self, text_of)


def _alike(text: str) -> NDArray[np.uint64]:
    """A number for each phrase of *text*, the same for phrases that are the same, shape (phrases,).

    Others may share it: the numbers are of the first two letters of each word, where those are enough.
    """
    words = _words_alike(text)
    count = max(0, len(words) - _PHRASE + 1)
    return np.ndarray((count,), np.uint64, words, 0, (words.itemsize,))


def _words_alike(text: str) -> NDArray[np.uint16]:
    """A number for each word of *text*, the same for words that are the same, shape (words,)."""
    words: NDArray[np.uint16]
    if text.isascii():
        marks = f" {text} ".encode().translate(_ASCII)
        in_word = np.frombuffer(marks, np.uint8) != ord(" ")
        before = (in_word[1:] > in_word[:-1]).nonzero()[0]
        words = np.ndarray((len(marks) - 2,), np.uint16, marks, 1, (1,)).take(before)
        return words
    text = f" {text} "
    codes: NDArray[Any] = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")
    in_two = _SMALL_IN_TWO in text
    if in_two or len(codes) > len(text):
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        strange = set(codes[codes >= _PLANE].tolist())
        if in_two or len(strange) > _STRANGE or any(map(_WORD.match, map(chr, strange))):
            return np.fromiter(map(hash, _WORD.findall(text.lower())), np.int64).astype(np.uint16)
    letters_of, inside_of = _alphabet()
    letters, inside = letters_of.take(codes, mode="clip"), inside_of.take(codes, mode="clip")
    before = (letters[1:] > inside[:-1]).nonzero()[0]
    first, second = letters[1:].take(before), (letters & inside)[2:].take(before)
    second &= inside[1:].take(before)
    words = first * np.uint16(251) + second
    return words


@functools.cache
def _alphabet() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Two tables by character: its number, the same in small, and `_INSIDE` where a word may go on after it.

    Both are 0 for what is in no word. The last character is not, and stands for all beyond.
    """
    every = "".join(map(chr, range(_PLANE)))
    small = every.replace(_SMALL_IN_TWO, "i").lower().replace(_LAST_SIGMA, "\u03c3")
    numbers = np.frombuffer(small.encode("utf-32-le", "surrogatepass"), "<u4") % _INSIDE + 1
    letters, inside = np.zeros((2, _PLANE), np.uint16)
    for run in re.finditer(r"\w+", every):
        letters[run.start() : run.end()] = numbers[run.start() : run.end()]
        inside[run.start() : run.end()] = _INSIDE
    for first, last in _ALONE:
        letters[first : last + 1] = np.arange(first, last + 1) % _INSIDE + _INSIDE + 1
        inside[first : last + 1] = 0
    return letters, inside


def _come_again(phrases: NDArray[np.uint64]) -> int:
    """How many of *phrases* are there before."""
    ordered = phrases.copy()
    ordered.sort()
    return len(phrases) - 1 - int(np.count_nonzero(ordered[1:] != ordered[:-1]))


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
