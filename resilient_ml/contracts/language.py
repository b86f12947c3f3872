"""In which script and in which language a text is."""

from __future__ import annotations

import importlib
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .. import _checks
from .rule import Action, Part, Rule, TextOf, Watch, kind_of_value, text_reader
from .texts import WholeText

_SAMPLE = 1000
"""Letters that a text is judged by: this many, from all over it."""
_LOOKS = 200
"""On a stream, letters to the first look; each further one comes after twice as many."""


class Script(Rule):
    """The letters of a text are of these scripts: random tokens of all languages are not.

    Args:
        scripts: As Unicode names its letters: ``"latin"``, ``"cyrillic"``, ``"greek"``, ``"cjk"``,
            ``"hiragana"``, ``"katakana"``, ``"hangul"``, ``"arabic"``, ``"hebrew"``, ``"thai"``,
            ``"devanagari"``.
        share: The least share of letters that are, above 0; the rest may be names and quotes.
        letters: Texts of fewer letters are not judged, from 1.
        then, of, repair, name: As for :class:`Rule`.

    >>> Script("latin", letters=5).flaw("Der Himmel ist blau, 空は青い, небо голубое")
    'has 16 of 31 letters, 52%, in latin, less than 80%'
    """

    def __init__(
        self,
        *scripts: str,
        share: float = 0.8,
        letters: int = 20,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        if not scripts:
            raise ValueError("scripts must name at least one script, got none; pass 'latin', say")
        for one in scripts:
            if str(one).lower() not in known_scripts():
                raise ValueError(
                    f"scripts must be names that Unicode gives to letters, got {_checks.shown(one)}; pass "
                    "'latin', 'cyrillic', 'cjk', 'hangul' or 'arabic', say"
                )
        self.scripts: frozenset[str] = frozenset(one.lower() for one in scripts)
        self.share: float = _checks.share("share", share, remedy="pass 0.8, say")
        self.letters: int = _checks.whole("letters", letters, at_least=1, remedy="pass 20, say")
        self._named = " or ".join(sorted(self.scripts))

    def flaw(self, value: Any) -> str | None:
        """How much of it is in other scripts."""
        if not isinstance(value, str):
            return f"is {kind_of_value(value)}, not text"
        if "latin" in self.scripts and value.isascii():
            return None
        step = max(1, len(value) // _SAMPLE)
        found = [script_of(one) for one in value[::step] if one.isalpha()]
        return self.judged(sum(one in self.scripts for one in found), len(found))

    def judged(self, right: int, letters: int) -> str | None:
        """What is wrong with so many right ones of so many letters."""
        if letters < self.letters or right >= self.share * letters:
            return None
        found = f"{right} of {letters} letters, {right / letters:.0%}"
        return f"has {found}, in {self._named}, less than {self.share:.0%}"

    def watch(self, text_of: TextOf) -> Watch:
        """Counts the letters."""
        return _ScriptWatch(self, text_of)


class _ScriptWatch(Watch):
    def __init__(self, rule: Script, text_of: TextOf) -> None:
        self._rule = rule
        self._text = text_reader(text_of)
        self._letters = self._right = 0

    def take(self, chunk: Any) -> str | None:
        text = self._text(chunk)
        if text is None:
            return f"has a chunk that is {kind_of_value(chunk)}, not text; pass text_of="
        for one in text:
            if one.isalpha():
                self._letters += 1
                self._right += script_of(one) in self._rule.scripts
        # Early on a name or a quote may be most of it.
        return self._rule.judged(self._right, self._letters) if self._letters >= _LOOKS else None

    def end(self) -> str | None:
        return self._rule.judged(self._right, self._letters)


class Language(Rule):
    """A text is in one of these languages.

    Args:
        languages: As the detector names them: ``"en"``, ``"de"``.
        detect: ``(text) -> language``, or ``(language, score)``: ``langdetect.detect``, say. By default
            ``py3langid.classify``, of ``pip install 'resilient-ml[language]'``.
        letters: Texts of fewer letters are not judged, from 1: a word may be of any language.
        then, of, repair, name: As for :class:`Rule`.

    Raises:
        ImportError: Without *detect* and without py3langid.

    >>> def detect(text):
    ...     return "de" if " ist " in text else "en"
    >>> Language("en", detect=detect).flaw("Der Himmel ist heute so blau wie nie")
    "is in 'de', not in 'en'"
    """

    def __init__(
        self,
        *languages: str,
        detect: Callable[[str], Any] | None = None,
        letters: int = 20,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        if not languages or not all(isinstance(one, str) for one in languages):
            raise ValueError("languages must name at least one language; pass 'en', say")
        self.languages: tuple[str, ...] = languages
        self._detect = (
            _installed()
            if detect is None
            else _checks.function("detect", detect, remedy="pass a function of a text, or None")
        )
        self.letters: int = _checks.whole("letters", letters, at_least=1, remedy="pass 20, say")

    def flaw(self, value: Any) -> str | None:
        """The language that it is in."""
        if not isinstance(value, str):
            return f"is {kind_of_value(value)}, not text"
        if sum(map(str.isalpha, value[: 4 * self.letters])) < self.letters:
            return None
        told = self._detect(value[:_SAMPLE])
        language = told[0] if isinstance(told, tuple | list) else told
        if language in self.languages:
            return None
        return f"is in {language!r}, not in {' or '.join(map(repr, self.languages))}"

    def watch(self, text_of: TextOf) -> Watch:
        """Asks about what has come, less and less often."""
        return _LanguageWatch(self, text_of)


class _LanguageWatch(Watch):
    def __init__(self, rule: Language, text_of: TextOf) -> None:
        self._rule = rule
        self._text = text_reader(text_of)
        self._whole = WholeText()
        self._length = 0
        self._next = _LOOKS

    def take(self, chunk: Any) -> str | None:
        text = self._text(chunk)
        if text is None:
            return f"has a chunk that is {kind_of_value(chunk)}, not text; pass text_of="
        self._length += len(text)
        self._whole.add(text)
        if self._length < self._next or self._length > 2 * _SAMPLE:
            return None
        self._next *= 2
        return self._rule.flaw(self._whole.text)

    def end(self) -> str | None:
        return None if self._length > 2 * _SAMPLE else self._rule.flaw(self._whole.text)


def _installed() -> Callable[[str], Any]:
    try:
        found: Any = importlib.import_module("py3langid")
    except ImportError as error:
        raise ImportError(
            "Language needs a detector: pip install 'resilient-ml[language]', or pass detect=, a function of "
            "a text"
        ) from error
    classify: Callable[[str], Any] = found.classify
    return classify


@lru_cache(maxsize=1 << 14)
def script_of(letter: str) -> str:
    """The script of one letter, as the first word of its Unicode name, in small letters."""
    return unicodedata.name(letter, "").partition(" ")[0].lower()


@lru_cache(maxsize=1)
def known_scripts() -> frozenset[str]:
    """The scripts that letters of the first two planes have."""
    letters = (chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000)
    return frozenset(script_of.__wrapped__(one) for one in letters if one.isalpha()) - {""}
