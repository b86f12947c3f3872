"""Kinds: what each means, and how users register their own."""

import logging
import threading
from functools import partial

import pytest

from resilient_ml import _classifier
from resilient_ml.kinds import TREATMENTS, Kind, kind_of, register_kind


class ModelUnloaded(Exception):
    """A user's own exception, of which nothing is known."""


# ---- what kinds mean


def test_every_kind_has_a_treatment():
    assert set(TREATMENTS) == set(Kind)
    assert all(kind.treatment is TREATMENTS[kind] for kind in Kind)
    assert all(kind.value == kind.name.lower() for kind in Kind)


def test_what_is_not_the_models_fault_never_counts_against_it():
    innocent = {kind for kind in Kind if not kind.treatment.counts_against_model}
    assert innocent == {
        Kind.BAD_INPUT,
        Kind.CONTEXT_TOO_LONG,
        Kind.CONTENT_POLICY,
        Kind.AUTH,
        Kind.BUDGET,
        Kind.DEADLINE,
    }


def test_only_what_may_pass_by_itself_is_retried_here():
    lasting = {kind for kind in Kind if not kind.treatment.retry_here}
    assert lasting == {
        Kind.OOM,
        Kind.BAD_INPUT,
        Kind.CONTEXT_TOO_LONG,
        Kind.CONTENT_POLICY,
        Kind.AUTH,
        Kind.BUDGET,
        Kind.DEADLINE,
    }


def test_only_input_that_is_wrong_everywhere_is_not_tried_elsewhere():
    stuck = {kind for kind in Kind if not kind.treatment.try_elsewhere}
    assert stuck == {Kind.BAD_INPUT, Kind.CONTENT_POLICY}


def test_every_retry_is_paid_for():
    unpaid = {kind for kind in Kind if not kind.treatment.counts_against_budget}
    assert unpaid == {Kind.DEADLINE}
    assert not Kind.DEADLINE.treatment.retry_here


def test_treatments_cannot_be_edited_in_place():
    with pytest.raises(TypeError):
        TREATMENTS[Kind.OOM] = Kind.SERVER.treatment
    with pytest.raises(AttributeError):
        Kind.OOM.treatment.retry_here = True


def test_the_classifiers_tables_name_only_kinds():
    values = {kind.value for kind in Kind}
    for table in (
        _classifier._SETTLED,
        _classifier._USUAL,
        _classifier._NARROW,
        _classifier._WIDE,
        _classifier._HTTP,
        _classifier._ERRNO,
    ):
        assert set(table.values()) <= values
    assert set(_classifier._WORST_FIRST) == values
    assert len(_classifier._WORST_FIRST) == len(values)


def test_no_name_is_in_two_tables():
    assert not _classifier._SETTLED.keys() & _classifier._USUAL.keys()
    assert not _classifier._NARROW.keys() & _classifier._WIDE.keys()


def test_groups_rank_what_counts_against_a_model_before_what_does_not():
    counts = [Kind(value).treatment.counts_against_model for value in _classifier._WORST_FIRST]
    assert counts == sorted(counts, reverse=True)


# ---- rules of the user's own


def test_a_registered_class_includes_its_subclasses_until_closed():
    class Reloading(ModelUnloaded):
        pass

    rule = register_kind(ModelUnloaded, Kind.OVERLOAD)
    assert kind_of(Reloading()) is Kind.OVERLOAD
    assert kind_of(ConnectionError()) is Kind.CONNECTION
    rule.close()
    rule.close()
    assert kind_of(Reloading()) is Kind.UNKNOWN


def test_registered_rules_come_before_built_in_ones_and_the_newest_first():
    with register_kind(ConnectionError, Kind.SERVER) as older:
        assert kind_of(ConnectionError()) is Kind.SERVER
        with register_kind(OSError, Kind.CRASH):
            assert kind_of(ConnectionError()) is Kind.CRASH
            older.close()
            assert kind_of(ConnectionError()) is Kind.CRASH
    assert kind_of(ConnectionError()) is Kind.CONNECTION


def test_a_function_answers_for_the_errors_it_knows():
    def full(error):
        return Kind.OVERLOAD if error.args == ("full",) else None

    with register_kind(full):
        assert kind_of(ModelUnloaded("full")) is Kind.OVERLOAD
        assert kind_of(ValueError("shape")) is Kind.BAD_INPUT


def test_rules_are_asked_at_every_link_and_every_leaf():
    with register_kind(ModelUnloaded, Kind.OVERLOAD):
        wrapped = KeyError()
        wrapped.__cause__ = ModelUnloaded()
        assert kind_of(wrapped) is Kind.OVERLOAD
        assert kind_of(ExceptionGroup("tasks", [KeyError(), ModelUnloaded()])) is Kind.OVERLOAD


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda error: 1 / 0, "raised ZeroDivisionError"),
        (lambda error: "oom", "returned str, neither a Kind nor None"),
        (
            partial(lambda answer, error: answer, True),
            "kind rule partial returned bool, neither a Kind nor None",
        ),
    ],
)
def test_a_rule_that_fails_is_no_answer_and_is_logged_once(caplog, rule, said):
    with caplog.at_level(logging.WARNING, logger="resilient_ml"), register_kind(rule):
        assert kind_of(ConnectionError("secret")) is Kind.CONNECTION
        assert kind_of(ConnectionError("secret")) is Kind.CONNECTION
    assert len(caplog.records) == 1
    assert said in caplog.text
    assert "secret" not in caplog.text


def test_a_rule_that_asks_back_ends():
    with register_kind(kind_of):
        assert kind_of(ConnectionError()) is Kind.CONNECTION


def test_rules_registered_by_many_threads_all_hold_and_all_go():
    classes = [type(f"Mine{number}", (Exception,), {}) for number in range(64)]
    rules = []
    start = threading.Barrier(8)

    def register(part):
        start.wait()
        rules.extend(register_kind(cls, Kind.SERVER) for cls in part)

    def close(part):
        start.wait()
        for rule in part:
            rule.close()

    for work, whole in ((register, classes), (close, rules)):
        threads = [threading.Thread(target=work, args=(whole[number::8],)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {kind_of(cls()) for cls in classes} == {Kind.SERVER if work is register else Kind.UNKNOWN}


async def later(error):
    return Kind.SERVER


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((int, Kind.OOM), "match must be an exception class or a function, got class int; "),
        ((3, Kind.OOM), "match must be an exception class or a function, got int; "),
        (
            ((ValueError, KeyError), Kind.OOM),
            "match must be .*, got tuple; for several classes register each",
        ),
        (
            (ModelUnloaded,),
            "kind must be a Kind for exception class ModelUnloaded, got NoneType; write register_kind",
        ),
        ((ModelUnloaded, "oom"), r"kind must be a Kind for .*, got str; .*Kind\('server'\)"),
        (
            (lambda error: None, Kind.OOM),
            "kind must be left out for a function, got Kind; a function returns",
        ),
        ((later,), "match must be a plain function, got coroutine function later; .*write it with def"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_remedy(arguments, message):
    with pytest.raises(TypeError, match=message):
        register_kind(*arguments)
