"""KPIs: each number is what it says it is, and two runs are compared request by request."""

import math

import numpy as np
import pytest

from resilient_ml.evaluate import KPI, Leaks, Outage, Replies, Span
from resilient_ml.evaluate.standard import groups_of, standard_kpis

from .made import facts, replies, reply

STANDARD = {kpi.name: kpi for kpi in standard_kpis()}


def measured(name, *rows, seconds=None, **fields):
    found = STANDARD[name].measure(facts(replies(*rows, seconds=seconds), **fields))
    return None if found is None else found.value


def many(count, **fields):
    return [reply(number, **fields) for number in range(count)]


MIXED = (
    reply(0, judged=True, right=True),
    reply(1, judged=True, right=False),
    reply(2, judged=True, right=True, degraded=True),
    reply(3, judged=True, status="failed", kind="connection"),
    reply(4, judged=True, status="rejected", kind="overload", attempts=0),
    reply(5, judged=True, status="hung", waited=30.0, attempts=3),
    reply(6, judged=True, right=False, truncated=True),
    reply(7, judged=True, right=True, waited=2.0),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("availability", 5 / 8),
        ("right", 3 / 8),
        ("wrong", 2 / 8),
        ("truncated", 1 / 1),
        ("degraded", 1 / 8),
        ("hung", 1 / 8),
        ("goodput", 3 / 8.0),
        ("p50", 0.1),
        ("p95", 30.0),
        ("p99", 30.0),
        ("amplification", 9 / 8),
        ("first_item", None),
        ("fairness", None),
        ("time_to_detect", None),
        ("time_to_recover", None),
        ("leaks", None),
        ("memory", None),
        ("overhead", None),
        ("healthy_availability", None),
    ],
)
def test_a_standard_kpi_is_what_it_says(name, value):
    assert measured(name, *MIXED) == (None if value is None else pytest.approx(value))


def test_every_standard_kpi_is_tested_above():
    assert len(STANDARD) == 19


def test_answers_that_nobody_can_judge_are_neither_right_nor_wrong():
    rows = [reply(0), reply(1, status="failed")]
    assert (measured("right", *rows), measured("wrong", *rows), measured("truncated", *rows)) == (
        None,
        None,
        None,
    )
    assert measured("goodput", *rows, seconds=2.0) == 0.5


def test_the_wait_before_a_stream_counts_from_its_arrival():
    assert measured("first_item", reply(0, first=0.3), reply(1, first=0.1), reply(2)) == 0.1


def test_an_answer_that_comes_late_is_no_goodput():
    kpi = next(one for one in standard_kpis(in_time=1.0) if one.name == "goodput")
    assert kpi.measure(facts(replies(*MIXED))).value == pytest.approx(2 / 8)
    assert kpi.text == "good answers a second within 1 s"


def test_leaks_and_memory_are_told_where_they_were_looked_for():
    assert measured("leaks", *MIXED, leaks=Leaks(1, 2, 3)) == 6
    assert measured("leaks", *MIXED, leaks=Leaks(1, 2, None)) == 3
    assert measured("memory", *MIXED, leaks=Leaks(0, 0, 0, 512)) == 512


def test_times_to_detect_and_recover_are_means_of_the_outages_that_have_one():
    outages = (
        Outage(Span(1, 2), 0.5, 1.0),
        Outage(Span(3, 4), None, 3.0),
        Outage(Span(5, 6), 1.5, None),
    )
    assert measured("time_to_detect", *MIXED, outages=outages) == 1.0
    assert measured("time_to_recover", *MIXED, outages=outages) == 2.0
    never = (*outages, Outage(Span(7, 8), None, math.inf))
    assert measured("time_to_recover", *MIXED, outages=never) == math.inf


def test_fairness_is_about_the_good_answers_of_each_group():
    rows = [reply(i, group="ab"[i % 2], status="failed" if i % 2 else "ok") for i in range(8)]
    assert measured("fairness", *rows) == 0.5
    assert groups_of(replies(*rows)) == {"a": 1.0, "b": 0.0}
    assert measured("fairness", *many(4, group="a")) is None


def test_overhead_is_the_ratio_of_healthy_medians():
    naked, ours = replies(*many(9, waited=0.1)), replies(*many(9, waited=0.15))
    found = STANDARD["overhead"].measure(facts(ours, healthy=ours, naked_healthy=naked))
    assert found == pytest.approx((1.5, 1.5, 1.5))


