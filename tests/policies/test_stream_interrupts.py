"""How a stream goes on after it broke in the middle: raise, restart, skip what is known, continue."""

import asyncio
import gc
import weakref

import numpy as np
import pytest

from resilient_ml import (
    CircuitBreaker,
    CircuitOpen,
    ConstantBackoff,
    Fallback,
    Pipeline,
    Reset,
    Retry,
    RetryBudget,
    Stream,
    StreamTimeout,
    StreamTruncated,
    Timeout,
    deadline,
)

from ..worlds import hang, items, slow

END = "<end>"
CUT = ConnectionError


def retry(attempts=3, **options):
    return Retry(attempts, backoff=ConstantBackoff(1), **options)


def rules(on_interrupt, **more):
    if on_interrupt == "continue":
        more = {"continuation": go_on} | more
    return Stream(is_final=lambda chunk: chunk == END, on_interrupt=on_interrupt, **more)


def go_on(args, kwargs, partial):
    return (*args, "".join(partial)), kwargs


def notes(error):
    return getattr(error, "__notes__", [])


# ---- raise


def test_by_default_the_error_comes_out_as_it_is(stream_world):
    world = stream_world
    cut = CUT("reset by peer")
    model = world.model(items("a", "b", cut))
    reading = world.read(Pipeline(rules("raise"), retry())(model))
    assert (reading.items, reading.error, len(model.starts)) == (["a", "b"], cut, 1)
    assert notes(cut)[0] == "the stream of 'model' broke after 2 items"
    assert "2 items of the stream were passed on" in notes(cut)[1]


# ---- restart


def test_restarted_it_begins_anew_behind_a_reset(stream_world):
    world = stream_world
    model = world.model(items("a", "b", CUT()), items("c", "d", END))
    reading = world.read(Pipeline(rules("restart"), retry())(model))
    assert (reading.items, reading.error) == (["a", "b", Reset(2, 2), "c", "d", END], None)


def test_nothing_is_void_before_the_new_answer_has_begun(stream_world):
    world = stream_world
    cut = CUT("first")
    model = world.model(items("a", "b", cut), CUT("second"), CUT("third"))
    reading = world.read(Pipeline(rules("restart"), retry())(model))
    assert (reading.items, reading.error, len(model.starts)) == (["a", "b"], cut, 3)
    assert notes(cut)[-1] == "the recovery failed too: ConnectionError: third"


def test_it_may_be_restarted_again(stream_world):
    world = stream_world
    model = world.model(items("a", CUT()), items("b", "c", CUT()), items("d", END))
    reading = world.read(Pipeline(rules("restart", keep=0), retry())(model))
    assert reading.items == ["a", Reset(1, 2), "b", "c", Reset(2, 3), "d", END]


def test_a_ready_answer_may_follow_a_reset(stream_world):
    world = stream_world
    model = world.model(items("a", "b", CUT()))
    reading = world.read(Pipeline(Fallback("sorry"), rules("restart"))(model))
    assert (reading.items[-1], reading.error) == ("sorry", None)
    assert reading.items[:-1] == ["a", "b", Reset(2, 1)]


# ---- skip what is known


def test_what_is_known_is_left_out(stream_world):
    world = stream_world
    model = world.model(items("The", " cat", CUT()), items("The", " cat", " sat", END))
    reading = world.read(Pipeline(rules("skip_prefix"), retry())(model))
    assert (reading.items, reading.error) == (["The", " cat", " sat", END], None)


@pytest.mark.parametrize(
    "again",
    [["The cat", " sat"], ["T", "he", " c", "a", "t", " sat"], ["The cat sat"], ["Th", "e cat s", "at"]],
)
def test_text_may_come_in_other_chunks(stream_world, again):
    world = stream_world
    model = world.model(items("The", " cat", CUT()), items(*again, END))
    reading = world.read(Pipeline(rules("skip_prefix"), retry())(model))
    assert (reading.text, reading.error) == (f"The cat sat{END}", None)


def test_bytes_are_text_too(stream_world):
    world = stream_world
    model = world.model(items(b"The", b" c", CUT()), items(b"The cat", b" sat"))
    reading = world.read(Pipeline(Stream(on_interrupt="skip_prefix"), retry())(model))
    assert b"".join(reading.items) == b"The cat sat"


