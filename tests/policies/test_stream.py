"""What a Stream says of its chunks: where the answer begins and ends, and what is wrong in it."""

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Fallback,
    InvalidOutput,
    Keyed,
    Kind,
    Pipeline,
    Retry,
    Stream,
    StreamTruncated,
    Timeout,
    kind_of,
)

from ..worlds import hang, items, slow

ROLE = "<role>"
END = "<end>"


def spoken(**rules):
    """Roles and ends are no content, and an answer has its end."""
    plain = {"is_content": lambda chunk: chunk not in (ROLE, END), "is_final": lambda chunk: chunk == END}
    return Stream(**(plain | rules))


def retry(attempts=3):
    return Retry(attempts, backoff=ConstantBackoff(1))


# ---- where it begins


@pytest.mark.parametrize(
    "broken",
    [ConnectionError, items(ROLE, ConnectionError), items(ROLE, ROLE, TimeoutError)],
    ids=["at once", "after a role", "after two"],
)
def test_what_fails_before_the_first_content_is_retried_without_a_trace(stream_world, broken):
    world = stream_world
    model = world.model(broken, broken, items(ROLE, "a", END))
    reading = world.read(Pipeline(spoken(), retry())(model))
    assert (reading.items, reading.times, reading.error) == ([ROLE, "a", END], [2, 2, 2], None)


def test_it_falls_back_without_a_trace(stream_world):
    world = stream_world
    other = world.model(items(ROLE, "b", END), name="other")
    reading = world.read(Pipeline(Fallback(other), spoken())(world.model(items(ROLE, ConnectionError()))))
    assert reading.items == [ROLE, "b", END]


def test_held_chunks_are_passed_on_with_the_first_content(stream_world):
    world = stream_world
    reading = world.read(spoken()(world.model(items(ROLE, slow(2, "a"), slow(1, END)))))
    assert list(zip(reading.items, reading.times, strict=True)) == [(ROLE, 2), ("a", 2), (END, 3)]


@pytest.mark.parametrize("script", [items(), items(ROLE, END), items(END)], ids=["no chunk", "role", "end"])
def test_an_empty_answer_that_ends_well_is_an_answer(stream_world, script):
    world = stream_world
    model = world.model(script)
    rules = spoken(is_final=None) if script == items() else spoken()
    reading = world.read(Pipeline(Fallback("other"), rules, retry())(model))
    assert (reading.items, reading.error, len(model.starts)) == (list(script.steps), None, 1)


@pytest.mark.parametrize(("failing", "attempts"), [(1, 2), (2, 2), (3, 1)])
def test_more_chunks_may_be_held(stream_world, failing, attempts):
    world = stream_world
    chunks = ["a", "b", "c", "d"]
    broken = items(*chunks[:failing], ConnectionError())
    model = world.model(broken, items(*chunks, END))
    reading = world.read(Pipeline(spoken(commit_after=3), retry())(model))
    assert len(model.starts) == attempts
    if attempts == 2:
        assert (reading.items, reading.error) == ([*chunks, END], None)
    else:
        assert (reading.items, type(reading.error)) == (chunks[:3], ConnectionError)


def test_what_is_held_at_the_end_is_passed_on(stream_world):
    world = stream_world
    assert world.read(spoken(commit_after=9)(world.model(items(ROLE, "a", END)))).items == [ROLE, "a", END]


def test_chunks_may_be_held_for_a_time(stream_world):
    world = stream_world
    model = world.model(
        items("a", slow(1, "b"), slow(0.5, ConnectionError())),
        items("a", slow(1, "b"), slow(1, "c"), slow(1, END)),
    )
    reading = world.read(Pipeline(spoken(commit_after=2.0), retry())(model))
    assert list(zip(reading.items, reading.times, strict=True)) == [
        ("a", 4.5), ("b", 4.5), ("c", 4.5), (END, 5.5)
    ]  # fmt: skip


def test_a_function_may_say_when(stream_world):
    world = stream_world
    model = world.model(items("a", "b", ConnectionError()), items("a", "b.", "c", END))
    reading = world.read(Pipeline(spoken(commit_after=lambda held: held[-1].endswith(".")), retry())(model))
    assert (reading.text, len(model.starts)) == (f"ab.c{END}", 2)


