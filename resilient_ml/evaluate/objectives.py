"""Objectives: what an evaluation must show, in the words of a service-level objective."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .. import _checks
from .intervals import Interval
from .results import Arm, Comparison

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_UNITS = {"": 1.0, "%": 0.01, "s": 1.0, "ms": 0.001, "us": 1e-6, "x": 1.0, "min": 60.0}
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE = rf"({_NUMBER})\s*(%|ms|us|min|s|x)?"
_NAME = r"[^\W\d]\w*"
_TERM = rf"({_NAME}(?:\.{_NAME}){{0,2}})"
_PLAIN = re.compile(rf"\s*{_TERM}\s*(>=|<=|==|>|<)\s*{_VALUE}\s*")
_RELATIVE = re.compile(
    rf"\s*{_TERM}\s*(>=|<=|==|>|<)\s*(?:{_VALUE}\s*\*\s*)?{_TERM}\s*(?:([+-])\s*{_VALUE})?\s*"
)
_BEATS = re.compile(rf"\s*{_TERM}\s+beats\s+({_NAME})(?:\s+by\s+{_VALUE})?\s*")
_FORMS = (
    "'guarded.availability >= 0.99', 'p99 <= 500 ms', 'guarded.p99 <= 2 * naked.p99' "
    "or 'guarded.right beats naked'"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One number of an evaluation: a KPI of a configuration, or an end of its confidence interval."""

    arm: str | None
    kpi: str
    end: str = "value"

    @classmethod
    def parse(cls, text: str) -> Term:
        """``arm.kpi``, ``kpi``, ``arm.kpi.low`` or ``kpi.high``."""
        parts = text.split(".")
        end = parts.pop() if len(parts) > 1 and parts[-1] in ("low", "high") else "value"
        return cls(parts[0] if len(parts) > 1 else None, ".".join(parts[1:]) or parts[0], end)

    def of(self, arms: Mapping[str, Arm], arm: str) -> float | None:
        """The number, for *arm* where the term names none; None where it was not measured."""
        interval: Interval | None = arms[self.arm or arm].kpis.get(self.kpi)
        if interval is None:
            return None
        number: float = getattr(interval, self.end)
        return None if math.isnan(number) else number

    def __str__(self) -> str:
        return ".".join(part for part in (self.arm, self.kpi, self.end) if part and part != "value")


