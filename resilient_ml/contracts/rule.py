"""What a rule is: one thing that an answer must keep, and what to do where it does not."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from .. import _checks

Action = Literal["fail", "warn", "repair", "abstain"]
ACTIONS: tuple[str, ...] = get_args(Action)
Part: TypeAlias = str | int | Callable[[Any], Any] | None
Bools = npt.NDArray[np.bool_]
TextOf: TypeAlias = Callable[[Any], Any] | None


class Rule(ABC):
    """One thing that an answer must keep.

    Args:
        then: What to do with an answer that breaks it. ``"fail"``: it is refused, a failure of kind
            ``invalid_output`` (on inputs ``bad_input``). ``"warn"``: it is served, and an event tells.
            ``"repair"``: it is mended, and refused where that does not help. ``"abstain"``: the contract's
            blank is served in its place, labelled as degraded; no failure.
        of: Which part of the answer it looks at: the key or attribute of that name, the item of that number,
            or what a function makes of the answer. None for all of it.
        repair: A function that makes a better value of a broken one; with it, *then* may be left out.
            Some rules know how to mend by themselves.
        name: What messages, errors and events call it; by default its class in small letters.
    """

    mends: bool = False
    """Whether it knows how to mend what breaks it."""

    def __init__(
        self,
        *,
        then: Action | None = None,
        of: Part = None,
        repair: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ) -> None:
        if then is None:
            then = "fail" if repair is None else "repair"
        if then not in ACTIONS:
            raise ValueError(
                f"then must be one of {', '.join(map(repr, ACTIONS))}, got {_checks.shown(then)}; leave it "
                "out to refuse what breaks the rule"
            )
        if repair is not None:
            _checks.function("repair", repair, remedy="pass a function of the broken value")
            if then != "repair":
                raise ValueError(
                    f"repair= belongs to then='repair', got then={then!r}; leave one of them out"
                )
        elif then == "repair" and not self.mends:
            raise ValueError(
                f"then='repair' needs repair= for {type(self).__name__}, which cannot know what a better "
                "value is; pass a function of the broken value"
            )
        if not (of is None or isinstance(of, str | int) or callable(of)):
            raise TypeError(f"of must be a key, a number or a function, got {_checks.shown(of)}; pass one")
        if callable(of) and then == "repair":
            raise ValueError(
                "of= must be a key or a number for then='repair': there is no way back from a function"
            )
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, got {_checks.shown(name)}; messages show it")
        self.then: Action = then
        self.of: Part = of
        self.name: str = name or _small(type(self).__name__)
        self._repair = repair

    @abstractmethod
    def flaw(self, value: Any) -> str | None:
        """What is wrong with *value*, in a few words that follow "it"; None if nothing is."""

    def bad_rows(self, rows: Any) -> Bools | None:
        """Which of *rows* break the rule: bool, shape (rows,); None if none does."""
        found = np.fromiter((self.flaw(row) is not None for row in rows), dtype=np.bool_, count=len(rows))
        return found if found.any() else None

    def mend(self, value: Any) -> Any:
        """A better value for a broken one; may break the rule as well."""
        return self._mended(value) if self._repair is None else self._repair(value)

    def _mended(self, value: Any) -> Any:
        """What the rule itself knows to be better; where it knows nothing, *value*."""
        return value

    def watch(self, text_of: TextOf) -> Watch:
        """What follows one stream: by default each chunk is looked at by itself.

        Raises:
            TypeError: The rule needs the whole answer.
        """
        return ChunkWatch(self)

    def part(self, answer: Any) -> Any:
        """What it looks at.

        Raises:
            Missing: The answer has no such part.
        """
        return answer if self.of is None else part_of(answer, self.of)

    def __repr__(self) -> str:
        return self.name if self.then == "fail" else f"{self.name} ({self.then})"


class Watch(ABC):
    """A rule that follows one stream."""

    @abstractmethod
    def take(self, chunk: Any) -> str | None:
        """What is wrong now that *chunk* has come; None if nothing is."""

    def end(self) -> str | None:
        """What is wrong now that the stream has ended; None if nothing is."""
        return None


class ChunkWatch(Watch):
    """Each chunk by itself."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def take(self, chunk: Any) -> str | None:
        """What is wrong with *chunk*."""
        return self._rule.flaw(chunk)


