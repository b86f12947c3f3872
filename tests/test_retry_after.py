"""How long a server asked to wait: every place and form it is sent in, and nothing else."""

import math
from collections import UserDict
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.errors import CircuitOpen
from resilient_ml.retry_after import retry_after_of

WALL = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
IN_2070 = datetime(2070, 1, 1, tzinfo=UTC).timestamp()


class ServerError(Exception):
    def __init__(self, **attributes):
        super().__init__("busy")
        self.__dict__.update(attributes)


class Response:
    def __init__(self, headers):
        self.headers = headers

    def __bool__(self):  # as requests' response does for a 4xx
        return False


def wait(**attributes):
    return retry_after_of(ServerError(**attributes), WALL)


def message(**headers):
    built = Message()
    for name, value in headers.items():
        built[name.replace("_", "-")] = value
    return built


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3, 3.0),
        (0, 0.0),
        (2.5, 2.5),
        (np.float64(2.5), 2.5),
        (timedelta(minutes=1), 60.0),
        ("7", 7.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        (-1, None),
        (-0.5, None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (True, None),
        (timedelta(seconds=-1), None),
        ("soon", None),
        (lambda: 3, None),
        ([3], None),
        (None, None),
    ],
)
def test_an_attribute_is_taken_when_it_is_a_time(value, seconds):
    found = wait(retry_after=value)
    assert found == seconds
    assert found is None or type(found) is float


def test_our_own_rejections_say_when_to_come_back():
    assert retry_after_of(CircuitOpen("open", retry_after=12.4), WALL) == 12.4
    assert retry_after_of(CircuitOpen("open"), WALL) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        (b"3", 3.0),
        ("007", 7.0),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("sun, 01 mar 2026 12:01:00 gmt", 60.0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
        ("Sun Mar  1 12:01:00 2026", 60.0),
        ("Sun, 01 Mar 2026 12:01:00 UTC", 60.0),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0.0),  # in the past
        ("Wednesday, 01-Jan-70 00:00:00 GMT", IN_2070 - WALL),  # 44 years ahead
        ("Friday, 01-Jan-99 00:00:00 GMT", 0.0),  # 2099 is more than 50 years ahead: 1999
        ("", None),
        (".", None),
        ("1.", None),
        (".5", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1_000", None),
        ("0x10", None),
        ("1.5.2", None),
        ("nan", None),
        ("inf", None),
        ("5s", None),
        ("٣", None),
        ("²", None),
        ("9" * 65, None),
        (b"9" * 65, None),
        (b"\xff", None),
        ("Sun, 31 Feb 2026 12:01:00 GMT", None),
        ("Sun, 01 Foo 2026 12:01:00 GMT", None),
        ("Sun, 01 Mar 2026 12:01 GMT", None),
        ("Sun, 01 Mar 2026 12:01:xx GMT", None),
        ("Sun, 01 Mar 2026 25:01:00 GMT", None),
        ("Sun, 01 Mar 2026 12:01:00 PST", None),
        ("Sun, 01 Mar 0000 12:01:00 GMT", None),
        (3, None),
        (None, None),
        ([], None),
    ],
)
def test_a_retry_after_header_is_seconds_or_a_date(text, seconds):
    assert wait(headers={"Retry-After": text}) == seconds


@pytest.mark.parametrize("name", ["retry-after-ms", "Retry-After-Ms", "x-ms-retry-after-ms"])
def test_milliseconds_are_divided_and_are_never_dates(name):
    assert wait(headers={name: "1500"}) == 1.5
    assert wait(headers={name: "Sun, 01 Mar 2026 12:01:00 GMT"}) is None


def test_the_finer_header_wins_and_garbage_in_it_is_passed_over():
    assert wait(headers={"retry-after": "2", "retry-after-ms": "1500"}) == 1.5
    assert wait(headers={"retry-after": "2", "retry-after-ms": "x"}) == 2.0


def test_the_attribute_wins_over_headers_and_garbage_in_it_is_passed_over():
    assert wait(retry_after=1, headers={"retry-after": "2"}) == 1.0
    assert wait(retry_after=-1, headers={"retry-after": "2"}) == 2.0


class Lower(str):  # as multidict's istr
    __slots__ = ()


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "4"},
        {"RETRY-AFTER": "4", "retry-afterwards": "5"},
        {Lower("Retry-After"): Lower("4")},
        {b"retry-after": b"4"},
        {3: "5", "retry-after": "4"},
        UserDict({"Retry-After": "4"}),
        message(Retry_After="4"),
        [("Retry-After", "4"), ("retry-after", "5")],
        (["retry-after", "4"],),
    ],
    ids=lambda value: type(value).__name__,
)
def test_headers_are_found_in_whatever_shape_clients_keep_them(headers):
    assert wait(headers=headers) == 4.0
    assert wait(response=Response(headers)) == 4.0
    assert wait(response={"ResponseMetadata": {"HTTPHeaders": headers}}) == 4.0


@pytest.mark.parametrize(
    "headers", ["retry-after: 4", 3, [("retry-after",)], [3], object(), [("retry-after", "4", "5")]]
)
def test_what_is_no_set_of_headers_says_nothing(headers):
    assert wait(headers=headers) is None


def test_only_so_many_headers_are_read():
    class Endless:
        def items(self):
            while True:
                yield "x", "y"

    assert wait(headers=Endless()) is None


