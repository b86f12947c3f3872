"""Streams that break, stall, end early or garble: begun again before their first item, or not at all."""

import contextlib

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    DeadlineExceeded,
    Fallback,
    InvalidOutput,
    Kind,
    Pipeline,
    Retry,
    StreamTruncated,
    Timeout,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from ..worlds import items
from .struck import made

TOKENS = [f"token {number}" for number in range(40)]


def collected(world, safe):
    """The items that a consumer got, and the error that its stream ended in."""
    got = []

    def consume():
        for item in safe():
            got.append(item)  # noqa: PERF402 - what came before an error counts

    async def aconsume():
        async for item in safe():
            got.append(item)  # noqa: PERF401 - likewise

    try:
        world.run(aconsume) if world.is_async else consume()
    except Exception as error:  # noqa: BLE001
        return got, error
    return got, None


def whole(world, plan):
    """Everything around a stream of forty tokens, and what of it can be looked at."""
    breaker, bulkhead = CircuitBreaker(), Bulkhead(1)
    policies = (Fallback("popular"), Retry(2, backoff=AT_ONCE), breaker, bulkhead, Timeout(5))
    return Pipeline(*policies)(plan.inject(world.model(items(*TOKENS)))), breaker, bulkhead


def test_a_stream_that_is_cut_after_items_is_not_begun_again_and_nothing_is_put_in_its_place(stream_world):
    plan = FaultPlan(made("cut"))  # after two items
    safe, breaker, bulkhead = whole(stream_world, plan)
    got, error = collected(stream_world, safe)
    assert got == TOKENS[:2]
    assert isinstance(error, ConnectionResetError)
    assert len(plan.history) == 1
    assert breaker.failures == {Kind.CONNECTION: 1}
    assert bulkhead.in_flight == 0


def test_a_stream_that_is_cut_before_its_first_item_is_begun_again(stream_world):
    plan = FaultPlan(faults.cut(after=0).first(1))
    safe, breaker, _ = whole(stream_world, plan)
    assert collected(stream_world, safe) == (TOKENS, None)
    assert breaker.failures == {Kind.CONNECTION: 1}


@pytest.mark.parametrize("name", ["stall_at_first", "stall_between", "slow_items"])
def test_a_stream_that_stalls_ends_at_its_limit(stream_world, name):
    plan = FaultPlan(made(name) if name != "slow_items" else faults.stall(0.3, at=None))
    breaker, bulkhead = CircuitBreaker(), Bulkhead(1)
    safe = Pipeline(breaker, bulkhead, Timeout(5))(plan.inject(stream_world.model(items(*TOKENS))))
    began = stream_world.clock.now()
    got, error = collected(stream_world, safe)
    assert got == TOKENS[: {"stall_at_first": 0, "stall_between": 2, "slow_items": 16}[name]]
    assert isinstance(error, DeadlineExceeded)
    assert round(stream_world.clock.now() - began, 6) == 5
    assert breaker.failures == {Kind.TIMEOUT: 1}
    plan.release()
    stream_world.clock.sleep(1)
    stream_world.clock.settle()
    assert bulkhead.in_flight == 0


def test_a_stream_that_stalls_before_its_first_item_is_begun_again(stream_world):
    plan = FaultPlan(made("stall_at_first").first(1))
    safe, *_ = whole(stream_world, plan)
    if not stream_world.is_async:
        safe = Pipeline(Retry(2, backoff=AT_ONCE), Timeout(5))(
            plan.inject(stream_world.model(items(*TOKENS)))
        )
    assert collected(stream_world, safe) == (TOKENS, None)
    plan.release()


def test_items_that_only_come_slowly_all_come(stream_world):
    plan = FaultPlan(made("slow_items"))  # 0.05 s each
    safe, breaker, bulkhead = whole(stream_world, plan)
    assert collected(stream_world, safe) == (TOKENS, None)
    assert (breaker.failures, bulkhead.in_flight) == ({}, 0)


def complete(world, model):
    """*model*, whose stream must be the tokens, in order, to the last: what a careful user writes inside."""

    def look(seen, item):
        if item != TOKENS[seen]:
            raise InvalidOutput("the stream breaks its order", rule="order")
        return item

    def end(seen):
        if seen < len(TOKENS):
            raise StreamTruncated("the stream ended without its end", delivered=seen)

    def stream():
        seen = 0
        with contextlib.closing(model()) as given:
            for item in given:
                yield look(seen, item)
                seen += 1
        end(seen)

    async def astream():
        seen = 0
        async with contextlib.aclosing(model()) as given:
            async for item in given:
                yield look(seen, item)
                seen += 1
        end(seen)

    return astream if world.is_async else stream


FLAWS = {
    "truncated": (StreamTruncated, Kind.TRUNCATED),
    "duplicate_items": (InvalidOutput, Kind.INVALID_OUTPUT),
    "lost_items": (InvalidOutput, Kind.INVALID_OUTPUT),
    "malformed_items": (InvalidOutput, Kind.INVALID_OUTPUT),
}


@pytest.mark.parametrize("name", list(FLAWS))
def test_a_stream_with_a_flaw_fails_where_the_flaw_is_and_is_not_begun_again(stream_world, name):
    plan = FaultPlan(made(name), seed=5)
    breaker, bulkhead = CircuitBreaker(), Bulkhead(1)
    policies = Pipeline(Fallback("popular"), Retry(2, backoff=AT_ONCE), breaker, bulkhead)
    safe = policies(complete(stream_world, plan.inject(stream_world.model(items(*TOKENS)))))
    got, error = collected(stream_world, safe)
    assert 0 < len(got) < len(TOKENS)
    assert got == TOKENS[: len(got)]
    wanted, kind = FLAWS[name]
    assert type(error) is wanted
    assert len(plan.history) == 1
    assert breaker.failures == {kind: 1}
    assert bulkhead.in_flight == 0