@pytest.mark.parametrize("again", [["A", " dog"], ["The", " cow", " sat"], ["The", END], ["The c", END]])
def test_another_answer_is_never_joined_to_the_first(stream_world, again):
    world = stream_world
    cut = CUT("first")
    model = world.model(items("The", " cat", cut), items(*again, END))
    reading = world.read(Pipeline(rules("skip_prefix"), retry())(model))
    assert (reading.items, reading.error, len(model.starts)) == (["The", " cat"], cut, 2)
    assert "run again, the stream is another one" in notes(cut)[-1]


def test_the_text_of_objects_can_be_told_and_changed(stream_world):
    world = stream_world
    model = world.model(items({"t": "ab"}, {"t": "cd"}, CUT()), items({"t": "a"}, {"t": "bcde"}, {"t": "f"}))
    spoken = Stream(
        on_interrupt="skip_prefix", text_of=lambda c: c["t"], with_text=lambda c, text: {**c, "t": text}
    )
    reading = world.read(Pipeline(spoken, retry())(model))
    assert reading.items == [{"t": "ab"}, {"t": "cd"}, {"t": "e"}, {"t": "f"}]


def test_an_object_whose_text_cannot_be_changed_must_begin_where_the_known_ends(stream_world):
    world = stream_world
    spoken = Stream(on_interrupt="skip_prefix", text_of=lambda c: c["t"])
    model = world.model(items({"t": "ab"}, CUT("first")), items({"t": "abc"}))
    assert str(world.read(Pipeline(spoken, retry())(model)).error) == "first"
    model = world.model(items({"t": "ab"}, CUT("first")), items({"t": "a"}, {"t": "b"}, {"t": "c"}))
    assert world.read(Pipeline(spoken, retry())(model)).items == [{"t": "ab"}, {"t": "c"}]


def test_other_chunks_are_compared_one_by_one(stream_world):
    world = stream_world
    sound = [np.arange(3), np.zeros(2), np.ones(2)]
    model = world.model(items(*sound[:2], CUT()), items(*(one.copy() for one in sound)))
    reading = world.read(Pipeline(Stream(on_interrupt="skip_prefix"), retry())(model))
    assert [one.tolist() for one in reading.items] == [[0, 1, 2], [0, 0], [1, 1]]
    cut = CUT()
    for other in (np.arange(3) + 1, np.arange(4), np.arange(3.0), np.arange(3).reshape(1, 3), "text"):
        model = world.model(items(sound[0], cut), items(other, sound[1]))
        assert world.read(Pipeline(Stream(on_interrupt="skip_prefix"), retry())(model)).error is cut


def test_heartbeats_and_roles_are_not_compared(stream_world):
    world = stream_world
    spoken = Stream(is_content=str.isalpha, on_interrupt="skip_prefix")
    model = world.model(items(".", "a", "..", "b", CUT()), items("...", "a", "b", ".", "c", "."))
    reading = world.read(Pipeline(spoken, retry())(model))
    assert reading.items == [".", "a", "..", "b", "c", "."]


def test_an_answer_that_is_too_long_to_be_kept_cannot_be_resumed(stream_world):
    world = stream_world
    model = world.model(items("a", "b", CUT()), items("a", "b", "c"))
    reading = world.read(Pipeline(Stream(on_interrupt="skip_prefix", keep=1), retry())(model))
    assert (reading.items, len(model.starts)) == (["a", "b"], 1)
    assert "more than keep=1 items of the stream were passed on" in notes(reading.error)[-1]


# ---- continue


def test_it_continues_with_what_was_passed_on(stream_world):
    world = stream_world
    model = world.model(items("The", " cat", CUT()), items(" sat", CUT()), items(" down", END))
    reading = world.read(Pipeline(rules("continue"), retry())(model), "prompt")
    assert reading.items == ["The", " cat", " sat", " down", END]
    assert [args for args, _ in model.asked] == [
        ("prompt",),
        ("prompt", "The cat"),
        ("prompt", "The cat sat"),
    ]


def test_what_opens_an_answer_is_not_repeated_in_its_middle(stream_world):
    world = stream_world
    spoken = rules("continue", is_content=lambda chunk: chunk not in ("<role>", END))
    model = world.model(items("<role>", "a", CUT()), items("<role>", "b", END))
    assert world.read(Pipeline(spoken, retry())(model)).items == ["<role>", "a", "b", END]
    model = world.model(items("<role>", "a", CUT()), items("<role>", END))
    assert world.read(Pipeline(spoken, retry())(model)).items == ["<role>", "a", END]


