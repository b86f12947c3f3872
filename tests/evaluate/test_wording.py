"""Numbers read as people write them, and never as better than they are."""

import math

import pytest

from resilient_ml.evaluate import KPI, Difference, Interval
from resilient_ml.evaluate.results import Comparison
from resilient_ml.evaluate.wording import change, interval, number, p_value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.0, "%", "100 %"),
        (0.0, "%", "0 %"),
        (0.5, "%", "50 %"),
        (0.9996, "%", "99.96 %"),
        (0.99996, "%", "99.996 %"),
        (0.9999999, "%", ">99.9999 %"),
        (0.123456, "%", "12.3 %"),
        (0.00042, "%", "0.042 %"),
        (0.0000004, "%", "<0.0001 %"),
        (0.0, "s", "0 s"),
        (0.0000123, "s", "12.3 µs"),
        (0.0421, "s", "42.1 ms"),
        (1.2345, "s", "1.23 s"),
        (321.4, "s", "321 s"),
        (math.inf, "s", "never"),
        (math.nan, "s", "\N{EN DASH}"),
        (512, "bytes", "512 bytes"),
        (51_200, "bytes", "51.2 kB"),
        (2_500_000, "bytes", "2.5 MB"),
        (7e9, "bytes", "7 GB"),
        (3.0, "", "3"),
        (12345.0, "", "12,345"),
        (12345.6, "EUR", "12,346 EUR"),
        (0.9998, "", "0.9998"),
        (0.99999, "", "0.99999"),
        (1.0 - 1e-12, "", "1"),
        (1.2345, "x", "1.23 x"),
        (18.0036, "/s", "18 /s"),
    ],
)
def test_a_number_has_its_unit_and_the_digits_that_matter(value, unit, text):
    assert number(value, unit) == text


def test_an_interval_names_its_unit_once_where_that_is_enough():
    assert interval(Interval(0.5, 0.4, 0.6), "s") == "500 ms (400 to 600)"
    assert interval(Interval(1.0, 0.9, 1.1), "s") == "1 s (900 ms to 1.1 s)"
    assert interval(Interval(3.0, 2.0, 4.0), "") == "3 (2 to 4)"
    assert interval(Interval(3.0, math.nan, math.nan), "") == "3"
    assert interval(None, "s") == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("gap", "unit", "text"),
    [
        (0.05, "%", "+5 points"),
        (-0.0012, "%", "\N{MINUS SIGN}0.12 points"),
        (-0.25, "s", "\N{MINUS SIGN}250 ms"),
        (3.0, "", "+3"),
        (0.0, "s", "same"),
        (math.nan, "s", "\N{EN DASH}"),
        (math.inf, "s", "never"),
        (-math.inf, "s", "no longer never"),
    ],
)
def test_a_change_has_a_sign(gap, unit, text):
    kpi = KPI("k", bool, better="lower", unit=unit)
    assert change(Comparison(kpi, "b", "a", Difference(Interval(gap, gap, gap), None), None)) == text


def test_a_p_value_is_never_nothing():
    assert [p_value(p) for p in (0.0, 0.0009, 0.001, 0.0499, 0.5, 1.0)] == [
        "<0.001",
        "<0.001",
        "0.001",
        "0.050",
        "0.50",
        "1.00",
    ]
