"""The loop does one thing after another, in the order of instants, and then in the order of asking."""

import asyncio
import contextvars

import pytest

from resilient_ml.testing.simulate import loop as module
from resilient_ml.testing.simulate.loop import Cancelled, Loop, ScenarioError, Task, Wait


class Kept(Task):
    """A task that keeps how it ended."""

    def __init__(self):
        self.ends = []

    def ended(self, value, error):
        self.ends.append((value, error))


def run(loop, coroutine, task=None):
    task = task or Kept()
    task.begin(coroutine, contextvars.copy_context())
    loop.run()
    return task


def test_what_is_due_first_happens_first_and_of_one_instant_what_was_asked_for_first():
    loop, seen = Loop(), []
    for when, what in [(2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")]:
        loop.at(when, lambda what: seen.append((loop.now, what)), what)
    loop.run()
    assert seen == [(1.0, "a"), (1.0, "b"), (2.0, "c"), (2.0, "d")]


def test_what_is_late_comes_after_everything_of_its_instant_even_if_that_is_asked_for_then():
    loop, seen = Loop(), []
    loop.late(1.0, seen.append, "late")
    loop.at(1.0, lambda what: (seen.append(what), loop.at(1.0, seen.append, "then")), "first")
    loop.run()
    assert seen == ["first", "then", "late"]


def test_what_is_due_in_the_past_happens_now_and_the_clock_never_goes_back():
    loop, seen = Loop(), []
    loop.at(5.0, lambda _: loop.at(1.0, lambda _: seen.append(loop.clock()), None), None)
    loop.run()
    assert seen == [5.0]


def test_it_stops_where_it_is_told_to_and_forgets_the_rest_when_it_is_closed():
    loop, seen = Loop(), []
    loop.at(1.0, lambda _: setattr(loop, "stopped", True), None)
    loop.at(2.0, seen.append, "never")
    loop.run()
    assert (loop.now, seen, loop.pending) == (1.0, [], True)
    loop.close()
    assert not loop.pending


def test_time_that_does_not_move_on_is_reported(monkeypatch):
    monkeypatch.setattr(module, "CIRCLE", 1000)
    loop = Loop()
    turns = []

    def again(_):
        turns.append(None)
        loop.at(loop.now, again, None)

    loop.at(3.0, again, None)
    with pytest.raises(RuntimeError, match="1,000 things have happened at 3 s and time does not move on"):
        loop.run()
    assert len(turns) == 1001


def test_a_task_waits_and_is_resumed_with_a_value_or_an_error():
    loop, first, second = Loop(), Wait(), Wait()

    async def main():
        got = [await first]
        try:
            await second
        except KeyError as error:
            got.append(error.args)
        return got

    loop.at(1.0, first.resume, "value")
    loop.at(2.0, second.fail, KeyError("error"))
    assert run(loop, main()).ends == [(["value", ("error",)], None)]


def test_what_a_task_raises_is_how_it_ends():
    async def main():
        raise KeyError("gone")

    (value, error), *more = run(Loop(), main()).ends
    assert (value, type(error), more) == (None, KeyError, [])


def test_a_wait_that_is_over_or_has_not_begun_wakes_nobody():
    loop, wait = Loop(), Wait()
    wait.resume("too early")
    wait.fail(KeyError())

    async def main():
        return await wait, await loop.sleep(5.0)

    loop.at(1.0, wait.resume, "in time")
    loop.at(2.0, wait.resume, "again")
    loop.at(3.0, wait.fail, KeyError())
    assert run(loop, main()).ends == [(("in time", None), None)]
    assert loop.now == 6.0


def test_sleeps_take_their_time_and_no_more():
    loop = Loop()

    async def main():
        times = [loop.now]
        for seconds in (0.0, 0.25, 3600.0):
            await loop.sleep(seconds)
            times.append(loop.now)
        return times

    assert run(loop, main()).ends == [([0.0, 0.0, 0.25, 3600.25], None)]


def test_a_deadline_cancels_unless_its_task_is_done_with_it():
    loop, log = Loop(), []

    async def main(task):
        early = loop.expire(1.0, task)
        early.task = None
        try:
            late = loop.expire(2.0, task)
            await loop.sleep(10.0)
        except Cancelled:
            log.append((loop.now, early.fired, late.fired))

    task = Kept()
    run(loop, main(task), task)
    assert log == [(2.0, False, True)]
    assert task.ends == [(None, None)]


def test_an_answer_at_the_very_deadline_is_in_time():
    loop = Loop()

    async def main(task):
        expiry = loop.expire(1.0, task)
        await loop.sleep(1.0)
        expiry.task = None
        return "answer"

    task = Kept()
    assert run(loop, main(task), task).ends == [("answer", None)]


def test_a_task_that_is_closed_unwinds_in_its_own_context_and_ends_in_nothing():
    kept, seen = contextvars.ContextVar("kept"), []

    async def main():
        token = kept.set("inside")
        try:
            await Wait()
        finally:
            seen.append(kept.get())
            kept.reset(token)

    task = run(Loop(), main())
    task.close()
    assert (seen, task.ends) == (["inside"], [])


def test_a_task_that_nobody_asks_about_just_ends():
    async def main():
        return "unheard"

    run(Loop(), main(), Task())


def test_a_wait_of_another_event_loop_is_refused():
    async def main():
        await asyncio.sleep(0)

    with pytest.raises(ScenarioError) as raised:
        run(Loop(), main())
    assert str(raised.value.error) == (
        "a simulated client waited for NoneType, which knows nothing of simulated time; "
        "await servers and simulate.sleep() alone"
    )