def test_what_cannot_be_continued_is_not(stream_world):
    world = stream_world
    cut = CUT("first")
    model = world.model(items("tool call", cut), items("never"))
    spoken = rules("continue", continuation=lambda args, kwargs, partial: None)
    reading = world.read(Pipeline(spoken, retry())(model))
    assert (reading.items, reading.error, len(model.starts)) == (["tool call"], cut, 1)
    assert "cannot be continued" in notes(cut)[-1]


def test_an_error_in_the_continuation_does_not_hide_the_cut(stream_world):
    world = stream_world
    cut = CUT("first")

    def broken(args, kwargs, partial):
        raise KeyError("prompt")

    model = world.model(items("a", cut), items("never"))
    reading = world.read(Pipeline(rules("continue", continuation=broken), retry())(model))
    assert (reading.error, len(model.starts)) == (cut, 1)
    assert notes(cut)[-1] == "the recovery failed too: KeyError: 'prompt'"


def test_a_refused_continuation_does_not_hide_the_cut(stream_world):
    world = stream_world
    cut = CUT("first")
    refused = ValueError("prefill is not supported")
    model = world.model(items("a", cut), refused)
    breaker = CircuitBreaker(consecutive_failures=2)
    reading = world.read(Pipeline(rules("continue"), retry(), breaker)(model), "prompt")
    assert (reading.items, reading.error) == (["a"], cut)
    assert "the recovery failed too: ValueError: prefill is not supported" in notes(cut)
    assert breaker.state == "closed"  # a bad request says nothing of the model


def test_a_truncated_answer_is_continued(stream_world):
    world = stream_world
    model = world.model(items("a"), items("b", END))
    assert world.read(Pipeline(rules("continue"), retry())(model)).items == ["a", "b", END]


def test_another_target_continues_where_the_first_cannot(stream_world):
    world = stream_world
    other = world.model(items(" sat", END), name="other")
    model = world.model(items("The", " cat", CUT()), CUT())
    guard = Pipeline(Fallback("a value cannot", other), rules("continue"), retry(2))
    reading = world.read(guard(model), "prompt")
    assert (reading.items, reading.error) == (["The", " cat", " sat", END], None)
    assert [args for args, _ in other.asked] == [("prompt", "The cat")]


def test_when_all_fail_the_first_cut_is_raised(stream_world):
    world = stream_world
    cut = CUT("first")
    other = world.model(CUT("second"), name="other")
    guard = Pipeline(Fallback("a value", other), rules("continue"), retry(2))
    reading = world.read(guard(world.model(items("a", cut), CUT("third"))), "prompt")
    assert (reading.items, reading.error) == (["a"], cut)
    text = "\n".join(notes(cut))
    assert "the recovery failed too: ConnectionError: third" in text
    assert "Fallback 'a value of type str' cannot go on in the middle of an answer" in text
    assert "Fallback 'other' failed too: ConnectionError" in text


def test_a_fallback_that_breaks_in_the_middle_is_followed_by_the_next(stream_world):
    world = stream_world
    first = world.model(items("a", CUT()), name="first")
    second = world.model(items("b", END), name="second")
    reading = world.read(Pipeline(Fallback(first, second), rules("continue"))(world.model(CUT())), "prompt")
    assert (reading.items, reading.error) == (["a", "b", END], None)
    alone = world.model(items("a", CUT("cut")), name="alone")
    reading = world.read(Pipeline(Fallback(alone), rules("continue"))(world.model(CUT("primary"))), "prompt")
    assert (reading.items, str(reading.error)) == (["a"], "cut")
    reading = world.read(Pipeline(Fallback(alone, first), rules("raise"))(world.model(CUT("primary"))))
    assert (reading.items, str(reading.error)) == (["a"], "cut")


# ---- what the attempts share


def test_a_stall_is_gone_on_from(stream_world):
    world = stream_world
    model = world.model(items("a", hang()), items("b", END))
    guard = Pipeline(rules("continue"), retry(), Timeout(60, first=5, gap=2))
    reading = world.read(guard(model), "prompt")
    assert (reading.items, reading.times) == (["a", "b", END], [0, 3, 3])


