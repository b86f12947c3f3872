"""Clients: every request gets its reply, requests wait in line when all clients are busy, callers give up.

Threads, asyncio and trio serve the same traffic alike, in virtual time.
"""

import asyncio
import contextlib
import threading
import time

import anyio
import pytest

from resilient_ml import BulkheadFull, Colour
from resilient_ml.evaluate import Workload
from resilient_ml.evaluate.client_tasks import ClientTasks
from resilient_ml.evaluate.client_threads import ClientThreads
from resilient_ml.evaluate.tickets import CURRENT, Ticket
from resilient_ml.evaluate.watching import Watch
from resilient_ml.testing import virtual_time


class Crowd:
    """Serves a workload on one of the three, in virtual time."""

    def __init__(self, backend):
        self.backend = backend
        self.blocking = backend == "threads"

    def model(self, behave):
        """A model of this colour; *behave* says for each argument the seconds it takes, or what it raises."""

        def take(given):
            what = behave(given)
            if isinstance(what, BaseException):
                raise what
            return what

        if self.blocking:

            def model(given):
                time.sleep(take(given))
                return given

            return model

        async def model(given):
            await anyio.sleep(take(given))
            return given

        return model

    def stream(self, behave):
        """The same, as a stream of three items, with the wait before each."""
        if self.blocking:

            def stream(given):
                for item in range(3):
                    what = behave(item)
                    if isinstance(what, BaseException):
                        raise what
                    time.sleep(what)
                    yield item

            return stream

        async def stream(given):
            for item in range(3):
                what = behave(item)
                if isinstance(what, BaseException):
                    raise what
                await anyio.sleep(what)
                yield item

        return stream

    def serve(
        self, fn, workload, *, patience=60.0, streams=False, release=lambda: None, settled=lambda reply: None
    ):
        traffic = workload.draw(seed=0)
        tickets = [Ticket(number, Watch()) for number in range(len(traffic.requests))]
        parameters = {"patience": patience, "tickets": tickets, "settled": settled}
        with virtual_time():
            if self.blocking:
                colour = Colour.STREAM if streams else Colour.CALL
                clients = ClientThreads(fn, colour, traffic, **parameters)
                return clients.run()
            colour = Colour.ASYNC_STREAM if streams else Colour.ASYNC_CALL
            clients = ClientTasks(fn, colour, traffic, release=release, settle_seconds=1.0, **parameters)
            return anyio.run(clients.run, backend=self.backend)


@pytest.fixture(params=["threads", "asyncio", "trio"])
def crowd(request):
    return Crowd(request.param)


def spans(replies):
    return [(round(row.started, 6), round(row.ended, 6)) for row in replies]


def test_requests_are_sent_when_they_arrive(crowd):
    replies = crowd.serve(crowd.model(lambda _: 0.5), Workload.at(["a", "b", "c"], [0.0, 0.1, 2.0]))
    assert spans(replies) == [(0.0, 0.5), (0.1, 0.6), (2.0, 2.5)]
    assert [row.arrived for row in replies] == [0.0, 0.1, 2.0]
    assert [(row.status, row.answer, row.items) for row in replies] == [
        ("ok", "a", 1),
        ("ok", "b", 1),
        ("ok", "c", 1),
    ]
    assert [row.number for row in replies] == [0, 1, 2]


def test_requests_wait_in_line_when_every_client_is_busy(crowd):
    workload = Workload.at([1, 2, 3, 4], [0.0, 0.0, 0.0, 3.0], clients=2)
    replies = crowd.serve(crowd.model(lambda _: 1.0), workload)
    assert spans(replies) == [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0), (3.0, 4.0)]
    assert [row.waited for row in replies] == [1.0, 1.0, 2.0, 1.0]


def test_an_hour_of_one_request_a_second_needs_one_thread(crowd):
    seen = set()

    def behave(_):
        seen.add(threading.get_ident())
        return 0.25

    replies = crowd.serve(crowd.model(behave), Workload.constant(["a"], rate=1.0, seconds=3600.0))
    assert len(replies) == 3600
    assert {row.waited for row in replies} == {0.25}
    assert len(seen) <= 2


def test_in_a_closed_loop_users_ask_think_and_ask_again(crowd):
    workload = Workload.closed(list(range(5)), clients=2, count=5, think=1.0)
    replies = crowd.serve(crowd.model(lambda given: 1.0 + given), workload)
    assert spans(replies) == [(0.0, 1.0), (0.0, 2.0), (2.0, 5.0), (3.0, 7.0), (6.0, 11.0)]
    assert [row.arrived for row in replies] == [row.started for row in replies]


def test_in_a_closed_loop_users_may_ask_on_at_once(crowd):
    replies = crowd.serve(crowd.model(lambda _: 1.0), Workload.closed(["a"], clients=1, count=3))
    assert spans(replies) == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]


def test_what_a_model_raises_is_told_by_kind(crowd):
    errors = {
        "a": ConnectionError(),
        "b": BulkheadFull("full"),
        "c": ValueError(),
        "d": asyncio.CancelledError(),
        "e": 0.0,
    }
    replies = crowd.serve(crowd.model(errors.get), Workload.at(list(errors), [0.0, 1.0, 2.0, 3.0, 4.0]))
    assert [(row.status, row.kind) for row in replies] == [
        ("failed", "connection"),
        ("rejected", "overload"),
        ("failed", "bad_input"),
        ("failed", "unknown"),
        ("ok", None),
    ]


