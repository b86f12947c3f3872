"""Checks of constructors' arguments: each message names the parameter, the value, the rule and the remedy."""

import decimal
import fractions
import math
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from resilient_ml import _checks

Check = Callable[[str, Any], Any]

whole = partial(_checks.whole, at_least=1, remedy="pass 3, say")
seconds = partial(_checks.seconds, remedy="pass 3, say")
seconds_from_0 = partial(_checks.seconds, remedy="pass 3, say", zero=True)
share = partial(_checks.share, remedy="pass 3, say")
share_from_0 = partial(_checks.share, remedy="pass 3, say", zero=True)
real = partial(_checks.real, remedy="pass 3, say")
flag = partial(_checks.flag, remedy="pass 3, say")
function = partial(_checks.function, remedy="pass 3, say")


class Index:
    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (whole, 1, 1),
        (whole, 10**30, 10**30),
        (whole, np.int64(5), 5),
        (whole, Index(), 7),
        (seconds, 5e-324, 5e-324),
        (seconds, 3, 3.0),
        (seconds, np.float32(0.5), 0.5),
        (seconds, decimal.Decimal("0.25"), 0.25),
        (seconds_from_0, 0, 0.0),
        (seconds_from_0, -0.0, 0.0),
        (share, 1, 1.0),
        (share, fractions.Fraction(1, 4), 0.25),
        (share_from_0, 0, 0.0),
        (real, -3, -3.0),
        (flag, True, True),
        (flag, False, False),
    ],
)
def test_good_values_come_back_as_plain_ones(check: Check, value: Any, expected: Any) -> None:
    checked = check("limit", value)
    assert checked == expected
    assert type(checked) is type(expected)


def test_a_function_comes_back_as_it_is() -> None:
    for callable_ in (print, len, int, lambda: None):
        assert function("key", callable_) is callable_


@pytest.mark.parametrize(
    ("check", "value", "error", "message"),
    [
        (whole, 0, ValueError, "must be at least 1, got 0"),
        (whole, -(10**30), ValueError, f"must be at least 1, got {-(10**30)}"),
        (whole, np.int8(-1), ValueError, "must be at least 1, got -1"),
        (whole, True, TypeError, "must be a whole number, got True"),
        (whole, 2.0, TypeError, "must be a whole number, got 2.0"),
        (whole, "2", TypeError, "must be a whole number, got '2'"),
        (whole, None, TypeError, "must be a whole number, got None"),
        (whole, [1], TypeError, "must be a whole number, got an object of type list"),
        (seconds, 0, ValueError, "must be above 0, got 0"),
        (seconds, -0.0, ValueError, "must be above 0, got -0.0"),
        (seconds, -5e-324, ValueError, "must be above 0, got -5e-324"),
        (seconds_from_0, -1, ValueError, "must not be negative, got -1"),
        (seconds, math.nan, ValueError, "must be finite, got nan"),
        (seconds, math.inf, ValueError, "must be finite, got inf"),
        (seconds_from_0, -math.inf, ValueError, "must be finite, got -inf"),
        (seconds, False, TypeError, "must be a number, got False"),
        (seconds, "3", TypeError, "must be a number, got '3'"),
        (seconds, b"3", TypeError, "must be a number, got an object of type bytes"),
        (seconds, 3j, TypeError, "must be a number, got an object of type complex"),
        (share, 0, ValueError, "must be above 0 and at most 1, got 0"),
        (share, math.nextafter(1, 2), ValueError, "must be above 0 and at most 1, got 1.0000000000000002"),
        (share_from_0, -0.1, ValueError, "must be from 0 to 1, got -0.1"),
        (share_from_0, 1.1, ValueError, "must be from 0 to 1, got 1.1"),
        (share, math.nan, ValueError, "must be finite, got nan"),
        (real, None, TypeError, "must be a number, got None"),
        (flag, 1, TypeError, "must be True or False, got 1"),
        (flag, None, TypeError, "must be True or False, got None"),
        (flag, "yes", TypeError, "must be True or False, got 'yes'"),
        (function, 3, TypeError, "must be callable, got 3"),
        (function, {}, TypeError, "must be callable, got an object of type dict"),
    ],
)
def test_bad_values_are_refused(check: Check, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        check("limit", value)
    assert caught.type is error
    assert str(caught.value) == f"limit {message}; pass 3, say"


@pytest.mark.parametrize("check", [whole, seconds])
def test_a_function_where_a_number_belongs_is_a_decorator_without_parentheses(check: Check) -> None:
    hint = "; a decorator needs its parentheses, as in @Retry()"
    for value, seen in ((float, "<class 'float'>"), (print, "an object of type builtin_function_or_method")):
        with pytest.raises(TypeError) as caught:
            check("limit", value)
        assert str(caught.value).endswith(f" number, got {seen}; pass 3, say{hint}")


@pytest.mark.parametrize("check", [seconds, share, real])
@pytest.mark.parametrize("value", [10**400, -(10**5000)], ids=["large", "huge"])
def test_a_number_too_large_for_a_float_is_refused_without_its_digits(check: Check, value: int) -> None:
    expected = rf"^limit must be finite, got an int of {value.bit_length()} bits; pass 3, say$"
    with pytest.raises(ValueError, match=expected):
        check("limit", value)


def test_a_whole_number_with_more_digits_than_python_prints_is_refused_too() -> None:
    with pytest.raises(ValueError, match=r"^limit must be at least 1, got an int of \d+ bits; pass 3, say$"):
        whole("limit", -(10**5000))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (0.5, "0.5"),
        (np.float64(0.5), "0.5"),
        (signal.SIGINT, "2"),
        (2**128 - 1, str(2**128 - 1)),
        (2**128, "an int of 129 bits"),
        ("short", "'short'"),
        ("x" * 40, repr("x" * 40)),
        ("x" * 41, repr("x" * 40 + "…")),
        (int, "<class 'int'>"),
        (b"bytes", "an object of type bytes"),
        (["a secret"], "an object of type list"),
    ],
)
def test_values_are_shown_only_when_they_are_short_and_harmless(value: object, expected: str) -> None:
    assert _checks.shown(value) == expected


def test_a_value_is_never_asked_to_show_itself() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise AssertionError("asked")

        __str__ = __repr__

    for check in (whole, seconds, share, real, flag, function):
        with pytest.raises(TypeError, match=r"got an object of type Hostile; pass 3, say$"):
            check("limit", Hostile())