def test_they_share_the_deadline(stream_world):
    world = stream_world
    model = world.model(items("a", slow(2, CUT("cut"))), hang())
    guard = Pipeline(rules("continue"), Timeout(5), retry(9))
    reading = world.read(guard(model), "prompt")
    assert (reading.items, str(reading.error), reading.ended) == (["a"], "cut", 5)
    model = world.model(items("a", slow(2, CUT("cut"))), CUT())
    with deadline(4):
        reading = world.read(Pipeline(rules("continue"), retry(9))(model), "prompt")
    assert (str(reading.error), reading.ended, len(model.starts)) == (
        "cut",
        3,
        2,
    )  # a third would begin too late


def test_they_share_the_attempts_and_the_budget(stream_world):
    world = stream_world
    model = world.model(CUT(), items("a", CUT("cut")), items("b", END))
    assert str(world.read(Pipeline(rules("continue"), retry(2))(model), "p").error) == "cut"
    budget = RetryBudget(ratio=0.001, floor=0.001, burst=1)
    model = world.model(items("a", CUT("cut")), items("b", CUT()), items("c", END))
    reading = world.read(Pipeline(rules("continue"), retry(5, budget=budget))(model), "p")
    assert (reading.items, str(reading.error)) == (["a", "b"], "cut")


def test_an_open_breaker_ends_the_recovery(stream_world):
    world = stream_world
    cut = CUT("cut")
    model = world.model(items("a", cut))
    guard = Pipeline(rules("continue"), retry(5), CircuitBreaker(consecutive_failures=1))
    reading = world.read(guard(model), "p")
    assert (reading.error, len(model.starts)) == (cut, 1)
    assert any(CircuitOpen.__name__ in note for note in notes(cut))


def test_what_the_reader_throws_in_is_never_gone_on_from(stream_world):
    world = stream_world
    model = world.model(items("a", "b", END))
    stream = Pipeline(rules("continue"), retry())(model)("p")
    thrown = CUT("from the reader")

    async def main():
        assert await anext(stream) == "a"
        await stream.athrow(thrown)

    with pytest.raises(CUT, match="from the reader"):
        if world.is_async:
            world.run(main)
        elif next(stream) == "a":
            stream.throw(thrown)
    assert len(model.starts) == 1


@pytest.mark.parametrize("final", [StreamTruncated, StreamTimeout])
def test_our_own_errors_carry_what_was_delivered_in_all_attempts(stream_world, final):
    world = stream_world
    ends = {StreamTruncated: [], StreamTimeout: [hang()]}[final]
    model = world.model(items("a", *ends), items("b", *ends))
    guard = Pipeline(rules("continue"), retry(2), Timeout(60, gap=2))
    reading = world.read(guard(model), "p")
    assert (reading.items, type(reading.error)) == (["a", "b"], final)
    assert (reading.error.delivered, reading.error.partial) == (1, ("a",))  # of the first cut


def test_what_the_reader_throws_in_at_the_end_comes_out_again(stream_world):
    """At its end a stream has only what was held: the user's generator is over, and catches nothing."""
    world = stream_world
    model = world.model(items("held", "too"))
    stream = Pipeline(Stream(on_interrupt="restart", commit_after=9), retry())(model)()
    thrown = CUT("from the reader")

    async def main():
        assert await anext(stream) == "held"
        await stream.athrow(thrown)

    with pytest.raises(CUT, match="from the reader"):
        if world.is_async:
            world.run(main)
        elif next(stream) == "held":
            stream.throw(thrown)
    assert len(model.starts) == 1


# ---- at the edges


def test_a_second_answer_that_is_shorter_is_another_one(stream_world):
    world = stream_world
    cut = CUT("first")
    model = world.model(items("The", " cat", cut), items("The"))
    reading = world.read(Pipeline(Stream(on_interrupt="skip_prefix"), retry())(model))
    assert (reading.items, reading.error) == (["The", " cat"], cut)


def test_an_end_that_comes_before_what_is_known_is_of_another_answer(stream_world):
    world = stream_world
    cut = CUT("first")
    spoken = rules("skip_prefix", is_content=lambda chunk: chunk != END)
    model = world.model(items("The", " cat", cut), items("The", END))
    reading = world.read(Pipeline(spoken, retry())(model))
    assert (reading.items, reading.error) == (["The", " cat"], cut)


