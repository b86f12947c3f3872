"""Contract in every colour: what breaks it is never served, and all who should see it do."""

import gc
import math
import pickle

import numpy as np
import pytest

from resilient_ml import (
    Cache,
    CircuitBreaker,
    ConstantBackoff,
    Contract,
    Fallback,
    InvalidInput,
    InvalidOutput,
    Keyed,
    Kind,
    Pipeline,
    Policy,
    PolicyOrderWarning,
    Retry,
    Stream,
    events,
    kind_of,
)
from resilient_ml.contracts import (
    Check,
    Confidence,
    Finite,
    Length,
    NoRepetition,
    Norm,
    Probabilities,
    Range,
    Shape,
)

NAN = math.nan
AT_ONCE = ConstantBackoff(0)


def good(value):
    return value != "bad"


def test_a_good_answer_passes_and_a_bad_one_never(world):
    safe = Contract(Check(good))(world.model("cat", "bad", "dog"))
    assert world.call(safe) == "cat"
    error = world.failure(safe)
    assert type(error) is InvalidOutput
    assert kind_of(error) is Kind.INVALID_OUTPUT
    assert error.rule == "good"
    assert world.call(safe) == "dog"


def test_another_attempt_may_keep_it(world):
    model = world.model("bad", "bad", "cat")
    assert world.call(Pipeline(Retry(3, backoff=AT_ONCE), Contract(Check(good)))(model)) == "cat"
    assert len(model.starts) == 3


def test_a_fallback_answers_in_place_of_a_bad_answer(world):
    assert world.call(Pipeline(Fallback("popular"), Contract(Check(good)))(world.model("bad"))) == "popular"


def test_a_breaker_opens_for_bad_answers(world):
    breaker = CircuitBreaker(consecutive_failures=3)
    model = world.model("bad")
    safe = Pipeline(breaker, Contract(Check(good)))(model)
    for _ in range(5):
        world.failure(safe)
    assert len(model.starts) == 3


def test_a_bad_input_never_reaches_the_model(world):
    model = world.model("cat")
    safe = Pipeline(Retry(3, backoff=AT_ONCE), Contract(inputs=Check(good)))(model)
    error = world.failure(safe, "bad")
    assert type(error) is InvalidInput
    assert isinstance(error, ValueError)
    assert kind_of(error) is Kind.BAD_INPUT
    assert (error.rule, error.rows, error.argument) == ("good", (), 0)
    assert "argument 1 of" in str(error)
    assert "the model was not called" in str(error)
    assert model.starts == []
    assert world.call(safe, "fine") == "cat"


def test_an_input_is_mended_for_the_model_alone(world):
    model = world.model("cat")
    row = [5.0, 0.5]
    safe = Contract(inputs=Range(0, 1, then="repair"))(model)
    assert world.call(safe, row) == "cat"
    assert model.asked == [(([1.0, 0.5],), {})]
    assert row == [5.0, 0.5]


def test_an_input_to_abstain_from_is_answered_by_the_blank(world):
    model = world.model("cat")
    seen = []
    contract = Contract(inputs=Check(good, then="abstain"), blank="unknown", on_event=seen.append)
    safe = contract(model)
    assert world.call(safe, "bad") == "unknown"
    assert model.starts == []
    assert [(event.side, event.rule, event.action) for event in seen] == [("input", "good", "abstain")]


def test_a_warning_serves_and_tells(world):
    seen = []
    safe = Contract(Check(good, then="warn"), name="llm", on_event=seen.append)(world.model("bad"))
    assert world.call(safe) == "bad"
    (event,) = seen
    assert type(event) is events.ContractBroken
    assert (event.policy, event.side, event.rule, event.action, event.flaw) == (
        "llm",
        "output",
        "good",
        "warn",
        "is not good",
    )


def test_what_is_mended_is_served_and_what_cannot_be_is_not(world):
    mend = {"bad": "cat", "worse": "bad"}.get
    safe = Contract(Check(lambda value: value in ("cat", "dog"), repair=mend, name="pet"))(
        world.model("bad", "worse", "x")
    )
    assert world.call(safe) == "cat"
    assert "is not good; mended, it is not good" in str(world.failure(safe))

    def broken(value):
        raise KeyError(value)

    safe = Contract(Check(good, repair=broken))(world.model("bad"))
    assert "could not be mended: KeyError" in str(world.failure(safe))


