"""RowIsolation and OomSplit: each row gets its own answer or error, and batches are as large as fits."""

import contextlib
import copy
import gc
import math
import pickle
import random
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from resilient_ml import (
    BadRows,
    Cache,
    CircuitBreaker,
    ConstantBackoff,
    Contract,
    DeadlineExceeded,
    Fallback,
    InvalidOutput,
    OomSplit,
    Pipeline,
    Policy,
    Retry,
    RowIsolation,
    RowQuarantined,
    Timeout,
    events,
)
from resilient_ml.contracts import Finite
from resilient_ml.policies._batch import row_keys, sample_of, take_rows
from resilient_ml.policies._joining import NoBatch, count_rows

from ..worlds import slow

NAN = math.nan


class Roots:
    """A model that fails for a whole batch where one row is negative; counts its calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, rows):
        self.calls.append(list(rows))
        if any(row < 0 for row in rows):
            raise ValueError("math domain error")
        return [math.sqrt(row) for row in rows]


def test_each_row_gets_its_own(world):
    if world.colour.streams:
        with pytest.raises(TypeError, match=r"RowIsolation cannot guard .*, whose answer has no rows"):
            RowIsolation()(world.model("x"))
        return
    model = world.model(["a", "b"], ValueError("bad"), ["c"], ValueError("bad"))
    safe = RowIsolation(quarantine=0)(model)
    assert world.call(safe, [1, 2]) == ["a", "b"]
    error = world.failure(safe, [3, 4])
    assert type(error) is BadRows
    assert [result.value for result in error.results] == ["c", None]
    assert error.bad == (1,)
    assert [args[0] for args, _ in model.asked] == [[1, 2], [3, 4], [3], [4]]


def test_good_rows_have_their_answers_and_bad_ones_their_errors():
    model = Roots()
    safe = RowIsolation()(model)
    with pytest.raises(BadRows) as caught:
        safe([4.0, -1.0, 9.0, 16.0])
    error = caught.value
    assert [result.ok for result in error.results] == [True, False, True, True]
    assert [result.value for result in error.results] == [2.0, None, 3.0, 4.0]
    assert error.results[1].kind == "bad_input"
    assert str(error.results[1].error) == "math domain error"
    assert "1 of 4 rows are bad for" in str(error)
    assert isinstance(error, ValueError)
    assert error.__cause__ is error.results[1].error
    assert len(model.calls) == 5


def test_bad_rows_are_filled_in_and_the_answer_is_degraded():
    guard = Pipeline(RowIsolation(on_bad="fill", fill=NAN))
    out = guard.outcome(lambda rows: np.sqrt(check(rows)), np.array([4.0, -1.0, 9.0]))
    assert out.degraded
    assert out.value[[0, 2]].tolist() == [2.0, 3.0]
    assert math.isnan(out.value[1])
    out = guard.outcome(lambda rows: np.sqrt(check(rows)), np.array([4.0, 9.0]))
    assert (out.value.tolist(), out.degraded) == ([2.0, 3.0], False)


def check(rows):
    if (np.asarray(rows) < 0).any():
        raise ValueError("negative")
    return rows


def test_results_are_always_given_where_asked_for():
    safe = RowIsolation(on_bad="results")(Roots())
    assert [result.value for result in safe([4.0, 9.0])] == [2.0, 3.0]
    assert [result.ok for result in safe([4.0, -9.0])] == [True, False]


def test_all_bad_rows_are_filled_too():
    safe = RowIsolation(on_bad="fill", fill=0)(check)
    assert safe([-1, -2]) == [0, 0]


@pytest.mark.parametrize(
    ("answer", "fill", "expected"),
    [
        (lambda rows: list(check(rows)), "x", [1, "x", 3]),
        (lambda rows: tuple(check(rows)), None, (1, None, 3)),
        (
            lambda rows: {"a": list(check(rows)), "b": np.array(rows)},
            {"a": 0, "b": 7},
            {"a": [1, 0, 3], "b": [1, 7, 3]},
        ),
        (lambda rows: {"a": list(check(rows))}, 0, {"a": [1, 0, 3]}),
        (lambda rows: np.array(check(rows)), -1, [1, -1, 3]),
        (lambda rows: np.array(check(rows)), None, [1, None, 3]),
        (lambda rows: np.array(check(rows)), "bad", [1, "bad", 3]),
    ],
)
def test_what_is_filled_in_is_of_the_answers_kind(answer, fill, expected):
    found = RowIsolation(on_bad="fill", fill=fill)(answer)([1, -2, 3])
    found = {key: list(value) for key, value in found.items()} if isinstance(found, dict) else found
    assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected


def test_random_batches_have_each_row_right():
    rng = random.Random(5)
    naked_right = ours_right = good = 0
    safe = RowIsolation(on_bad="results", quarantine=0)(Roots())
    for _ in range(500):
        rows = [rng.uniform(0, 100) for _ in range(rng.randrange(1, 65))]
        for _ in range(rng.choice([0, 1, 1, 2, 5])):
            rows[rng.randrange(len(rows))] = -1.0
        good += sum(row >= 0 for row in rows)
        with contextlib.suppress(ValueError):
            naked_right += len(Roots()(rows))
        results = safe(rows) if len(rows) > 1 or rows[0] >= 0 else ()
        ours_right += sum(
            result.ok and result.value == math.sqrt(row) for row, result in zip(rows, results, strict=False)
        )
        assert all(result.ok == (row >= 0) for row, result in zip(rows, results, strict=False))
    assert ours_right == good
    assert naked_right < good


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError, MemoryError], ids=lambda one: one.__name__)
def test_what_no_row_is_to_blame_for_passes_at_once(error):
    calls = []

    def model(rows):
        calls.append(rows)
        raise error

    with pytest.raises(error):
        RowIsolation()(model)([1, 2, 3, 4])
    assert len(calls) == 1


def test_a_model_that_is_down_raises_as_it_would_have():
    calls = []

    def model(rows):
        calls.append(rows)
        raise RuntimeError(f"worker 17 lost at {len(calls)}")

    with pytest.raises(RuntimeError) as caught:
        RowIsolation()(model)(list(range(64)))
    assert len(calls) == 5
    assert caught.value.__notes__ == ["5 parts of the batch have failed alike: no row is to blame"]


def test_a_dead_model_is_known_by_its_words_whatever_it_counts_in_them():
    calls = []

    def model(rows):
        calls.append(rows)
        raise RuntimeError(f"session <S at {0x7F3A + len(calls) * 4096:#x}> req_{len(calls)}b closed")

    with pytest.raises(RuntimeError):
        RowIsolation()(model)(list(range(64)))
    assert len(calls) == 5


@pytest.mark.parametrize("args", [(), (7,), (b"x",)])
def test_an_error_without_words_of_its_own_is_known_by_its_class(args):
    class Mute(RuntimeError):
        def __str__(self):
            raise KeyError("no text")

        @property
        def rows(self):
            raise KeyError("no rows")

    calls = []

    def model(rows):
        calls.append(rows)
        raise Mute(*args)

    with pytest.raises(Mute):
        RowIsolation()(model)([1, 2, 3, 4])
    assert len(calls) == 5


def test_poison_that_looks_like_a_dead_model_is_told_apart():
    def model(rows):
        if 2 in rows or 6 in rows:
            raise RuntimeError("index out of range")
        return rows

    results = RowIsolation(on_bad="results")(model)(list(range(8)))
    assert [row for row, result in enumerate(results) if not result.ok] == [2, 6]


def test_a_single_row_raises_its_own_error_and_is_remembered():
    model = Roots()
    isolation = RowIsolation()
    safe = isolation(model)
    with pytest.raises(ValueError, match="math domain error") as caught:
        safe([-1.0])
    assert isolation.quarantined == 1
    assert not hasattr(caught.value, "__notes__")

    def dead(rows):
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError) as lost:
        isolation(dead)([1.0])
    assert not hasattr(lost.value, "__notes__")


def test_a_row_that_is_refused_is_not_remembered_for_longer():
    isolation = RowIsolation(on_bad="results")
    safe = isolation(Roots())
    safe([1.0, -1.0])
    before = dict(isolation._quarantine._keys)
    safe([1.0, -1.0])
    assert isolation._quarantine._keys == before


@pytest.mark.parametrize("policy", [RowIsolation(on_bad="fill"), OomSplit(ceiling=2)], ids=repr)
def test_the_arguments_are_as_they_were_for_who_stands_outside(policy):
    seen = []

    class Look(Policy):
        async def around(self, proceed, call):
            try:
                return await proceed(call)
            finally:
                seen.append(call.args)

    rows = [1.0, -1.0, 4.0]
    Pipeline(Look(), policy).call(lambda rows: [math.sqrt(abs(row)) for row in rows], rows)
    assert seen == [(rows,)]
    seen.clear()
    Pipeline(Look(), RowIsolation(on_bad="fill"), OomSplit(ceiling=2)).call(Roots(), rows)
    assert seen == [(rows,)]


def test_a_single_row_is_filled_or_told_of_where_that_is_asked_for():
    assert RowIsolation(on_bad="fill", fill=0.0)(Roots())([-1.0]) == [0.0]
    (result,) = RowIsolation(on_bad="results")(Roots())([-1.0])
    assert (result.ok, result.kind, str(result.error)) == (False, "bad_input", "math domain error")


def test_a_single_row_that_nothing_blames_raises_as_it_would_have():
    def model(rows):
        raise RuntimeError("lost")

    for on_bad in ("raise", "fill", "results"):
        isolation = RowIsolation(on_bad=on_bad)
        with pytest.raises(RuntimeError, match="lost"):
            isolation(model)([1])
        assert isolation.quarantined == 0


def test_quarantine_ends_by_itself(plain_world):
    isolation = RowIsolation(on_bad="results", quarantine_seconds=10)
    safe = isolation(Roots())
    safe([1.0, -1.0])
    plain_world.clock.sleep(9.5)
    assert isolation.quarantined == 1
    plain_world.clock.sleep(1)
    assert isolation.quarantined == 0
    assert isolation.forgettable()
    assert type(safe([1.0, -1.0])[1].error) is ValueError


def test_a_refusal_does_not_make_quarantine_longer(plain_world):
    isolation = RowIsolation(on_bad="results", quarantine_seconds=10)
    safe = isolation(Roots())
    for _ in range(3):
        safe([1.0, -1.0])
        plain_world.clock.sleep(4)
    assert isolation.quarantined == 0


def test_an_answer_with_filled_rows_is_not_cached():
    model = Roots()
    cache = Cache(2000)
    guard = Pipeline(cache, RowIsolation(on_bad="fill", fill=0.0, quarantine=0))(model)
    assert guard([4.0, -1.0]) == guard([4.0, -1.0]) == [2.0, 0.0]
    assert len(model.calls) == 6
    assert guard([4.0]) == guard([4.0]) == [2.0]
    assert len(model.calls) == 7


def test_a_row_that_one_model_cannot_bear_is_sent_to_another():
    isolation = RowIsolation(on_bad="results")
    roots, sizes = isolation(Roots()), isolation(lambda rows: [abs(row) for row in rows])
    roots([1.0, -1.0])
    assert [result.value for result in sizes([1.0, -1.0])] == [1.0, 1.0]
    assert type(roots([1.0, -1.0])[1].error) is RowQuarantined


def test_bad_rows_are_refused_by_their_content_for_a_while():
    model = Roots()
    isolation = RowIsolation(on_bad="results", quarantine=2)
    safe = isolation(model)
    safe([1.0, -1.0])
    model.calls.clear()
    results = safe([4.0, -1.0, 9.0])
    assert model.calls == [[4.0, 9.0]]
    assert [result.value for result in results] == [2.0, None, 3.0]
    assert type(results[1].error) is RowQuarantined
    assert results[1].kind == "bad_input"
    assert "row 1 failed by itself not long ago and was not sent" in str(results[1].error)
    assert not safe([-1.0])[0].ok
    assert len(model.calls) == 1
    safe([-2.0, 1.0]), safe([-3.0, 1.0])
    assert isolation.quarantined == 2
    assert not isolation.forgettable()
    isolation.release()
    assert isolation.forgettable()
    assert RowIsolation(quarantine=0).quarantined == 0
    RowIsolation(quarantine=0).release()


def test_rows_of_arrays_are_remembered_by_their_numbers():
    keys = [
        row_keys(np.array(rows, dtype=dtype), scope)(1)
        for rows in ([[0, 1], [2, 3]], [[9, 9], [3, 2]], [[[0, 1]], [[2, 3]]], [0, 1])
        for dtype in ("f8", "f4", "i8", "u8", "i4")
        for scope in (1, 2)
    ]
    assert len(set(keys)) == len(keys)
    assert row_keys(np.array([[5, 5], [2, 3]], dtype="f8"), 1)(1) == keys[0]
    wide = np.zeros((2, 4))
    wide[1, ::2] = [2, 3]
    assert row_keys(wide[:, ::2], 1)(1) == keys[0]
    objects = np.array([[1, "a"], [2, "b"]], dtype=object)
    assert row_keys(objects, 1)(0) == row_keys(objects.copy(), 1)(0) != row_keys(objects, 1)(1)


class Unnumbered:
    """A callable that cannot be told from others, as nothing says when it is gone."""

    __slots__ = ()

    def __call__(self, rows):
        return [math.sqrt(row) for row in rows]


def test_rows_of_a_function_that_cannot_be_told_from_others_are_not_remembered():
    isolation = RowIsolation(on_bad="results")
    isolation(Roots())([1.0, -1.0])
    results = isolation(Unnumbered())([1.0, -1.0])
    assert type(results[1].error) is ValueError
    assert isolation.quarantined == 1


def test_rows_without_a_content_are_not_remembered():
    isolation = RowIsolation(on_bad="results")

    def model(rows):
        if len(rows) > 1:
            raise ValueError
        return rows

    bad = [object(), object()]
    assert all(result.ok for result in isolation(model)(bad))
    isolation(lambda rows: check([-1 for _ in rows]))(bad)
    assert isolation.quarantined == 0


def test_an_error_that_names_rows_is_believed():
    calls = []

    @RowIsolation(on_bad="results")
    @Contract(inputs=Finite(), rows=True)
    def model(rows):
        calls.append(rows)
        return rows

    results = model([[1.0], [NAN], [2.0], [NAN], [3.0]])
    assert [result.ok for result in results] == [True, False, True, False, True]
    assert calls == [[[1.0], [2.0], [3.0]]]


def test_rows_may_be_read_out_of_an_error():
    def model(rows):
        bad = [place for place, row in enumerate(rows) if row < 0]
        if bad:
            raise RuntimeError(f"rows {bad}")
        return rows

    def read(error):
        return [int(one) for one in str(error)[6:-1].split(",")]

    results = RowIsolation(on_bad="results", rows_of_error=read)(model)([1, -1, 2, -2])
    assert [result.ok for result in results] == [True, False, True, False]
    calls = []

    def by_array(rows):
        calls.append(rows)
        found = np.flatnonzero(np.array(rows) < 0)
        if len(found):
            raise type("Named", (ValueError,), {"rows": found})
        return rows

    results = RowIsolation(on_bad="results")(by_array)([1, -1, 2, -2])
    assert [result.ok for result in results] == [True, False, True, False]
    assert len(calls) == 2
    results = RowIsolation(on_bad="results", rows_of_error=lambda error: None)(model)([1, -1, 2])
    assert [result.ok for result in results] == [True, False, True]
    results = RowIsolation(on_bad="results", rows_of_error=lambda error: [99, -1, "x"])(model)([1, -1, 2])
    assert [result.ok for result in results] == [True, False, True]


def test_calls_are_bounded():
    model = Roots()
    results = RowIsolation(on_bad="results", max_calls=3)(model)([-1.0] * 2 + [4.0] * 6)
    assert len(model.calls) == 3
    assert [result.ok for result in results] == [False] * 4 + [True] * 4
    assert str(results[3].error) == "math domain error"


@pytest.mark.parametrize("answer", [[1], [1, 2, 3], np.ones(5)])
def test_an_answer_with_another_number_of_rows_is_refused(answer):
    for policy in (RowIsolation(), OomSplit()):
        with pytest.raises(InvalidOutput, match="rows for 2: nobody can say whose is whose") as caught:
            policy(lambda rows: answer)([1, 2])
        assert caught.value.rule == "rows"


@pytest.mark.parametrize("policy", [RowIsolation, OomSplit])
def test_what_has_no_rows_is_refused(policy):
    with pytest.raises(NoBatch, match="a str has no rows that could be told apart; pass size= and take="):
        policy()(len)("text")
    with pytest.raises(NoBatch, match="a int has no rows"):
        policy()(lambda rows: 5)([1])
    with pytest.raises(TypeError, match="was called without the argument 'rows' that holds the batch"):
        policy("rows")(lambda rows=(): rows)()
    with pytest.raises(TypeError, match=r"rows names 'raws', and '.*' has no such argument"):
        policy("raws")(lambda rows: rows)
    assert policy()(lambda rows: rows)([]) == []


@pytest.mark.parametrize("policy", [RowIsolation, OomSplit])
def test_the_batch_is_found_by_name_position_and_in_methods(policy):
    class Model:
        def predict(self, scale, rows):
            return [scale * row for row in check(rows)]

        predict_named = policy("rows")(predict)
        predict_second = policy(1)(predict)

    model = Model()
    assert model.predict_named(2, [1, 2]) == [2, 4]
    assert model.predict_named(scale=2, rows=[1, 2]) == [2, 4]
    assert model.predict_second(2, [1, 2]) == [2, 4]
    assert model.predict_second(2, rows=[1, 2]) == [2, 4]


def test_a_batch_of_another_kind_needs_to_be_explained():
    class Frame:
        def __init__(self, rows):
            self.rows = rows

    def model(frame):
        return Frame([math.sqrt(row) for row in frame.rows])

    safe = RowIsolation(
        on_bad="results",
        size=lambda frame: len(frame.rows),
        take=lambda frame, rows: Frame([frame.rows[row] for row in rows]),
        join=lambda parts, count: Frame([one for _, part in parts for one in part.rows]),
    )(model)
    with pytest.raises(TypeError):
        safe(Frame([4.0, 9.0]))  # and results need rows that can be taken by number
    split = OomSplit(
        size=lambda frame: len(frame.rows),
        take=lambda frame, rows: Frame([frame.rows[row] for row in rows]),
        join=lambda parts, count: Frame([one for _, part in parts for one in part.rows]),
        ceiling=2,
    )(model)
    assert split(Frame([4.0, 9.0, 16.0])).rows == [2.0, 3.0, 4.0]


def test_it_tells_what_it_did():
    seen = []
    RowIsolation(on_bad="results", on_event=seen.append, name="roots")(Roots())([1.0, -1.0, 4.0, 9.0])
    (event,) = seen
    assert type(event) is events.RowsIsolated
    assert (event.policy, event.rows, event.bad, event.calls) == ("roots", 4, 1, 5)


def test_it_reads_well_with_others():
    breaker = CircuitBreaker(consecutive_failures=2)
    blips = iter([ConnectionError()])

    def model(rows):
        for blip in blips:
            raise blip
        return [math.sqrt(row) for row in rows]

    guard = Pipeline(
        Fallback("none"),
        RowIsolation(on_bad="fill"),
        Retry(2, backoff=ConstantBackoff(0)),
        breaker,
        OomSplit(),
    )
    assert guard.call(model, [4.0, -1.0]) == [2.0, None]


def test_nothing_of_a_batch_is_kept():
    class Row:
        pass

    row = Row()
    seen = weakref.ref(row)
    safe = RowIsolation(quarantine=0)(lambda rows: check([-1]))
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ValueError, match="negative"):
            safe([row])
        del row
        assert seen() is None
    finally:
        gc.enable()


def test_its_errors_and_results_travel():
    with pytest.raises(BadRows) as caught:
        RowIsolation()(Roots())([4.0, -1.0])
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.bad == (1,)
    assert again.results[0].value == 2.0
    assert copy.copy(caught.value).bad == (1,)


def test_threads_that_share_it_each_have_their_own_rows():
    guard = Pipeline(RowIsolation(on_bad="results", quarantine=8), OomSplit(clean=2, seconds=0))

    def model(rows):
        if len(rows) > 10:
            raise MemoryError
        return np.sqrt(check(rows))

    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            rows = rng.uniform(0, 100, rng.integers(2, 33))
            rows[rng.integers(len(rows), size=rng.integers(3))] = -rng.integers(1, 20)
            for row, result in zip(rows, guard.call(model, rows), strict=True):
                if result.ok != (row >= 0) or (result.ok and result.value != math.sqrt(row)):
                    wrong.append((row, result))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_between_two_parts_passes_and_leaves_nothing(plain_world, interrupt):
    if plain_world.streams:
        return
    isolation = RowIsolation()
    model = plain_world.model(ValueError("bad"), ["a"], interrupt())
    with pytest.raises(interrupt):
        plain_world.call(isolation(model), [1, 2])
    assert isolation.quarantined == 0


def test_no_part_is_sent_after_the_deadline(world):
    if world.colour.streams:
        return
    model = world.model(slow(1, ValueError("bad")))
    error = world.failure(Pipeline(Timeout(2.5), RowIsolation())(model), list(range(64)))
    assert type(error) is DeadlineExceeded
    assert len(model.starts) == 3


# -- out of memory -----------------------------------------------------------------------------------------


class Memory:
    """A model with room for so much cost at once."""

    def __init__(self, room, cost=lambda row: 1.0, error=MemoryError):
        self.room, self.cost, self.error, self.calls = room, cost, error, []

    def __call__(self, rows):
        self.calls.append(len(rows))
        if sum(map(self.cost, rows)) > self.room:
            raise self.error
        return [row * 2 for row in rows]


def test_a_batch_that_does_not_fit_is_halved_until_it_does(world):
    if world.colour.streams:
        with pytest.raises(TypeError, match="OomSplit cannot guard"):
            OomSplit()(world.model("x"))
        return
    model = world.model(MemoryError(), ["a"], ["b"])
    assert world.call(OomSplit()(model), [1, 2]) == ["a", "b"]
    assert [args[0] for args, _ in model.asked] == [[1, 2], [1], [2]]


def test_the_ceiling_is_remembered_and_grows_back():
    model = Memory(10)
    seen = []
    split = OomSplit(clean=2, seconds=0, on_event=seen.append)
    safe = split(model)
    rows = list(range(32))
    assert safe(rows) == [2 * row for row in rows]
    assert model.calls == [32, 16, 8, 8, 8, 8]  # what is left is not tried at a size that has failed
    assert 8 <= split.ceiling < 10
    model.calls.clear()
    assert safe(rows) == [2 * row for row in rows]
    assert 32 not in model.calls
    assert max(model.calls) <= 10
    assert {type(event) for event in seen} == {events.BatchSplit, events.CeilingChanged}
    assert not split.forgettable()
    for _ in range(50):
        assert safe(rows) == [2 * row for row in rows]
    assert 8 <= split.ceiling < 12
    model.room = 100
    for _ in range(200):
        safe(list(range(64)))
    assert split.ceiling >= 60


def test_parts_are_sent_in_the_order_of_their_rows():
    sent = []

    def model(rows):
        sent.append(rows)
        if len(rows) > 2:
            raise MemoryError
        return rows

    OomSplit()(model)(list(range(16)))
    assert [rows[0] for rows in sent if len(rows) <= 2] == list(range(0, 16, 2))


def test_only_what_the_ceiling_has_made_smaller_makes_it_grow():
    split = OomSplit(ceiling=3, clean=1, seconds=0)
    same = split(lambda rows: rows)
    assert same([1, 2, 3, 4]) == [1, 2, 3, 4]  # three, and the one that was left
    assert split.ceiling == pytest.approx(3.15)
    same([1, 2])
    assert split.ceiling == pytest.approx(3.15)


def test_rows_are_weighed_by_their_cost():
    model = Memory(100, cost=lambda row: row)
    split = OomSplit(cost=float)
    rows = [60, 1, 1, 1, 1, 59, 2]
    assert split(model)(rows) == [2 * row for row in rows]
    assert model.calls[0] == 7
    assert len(model.calls) == 3


def test_a_row_that_does_not_fit_by_itself_raises_its_own_error():
    model = Memory(5, cost=lambda row: row)
    with pytest.raises(MemoryError):
        OomSplit(cost=float)(model)([1, 9, 1])


@pytest.mark.parametrize("where", ["taken", "kept"])
def test_a_part_for_which_there_is_no_room_is_cut_too(where):
    class Answer(dict):
        def items(self):  # asked for a copy of it
            if where == "kept" and len(self["x"]) > 2:
                raise MemoryError
            return super().items()

    def take(batch, rows):
        if where == "taken" and 2 < len(rows) < 8:
            raise MemoryError
        return [batch[row] for row in rows]

    model = Memory(4)
    safe = OomSplit(take=take)(lambda rows: Answer(x=model(rows)))
    assert safe(list(range(8))) == {"x": [2 * row for row in range(8)]}
    assert model.calls == ([8, 2, 2, 2, 2] if where == "taken" else [8, 4, 2, 2, 2, 2])


def test_one_row_that_never_fits_leaves_the_ceiling_as_it_was():
    model = Memory(100, cost=lambda row: row)
    split = OomSplit()
    safe = split(model)
    assert safe([1] * 64) == [2] * 64
    with pytest.raises(MemoryError):
        safe([1] * 63 + [500])
    assert split.ceiling == math.inf
    assert split.forgettable()
    assert safe([2] * 80) == [4] * 80
    assert split.ceiling == 40.0
    with pytest.raises(MemoryError):
        safe([500])
    with pytest.raises(MemoryError):
        safe([1] * 30 + [500])
    assert split.ceiling == 40.0


def test_a_row_that_never_fits_is_told_from_the_others():
    model = Memory(100, cost=lambda row: row)
    split = OomSplit()
    guard = Pipeline(RowIsolation(on_bad="results", on=["oom"]), split)
    results = guard.call(model, [1] * 20 + [500] + [1] * 20)
    assert [row for row, result in enumerate(results) if not result.ok] == [20]
    assert results[20].kind == "oom"
    assert split.ceiling == math.inf


def test_what_the_caller_is_handling_keeps_its_trace():
    def model(rows):
        if len(rows) > 1:
            raise MemoryError
        return rows

    def caller():
        try:
            raise KeyError("the caller's own")
        except KeyError as error:
            return OomSplit()(model)([1, 2]), error

    answer, error = caller()
    assert answer == [1, 2]
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "caller"


def test_a_group_of_failures_lets_go_too():
    alive = []

    class Block:
        pass

    def deep():
        block = Block()
        alive.append(weakref.ref(block))
        raise MemoryError

    kept = []

    def model(rows):
        assert all(one() is None for one in alive)
        if len(rows) == 1:
            return rows
        try:
            deep()
        except MemoryError as error:
            kept.append(error)
        raise ExceptionGroup("replicas", kept)

    assert OomSplit()(model)([1, 2]) == [1, 2]


def test_before_the_halves_are_sent_the_failed_attempt_lets_go():
    alive = []
    order = []

    class Block:
        pass

    def deep(rows):
        block = Block()
        alive.append(weakref.ref(block))
        if len(rows) > 1:
            raise MemoryError
        return rows

    def model(rows):
        order.append((len(rows), [one() is not None for one in alive]))
        try:
            return deep(rows)
        except MemoryError as error:
            kept = error  # a frame that holds its own error is freed by nobody
            raise RuntimeError("CUDA out of memory") from kept

    gc.disable()
    try:
        split = OomSplit(on_oom=lambda: order.append("emptied"))
        assert split(model)([1, 2]) == [1, 2]
    finally:
        gc.enable()
    assert order == [(2, []), "emptied", (1, [False]), (1, [False, False])]


def test_a_cause_that_was_never_raised_is_no_harm():
    def model(rows):
        if len(rows) > 1:
            raise RuntimeError("CUDA out of memory") from MemoryError()
        return rows

    assert OomSplit()(model)([1, 2]) == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered; out of memory"),
        type("AcceleratorError", (RuntimeError,), {})("CUDA error: out of memory"),
        ValueError("bad"),
    ],
    ids=repr,
)
def test_what_is_lost_for_good_or_no_lack_of_memory_is_not_tried_again(error):
    calls = []

    def model(rows):
        calls.append(rows)
        raise error

    with pytest.raises(type(error)):
        OomSplit()(model)([1, 2])
    assert len(calls) == 1


def test_the_order_of_rows_is_kept_in_every_kind_of_answer():
    for kind in (list, tuple, np.array):
        model = OomSplit(ceiling=3)(lambda rows, kind=kind: kind([row * 2 for row in rows]))
        found = model(list(range(10)))
        assert list(found) == [2 * row for row in range(10)]
        assert type(found) is type(kind([1]))


CEILING = """
import resource, sys
import numpy as np
from resilient_ml import OomSplit

resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))

def embed(rows):
    wide = np.ones((len(rows), 4_000_000))  # 32 MB a row
    return wide[:, 0] * rows

rows = np.arange(64.0)
try:
    embed(rows)
    print("fits")
except MemoryError:
    print("too large")
split = OomSplit()
safe = split(embed)
print(np.array_equal(safe(rows), rows), np.array_equal(safe(rows), rows), split.ceiling < 64)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
def test_a_real_allocator_runs_out_and_the_batch_passes():
    done = subprocess.run(
        [sys.executable, "-c", CEILING, str(1_500_000_000)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["too large", "True True True"], done.stderr


def test_real_models_with_bad_rows_answer_for_the_others():
    sklearn = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 4))
    model = sklearn.LogisticRegression().fit(features, features[:, 0] > 0)
    batch = rng.normal(size=(64, 4))
    batch[[3, 40], 1] = NAN
    batch[17, 2] = math.inf
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict_proba(batch)
    results = RowIsolation(on_bad="results")(model.predict_proba)(batch)
    assert [row for row, result in enumerate(results) if not result.ok] == [3, 17, 40]
    for row, result in enumerate(results):
        if result.ok:
            assert np.allclose(result.value, model.predict_proba(batch[row : row + 1])[0])
        else:
            assert "Input X contains" in str(result.error)


