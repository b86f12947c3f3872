"""The caller's own deadline, as a block."""

import asyncio
import contextvars
import math
import threading

import pytest

from resilient_ml import Timeout, deadline, remaining


def test_outside_any_block_there_is_no_end():
    assert remaining() == math.inf


def test_a_block_says_what_is_left_of_it(clock):
    with deadline(5):
        clock.advance(2)
        assert remaining() == 3
        clock.advance(4)
        assert remaining() == 0
    assert remaining() == math.inf


def test_blocks_within_blocks_only_tighten(clock):
    with deadline(5):
        with deadline(9):
            assert remaining() == 5
            with deadline(2):
                assert remaining() == 2
        assert remaining() == 5


def test_one_block_object_may_be_entered_again_and_within_itself(clock):
    block = deadline(5)
    with block:
        clock.advance(1)
        with block:
            assert remaining() == 4
        assert remaining() == 4
    with block:
        assert remaining() == 5
    assert remaining() == math.inf


def test_a_block_ends_with_an_error_too(clock):
    with pytest.raises(KeyError), deadline(5):
        raise KeyError
    assert remaining() == math.inf


def test_a_block_of_no_time_is_allowed(clock):
    with deadline(0):
        assert remaining() == 0


def test_a_task_inherits_the_block_it_was_made_in():
    async def scenario():
        with deadline(60):
            task = asyncio.ensure_future(asyncio.to_thread(remaining))
        assert remaining() == math.inf
        return await task

    assert 0 < asyncio.run(scenario()) <= 60


def test_another_thread_is_another_context():
    seen = []
    with deadline(60):
        thread = threading.Thread(target=lambda: seen.append(remaining()))
        thread.start()
        thread.join()
    assert seen == [math.inf]


def test_a_guarded_call_restores_what_was(clock):
    with deadline(60):
        Timeout(5, late_only=True)(lambda: None)()
        assert remaining() == 60


@pytest.mark.parametrize(
    ("seconds", "kind", "message"),
    [
        (-1, ValueError, "seconds must not be negative, got -1; pass the seconds this block may take"),
        (math.inf, ValueError, "seconds must be finite, got inf"),
        (math.nan, ValueError, "seconds must be finite, got nan"),
        ("5", TypeError, "seconds must be a number, got '5'"),
    ],
)
def test_a_bad_number_of_seconds_is_refused(seconds, kind, message):
    with pytest.raises(kind, match=message):
        deadline(seconds)


def test_a_block_of_a_generator_may_be_left_in_another_context():
    """As when a stream that its consumer dropped is closed by the event loop, in a task of its own."""

    def stream():
        with deadline(5):
            yield "cat"

    left = stream()
    assert contextvars.copy_context().run(next, left) == "cat"
    left.close()
    assert remaining() == math.inf