# -- calls -------------------------------------------------------------------------------------------------


def test_abstaining_is_no_failure_and_is_labelled():
    contract = Contract(Confidence(0.8, then="abstain"), blank="do not know")
    guard = Pipeline(Cache(10_000), Retry(3, backoff=AT_ONCE), contract)
    calls = []

    def classify(text):
        calls.append(text)
        return [0.5, 0.5] if text == "odd" else [0.9, 0.1]

    out = guard.outcome(classify, "odd")
    assert (out.value, out.degraded, out.status) == ("do not know", True, "ok")
    assert guard.outcome(classify, "fine").degraded is False
    safe = guard(classify)
    safe("odd"), safe("odd"), safe("fine"), safe("fine")
    assert calls == ["odd", "fine", "odd", "odd"]  # what is degraded is not kept


def test_an_outcome_says_that_the_answer_was_invalid():
    guard = Pipeline(Fallback("x"), Contract(Check(good)))
    out = guard.outcome(lambda: "bad")
    assert [attempt.kind for attempt in out.attempts] == [Kind.INVALID_OUTPUT]
    assert (out.value, out.degraded) == ("x", True)
    out = Pipeline(Contract(inputs=Check(good, then="abstain"))).outcome(len, "bad")
    assert (out.value, out.degraded, out.attempts) == (None, True, ())
    guard = Pipeline(Fallback("x"), Contract(Check(good)), Contract(Check(good, then="abstain"), blank="bad"))
    assert guard.outcome(lambda: "bad").value == "x"


def test_without_rules_numbers_are_finite():
    safe = Contract()(lambda rows: rows)
    assert safe([1.0]) == [1.0]
    with pytest.raises(
        InvalidOutput, match="breaks rule 'finite': it has 1 of 1 numbers that is not finite"
    ) as caught:
        safe([NAN])
    assert "put a Retry or a Fallback outside the Contract" in str(caught.value)


def test_rows_within_the_gate_are_blanked_and_beyond_it_all_is_refused():
    seen = []
    contract = Contract(Probabilities(), rows=True, max_bad=0.5, on_event=seen.append)
    guard = Pipeline(contract)
    rows = np.array([[0.5, 0.5], [NAN, 1.0], [0.2, 0.8], [0.4, 0.6]])
    out = guard.outcome(lambda: rows)
    assert out.degraded
    assert np.isnan(out.value[1]).all()
    assert out.value[[0, 2, 3]].tolist() == rows[[0, 2, 3]].tolist()
    assert rows[1, 1] == 1.0
    assert [(event.action, event.rows) for event in seen] == [("fail", 1)]
    rows[0] = rows[2] = 7.0
    with pytest.raises(InvalidOutput) as caught:
        guard.call(lambda: rows)
    assert caught.value.rows == (0, 1, 2)
    assert "it has 3 of 4 bad rows: row 0 is no probabilities: one sums to 14" in str(caught.value)


def test_rows_of_lists_and_columns_are_blanked_each_in_its_way():
    contract = Contract(Range(0, 1, of="score"), rows=True, max_bad=1.0)
    safe = contract(lambda rows: rows)
    assert safe([{"score": 0.5}, {"score": 2}]) == [{"score": 0.5}, None]
    assert safe(({"score": 0.5}, {"score": 2})) == ({"score": 0.5}, None)
    columns = safe({"label": ["a", "b"], "score": np.array([0.5, 2.0])})
    assert columns["label"] == ["a", None]
    assert columns["score"][0] == 0.5
    assert math.isnan(columns["score"][1])
    texts = Contract(Check(good), rows=True, max_bad=1.0)(lambda rows: np.array(rows, object))
    assert texts(["a", "bad"]).tolist() == ["a", None]


