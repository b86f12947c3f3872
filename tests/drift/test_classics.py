"""The classics alarm where river 0.26.1 does, from which the figures in the tables were taken.

`benchmarks/drift_classics.py` compares the two live, on many more streams.
"""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import ADWIN, DDM, HDDMA, HDDMW, Detector, PageHinkley

COUNT = 3000


def made(name: str) -> Any:
    """A stream by its name; the change, where there is one, comes at 1500."""
    draw = np.random.default_rng(list(name.encode()))
    place = np.arange(COUNT)
    late, rises = place >= 1500, draw.random(COUNT)
    errors = {
        "errors rise": np.where(late, 0.3, 0.1),
        "errors fall": np.where(late, 0.2, 0.5),
        "errors are rare": np.full(COUNT, 0.01),
        "no errors": np.zeros(COUNT),
        "all errors": np.ones(COUNT),
        "errors creep": 0.1 + 0.4 * place / COUNT,
        "errors come and go": np.where(place % 1000 < 500, 0.05, 0.6),
    }
    if name in errors:
        return (rises < errors[name]).astype(float)
    noise = draw.normal(size=COUNT)
    scores: dict[str, Any] = {
        "losses": np.where(late, draw.beta(4, 4, COUNT), draw.beta(2, 8, COUNT)),
        "a half for ever": np.full(COUNT, 0.5),
        "a rise": noise + late,
        "a fall below 0": 5.0 * noise - 100.0 - 6.0 * late,
        "far from 0": 1e6 + noise + 2.0 * late,
        "large": 1e9 * noise,
        "small": 0.01 * noise,
        "heavy tails": draw.standard_t(2, COUNT),
        "a walk": 0.3 * np.cumsum(noise),
        "whole numbers": draw.integers(-5, 6, COUNT) + late,
        "constant": np.full(COUNT, -7.3),
        "long": np.concatenate([np.tile(0.3 * noise, 10), 0.2 + np.tile(0.3 * noise, 5)]),
    }
    return scores[name]


