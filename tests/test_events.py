"""Events: told to whoever asked, and never in anybody's way."""

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from resilient_ml import events
from resilient_ml.events import (
    AllTargetsDown,
    BatchSplit,
    BreakerChanged,
    BudgetSoftLimit,
    CallRejected,
    CeilingChanged,
    ContractBroken,
    DriftChanged,
    Event,
    FallbackServed,
    HedgeSkipped,
    HedgeStarted,
    HedgeWon,
    NotStored,
    RateClosed,
    RetryScheduled,
    RetryStopped,
    RowsIsolated,
    StaleServed,
    Subscription,
    SurgeEnded,
    SurgeStarted,
    TimedOut,
    log_to,
    subscribe,
    subscriptions,
)

from .machines.crowd import crowd

SAMPLES: list[Event] = [
    RetryScheduled(policy="p", at=1.0, attempt=1, kind="server", delay=0.5),
    RetryStopped(policy="p", at=1.0, attempt=3, kind="server", reason="no attempts are left"),
    BreakerChanged(policy="p", at=1.0, before="closed", after="open", reason="after 5 failures in a row"),
    CallRejected(policy="p", at=1.0, reason="is full"),
    TimedOut(policy="p", at=1.0, seconds=0.25, abandoned=1),
    FallbackServed(policy="p", at=1.0, target="small_model", kind="timeout"),
    AllTargetsDown(policy="p", at=1.0, action="wait", seconds=2.0),
    HedgeStarted(policy="p", at=1.0, target="replica", delay=0.1),
    HedgeSkipped(policy="p", at=1.0, delay=0.1, reason="the budget is spent"),
    HedgeWon(policy="p", at=1.0, target="replica", seconds=0.2),
    RateClosed(policy="p", at=1.0, seconds=20.0),
    BudgetSoftLimit(policy="p", at=1.0, spent=8.0, limit=10.0),
    StaleServed(policy="p", at=1.0, reason="refreshing", age=3.0),
    NotStored(policy="p", at=1.0, reason="it is degraded"),
    DriftChanged(policy="p", at=1.0, signal="score", segment=None, before="ok", after="drifted", moved="age"),
    RowsIsolated(policy="p", at=1.0, rows=64, bad=1, calls=13),
    BatchSplit(policy="p", at=1.0, rows=64, cost=64.0),
    CeilingChanged(policy="p", at=1.0, ceiling=32.0),
    ContractBroken(policy="p", at=1.0, side="output", rule="finite", action="fail", flaw="is not finite"),
    SurgeStarted(policy="p", at=1.0, demand=90.0, capacity=50.0),
    SurgeEnded(policy="p", at=1.0, seconds=60.0, shed=2400, peak=120.0),
]


def tell(event: Event) -> None:
    """As a policy does it."""
    for subscription in subscriptions():
        subscription.deliver(event)


@pytest.fixture(autouse=True)
def _nobody_listens_afterwards() -> Iterator[None]:
    assert subscriptions() == ()
    yield
    assert subscriptions() == ()


def test_a_subscriber_hears_every_event_until_it_is_closed() -> None:
    heard: list[Event] = []
    subscription = subscribe(heard.append)
    for event in SAMPLES:
        tell(event)
    subscription.close()
    tell(SAMPLES[0])
    assert heard == SAMPLES


def test_the_end_of_the_block_closes_it_even_when_it_raises() -> None:
    heard: list[Event] = []
    with pytest.raises(KeyError), subscribe(heard.append) as subscription:
        assert isinstance(subscription, Subscription)
        tell(SAMPLES[0])
        raise KeyError
    tell(SAMPLES[0])
    assert len(heard) == 1


def test_closing_twice_is_harmless_and_closes_no_other() -> None:
    heard: list[Event] = []
    with subscribe(heard.append):
        twin = subscribe(heard.append)
        twin.close()
        twin.close()
        tell(SAMPLES[0])
    assert len(heard) == 1


def test_subscribers_hear_in_the_order_they_came() -> None:
    heard: list[str] = []
    with subscribe(lambda _: heard.append("first")), subscribe(lambda _: heard.append("second")):
        tell(SAMPLES[0])
    assert heard == ["first", "second"]


def test_a_listener_that_raises_is_logged_once_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("row 17 of s3cret.csv")

    with subscribe(broken), subscribe(heard.append):
        for event in SAMPLES:
            tell(event)
    assert heard == SAMPLES
    assert [record.getMessage() for record in caplog.records] == [
        "an event listener raised RuntimeError on RetryScheduled; its further errors are not logged"
    ]
    assert (caplog.records[0].name, caplog.records[0].levelname) == ("resilient_ml", "ERROR")
    assert caplog.records[0].exc_info is None


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_in_a_listener_passes_through(raised: type[BaseException]) -> None:
    def interrupted(event: Event) -> None:
        raise raised

    with subscribe(interrupted), pytest.raises(raised):
        tell(SAMPLES[0])


@pytest.mark.parametrize("listener", [None, 3, "print", b"", []])
def test_what_cannot_be_called_is_refused_by_its_type_alone(listener: Any) -> None:
    with pytest.raises(TypeError) as caught:
        subscribe(listener)
    kind = type(listener).__name__
    assert str(caught.value) == f"listener must be callable, got {kind}; pass a function that takes one event"


def test_a_listener_may_close_itself_and_subscribe_others() -> None:
    heard: list[str] = []
    mine: list[Subscription] = []

    def once(event: Event) -> None:
        heard.append("once")
        mine.pop().close()
        mine.append(subscribe(lambda _: heard.append("after")))

    mine.append(subscribe(once))
    tell(SAMPLES[0])
    tell(SAMPLES[0])
    mine.pop().close()
    assert heard == ["once", "after"]


def test_threads_that_come_and_go_lose_no_subscription() -> None:
    kept: list[Subscription] = []

    def work(_: int) -> None:
        for turn in range(200):
            subscription = subscribe(print)
            if turn % 20:
                subscription.close()
            else:
                kept.append(subscription)

    crowd(8, work)
    assert set(subscriptions()) == set(kept)
    assert len(kept) == 80
    for subscription in kept:
        subscription.close()


def test_each_event_is_one_line_in_the_log_until_closed(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("a service")
    with caplog.at_level(logging.INFO), log_to(logger, level=logging.INFO):
        tell(SAMPLES[3])
    with log_to(logger):
        tell(SAMPLES[4])
    tell(SAMPLES[5])
    lines = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("a service", "INFO", str(SAMPLES[3])),
        ("a service", "WARNING", "TimedOut(policy='p', at=1.0, seconds=0.25, abandoned=1)"),
    ]


def test_there_is_a_sample_of_every_event_here() -> None:
    exported = [getattr(events, name) for name in events.__all__]
    told = {one for one in exported if isinstance(one, type) and issubclass(one, Event)}
    assert {type(sample) for sample in SAMPLES} == told - {Event}


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_events_are_frozen_values(event: Event) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.policy = "another"  # type: ignore[misc]
    assert dataclasses.replace(event) == event
    assert dataclasses.replace(event, at=2.0) != event
    assert not hasattr(event, "__dict__")
    assert len({event, dataclasses.replace(event)}) == 1


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_events_carry_names_and_numbers_alone(event: Event) -> None:
    values = [getattr(event, part.name) for part in dataclasses.fields(event)]
    assert all(value is None or isinstance(value, str | int | float) for value in values)