def test_a_blank_that_has_no_place_refuses_the_answer():
    rows = np.array([1, 9])
    with pytest.raises(
        InvalidOutput, match="is an array of int64, in which nothing says that a row is missing; pass blank="
    ):
        Contract(Range(0, 1), rows=True, max_bad=1)(lambda: rows)()
    with pytest.raises(InvalidOutput, match="in which blank= does not fit"):
        Contract(Range(0, 1), rows=True, max_bad=1, blank="none")(lambda: rows)()
    assert Contract(Range(0, 1), rows=True, max_bad=1, blank=-1)(lambda: rows)().tolist() == [1, -1]


def test_each_rule_on_rows_has_its_own_action():
    seen = []
    contract = Contract(
        Range(0, 10, of="x", then="repair"),
        Check(lambda row: row["x"] != 5, then="warn", name="five"),
        Check(lambda row: row["x"] != 7, then="abstain", name="seven"),
        Check(lambda row: row["x"] != 9, name="nine"),
        rows=True,
        max_bad=0.25,
        on_event=seen.append,
    )
    safe = contract(lambda rows: rows)
    given = [{"x": 5}, {"x": 99}, {"x": 7}, {"x": 9}]
    assert safe(given) == [{"x": 5}, {"x": 10}, None, None]
    assert given[1] == {"x": 99}
    assert [(event.rule, event.action, event.rows) for event in seen] == [
        ("range", "repair", 1),
        ("five", "warn", 1),
        ("seven", "abstain", 1),
        ("nine", "fail", 1),
    ]
    assert safe([{"x": 1}]) == [{"x": 1}]
    assert safe([{"x": 5}]) == [{"x": 5}]
    with pytest.raises(InvalidOutput):
        safe([{"x": 9}, {"x": 9}])


def test_rows_are_mended_one_by_one():
    safe = Contract(Probabilities(then="repair"), rows=True)(lambda rows: rows)
    assert safe(np.array([[2.0, 2.0], [0.5, 0.5]])).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert safe(([2.0, 2.0], [0.5, 0.5])) == ([0.5, 0.5], [0.5, 0.5])
    with pytest.raises(
        InvalidOutput, match="mended, has 1 of 2 bad rows: row 0 is no probabilities"
    ) as caught:
        safe([[NAN, 2.0], [0.5, 0.5]])
    assert caught.value.rows == (0,)

    def broken(row):
        raise KeyError(row)

    with pytest.raises(InvalidOutput, match="could not be mended: KeyError"):
        Contract(Check(good, repair=broken), rows=True)(lambda: ["bad"])()


@pytest.mark.parametrize("answer", [5, "text", np.float64(3), {"a": [1], "b": [1, 2]}, None])
def test_an_answer_without_rows_is_refused(answer):
    with pytest.raises(InvalidOutput, match="which has no rows"):
        Contract(rows=True)(lambda: answer)()


def test_a_part_that_is_missing_is_a_breach():
    for rows in (False, True):
        with pytest.raises(InvalidOutput, match="it has no part 'score'"):
            Contract(Finite(of="score"), rows=rows)(lambda: {"label": [1]})()
    with pytest.raises(InvalidOutput, match="it has 2 rows, and 1 in part 'score'"):
        Contract(Finite(of="score"), rows=True)(columns)()
    with pytest.raises(InvalidOutput, match="it has 2 rows, and no rows in part 0"):
        Contract(Finite(of=0), rows=True)(lambda: [1, 2])()


def columns():
    return Columns()


class Columns(list):
    score = (1.0,)

    def __init__(self):
        super().__init__([1, 2])


def test_a_mended_part_is_put_back_into_a_copy():
    given = {"score": 7.0, "label": "a"}
    assert Contract(Range(0, 1, of="score", then="repair"))(lambda: given)() == {"score": 1.0, "label": "a"}
    assert given["score"] == 7.0


def test_rows_that_break_several_rules_count_together():
    contract = Contract(
        Check(lambda row: row != 1, name="one"),
        Check(lambda row: row != 2, name="two"),
        rows=True,
        max_bad=0.25,
    )
    safe = contract(lambda rows: rows)
    assert safe([1, 0, 0, 0]) == [None, 0, 0, 0]
    with pytest.raises(InvalidOutput) as caught:
        safe([1, 2, 0, 0])
    assert caught.value.rows == (0, 1)


# -- inputs ------------------------------------------------------------------------------------------------


