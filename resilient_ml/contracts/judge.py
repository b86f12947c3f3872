"""What becomes of an answer: served, mended, replaced by a blank, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rows import NoBlank, blanked, places, row_count, with_rows
from .rule import Action, Bools, Missing, Rule, with_part


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that was broken.

    Attributes:
        rule: Its name.
        action: What follows.
        flaw: What is wrong, in words that follow "the answer".
        rows: The numbers of the rows that break it; empty where the answer has none.
    """

    rule: str
    action: Action
    flaw: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with an answer.

    Attributes:
        value: What to serve.
        breaches: What was broken, in order.
        refused: Why nothing may be served, the last of the breaches; None where *value* may.
        degraded: Whether a blank stands in it.
    """

    value: Any
    breaches: tuple[Breach, ...]
    refused: Breach | None = None
    degraded: bool = False


class Judge:
    """Holds answers against rules, in their order.

    Args:
        rules: The rules.
        rows: Whether an answer has one item a row.
        max_bad: The share of rows that may be refused before all of the answer is; from 0 to 1.
        blank: What stands for an answer or a row that is not served; None is NaN in an array of floats.
    """

    def __init__(self, rules: Sequence[Rule], *, rows: bool, max_bad: float, blank: Any) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.rows: bool = rows
        self.max_bad: float = max_bad
        self.blank: Any = blank

    def judge(self, value: Any) -> Verdict | None:
        """The verdict on *value*; None where it breaks no rule."""
        return self._judge_rows(value) if self.rows else self._judge_whole(value)

    # -- one answer ----------------------------------------------------------------------------------------

    def _judge_whole(self, value: Any) -> Verdict | None:
        told: list[Breach] = []
        for rule in self.rules:
            flaw = flaw_of(rule, value)
            if flaw is None:
                continue
            if rule.then == "repair":
                value, left = mended_or_not(rule, value)
                if left is not None:
                    return _refused(value, told, Breach(rule.name, "fail", f"{flaw}; {left}"))
            told.append(Breach(rule.name, rule.then, flaw))
            if rule.then == "fail":
                return Verdict(value, tuple(told), refused=told[-1])
            if rule.then == "abstain":
                return Verdict(self.blank, tuple(told), degraded=True)
        return Verdict(value, tuple(told)) if told else None

    # -- rows ----------------------------------------------------------------------------------------------

    def _judge_rows(self, value: Any) -> Verdict | None:
        told: list[Breach] = []
        count = row_count(value)
        if count is None:
            flaw = f"is a {type(value).__name__}, which has no rows"
            return _refused(value, told, Breach(self.rules[0].name, "fail", flaw))
        served = value
        bad: Bools | None = None  # those that are refused
        gone: Bools | None = None  # those that are not served, refused or not
        for rule in self.rules:
            try:
                found = _bad_rows(rule, served, count)
                if found is None:
                    continue
                flaw = _row_flaw(rule, served, found)
                action = rule.then
                if action == "repair":
                    told.append(Breach(rule.name, "repair", flaw, places(found)))
                    served = _mend_rows(rule, served, found)
                    found = _bad_rows(rule, served, count)
                    if found is None:
                        continue
                    action, flaw = "fail", f"mended, {_row_flaw(rule, served, found)}"
            except (Missing, _Unmended) as error:
                return _refused(value, told, Breach(rule.name, "fail", str(error)))
            if action == "fail":
                bad = found if bad is None else bad | found
                if bad.sum() > self.max_bad * count:
                    return _refused(value, told, Breach(rule.name, "fail", flaw, places(bad)))
            told.append(Breach(rule.name, action, flaw, places(found)))
            if action != "warn":
                gone = found if gone is None else gone | found
        if gone is None or not gone.any():
            return Verdict(served, tuple(told)) if told else None
        try:
            return Verdict(blanked(served, gone, self.blank), tuple(told), degraded=True)
        except NoBlank as error:
            return _refused(value, told, Breach("blank", "fail", str(error), places(gone)))


class _Unmended(Exception):
    """A function that mends raised this."""


def flaw_of(rule: Rule, value: Any) -> str | None:
    """What is wrong with the part of *value* that *rule* looks at; None if nothing is."""
    try:
        return rule.flaw(rule.part(value))
    except Missing as error:
        return str(error)


def mended_or_not(rule: Rule, value: Any) -> tuple[Any, str | None]:
    """A better value, and what is still wrong with it."""
    try:
        better = rule.mend(rule.part(value))
        if rule.of is not None:
            assert isinstance(rule.of, str | int)  # as its constructor made sure
            better = with_part(value, rule.of, better)
    except Exception as error:  # noqa: BLE001 - what cannot be mended is refused
        return value, f"could not be mended: {type(error).__name__}"
    left = flaw_of(rule, better)
    return better, None if left is None else f"mended, it {left}"


def _refused(value: Any, told: list[Breach], breach: Breach) -> Verdict:
    return Verdict(value, (*told, breach), refused=breach)


def _bad_rows(rule: Rule, value: Any, count: int) -> Bools | None:
    part = rule.part(value)
    held = row_count(part)
    if held != count:
        raise Missing(f"has {count} rows, and {held if held is not None else 'no rows'} in part {rule.of!r}")
    return rule.bad_rows(part)


def _row_flaw(rule: Rule, value: Any, found: Bools) -> str:
    place = int(found.argmax())
    flaw = rule.flaw(rule.part(value)[place]) or "is not good"
    return f"has {np.count_nonzero(found)} of {len(found)} bad rows: row {place} {flaw}"


def _mend_rows(rule: Rule, value: Any, found: Bools) -> Any:
    part = rule.part(value)
    try:
        better = with_rows(part, {place: rule.mend(part[place]) for place in places(found)})
    except Exception as error:
        raise _Unmended(f"could not be mended: {type(error).__name__}") from error
    if rule.of is None:
        return better
    assert isinstance(rule.of, str | int)  # as its constructor made sure
    return with_part(value, rule.of, better)