@dataclass(frozen=True, slots=True)
class Objective:
    """What must hold.

    | written as                          | holds if                                                    |
    | ----------------------------------- | ----------------------------------------------------------- |
    | ``guarded.availability >= 0.99``    | the number is as large                                      |
    | ``wrong == 0``                      | each configuration's is but the first's, or the only one's  |
    | ``guarded.right.low > 98%``         | the lower end of its confidence interval is                 |
    | ``guarded.p99 <= 2 * naked.p99``    | it is, compared with another one; ``+ 10 ms`` may follow    |
    | ``guarded.right beats naked by 5%`` | it is better by so much, and the difference is significant  |

    ``%``, ``us``, ``ms``, ``s``, ``min`` and ``x`` may follow a number.

    Attributes:
        text: As it was written.
        left: What is looked at.
        compare: ``>=``, ``<=``, ``==``, ``>``, ``<`` or ``beats``.
        right: Another number to compare with; None for none.
        factor: By what that is multiplied.
        offset: What is added; where there is nothing to add to, the number itself.
        unit: The unit that it was written with, in which what is found is told; empty for none.

    >>> Objective.parse("guarded.p99 <= 2 * naked.p99 + 10 ms")
    Objective('guarded.p99 <= 2 * naked.p99 + 10 ms')
    """

    text: str
    left: Term
    compare: str
    right: Term | None = None
    factor: float = 1.0
    offset: float = 0.0
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read *text*.

        Raises:
            TypeError: It is no string.
            ValueError: It reads as no objective.
        """
        if not isinstance(text, str):
            raise TypeError(f"an objective must be a string, got {_checks.shown(text)}; write {_FORMS}")
        if found := _PLAIN.fullmatch(text):
            left, compare, number, unit = found.groups()
            return cls(text.strip(), Term.parse(left), compare, offset=_number(number, unit), unit=unit or "")
        if found := _BEATS.fullmatch(text):
            left, other, number, unit = found.groups()
            mine = Term.parse(left)
            offset = 0.0 if number is None else _number(number, unit)
            return cls(text.strip(), mine, "beats", Term(other, mine.kpi), offset=offset, unit=unit or "")
        if found := _RELATIVE.fullmatch(text):
            left, compare, factor, factor_unit, right, sign, number, unit = found.groups()
            offset = 0.0 if number is None else _number(number, unit) * (-1 if sign == "-" else 1)
            return cls(
                text.strip(),
                Term.parse(left),
                compare,
                Term.parse(right),
                1.0 if factor is None else _number(factor, factor_unit),
                offset,
                unit or "",
            )
        raise ValueError(f"objective {_checks.shown(text)} cannot be read; write {_FORMS}")

    def refuse_unknown(self, arms: Sequence[str], kpis: Sequence[str]) -> None:
        """Raise ValueError for a configuration or KPI that the evaluation does not have."""
        for term in filter(None, (self.left, self.right)):
            if term.arm is not None and term.arm not in arms:
                raise ValueError(_unknown(self.text, "configuration", term.arm, arms))
            if term.kpi not in kpis:
                raise ValueError(_unknown(self.text, "KPI", term.kpi, kpis))
        if self.compare == "beats":
            assert self.right is not None
            if self.right.arm != arms[0]:
                raise ValueError(
                    f"objective {self.text!r} compares with {self.right.arm!r}, and what is tested is the "
                    f"difference from the first configuration, {arms[0]!r}; put {self.right.arm!r} first"
                )
            if self.left.arm == arms[0]:
                raise ValueError(
                    f"objective {self.text!r} compares {arms[0]!r} with itself; name another one"
                )

    def judge(
        self, arms: Mapping[str, Arm], comparisons: Sequence[Comparison], *, level: float
    ) -> tuple[Finding, ...]:
        """Whether it holds, for each configuration that it is about."""
        names = list(arms)
        about = [self.left.arm] if self.left.arm is not None else names[1:] or names
        if self.compare == "beats":
            return tuple(self._beats(arm, comparisons, level) for arm in about)
        return tuple(self._holds(arm, arms) for arm in about)

    def _holds(self, arm: str, arms: Mapping[str, Arm]) -> Finding:
        found = self.left.of(arms, arm)
        other = 0.0 if self.right is None else self.right.of(arms, arm)
        for term, number in ((self.left, found), (self.right, other)):
            if number is None:
                assert term is not None
                return Finding(self, arm, False, found, f"{term} was not measured for {term.arm or arm}")
        assert found is not None
        assert other is not None
        wanted = self.factor * other + self.offset
        met = _COMPARE[self.compare](found, wanted) or (
            # 0.1 * 3 is not 0.3: what only rounding misses is met.
            "=" in self.compare and math.isclose(found, wanted, rel_tol=1e-12)
        )
        against = "" if self.right is None else f", which is {self._shown(wanted)}"
        return Finding(self, arm, met, found, f"{arm} has {self.left.kpi} {self._shown(found)}{against}")

    def _beats(self, arm: str, comparisons: Sequence[Comparison], level: float) -> Finding:
        one = next((one for one in comparisons if (one.arm, one.kpi.name) == (arm, self.left.kpi)), None)
        if one is None:
            return Finding(self, arm, False, None, f"{self.left.kpi} was not measured for both")
        gain = one.gain
        far = gain > 0 and gain >= self.offset - 1e-12
        luck = one.significant(level) is False
        p = "" if one.adjusted is None else f", adjusted p {one.adjusted:.3g}"
        better = "better" if gain >= 0 else "worse"
        text = f"{arm} is {better} by {self._shown(abs(gain))}{p}" + (
            "; that may be luck" if far and luck else ""
        )
        return Finding(self, arm, far and not luck, gain, text)

    def _shown(self, value: float) -> str:
        return f"{value / _UNITS[self.unit]:.6g} {self.unit}".rstrip()

    def __repr__(self) -> str:
        return f"Objective({self.text!r})"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one objective is met by one configuration.

    Attributes:
        objective: The objective.
        arm: The configuration.
        met: Whether it is met.
        found: The number that was found; None where there is none.
        text: Why, in words and numbers.
    """

    objective: Objective
    arm: str
    met: bool
    found: float | None
    text: str


class ObjectivesMissed(AssertionError):
    """Objectives of an evaluation were missed.

    Attributes:
        missed: The findings.
    """

    def __init__(self, missed: Sequence[Finding], total: int) -> None:
        lines = [f"{len(missed)} of {total} objectives missed:"]
        lines += [f"  {finding.objective.text}: {finding.text}" for finding in missed]
        super().__init__("\n".join(lines))
        self.missed: tuple[Finding, ...] = tuple(missed)
        self.total: int = total

    def __reduce__(self) -> tuple[type[ObjectivesMissed], tuple[tuple[Finding, ...], int]]:
        return type(self), (self.missed, self.total)


def _number(number: str, unit: str | None) -> float:
    return float(number) * _UNITS[unit or ""]


def _unknown(text: str, what: str, name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    there = ", ".join(known)
    return f"objective {text!r} is about {what} {name!r}, which this evaluation has not; {hint}it has {there}"