def predict(rows, scale=1.0, *, mask=None, **rest):
    return [rows, scale, mask, rest]


@pytest.mark.parametrize(
    ("inputs", "args", "kwargs"),
    [
        ({"scale": Finite()}, ([1.0], NAN), {}),
        ({"scale": Finite()}, ([1.0],), {"scale": NAN}),
        ({1: Finite()}, ([1.0], NAN), {}),
        ({"mask": Finite()}, ([1.0],), {"mask": NAN}),
        ({"other": [Finite()]}, ([1.0],), {"other": NAN}),
        ({"rows": [Length(1), Finite()]}, ([NAN],), {}),
        (Finite(), ([NAN],), {}),
        ([Length(1), Finite()], ([NAN],), {}),
    ],
)
def test_an_argument_is_found_by_name_and_position(inputs, args, kwargs):
    safe = Contract(inputs=inputs)(predict)
    with pytest.raises(InvalidInput):
        safe(*args, **kwargs)
    assert safe([1.0]) == [[1.0], 1.0, None, {}]
    assert safe([1.0], 2.0, mask=1, other=3) == [[1.0], 2.0, 1, {"other": 3}]


def test_an_argument_passed_by_name_is_mended_by_name():
    safe = Contract(inputs={"scale": Range(0, 1, then="repair")})(predict)
    assert safe([1.0], scale=7.0) == [[1.0], 1.0, None, {}]
    assert safe([1.0], 7.0) == [[1.0], 1.0, None, {}]


def test_the_arguments_are_as_they_were_for_who_stands_outside():
    seen = []

    class Look(Policy):
        async def around(self, proceed, call):
            try:
                return await proceed(call)
            finally:
                seen.append(call.args)

    Pipeline(Look(), Contract(inputs=Range(0, 1, then="repair"))).call(predict, 7.0)
    assert seen == [(7.0,)]


def test_a_function_that_has_gone_leaves_its_place_to_no_other():
    contract = Contract(inputs={"rows": Finite()})
    contract._arguments._known[id(predict)] = (len, 0, {"rows": 5})
    assert contract(predict)([1.0]) == [[1.0], 1.0, None, {}]
    with pytest.raises(InvalidInput):
        contract(predict)([NAN])


def test_bad_rows_of_an_input_are_named():
    with pytest.raises(InvalidInput) as caught:
        Contract(inputs={"rows": Finite()}, rows=True)(predict)([[1.0], [NAN], [2.0], [NAN]])
    assert caught.value.rows == (1, 3)
    assert caught.value.argument == "rows"
    assert "argument 'rows' of 'predict' breaks rule 'finite': it has 2 of 4 bad rows: row 1" in str(
        caught.value
    )


def test_methods_builtins_and_objects_are_checked_too():
    class Model:
        __hash__ = None

        @Contract(inputs={"rows": Finite()})
        def predict(self, rows):
            return rows

        def __call__(self, rows):
            return rows

    model = Model()
    assert model.predict([1.0]) == [1.0]
    with pytest.raises(InvalidInput):
        model.predict([NAN])
    with pytest.raises(InvalidInput):
        Contract(inputs={"rows": Finite()})(model)([NAN])
    with pytest.raises(InvalidInput):
        Contract(inputs={0: Finite()})(max)([NAN])

    class Other:
        @Contract(inputs=Finite())
        def predict(self, rows):
            return rows

    with pytest.raises(InvalidInput, match="argument 1 of"):
        Other().predict([NAN])
    with pytest.raises(InvalidInput):
        Other().predict(rows=[NAN])
    safe = Contract(inputs={"key": Finite()})(max)  # which does not tell its arguments
    assert safe([1, 2], key=lambda value: -value) == 1


def test_an_argument_that_is_not_there_is_refused_when_guarding():
    with pytest.raises(
        TypeError, match=r"inputs names 'raws', and '.*f' has no such argument; it has 'rows'"
    ):

        @Contract(inputs={"raws": Finite()})
        def f(rows):
            return rows

    with pytest.raises(TypeError, match="it has none"):
        Contract(inputs={"raws": Finite()})(lambda: 1)