Found = tuple[list[int], int, int, int]
RIVER: list[tuple[Callable[..., Any], dict[str, Any], dict[str, Found]]] = [
    (
        ADWIN,
        {},
        {
            "a rise": ([1567], 1, 1567, 0),
            "a fall below 0": ([1535], 1, 1535, 0),
            "far from 0": ([1535], 1, 1535, 0),
            "large": ([], 0, 0, 0),
            "small": ([], 0, 0, 0),
            "heavy tails": ([], 0, 0, 0),
            "a walk": ([63, 159, 255, 383], 30, 45026, 0),
            "whole numbers": ([1663], 1, 1663, 0),
            "constant": ([], 0, 0, 0),
            "long": ([30111], 1, 30111, 0),
            "errors rise": ([1567], 1, 1567, 0),
        },
    ),
    (
        ADWIN,
        {"delta": 0.1, "clock": 1},
        {
            "a rise": ([1515], 1, 1515, 0),
            "a fall below 0": ([528, 1511], 2, 2039, 0),
            "far from 0": ([165, 1507], 2, 1672, 0),
            "large": ([], 0, 0, 0),
            "small": ([], 0, 0, 0),
            "heavy tails": ([609, 1318, 1729, 2886], 4, 6542, 0),
            "a walk": ([41, 116, 155, 231], 58, 93156, 0),
            "whole numbers": ([682, 1031, 1559], 3, 3272, 0),
            "constant": ([], 0, 0, 0),
            "long": ([30033], 1, 30033, 0),
            "errors rise": ([1535], 1, 1535, 0),
        },
    ),
    (
        ADWIN,
        {"clock": 100, "max_buckets": 3, "min_window": 10, "grace": 300},
        {
            "a rise": ([1599], 1, 1599, 0),
            "a fall below 0": ([1599], 1, 1599, 0),
            "far from 0": ([1599], 1, 1599, 0),
            "large": ([], 0, 0, 0),
            "small": ([], 0, 0, 0),
            "heavy tails": ([], 0, 0, 0),
            "a walk": ([399, 799, 1199, 1599], 7, 11193, 0),
            "whole numbers": ([1699], 1, 1699, 0),
            "constant": ([], 0, 0, 0),
            "long": ([30199], 1, 30199, 0),
            "errors rise": ([1599], 1, 1599, 0),
        },
    ),
    (
        PageHinkley,
        {},
        {
            "a rise": ([1284, 1560], 2, 2844, 0),
            "a fall below 0": ([129, 266, 324, 364], 47, 70810, 0),
            "far from 0": ([1514], 1, 1514, 0),
            "large": ([29, 59, 89, 119], 100, 151400, 0),
            "small": ([], 0, 0, 0),
            "heavy tails": ([586, 1174, 1264, 1319], 9, 15642, 0),
            "a walk": ([70, 158, 259, 361], 29, 44513, 0),
            "whole numbers": ([130, 375, 523, 578], 22, 33588, 0),
            "constant": ([], 0, 0, 0),
            "long": ([30161], 1, 30161, 0),
            "errors rise": ([1716], 1, 1716, 0),
        },
    ),
    (
        PageHinkley,
        {"threshold": 10.0, "delta": 0.1, "alpha": 1.0, "mode": "up"},
        {
            "a rise": ([727, 1088, 1305, 1503], 8, 13793, 0),
            "a fall below 0": ([35, 77, 107, 137], 87, 129326, 0),
            "far from 0": ([102, 151, 728, 937], 9, 11058, 0),
            "large": ([30, 60, 90, 120], 98, 147545, 0),
            "small": ([], 0, 0, 0),
            "heavy tails": ([72, 102, 292, 357], 47, 74533, 0),
            "a walk": ([38, 511, 633, 682], 10, 7901, 0),
            "whole numbers": ([29, 60, 90, 140], 76, 121213, 0),
            "constant": ([], 0, 0, 0),
            "long": ([30105], 1, 30105, 0),
            "errors rise": ([1548], 1, 1548, 0),
        },
    ),
    (
        PageHinkley,
        {"threshold": 15.0, "alpha": 0.99, "min_instances": 100, "mode": "down"},
        {
            "a rise": ([785, 912, 1257, 1357], 8, 14271, 0),
            "a fall below 0": ([119, 219, 319, 419], 28, 42616, 0),
            "far from 0": ([292, 897, 1126, 1264], 8, 11307, 0),
            "large": ([99, 199, 299, 399], 29, 43551, 0),
            "small": ([], 0, 0, 0),
            "heavy tails": ([146, 246, 465, 565], 22, 33826, 0),
            "a walk": ([135, 235, 342, 442], 22, 32975, 0),
            "whole numbers": ([99, 211, 312, 412], 28, 42225, 0),
            "constant": ([], 0, 0, 0),
            "long": ([42834], 1, 42834, 0),
            "errors rise": ([2265], 1, 2265, 0),
        },
    ),
    (
        DDM,
        {},
        {
            "errors rise": ([622, 1585], 2, 2207, 358),
            "errors fall": ([], 0, 0, 0),
            "errors are rare": ([63, 324, 536, 636], 5, 2227, 0),
            "no errors": ([], 0, 0, 0),
            "all errors": ([], 0, 0, 0),
            "errors creep": ([204, 891, 1739], 3, 2834, 739),
            "errors come and go": ([519, 1614, 2591], 3, 4724, 437),
            "losses": ([1606], 1, 1606, 64),
            "a half for ever": ([], 0, 0, 0),
        },
    ),
    (
        DDM,
        {"warm_start": 100, "warning_threshold": 1.5, "drift_threshold": 2.5},
        {
            "errors rise": ([444, 1543], 2, 1987, 606),
            "errors fall": ([], 0, 0, 534),
            "errors are rare": ([668], 1, 668, 750),
            "no errors": ([], 0, 0, 0),
            "all errors": ([], 0, 0, 0),
            "errors creep": ([188, 416, 586, 943], 5, 3855, 1173),
            "errors come and go": ([149, 299, 507, 1587], 6, 6991, 374),
            "losses": ([1572], 1, 1572, 60),
            "a half for ever": ([], 0, 0, 0),
        },
    ),
    (
        HDDMA,
        {},
        {
            "errors rise": ([1550], 1, 1550, 4),
            "errors fall": ([], 0, 0, 0),
            "errors are rare": ([], 0, 0, 0),
            "no errors": ([], 0, 0, 0),
            "all errors": ([], 0, 0, 0),
            "errors creep": ([946, 1763, 2834], 3, 5543, 132),
            "errors come and go": ([519, 1564, 2549], 3, 4632, 19),
            "losses": ([1544], 1, 1544, 11),
            "a half for ever": ([], 0, 0, 0),
        },
    ),
    (
        HDDMA,
        {"drift_confidence": 0.01, "warning_confidence": 0.05, "two_sided": True},
        {
            "errors rise": ([1541, 2572], 2, 4113, 160),
            "errors fall": ([30, 1525, 1748], 3, 3303, 42),
            "errors are rare": ([], 0, 0, 0),
            "no errors": ([], 0, 0, 0),
            "all errors": ([], 0, 0, 0),
            "errors creep": ([1078, 1724, 2675, 2731], 4, 8208, 269),
            "errors come and go": ([516, 645, 1010, 1518], 8, 12899, 77),
            "losses": ([1532], 1, 1532, 10),
            "a half for ever": ([], 0, 0, 0),
        },
    ),
    (
        HDDMW,
        {},
        {
            "errors rise": ([1549], 1, 1549, 17),
            "errors fall": ([737], 1, 737, 16),
            "errors are rare": ([], 0, 0, 0),
            "no errors": ([], 0, 0, 0),
            "all errors": ([], 0, 0, 0),
            "errors creep": ([912, 1712, 2406], 3, 5030, 29),
            "errors come and go": ([522, 1519, 1887, 2526], 5, 9351, 28),
            "losses": ([2979], 1, 2979, 323),
            "a half for ever": ([], 0, 0, 0),
        },
    ),
    (
        HDDMW,
        {"drift_confidence": 0.01, "warning_confidence": 0.05, "lambda_": 0.1, "two_sided": True},
        {
            "errors rise": ([1541, 1647, 1839, 2091], 8, 18191, 108),
            "errors fall": ([27, 509, 681, 736], 8, 7562, 280),
            "errors are rare": ([], 0, 0, 0),
            "no errors": ([], 0, 0, 0),
            "all errors": ([], 0, 0, 0),
            "errors creep": ([847, 1195, 1711, 1745], 11, 22986, 275),
            "errors come and go": ([519, 652, 731, 967], 15, 25585, 182),
            "losses": ([], 0, 0, 336),
            "a half for ever": ([], 0, 0, 0),
        },
    ),
]
"""For each stream the first four alarms, how many alarms, the sum of their places, and how many warnings."""


