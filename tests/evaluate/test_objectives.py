"""Objectives: read as they are written, met or missed by the numbers, and missed with the numbers."""

import math
import pickle

import pytest

from resilient_ml.evaluate import KPI, Difference, Interval, Objective, ObjectivesMissed
from resilient_ml.evaluate.results import Comparison, compared

from .made import arm, facts, replies, reply

NAKED = {
    "availability": Interval(0.9, 0.88, 0.92),
    "p99": Interval(1.0, 0.9, 1.2),
    "wrong": Interval(0.02, 0.01, 0.03),
    "time_to_recover": Interval(math.inf, math.nan, math.nan),
}
GUARDED = {
    "availability": Interval(0.995, 0.98, 0.999),
    "p99": Interval(0.3, 0.25, 0.4),
    "wrong": Interval(0.0, 0.0, 0.003),
    "time_to_recover": Interval(1.5, math.nan, math.nan),
}
ARMS = {"naked": arm("naked", NAKED), "guarded": arm("guarded", GUARDED)}


def compare(name, better, gap, adjusted):
    kpi = KPI(name, bool, better=better)
    return Comparison(kpi, "guarded", "naked", Difference(Interval(gap, gap, gap), adjusted), adjusted)


COMPARISONS = [
    compare("availability", "higher", 0.095, 0.004),
    compare("p99", "lower", -0.7, 0.2),
    compare("wrong", "lower", 0.01, 0.001),
    compare("leaks", "lower", -3.0, None),
    compare("same", "lower", 0.0, 1.0),
]


def findings(text, arms=ARMS):
    return Objective.parse(text).judge(arms, COMPARISONS, level=0.95)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("guarded.availability >= 0.99", True),
        ("guarded.availability>=99%", True),
        ("guarded.availability >= 99.9 %", False),
        ("naked.availability >= 0.99", False),
        ("availability > 0.99", True),
        ("wrong == 0", True),
        ("naked.wrong == 2%", True),
        ("p99 <= 300 ms", True),
        ("p99 < 300ms", False),
        ("p99 <= 3e5us", True),
        ("p99 <= 0.005 min", True),
        ("p99 <= 0.3 s", True),
        ("guarded.availability.low >= 0.98", True),
        ("availability.low > 0.98", False),
        ("wrong.high <= .3%", True),
        ("guarded.p99 <= naked.p99", True),
        ("guarded.p99 <= 0.3 * naked.p99", True),
        ("guarded.p99 <= 0.2 * naked.p99", False),
        ("guarded.p99 <= 0.2x * naked.p99 + 100 ms", True),
        ("guarded.availability >= naked.availability + 9%", True),
        ("guarded.availability >= naked.availability + 10%", False),
        ("guarded.availability > naked.availability - 0.1", True),
        ("guarded.time_to_recover < naked.time_to_recover", True),
        ("naked.time_to_recover <= 60 s", False),
        ("guarded.availability beats naked", True),
        ("availability beats naked by 9%", True),
        ("guarded.availability beats naked by 10%", False),
        ("guarded.p99 beats naked", False),
        ("guarded.wrong beats naked", False),
        ("guarded.leaks beats naked by 2", True),
        ("guarded.same beats naked", False),
    ],
)
def test_an_objective_is_met_by_the_numbers(text, met):
    (finding,) = findings(text)
    assert finding.met is met
    assert finding.arm == text.split(".")[0] if text.startswith(("naked.", "guarded.")) else "guarded"


def test_an_objective_without_a_configuration_is_about_all_but_the_first():
    third = {**ARMS, "other": arm("other", NAKED)}
    assert [(one.arm, one.met) for one in findings("wrong == 0", third)] == [
        ("guarded", True),
        ("other", False),
    ]


def test_a_configuration_may_be_called_in_any_script():
    (finding,) = findings("ключ.availability >= 99%", {"naked": ARMS["naked"], "ключ": ARMS["guarded"]})
    assert (finding.arm, finding.met) == ("ключ", True)


def test_or_about_the_only_one():
    assert [(one.arm, one.met) for one in findings("wrong == 2%", {"naked": ARMS["naked"]})] == [
        ("naked", True)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("guarded.availability >= 0.999", "guarded has availability 0.995"),
        ("guarded.p99 <= 0.2 * naked.p99", "guarded has p99 0.3, which is 0.2"),
        ("guarded.right >= 0.9", "guarded.right was not measured for guarded"),
        ("right >= 0.9", "right was not measured for guarded"),
        ("time_to_recover.low >= 0.9", "time_to_recover.low was not measured for guarded"),
        ("guarded.p99 <= naked.right", "naked.right was not measured for naked"),
        ("guarded.right beats naked", "right was not measured for both"),
        ("guarded.p99 beats naked", "guarded is better by 0.7, adjusted p 0.2; that may be luck"),
        ("guarded.availability >= 99.9%", "guarded has availability 99.5 %"),
        ("guarded.p99 <= 200 ms", "guarded has p99 300 ms"),
        ("guarded.p99 <= 0.1 * naked.p99 + 10 ms", "guarded has p99 300 ms, which is 110 ms"),
        ("guarded.wrong beats naked by 1%", "guarded is worse by 1 %, adjusted p 0.001"),
        ("guarded.wrong beats naked", "guarded is worse by 0.01, adjusted p 0.001"),
    ],
)
def test_a_missed_objective_says_what_was_found(text, found):
    (finding,) = findings(text)
    assert (finding.met, finding.text) == (False, found)


