"""A plain stream that is left behind inside a pull: who closes it, when, and what that may break."""

import threading

import pytest

from resilient_ml import Bulkhead, Colour, DeadlineExceeded, Pipeline, Timeout, deadline
from resilient_ml._drivers import workers

PATIENCE = 20.0


class Chunks:
    """A client's stream: its item and its closing do as they are told."""

    def __init__(self, pull, close):
        self.pull = pull
        self.close = close

    def __iter__(self):
        return self

    def __next__(self):
        return self.pull()


def abandon(pull, close, *outside):
    guarded = Pipeline(*outside, Timeout(0.02))(lambda: Chunks(pull, close), colour=Colour.STREAM)
    with pytest.raises(DeadlineExceeded):
        next(guarded())


def free_again(bulkhead):
    """Wait in the queue for the one seat, and leave it."""
    with deadline(PATIENCE):
        return bulkhead(lambda: bulkhead.in_flight)() == 1


@pytest.fixture(autouse=True)
def _fresh_workers(monkeypatch):
    monkeypatch.setattr(workers._pool, "idle", type(workers._pool.idle)())


def test_an_error_in_closing_costs_neither_the_thread_nor_the_seat():
    released = threading.Event()

    def close():
        raise OSError("connection lost")

    bulkhead = Bulkhead(1, queue=1)
    abandon(released.wait, close, bulkhead)
    assert bulkhead.in_flight == 1
    released.set()
    assert free_again(bulkhead)
    assert Timeout(PATIENCE)(lambda: "cat")() == "cat"


def test_the_seat_is_held_while_the_stream_closes_and_other_calls_go_on():
    released, closed = threading.Event(), threading.Event()
    closing = threading.Event()

    def close():
        closing.set()
        closed.wait(PATIENCE)

    bulkhead = Bulkhead(1, queue=1)
    abandon(released.wait, close, bulkhead)
    released.set()
    assert closing.wait(PATIENCE)
    assert bulkhead.in_flight == 1
    assert Timeout(PATIENCE / 2)(lambda: "cat")() == "cat"
    closed.set()
    assert free_again(bulkhead)


def test_where_no_thread_can_be_started_the_one_that_finished_closes(monkeypatch):
    closed = []
    job = workers.start(threading.Event().wait, (0.05,), {}, float("inf"))

    def refuse(job):
        raise RuntimeError("can't start new thread")

    class Taken:
        """As if another call took the worker in the moment it was free."""

        def append(self, worker):
            pass

        def pop(self):
            raise IndexError

        def remove(self, worker):
            raise ValueError

    monkeypatch.setattr(workers._pool, "idle", Taken())
    monkeypatch.setattr(workers, "_Worker", refuse)
    following = workers.start_after(job, lambda: closed.append(threading.current_thread().name))
    ended = threading.Event()
    following.when_finished(ended.set)
    assert ended.wait(PATIENCE)
    assert closed == ["resilient_ml worker"]


def test_a_stream_may_take_arguments_of_any_name():
    def model(call, step, args, kwargs):
        yield call + step + args + kwargs

    for guarded in (Bulkhead(1, queue=1)(model), Timeout(PATIENCE)(model)):
        assert list(guarded(call=1, step=2, args=3, kwargs=4)) == [10]