def found(alarms: list[int], warnings: int) -> Found:
    return alarms[:4], len(alarms), sum(alarms), warnings


CASES = [(make, settings, name) for make, settings, streams in RIVER for name in streams]


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "settings", "expected"), RIVER, ids=lambda one: getattr(one, "__name__", "")
)
def test_alarms_and_warnings_come_where_those_of_river_come(
    make: Callable[..., Any], settings: dict[str, Any], expected: dict[str, Found]
) -> None:
    for name, places in expected.items():
        stream, single, many = made(name), make(**settings), make(**settings)
        alarms: list[int] = []
        warnings = 0
        for place, value in enumerate(stream.tolist()):
            if single.update(value):
                alarms.append(place)
            warnings += single.level == "warn"
        assert found(alarms, warnings) == places, name
        assert many.update_many(stream).tolist() == alarms, name
        assert many.state() == single.state(), name


ALL: dict[str, Callable[[], Any]] = {
    "ADWIN": lambda: ADWIN(delta=0.3, clock=5),
    "ADWIN of few buckets": lambda: ADWIN(delta=0.9, clock=70, max_buckets=1, min_window=1, grace=0),
    "PageHinkley": lambda: PageHinkley(threshold=4.0, min_instances=3, alpha=0.9),
    "PageHinkley that forgets at once": lambda: PageHinkley(threshold=1.0, alpha=0.001, min_instances=1),
    "DDM": lambda: DDM(warm_start=5, drift_threshold=2.2),
    "HDDMA": lambda: HDDMA(drift_confidence=0.2, warning_confidence=0.4, two_sided=True),
    "HDDMW": lambda: HDDMW(drift_confidence=0.2, warning_confidence=0.4, lambda_=0.3, two_sided=True),
}
PIECE = st.tuples(st.sampled_from([0.0, 1.0, 0.5, -3.0, 0.1, 1e6, 4.0]), st.integers(1, 40))


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(PIECE, min_size=1, max_size=8),
    noise=st.sampled_from([0.0, 0.25, 1.0]),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_many_at_once_are_the_same_to_the_last_bit(
    kind: str, pieces: list[tuple[float, int]], noise: float, cuts: list[int]
) -> None:
    levels = np.repeat([level for level, _ in pieces], [count for _, count in pieces])
    stream = levels + noise * np.random.default_rng(len(levels)).normal(size=len(levels))
    single, many = ALL[kind](), ALL[kind]()
    alarms = [place for place, value in enumerate(stream.tolist()) if single.update(value)]
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    places = [
        begin + int(place)
        for begin, end in itertools.pairwise(edges)
        for place in many.update_many(stream[begin:end])
    ]
    assert places == alarms
    assert many.state() == single.state()
    assert many.level == single.level
    assert type(many).from_state(json.loads(json.dumps(many.state()))).state() == many.state()