def test_overhead_over_no_time_at_all_is_not_told():
    instant = replies(*many(4, waited=0.0))
    assert measured("overhead", *many(4), healthy=instant, naked_healthy=instant) is None


def test_what_is_answered_without_faults_is_told_apart():
    healthy = replies(reply(0), reply(1), reply(2, degraded=True), reply(3, status="rejected"))
    assert measured("healthy_availability", *many(4), healthy=healthy) == 0.5


def test_calls_that_no_request_owns_count_too_without_an_interval():
    amplification = STANDARD["amplification"]
    known, unknown = facts(replies(*many(10))), facts(replies(*many(10, attempts=0)), calls=25)
    found = amplification.measure(unknown)
    assert found.value == 2.5
    assert math.isnan(found.low)
    for pair in ((known, unknown), (unknown, known)):
        difference = amplification.compare(*pair)
        assert abs(difference.interval.value) == 1.5
        assert difference.p is None
    assert amplification.compare(known, known).p == 1.0


# -- comparing


def test_shares_are_compared_request_by_request():
    ours, theirs = facts(replies(*many(100))), facts(replies(*many(90), *many(10, status="failed")))
    difference = STANDARD["availability"].compare(ours, theirs)
    assert difference.interval.value == pytest.approx(0.1)
    assert (difference.only_ours, difference.only_theirs) == (10, 0)
    assert difference.p > 0.05  # one cluster of failures is one event


def test_scattered_failures_are_evidence():
    theirs = facts(replies(*(reply(i, status="failed" if i % 5 == 0 else "ok") for i in range(100))))
    difference = STANDARD["availability"].compare(facts(replies(*many(100))), theirs)
    assert difference.p <= 0.01
    assert difference.interval == pytest.approx((0.2, 0.2, 0.2))  # two in each block of ten


def test_rates_are_compared_as_rates():
    ours, theirs = (
        facts(replies(*many(100), seconds=50.0)),
        facts(replies(*many(100, status="failed"), seconds=50.0)),
    )
    assert STANDARD["goodput"].compare(ours, theirs).interval.value == pytest.approx(2.0)


def test_waits_are_compared_by_who_waits_beyond_the_common_quantile():
    rng = np.random.default_rng(0)
    slow = [reply(i, waited=2 * wait) for i, wait in enumerate(rng.lognormal(0, 0.5, 400))]
    fast = [reply(i, waited=wait) for i, wait in enumerate(rng.lognormal(0, 0.5, 400))]
    difference = STANDARD["p95"].compare(facts(replies(*fast)), facts(replies(*slow)))
    assert difference.interval.high < 0
    assert difference.p < 0.01
    same = STANDARD["p95"].compare(facts(replies(*fast)), facts(replies(*fast)))
    assert (same.interval.value, same.p) == (0.0, 1.0)


def test_what_only_one_run_has_is_not_compared():
    with_items, without = facts(replies(*many(4, first=0.1))), facts(replies(*many(4)))
    assert STANDARD["first_item"].compare(with_items, without) is None
    assert STANDARD["first_item"].compare(without, with_items) is None
    judged = facts(replies(*many(4, judged=True, right=True)))
    assert STANDARD["right"].compare(judged, without) is None
    assert STANDARD["leaks"].compare(without, without) is None


def test_facts_are_compared_without_a_test():
    ours, theirs = (
        facts(replies(*many(4)), leaks=Leaks(0, 0, 0)),
        facts(replies(*many(4)), leaks=Leaks(3, 0, 0)),
    )
    difference = STANDARD["leaks"].compare(ours, theirs)
    assert (difference.interval.value, difference.p) == (-3, None)


def test_two_that_never_recover_are_alike():
    never = facts(replies(*many(4)), outages=(Outage(Span(0, 1), None, math.inf),))
    assert STANDARD["time_to_recover"].compare(never, never).interval.value == 0.0


# -- the user's own


def judged_by(kpi, rows):
    for row in rows:
        row.values = {kpi.name: kpi.judge(row)}
    return facts(replies(*rows))


def test_a_kpi_of_ones_own_is_a_mean_over_requests():
    kpi = KPI("stars", lambda row: row.number % 5, better="higher")
    found = kpi.measure(judged_by(kpi, many(50)))
    assert found.value == 2.0
    assert found.low < 2.0 < found.high


def test_a_kpi_may_be_a_total():
    kpi = KPI("revenue", lambda row: 0.5 * row.ok, better="higher", unit="EUR", total=True)
    ours = judged_by(kpi, many(10))
    theirs = judged_by(kpi, many(10, status="failed"))
    assert kpi.measure(ours).value == 5.0
    assert kpi.compare(ours, theirs).interval.value == 5.0


