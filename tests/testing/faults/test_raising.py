"""Faults that raise: what is raised, that the library's classifier knows it, and what cannot be raised."""

import asyncio
import concurrent.futures
import pickle

import pytest
import trio

from resilient_ml import Kind, Retry, kind_of
from resilient_ml.retry_after import retry_after_of
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan
from resilient_ml.testing.faults.vendor_errors import MADE, of_kind, retry_headers


@pytest.mark.parametrize("what", [ConnectionError, lambda: ConnectionError("down"), "connection"])
def test_an_error_is_raised_before_the_model_is_called(world, what):
    model = world.model("cat")
    assert isinstance(world.failure(faults.inject(model, faults.error(what))), ConnectionError)
    assert model.starts == []


def test_every_call_has_an_exception_of_its_own(world):
    broken = faults.inject(world.model("cat"), faults.error("overload"))
    first, second = world.failure(broken), world.failure(broken)
    assert first is not second


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.STALL}))
def test_an_error_by_kind_is_what_the_classifier_takes_it_for(kind):
    with pytest.raises(Exception) as caught:
        faults.inject(len, faults.error(kind))("rows")
    assert kind_of(caught.value) is kind
    assert str(faults.error(kind.value)) == f"error('{kind.value}')"


@pytest.mark.parametrize("kind", sorted(MADE))
@pytest.mark.parametrize(("seconds", "read"), [(None, None), (2.0, 2.0), (0.25, 0.25)])
def test_a_pause_asked_for_is_read_again(kind, seconds, read):
    assert retry_after_of(of_kind(kind, seconds), wall=0.0) == read


@pytest.mark.parametrize("kind", sorted(MADE))
def test_errors_by_kind_travel(kind):
    error = pickle.loads(pickle.dumps(of_kind(kind, 2.0)))
    assert kind_of(error) is kind
    # The standard library's own error about JSON leaves its attributes behind.
    assert retry_after_of(error, wall=0.0) == (None if kind is Kind.INVALID_OUTPUT else 2.0)


def test_a_refusal_looks_like_a_servers():
    error = of_kind(Kind.RATE_LIMITED, 1.5)
    assert error.status_code == error.response.status_code == 429
    assert error.response.headers == {"retry-after": "2", "retry-after-ms": "1500"}
    assert error.body["error"]["code"] == "rate_limit_exceeded"
    assert retry_headers(3.0) == {"retry-after": "3"}


def test_a_retry_waits_as_long_as_the_server_asks(world):
    broken = faults.inject(world.model("cat"), faults.error("rate_limited", retry_after=5).first(1))
    began = world.clock.now()
    assert world.call(Retry(attempts=2)(broken)) == "cat"
    assert world.clock.now() - began >= 5


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_can_be_raised(interrupt):
    with pytest.raises(interrupt):
        faults.inject(len, faults.error(interrupt))("rows")


def test_the_end_of_an_iteration_is_raised_as_it_is():
    with pytest.raises(StopIteration):
        faults.inject(len, faults.error(StopIteration))("rows")


def test_an_outage_and_flapping_refuse_the_connection(plain_world):
    broken = faults.inject(plain_world.model("cat"), faults.outage(10, 20), faults.flapping(up=30, down=5))
    seen = []
    for _ in range(8):
        seen.append(type(plain_world.failure(broken)))
        plain_world.clock.sleep(5)
    refused, ok = ConnectionRefusedError, type(None)
    assert seen == [ok, ok, refused, refused, ok, ok, refused, ok]


def test_a_cancellation_out_of_nowhere(world):
    expected = {"asyncio": asyncio.CancelledError, "trio": trio.Cancelled}.get(
        world.backend, concurrent.futures.CancelledError
    )
    broken = faults.inject(world.model("cat"), faults.cancelled())

    async def main():
        try:
            await world.use(broken, {})
        except BaseException as error:  # noqa: BLE001
            return type(error)

    if world.is_async:
        assert world.run(main) is expected
    else:
        assert isinstance(world.failure(broken), expected)


def test_reentry_calls_a_function_with_the_same_arguments(world):
    inner = world.model("inner")
    broken = faults.inject(world.model("cat"), faults.reentry(inner).times(1))
    assert [world.call(broken, 1, key=2) for _ in range(2)] == ["cat", "cat"]
    assert inner.asked == [((1,), {"key": 2})]


def test_a_plain_function_can_be_called_from_any_colour(world):
    seen = []
    world.call(faults.inject(world.model("cat"), faults.reentry(seen.append)), "rows")
    assert seen == ["rows"]


def test_other_words_for_errors():
    with pytest.raises(faults.OutOfMemoryError, match=r"CUDA out of memory\. Tried to allocate"):
        faults.inject(len, faults.cuda_out_of_memory())("rows")
    with pytest.raises(RuntimeError, match="can't start new thread"):
        faults.inject(len, faults.thread_start_fails())("rows")


def test_what_they_say_of_themselves():
    class Factory:
        def __call__(self):
            return ValueError()

    plan = FaultPlan(
        faults.error(ValueError),
        faults.error(lambda: ValueError("x")),
        faults.error(Factory()),
        faults.error("overload", retry_after=2),
        faults.cuda_out_of_memory(),
        faults.cancelled(),
        faults.reentry(len),
    )
    assert plan.describe().splitlines() == [
        "error(ValueError)",
        "error(...)",
        "error(Factory)",
        "error('overload', retry_after=2)",
        "cuda_out_of_memory()",
        "cancelled()",
        "reentry(fn=len)",
    ]


def test_a_function_that_makes_no_exception_is_found_out():
    with pytest.raises(TypeError, match=r"error\(...\) must make an exception, and made 'oops'"):
        faults.inject(len, faults.error(lambda: "oops"))("rows")


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.error("slow"), ValueError, "what must be one of auth, bad_input, .*, got 'slow'$"),
        (lambda: faults.error("stall"), ValueError, r"got 'stall'; a stream stalls by faults.stall\(\)"),
        (lambda: faults.error("overload", retry_after=-1), ValueError, "retry_after must not be negative"),
        (lambda: faults.error(ValueError, retry_after=1), TypeError, "retry_after goes with a kind"),
        (
            lambda: faults.error(ValueError("x")),
            TypeError,
            r"got one ValueError; pass the class, or .*lambda",
        ),
        (lambda: faults.error(int), TypeError, "what must be an exception class, got <class 'int'>"),
        (lambda: faults.error(UnicodeDecodeError), TypeError, r"lambda: UnicodeDecodeError\(...\)"),
        (
            lambda: faults.error(5),
            TypeError,
            "what must be callable, got 5; pass an exception class, a function",
        ),
        (lambda: faults.reentry(5), TypeError, "fn must be callable"),
        (lambda: faults.flapping(0, 1), ValueError, "up must be above 0"),
        (lambda: faults.flapping(1, 0), ValueError, "down must be above 0"),
        (lambda: faults.outage(5, 1), ValueError, "ends must be after begins"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