def test_what_only_rounding_misses_is_met():
    arms = {"guarded": arm("guarded", {"cost": Interval(0.1 + 0.2, 0, 1)})}
    assert findings("cost == 0.3", arms)[0].met
    assert findings("cost <= 0.3", arms)[0].met
    assert not findings("cost < 0.3", arms)[0].met


@pytest.mark.parametrize(
    "text",
    ["", "availability", "0.99 <= availability", "availability >= 1 lot", "p99 <= 5 parsecs", "a.b.c.d >= 1"],
)
def test_what_reads_as_no_objective_is_refused_with_examples(text):
    with pytest.raises(
        ValueError, match=r"objective .* cannot be read; write 'guarded.availability >= 0.99'"
    ):
        Objective.parse(text)


def test_an_objective_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match=r"an objective must be a string, got 0.99; write"):
        Objective.parse(0.99)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guarde.p99 <= 1", "configuration 'guarde', which this evaluation has not; did you mean 'guarded'?"),
        (
            "p98 <= 1",
            "KPI 'p98', which this evaluation has not; did you mean 'p99'? it has availability, p99",
        ),
        ("zzz <= 1", "KPI 'zzz', which this evaluation has not; it has availability, p99"),
        ("guarded.p99 <= raw.p99", "configuration 'raw'"),
        ("naked.p99 beats guarded", "put 'guarded' first"),
        ("naked.p99 beats naked", "compares 'naked' with itself"),
    ],
)
def test_what_the_evaluation_does_not_have_is_refused_at_once(text, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        Objective.parse(text).refuse_unknown(["naked", "guarded"], ["availability", "p99"])


@pytest.mark.parametrize("text", ["guarded.p99 <= naked.p99", "p99 beats naked", "p99.low <= 1"])
def test_what_it_has_is_accepted(text):
    Objective.parse(text).refuse_unknown(["naked", "guarded"], ["availability", "p99"])


def test_an_objective_shows_what_was_written():
    assert repr(Objective.parse(" wrong == 0 ")) == "Objective('wrong == 0')"


def test_missed_objectives_are_an_assertion_error_that_pickles():
    missed = [*findings("guarded.availability >= 0.999"), *findings("guarded.p99 beats naked")]
    error = ObjectivesMissed(missed, 5)
    assert isinstance(error, AssertionError)
    assert str(error).splitlines() == [
        "2 of 5 objectives missed:",
        "  guarded.availability >= 0.999: guarded has availability 0.995",
        "  guarded.p99 beats naked: guarded is better by 0.7, adjusted p 0.2; that may be luck",
    ]
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# -- comparisons


def test_every_other_configuration_is_compared_with_the_first_and_p_values_adjusted():
    kpi = KPI("stars", lambda row: row.number % 3, better="higher")
    fact = KPI("none", lambda row: None, better="higher")
    rows = {}
    for name, more in (("naked", 0.0), ("guarded", 1.0), ("other", 0.0)):
        rows[name] = [reply(i, values={"stars": i % 3 + more, "none": None}) for i in range(100)]
    arms = [arm(name, {}, replies(*found)) for name, found in rows.items()]
    found = compared(arms, [kpi, fact])
    assert [(one.kpi.name, one.arm, one.baseline, one.gain) for one in found] == [
        ("stars", "guarded", "naked", 1.0),
        ("stars", "other", "naked", 0.0),
    ]
    assert [one.difference.p for one in found] == [0.01, 1.0]  # ten blocks
    assert [one.adjusted for one in found] == [0.02, 1.0]
    assert [one.significant(0.95) for one in found] == [True, False]


def test_one_configuration_is_compared_with_nothing():
    assert compared([arm("naked", {})], [KPI("stars", bool, better="higher")]) == ()


def test_a_gain_counts_in_the_direction_that_is_better():
    assert [one.gain for one in COMPARISONS] == [0.095, 0.7, -0.01, 3.0, 0.0]
    assert [one.significant(0.95) for one in COMPARISONS] == [True, False, True, None, False]
    assert math.isnan(compare("x", "lower", math.nan, None).gain)
    assert facts(replies(reply())).level == 0.95