@pytest.mark.parametrize("kind", ALL)
def test_no_finite_number_is_too_large(kind: str) -> None:
    draw = np.random.default_rng(1)
    stream = np.concatenate([draw.random(200), [1.7e308, -1.7e308, 1.7e308], draw.random(200)])
    single, many = ALL[kind](), ALL[kind]()
    alarms = [place for place, value in enumerate(stream.tolist()) if single.update(value)]
    assert many.update_many(stream).tolist() == alarms
    assert many.refused == single.refused == 0
    assert many.state() == single.state()
    assert all(math.isfinite(value) for value in many.state().values() if isinstance(value, float))


@pytest.mark.parametrize("kind", ALL)
def test_a_state_is_nobody_elses(kind: str) -> None:
    detector = ALL[kind]()
    detector.update_many([0.0, 1.0] * 3)
    state = detector.state()
    kept = json.loads(json.dumps(state))
    again = type(detector).from_state(state)
    for one in (detector, again):
        for value in (0.0, 1.0, 0.0):
            one.update(value)
        assert state == kept


@pytest.mark.parametrize("kind", ALL)
def test_no_run_length_is_promised(kind: str) -> None:
    assert ALL[kind]().arl == 0.0
    assert isinstance(ALL[kind](), Detector)


@pytest.mark.parametrize("kind", ["DDM", "HDDMA", "HDDMW"])
def test_what_is_beyond_an_error_counts_as_one(kind: str) -> None:
    one, other = ALL[kind](), ALL[kind]()
    one.update_many([0.0, 1.0, 0.0, 1.0] * 3)
    other.update_many([-2.0, 9.0, -0.1, 1.1] * 2)
    for value in (-2.0, 9.0, False, np.True_):
        other.update(value)
    assert other.state() == one.state()