def test_a_contract_shared_by_many_functions_keeps_few_of_them():
    contract = Contract(inputs={"rows": Finite()})
    for _ in range(600):
        contract(lambda rows: rows)([1.0])
    gc.collect()
    assert len(contract._arguments._known) <= 256


# -- streams -----------------------------------------------------------------------------------------------


def bare(text, times=1):
    for _ in range(times):
        yield text


def test_a_stream_is_left_where_it_breaks_a_rule_and_retried_before_it_began():
    attempts = iter([["bad", "x"], ["a", "b", "c"], ["a", "bad", "c"]])

    @Pipeline(Retry(2, backoff=AT_ONCE), Contract(Check(good)))
    def tokens():
        yield from next(attempts)

    assert list(tokens()) == ["a", "b", "c"]
    stream = tokens()
    assert next(stream) == "a"
    with pytest.raises(
        InvalidOutput, match=r"the stream of '.*tokens' breaks rule 'good': it is not good"
    ) as caught:
        next(stream)
    assert caught.value.rule == "good"


def test_what_is_missing_at_the_end_is_found_there():
    safe = Contract(Length(5))(bare)
    assert list(safe("abc", 2)) == ["abc", "abc"]
    stream = safe("abc")
    assert next(stream) == "abc"
    with pytest.raises(InvalidOutput, match="it has 3 characters, fewer than 5"):
        next(stream)
    with pytest.raises(InvalidOutput, match="it is empty"):
        list(safe("abc", 0))


def test_chunks_are_warned_of_once_and_mended_each():
    seen = []
    rules = Check(good, then="warn"), Check(str.islower, repair=str.lower)
    safe = Contract(*rules, on_event=seen.append)(bare)
    assert list(safe("bad", 3)) == ["bad"] * 3
    assert [(event.rule, event.action) for event in seen] == [("good", "warn")]
    assert list(safe("CAT", 2)) == ["cat"] * 2
    assert [(event.rule, event.action) for event in seen[1:]] == [("islower", "repair")] * 2
    with pytest.raises(InvalidOutput, match="is not good; mended, it is not good"):
        list(safe("123"))


def test_a_loop_ends_a_stream():
    with pytest.raises(InvalidOutput, match="repeats one piece of 6 characters again and again"):
        list(Contract(NoRepetition())(bare)("sorry ", 1000))


def test_parts_of_chunks_are_looked_at():
    safe = Contract(Finite(of="score"))(bare)
    assert list(safe({"score": 1.0})) == [{"score": 1.0}]
    with pytest.raises(InvalidOutput, match="has no part 'score'"):
        list(safe({}))


def test_the_text_of_chunks_is_read_as_the_stream_says():
    rules = Stream(text_of=lambda chunk: chunk["t"], is_content=lambda chunk: "t" in chunk)
    safe = Pipeline(rules, Contract(Length(0, 5)))(bare)
    assert len(list(safe({"role": "x"}, 9))) == 9
    with pytest.raises(InvalidOutput, match="has 6 characters, more than 5"):
        list(safe({"t": "abc"}, 2))
    own = Pipeline(rules, Contract(Length(0, 5), text_of=lambda chunk: chunk["t"] * 2))(bare)
    with pytest.raises(InvalidOutput, match="has 6 characters, more than 5"):
        list(own({"t": "abc"}))


def test_an_attempt_that_continues_is_judged_with_what_came_before():
    seen = []
    attempts = iter([["abc", "def", ConnectionError()], ["ghi"]])

    def go_on(args, kwargs, partial):
        seen.append(partial)
        return args, kwargs

    @Pipeline(
        Stream(on_interrupt="continue", continuation=go_on), Retry(2, backoff=AT_ONCE), Contract(Length(9, 9))
    )
    def tokens():
        for one in next(attempts):
            if isinstance(one, Exception):
                raise one
            yield one

    assert list(tokens()) == ["abc", "def", "ghi"]
    assert seen == [("abc", "def")]


def test_what_is_no_content_is_not_judged_when_an_answer_goes_on():
    attempts = iter([["role", "abc", ConnectionError()], ["def"]])

    @Pipeline(
        Stream(
            is_content=lambda chunk: chunk != "role",
            on_interrupt="continue",
            continuation=lambda args, kwargs, partial: (args, kwargs),
        ),
        Retry(2, backoff=AT_ONCE),
        Contract(Length(6, 6)),
    )
    def tokens():
        for one in next(attempts):
            if isinstance(one, Exception):
                raise one
            yield one

    assert list(tokens()) == ["role", "abc", "def"]