def test_feedback_that_was_not_given_is_left_out_in_pairs():
    kpi = KPI("stars", lambda row: row.answer, better="higher")
    ours = judged_by(kpi, [reply(0, answer=5), reply(1, answer=None), reply(2, answer=3.5)])
    theirs = judged_by(kpi, [reply(0, answer=4), reply(1, answer=1), reply(2, answer=None)])
    assert kpi.measure(ours).value == 4.25
    assert kpi.compare(ours, theirs).interval.value == 1.0
    nobody = judged_by(kpi, [reply(0), reply(1), reply(2)])
    assert kpi.measure(nobody) is None


def test_a_kpi_of_numbers_is_tested_by_their_signs():
    kpi = KPI("stars", lambda row: row.answer, better="higher")
    rng = np.random.default_rng(0)
    ours = judged_by(kpi, [reply(i, answer=float(x)) for i, x in enumerate(rng.normal(1.0, 1.0, 100))])
    theirs = judged_by(kpi, [reply(i, answer=float(x)) for i, x in enumerate(rng.normal(0.0, 1.0, 100))])
    assert kpi.compare(ours, theirs).p <= 0.01
    assert kpi.compare(ours, ours).p == 1.0


@pytest.mark.parametrize("value", [True, np.True_, 1, np.float32(1.0)])
def test_a_kpi_takes_bools_and_numbers_of_every_make(value):
    assert KPI("k", lambda _: value, better="higher").judge(reply()) == 1.0


@pytest.mark.once
def test_a_kpi_of_all_replies_is_asked_about_resamples():
    worst = KPI.whole("worst", lambda rows: max(row.waited for row in rows), better="lower", unit="s")
    rng = np.random.default_rng(0)
    fast = facts(replies(*(reply(i, waited=x) for i, x in enumerate(rng.uniform(0.1, 0.2, 64)))))
    slow = facts(replies(*(reply(i, waited=x) for i, x in enumerate(rng.uniform(0.3, 0.4, 64)))))
    found = worst.measure(fast)
    assert found.low <= found.value == found.high == max(fast.replies.waited)
    mean = KPI.whole("mean", lambda rows: float(np.mean(rows.waited)), better="lower")
    difference = mean.compare(fast, slow)
    assert difference.interval.high < 0
    assert difference.p <= 0.02  # eight blocks can be swapped in 256 ways
    assert mean.compare(fast, fast).p == 1.0


def test_a_kpi_of_all_replies_may_say_that_nobody_can_say():
    unknown = KPI.whole("unknown", lambda rows: None, better="lower")
    assert unknown.measure(facts(replies(reply()))) is None
    assert unknown.compare(facts(replies(reply())), facts(replies(reply()))) is None


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: KPI("two words", bool, better="higher"), ValueError, "name of a KPI .* got 'two words'"),
        (lambda: KPI(7, bool, better="higher"), ValueError, "name of a KPI .* got 7"),
        (lambda: KPI("k", bool, better="more"), ValueError, "better must be 'higher' or 'lower', got 'more'"),
        (lambda: KPI("k", 7, better="higher"), TypeError, "per_request must be callable, got 7"),
        (lambda: KPI.whole("k", 7, better="higher"), TypeError, "of must be callable, got 7"),
        (
            lambda: KPI("k", lambda _: "five", better="higher").judge(reply()),
            TypeError,
            "the value of KPI 'k'",
        ),
        (
            lambda: KPI.whole("k", lambda _: "five", better="higher").measure(facts(replies(reply()))),
            TypeError,
            "the value of KPI 'k'",
        ),
    ],
)
def test_a_kpi_that_makes_no_sense_is_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


# -- replies


def test_replies_are_rows_and_columns():
    rows = replies(*MIXED)
    assert isinstance(rows, Replies)
    assert len(rows) == 8
    assert rows[1] is MIXED[1]
    assert list(rows[2:4]) == list(MIXED[2:4])
    assert rows.arrived.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_reply_has_one_verdict():
    assert [row.verdict for row in MIXED] == [
        "right",
        "wrong",
        "degraded",
        "failed",
        "rejected",
        "hung",
        "wrong",
        "right",
    ]
    assert reply(0).verdict == "right"  # nobody can judge it
    assert reply(0, degraded=True, judged=True, right=False).verdict == "wrong"