def test_no_chunk_of_a_discarded_attempt_is_seen_nor_one_twice(stream_world):
    world = stream_world
    model = world.model(items(ROLE, "x", ConnectionError()), items(ROLE, "y", END))
    reading = world.read(Pipeline(spoken(commit_after=2), retry())(model))
    assert reading.items == [ROLE, "y", END]


# ---- where it ends


def test_an_answer_without_its_end_is_a_failure(stream_world):
    world = stream_world
    reading = world.read(spoken()(world.model(items(ROLE, "a", "b"))))
    error = reading.error
    assert (reading.items, type(error)) == ([ROLE, "a", "b"], StreamTruncated)
    assert (error.delivered, error.partial, kind_of(error)) == (3, (ROLE, "a", "b"), Kind.TRUNCATED)
    assert str(error) == (
        "the stream of 'model' ended after 3 items without the end that is_final= declares; "
        "put a Retry outside with on_interrupt= to mend it, or a Fallback"
    )


@pytest.mark.parametrize("chunks", [(), (ROLE,), ("a",)])
def test_before_anything_was_passed_on_it_is_retried(stream_world, chunks):
    world = stream_world
    model = world.model(items(*chunks), items("a", "b", END))
    reading = world.read(Pipeline(spoken(commit_after=2), retry())(model))
    assert reading.items == ["a", "b", END]


def test_a_truncated_answer_counts_against_the_model(stream_world):
    world = stream_world
    breaker = CircuitBreaker(consecutive_failures=2)
    guarded = Pipeline(breaker, spoken())(world.model(items("a", "b")))
    world.read(guarded)
    world.read(guarded)
    assert (breaker.state, breaker.failures) == ("open", {Kind.TRUNCATED: 2})


def test_what_follows_the_end_belongs_to_the_answer(stream_world):
    world = stream_world
    assert world.read(spoken()(world.model(items("a", END, "usage")))).items == ["a", END, "usage"]


@pytest.mark.parametrize("after", [ConnectionError, hang()], ids=["error", "hang"])
def test_what_goes_wrong_after_the_end_is_no_failure(stream_world, after):
    world = stream_world
    breaker = CircuitBreaker(consecutive_failures=1)
    guard = Pipeline(breaker, spoken(end_seconds=0.5), Timeout(60, gap=5))
    model = world.model(items("a", END, after))
    began = world.clock.now()
    reading = world.read(guard(model))
    assert (reading.items, reading.error, breaker.state) == (["a", END], None, "closed")
    assert world.clock.now() - began == (0.5 if isinstance(after, type(hang())) else 0)


# ---- what is wrong in it


class Refused(Exception):
    pass


def told(chunk):
    return Refused(chunk) if chunk.startswith("!") else None


def test_an_error_in_a_chunk_is_raised(stream_world):
    world = stream_world
    model = world.model(items(ROLE, "!late"), items("a", END))
    reading = world.read(Pipeline(spoken(error_of=told), retry())(model))
    assert (reading.items, len(model.starts)) == (["a", END], 2)
    reading = world.read(spoken(error_of=told)(world.model(items("a", "!late"))))
    assert (reading.items, type(reading.error), str(reading.error)) == (["a"], Refused, "!late")


def sound(chunk):
    if chunk == "##":
        raise ValueError
    return not chunk.startswith("#")


@pytest.mark.parametrize("chunk", ["#", "##"])
def test_a_malformed_chunk_breaks_the_stream(stream_world, chunk):
    world = stream_world
    reading = world.read(spoken(is_valid=sound)(world.model(items("a", chunk, "b", END))))
    why = " (ValueError)" if chunk == "##" else ""
    assert (reading.items, type(reading.error)) == (["a"], InvalidOutput)
    assert str(reading.error) == (
        f"chunk 2 of the stream is malformed{why}; malformed='skip' drops some of them, "
        "malformed=function mends them"
    )


def test_malformed_chunks_may_be_skipped_up_to_a_number(stream_world):
    world = stream_world
    rules = spoken(is_valid=sound, malformed="skip", malformed_max=2)
    assert world.read(rules(world.model(items("#", "a", "#", "b", END)))).items == ["a", "b", END]
    error = world.read(rules(world.model(items("a", "#", "#", "#", "b", END)))).error
    assert "is malformed, more than malformed_max=2; " in str(error)
    # Each attempt may have as many.
    model = world.model(items("#", "#", ConnectionError()), items("#", "#", "a", END))
    assert world.read(Pipeline(rules, retry())(model)).items == ["a", END]