def test_a_retry_info_of_googles_is_read():
    def details(*found):
        return {
            "error": {
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", **one} for one in found]
            }
        }

    assert wait(details=details({}, {"retryDelay": "37.5s"})) == 37.5
    assert wait(details=details({"retryDelay": "37"}, {"retryDelay": "xs"}, {"retryDelay": 3})) is None
    assert wait(details=details(*[{}] * 16, {"retryDelay": "1s"})) is None
    assert wait(details={"error": {"details": "37s"}}) is None


def test_the_cause_chain_is_followed_for_eight_links_and_the_nearest_wins():
    def after(hops):
        error = last = ServerError()
        for _ in range(hops):
            last.__cause__ = ServerError()
            last = last.__cause__
        last.retry_after = 5
        return error

    assert retry_after_of(after(7), WALL) == 5.0
    assert retry_after_of(after(8), WALL) is None
    near = after(2)
    near.__cause__.headers = {"retry-after": "1"}
    assert retry_after_of(near, WALL) == 1.0


def test_an_error_that_was_merely_being_handled_says_nothing():
    error = ServerError()
    error.__context__ = ServerError(retry_after=5)
    assert retry_after_of(error, WALL) is None


def test_a_cycle_ends():
    error = ServerError()
    error.__cause__ = error
    assert retry_after_of(error, WALL) is None


@pytest.mark.parametrize("wall", [math.nan, math.inf, -math.inf, 1e300])
def test_a_broken_wall_clock_only_costs_the_dates(wall):
    error = ServerError(headers={"retry-after": "Sunday, 01-Mar-26 12:01:00 GMT"})
    assert retry_after_of(error, wall) is None
    assert retry_after_of(ServerError(headers={"retry-after": "3"}), wall) == 3.0


def test_a_two_digit_year_is_read_in_the_clocks_own_century():
    error = ServerError(headers={"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT"})
    assert retry_after_of(error, datetime(1994, 11, 6, 8, 49, 30, tzinfo=UTC).timestamp()) == 7.0


TOUCHED = []


def touch(name):
    def method(self, *args):
        TOUCHED.append(name)
        raise RuntimeError(name)

    return method


FORBIDDEN = (
    "__str__",
    "__repr__",
    "__eq__",
    "__bool__",
    "__hash__",
    "__len__",
    "__float__",
    "__int__",
    "__index__",
)


class Hostile:
    """An object that objects to everything."""


class HostileError(Exception):
    """An exception that objects to everything and whose every attribute raises."""

    def __getattribute__(self, name):
        raise RuntimeError(name)


class HostileFloat(float):
    """A number that must be read by what it is."""


class HostileText(str):  # noqa: SLOT000
    """Text that must be read by what it is."""


for _name in FORBIDDEN:
    for _class in (Hostile, HostileError, HostileFloat, HostileText):
        setattr(_class, _name, touch(_name))

# Hypothesis prints and compares what it draws, so it draws plans, and the test builds the hostile things.
NAIVE_1900, NAIVE_1971, NAIVE_2200 = (datetime(year, 1, 1) for year in (1900, 1971, 2200))  # noqa: DTZ001
DATES = st.datetimes(min_value=NAIVE_1900).map(
    lambda when: format_datetime(when.replace(tzinfo=UTC), usegmt=True)
)
TEXTS = st.text(max_size=80) | st.text("0123456789.:-, gmtGMTSunMar", max_size=40) | DATES
PLANS = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=40),
    st.tuples(st.just(Hostile)),
    st.tuples(st.just(HostileText), TEXTS),
    st.tuples(st.just(HostileFloat), st.floats()),
)
NAMES = PLANS | st.sampled_from(["Retry-After", "retry-after-ms", b"retry-after"])
HEADERS = st.one_of(
    PLANS,
    st.lists(st.lists(NAMES, min_size=2, max_size=2), max_size=4),
    st.dictionaries(st.sampled_from(["Retry-After", "retry-after-ms", "x", 3]), PLANS, max_size=4),
)


def build(plan):
    if type(plan) is tuple:
        return plan[0](*plan[1:])
    if type(plan) is list:
        return list(map(build, plan))
    if type(plan) is dict:
        return {key: build(value) for key, value in plan.items()}
    return plan


@given(PLANS, HEADERS, HEADERS, st.floats(), st.booleans())
def test_reading_is_total_and_finds_only_finite_times(value, headers, others, wall, hostile_cause):
    error = ServerError(retry_after=build(value), headers=build(headers), response=Response(build(others)))
    if hostile_cause:
        error.__cause__ = HostileError()
    TOUCHED.clear()
    seconds = retry_after_of(error, wall)
    assert seconds is None or (type(seconds) is float and math.isfinite(seconds) and seconds >= 0.0)
    assert TOUCHED == []


@given(
    st.datetimes(min_value=NAIVE_1971, max_value=NAIVE_2200).map(
        lambda when: when.replace(microsecond=0, tzinfo=UTC)
    ),
    st.integers(0, 10**6),
)
def test_a_date_means_the_time_until_it(when, ahead):
    header = format_datetime(when, usegmt=True)
    error = ServerError(headers={"retry-after": header})
    assert retry_after_of(error, when.timestamp() - ahead) == ahead
    assert retry_after_of(error, when.timestamp() + ahead) == 0.0