def test_a_fallback_on_a_stream_is_held_to_the_contract_too():
    def other(text, times=1):
        yield "bad"

    safe = Pipeline(Fallback(other), Contract(Check(good)))(bare)
    with pytest.raises(InvalidOutput):
        list(safe("bad"))


def test_inputs_of_streams_are_checked_before_they_begin():
    begun = []

    def tokens(prompt):
        begun.append(prompt)
        yield prompt

    with pytest.raises(InvalidInput):
        list(Contract(inputs=Length(1, 5))(tokens)("too long"))
    assert begun == []
    safe = Contract(inputs=Length(1, 5, then="abstain"), blank="?")(tokens)
    assert list(safe("too long")) == ["?"]
    assert list(safe("fine")) == ["fine"]


@pytest.mark.parametrize(
    ("contract", "why"),
    [
        (Contract(Confidence(0.5, then="abstain")), "then='abstain' of confidence"),
        (Contract(Finite(), rows=True), "rows=True"),
    ],
)
def test_what_cannot_act_on_a_stream_is_refused(contract, why):
    with pytest.raises(
        TypeError, match=f"Contract cannot guard stream 'bare' with {why}: what has been passed on"
    ):
        contract(bare)


def test_a_contract_for_each_key_of_a_stream_is_refused():
    keyed = Keyed(Contract, key=lambda *args: 1)
    with pytest.raises(TypeError, match="Keyed cannot give each key a Contract"):
        keyed(bare)
    assert keyed(lambda value: value)(1.0) == 1.0


# -- itself ------------------------------------------------------------------------------------------------


def test_it_says_what_it_is():
    contract = Contract(Finite(), Range(0, 1, then="repair"), inputs={"rows": Shape(None, 3)})
    assert repr(contract) == "Contract(finite, range (repair), rows: shape)"
    assert contract.role == "contract"
    assert Contract(inputs=Finite()).role == "input_contract"
    assert Contract().forgettable()


def test_it_pickles_and_its_errors_do():
    contract = pickle.loads(
        pickle.dumps(Contract(Norm(1), rows=True, max_bad=0.5, inputs={"rows": [Finite()]}))
    )
    assert repr(contract) == "Contract(norm, rows: finite)"
    error = InvalidInput("no", rule="finite", rows=(1,), argument="x")
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.rule, again.rows, again.argument) == (("no",), "finite", (1,), "x")


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Contract(3), TypeError, "rules must hold rules, got 3; pass Finite() or Check(function)"),
        (lambda: Contract(inputs=3), TypeError, "inputs must be a rule or a list of rules, got 3"),
        (
            lambda: Contract(inputs={"x": 3}),
            TypeError,
            "inputs['x'] must be a rule or a list of rules, got 3",
        ),
        (
            lambda: Contract(inputs={-1: Finite()}),
            TypeError,
            "inputs must name arguments by name or position, got -1",
        ),
        (
            lambda: Contract(inputs={True: Finite()}),
            TypeError,
            "inputs must name arguments by name or position",
        ),
        (lambda: Contract(rows=1), TypeError, "rows must be True or False"),
        (lambda: Contract(rows=True, max_bad=2), ValueError, "max_bad must be from 0 to 1, got 2"),
        (lambda: Contract(max_bad=0.5), ValueError, "max_bad=0.5 needs rows=True"),
        (lambda: Contract(text_of=3), TypeError, "text_of must be callable"),
    ],
)
def test_what_a_contract_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)


@pytest.mark.parametrize("outer", [Cache(1000), Retry(2), CircuitBreaker(), Fallback(1)], ids=repr)
def test_outside_of_what_should_see_it_it_warns(outer):
    with pytest.warns(PolicyOrderWarning, match="a Contract outside a"):
        Pipeline(Contract(), outer)
    Pipeline(outer, Contract())
    Pipeline(Contract(inputs=Finite()), outer)
