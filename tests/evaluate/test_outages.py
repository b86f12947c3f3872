"""Outages: from when to when the model was in trouble, who noticed, and when it served again."""

import math

import pytest

from resilient_ml.evaluate.outages import Span, find_spans, outages_of

from .made import replies, reply


def line(text):
    """A request a second: ``.`` good, ``x`` failed, ``f`` by a fallback, ``w`` wrong."""
    fields = {
        ".": {},
        "x": {"status": "failed"},
        "f": {"degraded": True},
        "w": {"judged": True, "right": False},
    }
    return replies(*(reply(number, **fields[one]) for number, one in enumerate(text)))


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("..........", []),
        ("..xx......", []),
        ("..xxx.....", [(2, 4)]),
        ("xxx.......", [(0, 2)]),
        ("......xxxx", [(6, 9)]),
        ("..xxx..x...", [(2, 7)]),
        ("..xx.x.....", []),
        ("..xx.xxx...", [(5, 7)]),
        (".xxx...xfw...", [(1, 3), (7, 9)]),
        ("x.x.x.x.x.", []),
        ("xxxxxxxxxx", [(0, 9)]),
    ],
)
def test_an_outage_begins_and_ends_with_three_in_a_row(text, spans):
    assert [(span.begins, span.ends) for span in find_spans(line(text), in_a_row=3)] == spans


def test_a_span_that_was_found_says_so():
    assert [span.known for span in find_spans(line("xxx..."), in_a_row=3)] == [False]


@pytest.mark.parametrize(
    ("text", "recovered"),
    [
        ("...xxx.....", 0.0),
        ("...xxxxx...", 2.0),
        ("...xxxx.x...", 3.0),
        ("...xxxfff...", 3.0),
        ("...xxxxx.", 2.0),
        ("...xxxxxxx", math.inf),
        ("...xxx", None),
    ],
)
def test_recovered_is_when_the_model_itself_answers_three_in_a_row(text, recovered):
    (outage,) = outages_of([Span(3.0, 6.0)], line(text), [], in_a_row=3)
    assert outage.recovered == recovered


@pytest.mark.parametrize(
    ("alarms", "detected"),
    [
        ([], None),
        ([(4.5, 9.0)], 1.5),
        ([(1.0, 2.0), (5.0, 5.5)], 2.0),
        ([(5.0, 6.0), (3.5, 4.0)], 0.5),
        ([(1.0, 4.0)], 0.0),
        ([(6.5, 9.0)], None),
    ],
)
def test_detected_is_when_a_policy_holds_calls_back(alarms, detected):
    (outage,) = outages_of([Span(3.0, 6.0)], line("...xxx..."), alarms, in_a_row=3)
    assert outage.detected == detected