def test_malformed_chunks_may_be_mended(stream_world):
    world = stream_world
    rules = spoken(is_valid=sound, malformed=lambda chunk: chunk[1:])
    assert world.read(rules(world.model(items("#a", "b", END)))).items == ["a", "b", END]
    assert type(world.read(rules(world.model(items("##", END)))).error) is InvalidOutput  # mended to "#"


def test_a_malformed_chunk_counts_against_the_model(stream_world):
    world = stream_world
    breaker = CircuitBreaker(consecutive_failures=1)
    world.read(Pipeline(breaker, spoken(is_valid=sound))(world.model(items("a", "#"))))
    assert breaker.failures == {Kind.INVALID_OUTPUT: 1}


# ---- how it is counted


def test_a_stream_is_slow_by_its_first_content_and_not_by_its_length(stream_world):
    world = stream_world
    long = world.model(items(ROLE, slow(1, "a"), slow(60, "b"), END))
    for others in ([], [spoken()]):
        breaker = CircuitBreaker(slow_call_seconds=2, slow_call_rate=1.0, window_calls=2, minimum_calls=2)
        for pause in (0, 60):
            world.read(Pipeline(breaker, *others)(long), pause=pause)
        assert breaker.state == "closed"


def test_slow_first_contents_open_the_breaker(stream_world):
    world = stream_world
    breaker = CircuitBreaker(slow_call_seconds=2, slow_call_rate=1.0, minimum_calls=2)
    guarded = Pipeline(breaker, spoken())(world.model(items(ROLE, slow(3, "a"), END)))
    world.read(guarded)
    world.read(guarded)
    assert breaker.state == "open"


def test_a_reader_that_closes_early_is_neither_success_nor_failure(stream_world):
    world = stream_world
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=5, jitter=0)
    bulkhead = Bulkhead(1)
    guard = Pipeline(breaker, bulkhead, spoken(), Timeout(60, first=5, gap=5))
    model = world.model(ConnectionError(), items("a", "b", END))
    guarded = guard(model)
    world.read(guarded)
    world.clock.sleep(5.1)
    assert world.read(guarded, most=1).items == ["a"]
    assert breaker.state == "half_open"  # the probe taught nothing
    assert bulkhead.in_flight == 0
    assert world.read(guarded).error is None
    assert breaker.state == "closed"


def test_the_probe_and_the_seat_are_held_to_the_end(stream_world):
    world = stream_world
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=5, jitter=0, probe_lease_seconds=99)
    bulkhead = Bulkhead(1)
    model = world.model(ConnectionError(), items("a", slow(3, "b"), slow(3, END)))
    guarded = Pipeline(breaker, bulkhead, spoken())(model)
    world.read(guarded)
    world.clock.sleep(5)
    seen = []

    def watch(chunk):
        seen.append((chunk, str(breaker.state), bulkhead.in_flight))
        return True

    world.read(Pipeline(breaker, bulkhead, spoken(is_valid=watch))(model))
    assert seen == [("a", "half_open", 1), ("b", "half_open", 1), (END, "half_open", 1)]
    assert (breaker.state, bulkhead.in_flight) == ("closed", 0)


# ---- where it may stand


@pytest.mark.parametrize("place", range(5))
def test_it_may_stand_anywhere(stream_world, place):
    world = stream_world
    policies = [Fallback(world.model(items("x", END))), retry(2), CircuitBreaker(), Timeout(60, gap=5)]
    policies.insert(place, spoken())
    model = world.model(items(ROLE), items(ROLE, "a", END))
    assert world.read(Pipeline(*policies)(model)).items == [ROLE, "a", END]
    assert world.read(Pipeline(*policies)(world.model(items(ROLE)))).items == ["x", END]


def test_a_pipeline_has_one(stream_world):
    with pytest.raises(TypeError, match="2 policies say what the chunks of 'model' mean; keep one Stream"):
        Pipeline(Stream(), retry(), Stream())(stream_world.model("a"))


