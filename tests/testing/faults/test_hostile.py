"""Hostile exceptions are as hostile as they say, and the library's policies handle them."""

import pytest

from resilient_ml import Fallback, Kind, Retry, kind_of
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

HOSTILE = [
    faults.falsy_error(),
    faults.lying_error(),
    faults.unprintable_error(),
    faults.huge_error(0.001),
    faults.error_group(),
    faults.error_group(ConnectionError, lambda: KeyError("x"), "server"),
    faults.cyclic_causes(),
    faults.huge_notes(100),
]


def raised(fault):
    try:
        faults.inject(len, fault)("rows")
    except BaseException as error:  # noqa: BLE001
        return error


@pytest.mark.parametrize("fault", HOSTILE, ids=str)
def test_a_retry_and_a_fallback_handle_it(world, fault):
    model = world.model("cat")
    plan = FaultPlan(fault.first(1))
    assert world.call(Retry(attempts=2)(plan.inject(model))) == "cat"
    assert len(plan.history) == 1
    assert world.call(Fallback("neutral")(faults.inject(model, fault))) == "neutral"


@pytest.mark.parametrize("fault", HOSTILE, ids=str)
def test_a_call_has_an_exception_of_its_own(fault):
    assert raised(fault) is not raised(fault)


def test_a_falsy_error_is_false_empty_and_equal_to_everything():
    error = raised(faults.falsy_error())
    assert (bool(error), len(error), error == "anything", hash(error)) == (False, 0, True, 0)


def test_a_lying_error_says_it_is_an_interrupt():
    error = raised(faults.lying_error())
    assert isinstance(error, KeyboardInterrupt)
    assert issubclass(type(error), Exception)


@pytest.mark.parametrize("show", [str, repr])
def test_an_unprintable_error_cannot_be_shown(show):
    with pytest.raises(RuntimeError, match="this exception has no repr"):
        show(raised(faults.unprintable_error()))


def test_a_huge_error_has_a_huge_text():
    error = raised(faults.huge_error(0.5))
    assert (len(str(error)), len(repr(error)), error.megabytes) == (500_000, 500_000, 0.5)


def test_a_group_has_what_was_asked_for_in_it():
    error = raised(faults.error_group("auth", KeyError, lambda: OSError(1)))
    assert [type(member).__name__ for member in error.exceptions] == [
        "APIStatusError",
        "KeyError",
        "OSError",
    ]
    assert kind_of(raised(faults.error_group())) is Kind.CONNECTION


def test_a_group_may_hold_an_interrupt():
    error = raised(faults.error_group(KeyboardInterrupt, ValueError))
    assert isinstance(error, BaseExceptionGroup)
    assert not isinstance(error, ExceptionGroup)


def test_cyclic_causes_come_back_to_where_they_began():
    error = raised(faults.cyclic_causes())
    assert error.__cause__.__cause__ is error
    assert kind_of(error) is Kind.UNKNOWN


def test_huge_notes_are_many():
    assert len(raised(faults.huge_notes()).__notes__) == 10_000


def test_what_they_say_of_themselves():
    assert [str(fault) for fault in HOSTILE] == [
        "falsy_error()",
        "lying_error()",
        "unprintable_error()",
        "huge_error(0.001)",
        "error_group('connection', 'bad_input')",
        "error_group(ConnectionError, ..., 'server')",
        "cyclic_causes()",
        "huge_notes(100)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.huge_error(0), ValueError, "megabytes must be above 0"),
        (lambda: faults.huge_notes(0), ValueError, "count must be at least 1"),
        (lambda: faults.error_group(5), TypeError, "members must be callable"),
        (lambda: faults.error_group("slow"), ValueError, "what must be one of"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
