"""The errors: one tree, and all of them travel."""

import copy
import pickle
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from resilient_ml import errors
from resilient_ml.errors import (
    BadRows,
    BudgetExhausted,
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    Drifted,
    InvalidInput,
    InvalidOutput,
    LimitExceeded,
    RateLimited,
    Rejected,
    ResilienceError,
    RowQuarantined,
    RowResult,
    StreamInterrupted,
    StreamTimeout,
    StreamTruncated,
    WorkerCrashed,
)

REFUSED = {"retry_after": 12.4, "policy": "embedder"}
LATE = {"kind": "timeout", "seconds": 0.25, "deadline": 1234.5, "policy": "embedder"}
ATTRIBUTES: dict[type[ResilienceError], dict[str, Any]] = {
    ResilienceError: {},
    Rejected: REFUSED,
    CircuitOpen: REFUSED,
    BulkheadFull: REFUSED,
    LimitExceeded: REFUSED,
    RateLimited: REFUSED,
    BudgetExhausted: REFUSED,
    Drifted: REFUSED,
    DeadlineExceeded: LATE,
    InvalidInput: {"rule": "finite", "rows": (3,), "argument": "rows"},
    InvalidOutput: {"rule": "finite", "rows": (3,)},
    BadRows: {"results": (RowResult(True, 1.5, None, None),)},
    RowQuarantined: {},
    StreamInterrupted: {"delivered": 7},
    StreamTimeout: {**LATE, "delivered": 7},
    StreamTruncated: {"delivered": 7},
    WorkerCrashed: {"exitcode": -11},
}
DEFAULTS: dict[str, Any] = {
    "retry_after": None,
    "policy": None,
    "kind": "deadline",
    "seconds": None,
    "deadline": None,
    "rule": None,
    "rows": (),
    "argument": None,
    "results": (),
    "delivered": 0,
    "exitcode": None,
}


def pickled(error: ResilienceError, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))


WAYS: dict[str, Callable[[Any], Any]] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
WAYS |= {f"pickle {n}": partial(pickled, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)}


def everything_below(kind: type[Any]) -> set[type[Any]]:
    return {kind}.union(*(everything_below(child) for child in kind.__subclasses__()))


def test_every_error_of_the_library_is_named_here_and_exported() -> None:
    ours = {kind for kind in everything_below(ResilienceError) if kind.__module__ == "resilient_ml.errors"}
    assert ours == set(ATTRIBUTES)
    assert {kind.__name__ for kind in ours} == set(errors.__all__)


def test_the_tree_is_the_one_that_is_drawn_at_its_head() -> None:
    above: list[str] = []
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            drawn[found[2]] = above[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in ATTRIBUTES}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_an_error_travels_with_its_message_numbers_and_notes(kind: type[ResilienceError], way: str) -> None:
    error = kind("what happened; what to do", **ATTRIBUTES[kind])
    error.add_note("Retry stopped after attempt 3 of 3")
    other = WAYS[way](error)
    assert type(other) is kind
    assert str(other) == "what happened; what to do"
    assert other.args == error.args
    assert vars(other) == vars(error) == {**ATTRIBUTES[kind], "__notes__": error.__notes__}


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_an_error_needs_nothing_but_its_class(kind: type[ResilienceError]) -> None:
    error = pickle.loads(pickle.dumps(kind()))
    assert vars(error) == {name: DEFAULTS[name] for name in ATTRIBUTES[kind]}
    with pytest.raises(kind):
        raise kind


@pytest.mark.parametrize("kind", [kind for kind in ATTRIBUTES if ATTRIBUTES[kind]])
def test_numbers_are_given_by_name_alone(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind("what happened", 3)


def test_a_refusal_is_caught_as_one() -> None:
    refusals = everything_below(Rejected) - {Rejected}
    assert {kind.__name__ for kind in refusals if kind.__module__ == "resilient_ml.errors"} == {
        "CircuitOpen",
        "BulkheadFull",
        "LimitExceeded",
        "Drifted",
        "RateLimited",
        "BudgetExhausted",
    }
    assert not issubclass(DeadlineExceeded, Rejected)


def test_a_passed_deadline_is_caught_as_a_time_out_of_the_language() -> None:
    error = DeadlineExceeded("too late", seconds=0.25)
    assert isinstance(error, TimeoutError)
    assert str(error) == "too late"
    assert error.errno is None


def test_the_error_of_a_policys_limit_says_which_and_how_long() -> None:
    error = DeadlineExceeded.of_limit(0.25, "embedder", 1234.5)
    assert vars(error) == {"kind": "timeout", "seconds": 0.25, "deadline": 1234.5, "policy": "embedder"}
    assert str(error) == "'embedder' took longer than its limit of 0.25 s; raise the limit, or make it faster"


def test_no_error_is_an_interrupt() -> None:
    assert all(issubclass(kind, Exception) for kind in ATTRIBUTES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("retry_after", "left", "remedy"),
    [
        (12.44, " for another 12.4 s", "retry after that, or put a Fallback outside it"),
        (None, "", "call force_closed() or reset() to let calls through"),
    ],
)
def test_the_refusal_of_a_breaker_says_why_when_it_is_read(
    retry_after: float | None, left: str, remedy: str, way: str
) -> None:
    error = WAYS[way](CircuitOpen.of("embedder", "open", retry_after, "after 5 failures in a row"))
    message = f"breaker 'embedder' is open{left} after 5 failures in a row; {remedy}"
    assert str(error) == message
    assert repr(error) == f"CircuitOpen({message!r})"
    assert (error.policy, error.retry_after) == ("embedder", retry_after)
    assert (error.state, error.reason) == ("open", "after 5 failures in a row")