def test_objects_that_are_no_content_are_left_out_of_the_comparison(stream_world):
    world = stream_world
    spoken = Stream(is_content=bool, on_interrupt="skip_prefix")
    model = world.model(items({}, {"a": 1}, {}, {"b": 2}, CUT()), items({"a": 1}, {"b": 2}, {}, {"c": 3}))
    reading = world.read(Pipeline(spoken, retry())(model))
    assert reading.items == [{}, {"a": 1}, {}, {"b": 2}, {"c": 3}]


def test_a_restarted_answer_may_be_empty(stream_world):
    world = stream_world
    model = world.model(items("a", CUT()), items())
    reading = world.read(Pipeline(Stream(on_interrupt="restart"), retry())(model))
    assert (reading.items, reading.error) == (["a", Reset(1, 2)], None)


def test_a_fallback_that_says_something_else_is_not_joined(stream_world):
    world = stream_world
    cut = CUT("first")
    other, third = world.model(items("A", " dog"), name="other"), world.model("never", name="third")
    guard = Pipeline(Fallback(other, third), Stream(on_interrupt="skip_prefix"))
    reading = world.read(guard(world.model(items("The", cut))))
    assert (reading.items, reading.error, third.starts) == (["The"], cut, [])


def test_chunks_of_another_type_are_other_chunks(stream_world):
    world = stream_world
    cut = CUT("first")
    model = world.model(items(1, cut), items(1.0, 2))
    reading = world.read(Pipeline(Stream(on_interrupt="skip_prefix"), retry())(model))
    assert (reading.items, reading.error) == ([1], cut)


def test_the_end_alone_may_be_what_was_missing(stream_world):
    world = stream_world
    spoken = rules("skip_prefix", is_content=lambda chunk: chunk != END)
    model = world.model(items("a", CUT()), items("a", END))
    assert world.read(Pipeline(spoken, retry())(model)).items == ["a", END]


def test_each_attempt_has_its_own_first_content(stream_world):
    world = stream_world
    spoken = rules("continue", is_content=lambda chunk: chunk != ".")
    guard = Pipeline(spoken, retry(2), Timeout(first=2, gap=50))
    reading = world.read(guard(world.model(items("a", CUT("cut")), items(".", hang()))), "p")
    assert (str(reading.error), reading.ended) == ("cut", 3)


def test_a_retry_outside_does_not_try_again_what_the_one_inside_could_not_mend(stream_world):
    world = stream_world
    model = world.model(items("a", CUT("cut")), CUT())
    reading = world.read(Pipeline(rules("continue"), retry(3), retry(2))(model), "p")
    assert (str(reading.error), len(model.starts)) == ("cut", 2)


def test_each_reset_says_what_it_voids(stream_world):
    world = stream_world
    broken = world.model(items("x", "y", CUT()), name="broken")
    model = world.model(items("a", "b", "c", CUT()))
    reading = world.read(Pipeline(Fallback(broken, "sorry"), rules("restart"))(model))
    assert [one for one in reading.items if isinstance(one, Reset)] == [Reset(3, 1), Reset(2, 1)]


class Cut(ConnectionError):
    pass


def breaking():
    """A guarded stream that breaks, is tried again, and breaks."""
    begun = []

    @Pipeline(rules("restart"), Retry(2, backoff=ConstantBackoff(0)))
    def model():
        begun.append(1)
        if len(begun) == 1:
            yield "a"
        raise Cut

    return model


def abreaking():
    begun = []

    @Pipeline(rules("restart"), Retry(2, backoff=ConstantBackoff(0)))
    async def model():
        begun.append(1)
        if len(begun) == 1:
            yield "a"
        raise Cut

    return model


def read_to_its_error(model):
    try:
        for _ in model():
            pass
    except Cut as error:
        return weakref.ref(error)


async def aread_to_its_error(model):
    try:
        async for _ in model():
            pass
    except Cut as error:
        return weakref.ref(error)


@pytest.mark.parametrize("colour", ["stream", "async stream"])
def test_a_stream_that_broke_keeps_nothing_alive(colour):
    """The error knows the frames it passed, and these the call: so the call must not know the error."""
    gc.collect()
    gc.disable()
    try:
        if colour == "stream":
            kept = read_to_its_error(breaking())
        else:
            with asyncio.Runner() as runner:
                kept = runner.run(aread_to_its_error(abreaking()))
        assert kept() is None
    finally:
        gc.enable()