# -- batches: what is answered for parts is told apart in tests/policies/test_joining.py --------------------


class Frame:
    """As of pandas: rows by ``iloc``."""

    def __init__(self, rows):
        self.rows = list(rows)
        self.shape = (len(self.rows), 1)

    @property
    def iloc(self):
        return _Located(self)


class _Located:
    def __init__(self, frame):
        self.frame = frame

    def __getitem__(self, rows):
        return (
            Frame([self.frame.rows[row] for row in rows]) if isinstance(rows, list) else self.frame.rows[rows]
        )


def test_frames_are_taken_by_number():
    assert take_rows(Frame("abc"), [2, 0]).rows == ["c", "a"]
    results = RowIsolation(on_bad="results", quarantine=0)(lambda frame: list(check(frame.rows)))(
        Frame([1, -1, 2])
    )
    assert [result.ok for result in results] == [True, False, True]


@pytest.mark.parametrize(
    ("make", "error"), [(OomSplit, MemoryError), (RowIsolation, ValueError)], ids=["oom", "rows"]
)
@pytest.mark.parametrize("kind", ["array", "columns", "list"])
def test_a_batch_that_the_model_has_changed_is_not_tried_again(make, error, kind):
    rows = np.arange(1.0, 5.0)
    batch, calls = {"array": rows, "columns": {"x": rows}, "list": [rows, rows + 1]}[kind], []

    def model(given):
        calls.append(len(given))
        held = rows if kind == "list" else given["x"] if kind == "columns" else given
        held *= 2
        raise error

    with pytest.raises(error) as caught:
        make()(model)(batch)
    assert caught.value.__notes__ == [
        "the model has changed its batch in place, so no part of it can be tried: let it work on a copy"
    ]
    assert len(calls) == 1