def test_a_caller_gives_up_and_the_next_is_served_all_the_same(crowd):
    workload = Workload.at(["hang", "b", "c"], [0.0, 1.0, 9.0], clients=1)
    replies = crowd.serve(
        crowd.model(lambda given: 100.0 if given == "hang" else 0.5), workload, patience=5.0
    )
    assert [row.status for row in replies] == ["hung", "ok", "ok"]
    assert spans(replies) == [(0.0, 5.0), (5.0, 5.5), (9.0, 9.5)]
    assert replies[0].kind is None


def test_in_a_closed_loop_another_user_takes_the_place_of_one_who_gave_up(crowd):
    workload = Workload.closed(["hang", "b", "c"], clients=2, count=3)
    replies = crowd.serve(
        crowd.model(lambda given: 100.0 if given == "hang" else 4.0), workload, patience=5.0
    )
    assert [row.status for row in replies] == ["hung", "ok", "ok"]
    assert spans(replies) == [(0.0, 5.0), (0.0, 4.0), (4.0, 8.0)]


def test_callers_give_up_one_after_the_other(crowd):
    workload = Workload.at(["a", "b", "c"], [0.0, 1.0, 2.0])
    replies = crowd.serve(crowd.model(lambda _: 100.0), workload, patience=5.0)
    assert [(row.status, round(row.ended, 6)) for row in replies] == [
        ("hung", 5.0),
        ("hung", 6.0),
        ("hung", 7.0),
    ]


def test_a_stream_is_consumed_to_its_end(crowd):
    (row,) = crowd.serve(crowd.stream(lambda item: 0.5 + item), Workload.at(["a"], [1.0]), streams=True)
    assert (row.status, row.answer, row.items, row.first, row.waited) == ("ok", [0, 1, 2], 3, 0.5, 4.5)


def test_a_stream_that_breaks_keeps_what_came(crowd):
    def behave(item):
        return ConnectionError() if item == 2 else 0.5

    (row,) = crowd.serve(crowd.stream(behave), Workload.at(["a"], [0.0]), streams=True)
    assert (row.status, row.kind, row.answer, row.items) == ("failed", "connection", [0, 1], 2)


def test_a_stream_without_items_has_no_first_one(crowd):
    (row,) = crowd.serve(
        crowd.stream(lambda item: ConnectionError()), Workload.at(["a"], [0.0]), streams=True
    )
    assert (row.answer, row.items, row.first) == (None, 0, None)


def test_the_model_finds_the_ticket_of_its_request(crowd):
    seen = []

    def behave(given):
        seen.append((given, CURRENT.get().number))
        return 0.1

    crowd.serve(crowd.model(behave), Workload.at([10, 11, 12], [0.0, 0.0, 1.0]))
    assert sorted(seen) == [(10, 0), (11, 1), (12, 2)]


def test_each_reply_is_told_when_it_is_settled(crowd):
    told = []
    crowd.serve(
        crowd.model(lambda given: given),
        Workload.at([3.0, 1.0], [0.0, 0.0]),
        settled=lambda row: told.append(row.number),
    )
    assert told == [1, 0]


def test_what_goes_wrong_in_the_evaluation_itself_is_raised(crowd):
    def settled(_):
        raise ZeroDivisionError

    with pytest.raises(BaseException) as caught:
        crowd.serve(crowd.model(lambda _: 0.0), Workload.at(["a", "b"], [0.0, 5.0]), settled=settled)
    errors = [caught.value]
    while isinstance(errors[0], BaseExceptionGroup):
        errors = list(errors[0].exceptions)
    assert isinstance(errors[0], ZeroDivisionError)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_interrupts_pass_through_a_task(backend):
    async def model(_):
        raise KeyboardInterrupt

    with pytest.raises(BaseException) as caught, contextlib.suppress(ZeroDivisionError):
        Crowd(backend).serve(model, Workload.at(["a"], [0.0]))
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, KeyboardInterrupt)


def test_tasks_that_are_left_behind_are_counted_once_they_had_time_to_end():
    left = []

    async def model(seconds):
        left.append(asyncio.create_task(asyncio.sleep(seconds)))

    traffic = Workload.at([0.5, 100.0], [0.0, 0.0]).draw(seed=0)
    tickets = [Ticket(number, Watch()) for number in range(2)]
    clients = ClientTasks(
        model,
        Colour.ASYNC_CALL,
        traffic,
        patience=5.0,
        tickets=tickets,
        settled=lambda _: None,
        release=lambda: None,
        settle_seconds=1.0,
    )
    with virtual_time():
        anyio.run(clients.run)
    assert clients.tasks_left == 1


def test_a_request_that_is_answered_as_its_caller_gives_up_is_answered():
    traffic = Workload.at([0.0], [0.0]).draw(seed=0)
    clients = ClientThreads(
        lambda given: given,
        Colour.CALL,
        traffic,
        patience=5.0,
        tickets=[Ticket(0, Watch())],
        settled=lambda _: None,
    )
    clients.run()
    clients._give_up(0, 5.0)
    assert [row.status for row in clients.replies] == ["ok"]