class Missing(LookupError):
    """An answer lacks the part that a rule looks at; the text says which."""


def part_of(answer: Any, of: str | int | Callable[[Any], Any]) -> Any:
    """The part *of* an answer: of each row, where the answer is a list of mappings or objects.

    Raises:
        Missing: There is none.
    """
    try:
        if callable(of):
            return of(answer)
        if isinstance(answer, Mapping) or (isinstance(of, int) and hasattr(answer, "__getitem__")):
            return answer[of]
        if isinstance(of, str) and hasattr(answer, of):
            return getattr(answer, of)
        if isinstance(answer, list | tuple) and answer:
            return [part_of(row, of) for row in answer]
    except Missing:
        raise
    except Exception as error:
        raise Missing(f"has no part {_named(of)} ({type(error).__name__})") from error
    raise Missing(f"has no part {_named(of)}")


def with_part(answer: Any, of: str | int, value: Any) -> Any:
    """A copy of *answer* with another part; the parts beside it are the same objects."""
    if isinstance(answer, Mapping):
        return {**answer, of: value}
    if isinstance(of, int):
        changed = list(answer)
        changed[of] = value
        return changed if isinstance(answer, list) else tuple(changed)
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return dataclasses.replace(answer, **{of: value})
    if isinstance(answer, tuple) and hasattr(answer, "_replace"):
        return cast(Any, answer)._replace(**{of: value})
    if isinstance(answer, list):
        return [with_part(row, of, one) for row, one in zip(answer, value, strict=True)]
    raise Missing(f"is a {type(answer).__name__}, whose part {of!r} cannot be replaced")


def numbers(value: Any) -> npt.NDArray[Any] | None:
    """*value* as an array of numbers, booleans included; None where it is none.

    Tensors are read through ``detach``, ``cpu`` and, where numpy lacks their type, ``float``.
    """
    if type(value) is not np.ndarray:
        if isinstance(value, str | bytes):
            return None
        try:
            value = np.asarray(value)
        except Exception:  # noqa: BLE001 - whatever a foreign type says of itself
            value = _from_tensor(value)
    return value if value is not None and value.dtype.kind in "biufc" else None


def _from_tensor(value: Any) -> npt.NDArray[Any] | None:
    if not hasattr(value, "detach"):
        return None
    try:
        here = value.detach().cpu()
        try:
            return np.asarray(here)
        except TypeError:  # bfloat16 is none of numpy's
            return np.asarray(here.float())
    except Exception:  # noqa: BLE001 - as above
        return None


def kind_of_value(value: object) -> str:
    """What a value is, for a message."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"


def text_reader(text_of: TextOf) -> Callable[[Any], str | None]:
    """Reads the text of a chunk; None where it has none."""

    def read(chunk: Any) -> str | None:
        text = chunk if text_of is None else text_of(chunk)
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return text if isinstance(text, str) else None

    return read


def as_rules(given: Rule | Sequence[Rule], name: str) -> tuple[Rule, ...]:
    """One rule or several, checked.

    Raises:
        TypeError: Something else.
    """
    rules = (given,) if isinstance(given, Rule) else given
    if not isinstance(rules, list | tuple):
        raise TypeError(f"{name} must be a rule or a list of rules, got {_checks.shown(rules)}; {_HOW}")
    for rule in rules:
        if not isinstance(rule, Rule):
            raise TypeError(f"{name} must hold rules, got {_checks.shown(rule)}; {_HOW}")
    return tuple(rules)


_HOW = "pass Finite() or Check(function), say, from resilient_ml.contracts"


def _named(of: object) -> str:
    return repr(of) if isinstance(of, str | int) else "that its function finds"


def _small(name: str) -> str:
    """``NoRepetition`` as ``no_repetition``."""
    return "".join(
        f"_{letter.lower()}" if letter.isupper() and at else letter.lower() for at, letter in enumerate(name)
    )