@pytest.mark.parametrize("where", [np.s_[:, 0], np.s_[:, 1], np.s_[:, -1], np.s_[40:]], ids=str)
@pytest.mark.parametrize("shape", [(64, 4), (100, 10), (33, 5), (1000, 30), (7, 2)], ids=str)
def test_a_change_in_some_of_an_array_is_seen(shape, where):
    batch = np.arange(1.0 * math.prod(shape)).reshape(shape)
    where = np.s_[len(batch) * 2 // 3 :] if isinstance(where, slice) else where
    before = sample_of(batch)
    batch[where] += 1
    assert sample_of(batch) != before


def test_arrays_without_rows_or_elements_have_a_sample_too():
    assert sample_of(np.array(5.0)) == np.array(5.0).tobytes()
    assert sample_of(np.empty((0, 4))) == b""


def test_a_change_of_a_tensor_is_told_by_its_own_count():
    class Tensor:
        shape = (4,)
        _version = 0

    tensor = Tensor()
    before = sample_of(tensor)
    tensor._version = 1
    assert sample_of(tensor) != before

    class Uncounted:
        @property
        def _version(self):
            raise RuntimeError("Inference tensors do not track version counter.")

    assert sample_of(Uncounted()) is None
    assert sample_of(["a"]) is sample_of([]) is sample_of(5) is None


def test_an_answer_in_a_buffer_that_is_used_again_is_kept():
    buffer = np.empty(8)

    def model(rows):
        return np.multiply(rows, 10, out=buffer[: len(rows)])

    assert OomSplit(ceiling=2)(model)(np.arange(5.0)).tolist() == [0, 10, 20, 30, 40]
    results = RowIsolation(on_bad="results")(lambda rows: model(check(rows)))(np.array([1.0, -1.0, 3.0, 4.0]))
    assert [result.value for result in results] == [10, None, 30, 40]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_several_outputs_are_never_mistaken_for_rows(count):
    def model(rows):
        check(rows)
        return rows * 10, rows * 100

    rows = np.arange(1.0, count + 1)
    for ceiling in range(1, count + 1):
        try:
            tens, hundreds = OomSplit(ceiling=ceiling)(model)(rows)
        except NoBatch as error:
            assert ceiling == 2
            assert "2 columns of as many rows" in str(error)  # noqa: PT017
        else:
            assert tens.tolist() == (rows * 10).tolist()
            assert hundreds.tolist() == (rows * 100).tolist()
    for bad in range(count):
        rows = np.arange(1.0, count + 1)
        rows[bad] = -1.0
        try:
            results = RowIsolation(on_bad="results", quarantine=0)(model)(rows)
        except NoBatch:
            assert (count, bad) in {(3, 2), (5, 2)}  # where parts of two rows alone have passed
        except ValueError:
            assert count == 1
        else:
            for row, result in zip(rows, results, strict=True):
                assert result.value == (None if row < 0 else (row * 10, row * 100))


def test_tuples_and_frames_are_remembered_by_their_rows():
    for make, rows in ((tuple, lambda batch: batch), (Frame, lambda batch: batch.rows)):
        isolation = RowIsolation(on_bad="results")
        safe = isolation(lambda batch, rows=rows: list(check(rows(batch))))
        for _ in range(2):
            assert [result.ok for result in safe(make([1, -1, 2]))] == [True, False, True]
        assert isolation.quarantined == 1


def test_batches_of_columns_are_taken_by_row():
    safe = RowIsolation(on_bad="results", quarantine=10)(lambda rows: list(check(rows["x"])))
    batch = {"x": [1, -1, 2], "y": np.arange(3)}
    for _ in range(2):
        assert [result.ok for result in safe(batch)] == [True, False, True]
    assert count_rows({"x": [1], "y": [1, 2]}) is None
    assert count_rows(np.array(3)) is None
    assert count_rows("text") is None


# -- constructors ------------------------------------------------------------------------------------------


def test_they_say_what_they_are_and_travel():
    isolation = pickle.loads(pickle.dumps(RowIsolation("rows", on_bad="fill", on=["bad_input"])))
    assert repr(isolation) == "RowIsolation(rows='rows', on_bad='fill', max_calls=256)"
    assert repr(OomSplit(ceiling=64)) == "OomSplit(rows=0, ceiling=64)"
    assert OomSplit().forgettable()


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: RowIsolation(-1), ValueError, "rows must be at least 0, got -1"),
        (lambda: RowIsolation(on_bad="drop"), ValueError, "on_bad must be 'raise' or 'results' or 'fill'"),
        (lambda: RowIsolation(on=["oops"]), ValueError, "on must hold kinds, got 'oops'; pass one of"),
        (lambda: RowIsolation(max_calls=0), ValueError, "max_calls must be at least 1"),
        (lambda: RowIsolation(quarantine=-1), ValueError, "quarantine must be at least 0"),
        (lambda: RowIsolation(quarantine_seconds=0), ValueError, "quarantine_seconds must be above 0"),
        (lambda: RowIsolation(take=3), TypeError, "take must be callable"),
        (lambda: OomSplit(cost=3), TypeError, "cost must be callable"),
        (lambda: OomSplit(ceiling=0), ValueError, "ceiling must be above 0"),
        (lambda: OomSplit(clean=0), ValueError, "clean must be at least 1"),
        (lambda: OomSplit(seconds=-1), ValueError, "seconds must not be negative"),
        (
            lambda: OomSplit(cost=lambda row: 0)(lambda rows: rows)([1]),
            ValueError,
            "cost must be above 0, got 0",
        ),
    ],
)
def test_what_they_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)
