"""Streams with memory, seen every so many observations."""

from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import (
    CategoricalShiryaevRoberts,
    Detector,
    EShiryaevRoberts,
    RandomFeatureAverages,
    Thinned,
    correlation_time,
)
from resilient_ml.drift.thinned import FURTHER, correlations, effective_size, spacing, spacing_of_shape


def bursts(count: int, rate: float, seed: int, memory: float = 0.6) -> Any:
    """Errors of which one draws the next after it."""
    draw = np.random.default_rng(seed).random(count)
    errors = np.zeros(count)
    for place in range(1, count):
        before = errors[place - 1]
        errors[place] = draw[place] < rate * (1 - memory) + memory * before
    return errors


def errors(reference: Any, arl: float) -> Detector:
    return EShiryaevRoberts.from_reference(reference, arl=arl)


@pytest.mark.once
def test_bursts_of_errors_alarm_no_more_often_than_promised() -> None:
    plain = thinned = 0
    for seed in range(10):
        stream = bursts(6000, 0.1, seed)
        detector = Thinned(errors, stream[:1000], arl=2000)
        assert 4 <= detector.every <= 12
        thinned += len(detector.update_many(stream[1000:]))
        plain += len(errors(stream[:1000], 2000).update_many(stream[1000:]))
    assert thinned <= 10 * 5000 / 2000 < plain


def test_what_has_no_memory_is_seen_whole() -> None:
    draw = np.random.default_rng(0)
    for reference in (draw.normal(size=1000), draw.random(1000) < 0.1, draw.normal(size=(1000, 8))):
        assert spacing(reference) == 1


@pytest.mark.once
@pytest.mark.parametrize("memory", [0.3, 0.6, 0.8])
def test_the_correlation_time_is_that_of_the_process(memory: float) -> None:
    found = np.mean([correlation_time(bursts(4000, 0.3, seed, memory)) for seed in range(10)])
    assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.15)


@pytest.mark.parametrize("count", [200, 2000])
def test_a_reference_is_worth_its_size_by_a_time_that_may_be_longer(count: int) -> None:
    stream = bursts(count, 0.3, 2)
    time = correlation_time(stream)
    assert time > 2.0
    assert effective_size(stream) == pytest.approx(count / time / (1 + (20 * time / count) ** 0.5))


def test_no_reference_is_worth_less_than_one_observation() -> None:
    assert effective_size(np.repeat([0.0, 1.0], 500)) == 1.0
    assert effective_size(np.arange(100.0)) == 1.0


def test_one_long_batch_is_as_many_short_ones() -> None:
    """Beyond what a detector takes at once, where the number of an observation counts."""
    draw = np.random.default_rng(2)
    stream = np.where(
        draw.random(24_000) < 0.2, 500.0 + draw.integers(0, 30, 24_000), draw.integers(0, 4, 24_000)
    )
    known = draw.integers(0, 4, 1000)
    one, many = (
        Thinned(lambda rows, arl: CategoricalShiryaevRoberts(rows, arl=arl), known, every=2, arl=1e300)
        for _ in range(2)
    )
    one.update_many(stream)
    for begin in range(0, len(stream), 1000):
        many.update_many(stream[begin : begin + 1000])
    assert one.statistic == pytest.approx(many.statistic, rel=1e-6)
    kept = [np.array(detector.inner.state()["seldom"]) for detector in (one, many)]
    assert kept[0] == pytest.approx(kept[1])
    assert one.inner.seen == many.inner.seen == 12_000


def test_features_without_spread_or_memory_of_any_kind_take_no_time() -> None:
    assert correlation_time(np.full((100, 3), 2.5)) == 1.0
    assert correlation_time([1.0, 2.0]) == 1.0
    noise = np.random.default_rng(1).normal(size=(2000, 1))
    walk = np.cumsum(noise, axis=0)
    assert correlation_time(np.hstack([noise, np.full((2000, 1), 9.0)])) == correlation_time(noise)
    both = correlation_time(np.hstack([walk, noise]))
    assert both == pytest.approx((correlation_time(walk) + 1.0) / 2, rel=0.2)
    assert both > 50


def test_it_is_its_detector_at_every_third() -> None:
    stream = bursts(3000, 0.1, 2)
    stream[2000:] = bursts(1000, 0.5, 3)
    detector, inner = Thinned(errors, stream[:900], every=3, arl=3000), errors(stream[:900:3], 1000)
    assert (detector.update_many(stream[900:])[:3] // 3).tolist() == inner.update_many(stream[900::3])[
        :3
    ].tolist()
    assert detector.statistic == inner.statistic
    assert detector.threshold == inner.threshold == 1000
    assert detector.seen == 2100
    assert detector.inner.seen == inner.seen == 700
    assert detector.evidence is not None
    assert inner.evidence is not None
    assert detector.evidence.effect == inner.evidence.effect
    assert detector.evidence.since == 3 * inner.evidence.since - 2
    assert detector.evidence.at == 3 * inner.evidence.at - 2