def test_keys_have_none_of_their_own(stream_world):
    with pytest.raises(TypeError, match="Keyed cannot give each key a Stream: what the chunks of 'model'"):
        Keyed(Stream, key=len)(stream_world.model("a"))


def test_what_gives_one_answer_is_refused(call_world):
    with pytest.raises(
        TypeError, match=r"Stream cannot guard .*call 'model': it has no chunks; leave it out"
    ):
        Stream()(call_world.model("a"))


def test_it_describes_itself():
    assert repr(Stream()) == "Stream(on_interrupt='raise')"
    assert repr(spoken(error_of=told, on_interrupt="restart")) == (
        "Stream(is_content, is_final, error_of, on_interrupt='restart')"
    )


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"on_interrupt": "retry"}, ValueError, "on_interrupt must be one of 'raise', .*, got 'retry'"),
        ({"on_interrupt": "continue"}, ValueError, "on_interrupt='continue' and continuation= belong"),
        ({"continuation": len}, ValueError, "on_interrupt='continue' and continuation= belong together"),
        ({"malformed": "drop", "is_valid": len}, ValueError, "malformed must be 'raise', 'skip' or a"),
        ({"malformed": "skip"}, ValueError, "malformed= needs is_valid=, which says what a malformed"),
        ({"with_text": len}, ValueError, "with_text= needs text_of="),
        ({"keep": 0, "on_interrupt": "skip_prefix"}, ValueError, "keep must be at least 1 for on_inte"),
        ({"keep": -1}, ValueError, "keep must be at least 0, got -1"),
        ({"commit_after": 0}, ValueError, "commit_after must be at least 1, got 0; pass chunks"),
        ({"commit_after": 0.0}, ValueError, r"commit_after must be above 0, got 0.0; pass chunks \(an"),
        ({"commit_after": "2"}, TypeError, "commit_after must be a whole number, got '2'"),
        ({"is_final": "stop"}, TypeError, "is_final must be callable, got 'stop'; pass a function of"),
        ({"end_seconds": 0}, ValueError, "end_seconds must be above 0, got 0"),
        ({"malformed_max": -1}, ValueError, "malformed_max must be at least 0, got -1"),
        ({"heartbeats_count": 1}, TypeError, "heartbeats_count must be True or False, got 1"),
    ],
)
def test_bad_rules_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        Stream(**options)


@pytest.mark.parametrize("after", [ConnectionError, hang(), "#"], ids=["error", "hang", "malformed"])
def test_nor_is_anything_lost_that_was_held_then(stream_world, after):
    world = stream_world
    spoken_so = spoken(commit_after=9, is_valid=lambda chunk: chunk != "#")
    guard = Pipeline(spoken_so, Timeout(60, gap=5))
    reading = world.read(guard(world.model(items("a", END, after))))
    assert (reading.items, reading.error) == (["a", END], None)


def test_a_reader_may_leave_in_the_middle_of_what_was_held(stream_world):
    world = stream_world
    bulkhead = Bulkhead(1)
    breaker = CircuitBreaker(consecutive_failures=1)
    guard = Pipeline(breaker, bulkhead, Stream(commit_after=9))
    reading = world.read(guard(world.model(items("a", "b"))), most=1)
    assert (reading.items, reading.error) == (["a"], None)
    assert (bulkhead.in_flight, breaker.state) == (0, "closed")


def test_the_time_to_hold_begins_with_the_first_content(stream_world):
    world = stream_world
    reading = world.read(spoken(commit_after=2.0)(world.model(items(ROLE, slow(3, "a"), slow(1, "b"), END))))
    assert reading.times == [4, 4, 4, 4]


def test_a_function_is_not_asked_before_there_is_content(stream_world):
    world = stream_world
    model = world.model(items(ROLE, ConnectionError), items(ROLE, "a", END))
    reading = world.read(Pipeline(spoken(commit_after=lambda held: True), retry())(model))
    assert reading.items == [ROLE, "a", END]


def test_what_is_held_counts_as_items_of_a_truncated_answer(stream_world):
    world = stream_world
    error = world.read(spoken(commit_after=9)(world.model(items(ROLE, "a")))).error
    assert str(error).startswith("the stream of 'model' ended after 2 items without the end")
    assert (error.delivered, error.partial) == (0, ())