def test_what_is_passed_over_leaves_no_trace_but_its_number() -> None:
    detector = Thinned(errors, np.zeros(100), every=4, arl=10_000)
    found = []
    for value in (1.0, 0.0, 1.0, 1.0, 1.0):
        detector.update(value)
        found.append(detector.statistic)
    assert found[0] == found[1] == found[2] == found[3] < found[4]


def test_a_reference_stays_large_enough() -> None:
    sizes: list[int] = []

    def make(reference: Any, arl: float) -> Detector:
        sizes.append(len(reference))
        return errors(reference, arl)

    for every in (1, 3, 50):
        Thinned(make, np.zeros(1000), every=every)
    assert sizes == [1000, 334, 100]


@pytest.mark.parametrize("kind", ["rows", "classes"])
def test_any_detector_may_be_inside_and_comes_back_with_the_state(kind: str) -> None:
    draw = np.random.default_rng(4)
    stream: Any = draw.normal(size=(900, 3)) if kind == "rows" else draw.integers(0, 3, 900)

    def make(reference: Any, arl: float) -> Detector:
        if kind == "rows":
            return RandomFeatureAverages(reference, arl=arl)
        return CategoricalShiryaevRoberts(reference, arl=arl)

    detector = Thinned(make, stream[:600], every=2, arl=1000)
    detector.update_many(stream[600:751])
    twin = Thinned.from_state(detector.state())
    detector.update(stream[751])
    twin.update(stream[751])
    assert twin.state() == detector.state()
    assert twin.inner.seen == 76


def test_what_it_is_told_is_checked() -> None:
    with pytest.raises(TypeError, match="make must be callable, got 3"):
        Thinned(3, np.zeros(100))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        Thinned(errors, np.zeros(100), every=0)


def test_a_memory_of_two_observations_is_enough_to_be_noticed() -> None:
    noise = np.random.default_rng(5).normal(size=4000)
    for place in range(1, 4000):
        noise[place] += 0.3 * noise[place - 1]
    assert 1.6 < correlation_time(noise) < 2.0
    assert spacing(noise) == 3


def test_statistic_and_threshold_are_those_of_the_detector_inside_from_the_start() -> None:
    detector = Thinned(errors, bursts(1000, 0.1, 3), every=5, arl=1000)
    assert detector.threshold == detector.inner.threshold == 200
    detector.update_many(bursts(500, 0.3, 4))
    assert detector.statistic == detector.inner.statistic


def of_the_past(count: int, seed: int, *weights: float) -> Any:
    """Each value is so much of the last ones, and noise."""
    values = [0.0] * len(weights)
    for noise in np.random.default_rng(seed).normal(size=count + 200).tolist():
        values.append(noise + sum(weight * values[-1 - late] for late, weight in enumerate(weights)))
    return np.array(values[-count:])


def test_a_memory_that_comes_back_is_noticed() -> None:
    for seed in range(10):
        third = of_the_past(1000, seed, 0.0, 0.0, 0.5)  # nothing of it shows in neighbours
        assert spacing(third) not in {1, 3, 6}
        to_and_fro = of_the_past(1000, seed, 0.5, -0.7)
        assert spacing_of_shape(to_and_fro) >= 4
        for memory, every in ((third, spacing(third)), (to_and_fro, spacing_of_shape(to_and_fro))):
            assert correlations(memory)[[every, 2 * every]].max() < 0.33


def test_independent_observations_are_seldom_taken_for_a_memory() -> None:
    for count, share in ((100, 0.25), (300, 0.2), (1000, 0.08)):
        draws = np.random.default_rng(count).normal(size=(200, count))
        assert np.mean([spacing(one) > 1 for one in draws]) < share


def test_where_all_resembles_all_the_spacing_is_bounded() -> None:
    there_and_back = np.repeat([0.0, 1.0] * 2, 250)
    every = spacing(np.tile([0.0, 0.0, 1.0], 400))  # the same again and again, which is at no distance new
    assert 1 <= every <= FURTHER
    assert spacing(np.tile([0.0] * 6 + [1.0] * 6, 100)) == 5  # as far as its correlation time says
    assert spacing(there_and_back) < 1000
